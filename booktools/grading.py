"""nbgrader's steps for the course: the release, the grading of what was handed in, the feedback.

Every step is nbgrader's own, called through its Python interface; what it says goes to a log, and what a
teacher must know comes back as plain sentences with file, cell and line.

nbgrader runs a student's code and the hidden tests in one kernel, so code that means to can read the tests
and change its grade. `find_prying` holds back the plain attempts; it is no wall, as the page for teachers,
course/assignments/README.md, says.
"""

import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from traitlets.config.loader import PyFileConfigLoader

from booktools.address import ROOT
from booktools.preprocessors import TIMEOUT, cell_name

SETTINGS = """\
# nbgrader's settings for this course, written by `make assignments`; see booktools/preprocessors.py.
import sys

sys.path.insert(0, {root!r})
from booktools.preprocessors import configure

configure(get_config())
"""
# What an answer has no reason to mention.
PRYING = re.compile(
    r"HIDDEN TESTS|gradebook|nbgrader|\.ipynb|_getframe|currentframe|\binspect\b|settrace|get_ipython|\bIn\["
)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LINE = re.compile(r"\bline (\d+)")


class CourseError(Exception):
    """Why a step of nbgrader could not be done, in plain words."""


@dataclass
class Report:
    """What became of one student's work.

    Parameters
    ----------
    student, assignment : str
        Their names in the gradebook.
    score, max_score : float or None
        Points; None if it could not be graded.
    problems : list of str
        What the teacher should look at, each with the student's file, and cell and line where there is one.
    """

    student: str
    assignment: str
    score: float | None = None
    max_score: float | None = None
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        points = "not graded" if self.score is None else f"{self.score:g} of {self.max_score:g} points"
        return "\n    ".join([f"{self.assignment}  {self.student}: {points}", *self.problems])


def write_settings(course: Path) -> None:
    """Write nbgrader's settings file into the folder `course`, which is made if need be."""
    course.mkdir(parents=True, exist_ok=True)
    (course / "nbgrader_config.py").write_text(SETTINGS.format(root=str(ROOT)), encoding="utf-8")


@contextmanager
def _nbgrader(course: Path, timeout: int = TIMEOUT) -> Iterator[NbGraderAPI]:
    """Give nbgrader's interface for a course folder; the environment and the log are put back afterwards."""
    if not (course / "nbgrader_config.py").exists():
        raise CourseError(f"{course}: no course here; call make assignments first")
    # nbgrader logs to its parent's log, from where each step's words are taken: see `_reason`.
    with patch.dict(os.environ), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nbgrader's own, about its database
        # nbgrader calls alembic by its name: also where the virtual environment is not activated.
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
        config.CourseDirectory.root = str(course)
        config.Execute.timeout = timeout
        yield NbGraderAPI(config=config)


def generate(course: Path, name: str) -> None:
    """Make the students' release of the assignment `name` from course/source.

    Raises
    ------
    CourseError
        If nbgrader cannot, for example because cells were added after students handed in.
    """
    with _nbgrader(course) as api:
        result = api.generate_assignment(name, force=True)
    if not result["success"]:
        reason = _reason(result)
        if "submissions" in reason:
            reason += "; release the changed assignment under a new name, such as 5-foundations"
        raise CourseError(f"{name}: nbgrader cannot make the release: {reason}")


def _reason(result: dict) -> str:
    """Return why a step of nbgrader failed: the last line of the first traceback."""
    words = result.get("log", "") + result["error"]
    errors = re.findall(r"^ *([\w.]*(?:Error|Exception)\b.*)$", words, flags=re.MULTILINE)
    return errors[0] if errors else words.strip().splitlines()[-1]


def autograde(course: Path, *, timeout: int = TIMEOUT) -> list[Report]:
    """Grade all that lies in course/submitted, and write the feedback of what was graded.

    Parameters
    ----------
    course : path
        nbgrader's folder; a student's work is submitted/STUDENT/NAME/NAME.ipynb.
    timeout : int, default=60
        Seconds that a cell may take.

    Returns
    -------
    list of Report

    Raises
    ------
    CourseError
        If there is no course or nothing was handed in.
    """
    handed_in = sorted(path for path in (course / "submitted").glob("*/*") if path.is_dir())
    with _nbgrader(course, timeout) as api:
        if not handed_in:
            raise CourseError(
                f"{course / 'submitted'}: nothing was handed in; put STUDENT/NAME/NAME.ipynb there"
            )
        return [_grade(course, api, folder.parent.name, folder.name) for folder in handed_in]


