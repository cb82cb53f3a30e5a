"""nbgrader's settings for the course, and three of its parts, extended.

- `RestoreCells`: locked cells that a student deleted or changed come back before the notebook is run.
- `ExecuteInTime`: a cell that runs too long is stopped; a kernel that cannot be does not hold up a class.
- `HideTests`: feedback shows the message of a failed test, not the code of the hidden tests.
"""

import os
import re

from nbconvert.exporters.exporter import ResourcesDict
from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from nbgrader import preprocessors as standard
from nbgrader.api import Gradebook
from nbgrader.preprocessors.base import NbGraderPreprocessor
from nbgrader.utils import is_grade
from traitlets.config import Config

from booktools.environment import execution_environment

TIMEOUT = 60  # seconds for one cell
IMPORT_TIMEOUT = 300  # for the cell that imports the framework: nothing of the student's is in it
_FRAME = re.compile(r"In\[(\d+)\]")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def nbgrader_metadata(
    name: str, *, solution: bool = False, points: float | None = None, checksum: str | None = None
) -> dict:
    """Return the metadata of an answer (`solution`), of tests worth `points`, or of another locked cell."""
    metadata = {
        "schema_version": 3,
        "grade_id": name,
        "solution": solution,
        "grade": points is not None,
        "locked": not solution,
        "task": False,
    }
    if points is not None:
        metadata |= {"points": points, "cell_type": "code"}
    if checksum is not None:
        metadata["checksum"] = checksum
    return {"nbgrader": metadata}


class RestoreCells(NbGraderPreprocessor):
    """Puts every locked cell back, and every answer's metadata, whatever became of them in a student's hands.

    nbgrader 0.9.6 drops deleted tests (``OverwriteCells.add_missing_cells`` brings them back, but fails where
    the cell before is missing or locked), and fails at metadata that were changed by hand.
    """

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        """Return the notebook with the teacher's locked cells: in their places, or else where they work."""
        where = resources["nbgrader"]
        with Gradebook(where["db_url"]) as gradebook:
            notebook = gradebook.find_notebook(where["notebook"], where["assignment"])
            points = {cell.name: cell.max_score for cell in notebook.grade_cells}
            missing = {cell.name: cell.to_dict() for cell in notebook.source_cells}
        cells, first_named = [], None
        for cell in nb.cells:
            name = cell_name(cell)
            cell.metadata.pop("nbgrader", None)
            if name in missing:
                first_named = len(cells) if first_named is None else first_named
                cell = _as_released(missing.pop(name), points, cell.source)
            cells.append(cell)
        restored = [_as_released(entry, points) for entry in missing.values() if entry["locked"]]
        first_named = len(cells) if first_named is None else first_named
        cells[first_named:first_named] = [cell for cell in restored if not is_grade(cell)]
        nb.cells = [*cells, *(cell for cell in restored if is_grade(cell))]
        nb.nbformat_minor = 5  # Colab writes 4.0, whose cells have no ids
        for number, cell in enumerate(nb.cells, start=1):
            cell.id = f"cell-{number}"
        return nb, resources


def cell_name(cell: NotebookNode) -> str | None:
    """Return a cell's name in the gradebook; None if it has none, or if its metadata were damaged."""
    metadata = cell.metadata.get("nbgrader")
    name = metadata.get("grade_id") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else None


def _as_released(entry: dict, points: dict[str, float], answer: str = "") -> NotebookNode:
    """Return a cell as it was released; an answer with what the student wrote."""
    name, locked = entry["name"], entry["locked"]
    metadata = nbgrader_metadata(
        name, solution=not locked, points=points.get(name), checksum=entry["checksum"]
    )
    return new_code_cell(entry["source"] if locked else answer, metadata=metadata)


class ExecuteInTime(standard.Execute):
    """Stops a cell at the timeout, and gives the next ones less and less time until one ends by itself.

    A loop that swallows the interrupt keeps the kernel busy, and every later cell runs into the timeout too.
    """

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        """Execute the notebook."""
        self.seconds = self.timeout
        self.timeout_func = self._seconds_for
        words = f"stopped after {self.timeout} s: is there a loop that does not end?"
        self.error_on_timeout = {
            "ename": "CellTimeoutError",
            "evalue": words,
            "traceback": [f"CellTimeoutError: {words}"],
        }
        return super().preprocess(nb, resources)

    def on_cell_executed(self, **arguments) -> None:
        """Note whether the cell ran out of time."""
        super().on_cell_executed(**arguments)
        late = arguments["execute_reply"]["content"].get("ename") == "CellTimeoutError"
        self.seconds = max(1, self.seconds // 4) if late else self.timeout

    def _seconds_for(self, cell: NotebookNode) -> int:
        return IMPORT_TIMEOUT if cell_name(cell) == "helpers" else self.seconds


class HideTests(standard.ClearHiddenTests):
    """Leaves of a grade cell what the student has seen before, and what a failed test says."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, cell_index: int
    ) -> tuple[NotebookNode, ResourcesDict]:
        """Take hidden tests out of the source and out of the traceback."""
        if is_grade(cell):
            cell.source = _without_hidden_tests(cell.source)
            cell.outputs = [output for output in cell.outputs if output.output_type == "error"]
            for error in cell.outputs:
                error.traceback = [
                    *_frames_of_student(error.traceback, cell.execution_count),
                    f"{error.ename}: {error.evalue}",
                ]
        return cell, resources


def _without_hidden_tests(source: str) -> str:
    return re.sub(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS\n?", "", source, flags=re.DOTALL).rstrip()


def _frames_of_student(traceback: list[str], count: int | None) -> list[str]:
    """Return those frames of a traceback that lie in cells of the student, not in the tests themselves."""
    frames = []
    for entry in traceback:
        found = _FRAME.search(_ANSI.sub("", entry))
        if found and int(found[1]) != count:
            frames.append(entry)
    return frames


def configure(config: Config) -> None:
    """Set what nbgrader does in this course; the settings file in the course folder calls this.

    The environment is set as for the lessons, but for the framework, which each student chooses.
    """
    os.environ.update(execution_environment("reference", "torch"))
    del os.environ["AELIB_BACKEND"]
    config.CourseDirectory.course_id = "autoencoders"
    config.Execute.timeout = TIMEOUT
    config.Execute.raise_on_iopub_timeout = False  # a kernel that cannot be stopped: go on to the next cell
    # nbgrader takes points away for anything on stderr: a warning is no wrong answer.
    config.IgnorePattern.enabled = True
    config.IgnorePattern.pattern = "."
    config.Autograde.sanitize_preprocessors = [
        standard.ClearOutput,
        RestoreCells,
        standard.OverwriteKernelspec,
        standard.CheckCellMetadata,
    ]
    config.Autograde.autograde_preprocessors = [
        ExecuteInTime,
        standard.IgnorePattern,
        standard.LimitOutput,
        standard.SaveAutoGrades,
        standard.AssignLatePenalties,
        standard.CheckCellMetadata,
    ]
    config.GenerateFeedback.preprocessors = [standard.GetGrades, HideTests, CSSHTMLHeaderPreprocessor]