def _grade(course: Path, api: NbGraderAPI, student: str, assignment: str) -> Report:
    report = Report(student, assignment)
    path = course / "submitted" / student / assignment / f"{assignment}.ipynb"
    shown = path.relative_to(course)
    source = course / "source" / assignment / f"{assignment}.ipynb"
    if not source.exists():
        report.problems.append(f"{shown}: there is no assignment {assignment!r}; rename the folder")
        return report
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except FileNotFoundError:
        report.problems.append(f"{shown}: no such file; was it handed in under another name?")
        return report
    except Exception as error:  # JSON, encoding and schema have each their own
        report.problems.append(f"{shown}: not a notebook: {str(error).splitlines()[0]}")
        return report
    names = {cell_name(cell) for cell in notebook.cells}
    teachers = [cell for cell in nbformat.read(source, as_version=4).cells if cell_name(cell)]
    locked = {cell_name(cell) for cell in teachers if cell.metadata.nbgrader["locked"]}
    if prying := find_prying(notebook, locked):
        report.problems += [f"{shown}, {where}" for where in prying]
        report.problems.append(
            f"look at it; if it is harmless: nbgrader autograde {assignment} --student {student} in {course}"
        )
        return report
    report.problems += [
        f"{shown}: the cell {name!r} was deleted, and put back" for name in sorted(locked - names)
    ]
    result = api.autograde(assignment, student)
    if result["success"]:
        report.problems += _errors(course, notebook, shown, student, assignment)
        report.score, report.max_score = _score(course, student, assignment)
        result = api.generate_feedback(assignment, student)
    if not result["success"]:
        report.problems.append(f"{shown}: nbgrader gave up: {_reason(result)}")
    return report


def _score(course: Path, student: str, assignment: str) -> tuple[float, float]:
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        submission = gradebook.find_submission(assignment, student)
        return submission.score, submission.max_score


def find_prying(notebook: NotebookNode, locked: set[str]) -> list[str]:
    """Return where a student's own code mentions what only an attempt to read the tests needs.

    Parameters
    ----------
    notebook : NotebookNode
        What was handed in.
    locked : set of str
        Names of the cells that are replaced before the notebook is run.

    Returns
    -------
    list of str
        Cell, line and word of each place.
    """
    found = []
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code" or cell_name(cell) in locked:
            continue
        for line, text in enumerate(cell.source.splitlines(), start=1):
            if match := PRYING.search(text):
                found.append(
                    f"cell {number}, line {line}: {match[0]!r} reaches for the tests, so it was not run"
                )
    return found


def _errors(course: Path, handed_in: NotebookNode, shown: Path, student: str, assignment: str) -> list[str]:
    """Return the errors of the student's own cells, and tests that ran out of time."""
    path = course / "autograded" / student / assignment / f"{assignment}.ipynb"
    problems = []
    for cell in nbformat.read(path, as_version=4).cells:
        name = cell_name(cell)
        is_test = name is not None and cell.metadata.nbgrader["grade"]
        for output in cell.get("outputs", []):
            if output.output_type == "error" and (not is_test or output.ename == "CellTimeoutError"):
                place = _place(cell, name, handed_in)
                line = _LINE.search(_ANSI.sub("", "\n".join([output.evalue, *output.traceback])))
                place += f", line {line[1]}" if line else ""
                problems.append(f"{shown}, {place}: {output.ename}: {output.evalue}")
    return problems


def _place(cell: NotebookNode, name: str | None, handed_in: NotebookNode) -> str:
    """Return the number that a graded cell has in the notebook that was handed in, and its name."""
    for number, other in enumerate(handed_in.cells, start=1):
        if (name and cell_name(other) == name) or (not name and other.source == cell.source):
            return f"cell {number}" + (f" ({name})" if name else "")
    return f"cell {name!r}, put back"
