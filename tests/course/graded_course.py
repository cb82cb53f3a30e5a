"""An assignment in a course folder of nbgrader, and hands that put students' work into it."""

import copy
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook

from booktools.assignments import make_release


class Course:
    """One assignment in nbgrader's folder, which is made if a source is given."""

    def __init__(self, folder: Path, name: str, source: Path | None = None):
        self.folder, self.name = folder, name
        if source is not None:
            sources = folder.parent / "sources"
            sources.mkdir()
            shutil.copy(source, sources / f"{name}.md")
            make_release(folder, sources)
        self.solution = self.read("source")
        self.release = self.read("release")

    def path(self, step: str, student: str = "", suffix: str = ".ipynb") -> Path:
        return self.folder / step / student / self.name / f"{self.name}{suffix}"

    def read(self, step: str, student: str = "") -> NotebookNode:
        return nbformat.read(self.path(step, student), as_version=4)

    def hand_in(
        self,
        student: str,
        change: Callable[[NotebookNode], None] = lambda notebook: None,
        framework: str = "torch",
        start: str = "solution",
    ) -> None:
        """Hand in the release, with the solution's answers or without, after a change."""
        notebook = copy.deepcopy(self.release)
        for cell, solved in zip(notebook.cells, self.solution.cells, strict=True):
            if start == "solution" and solved.metadata.get("nbgrader", {}).get("solution"):
                cell.source = solved.source
        choice = 'framework = "torch"'
        assert choice in notebook.cells[1].source
        notebook.cells[1].source = notebook.cells[1].source.replace(choice, f'framework = "{framework}"')
        change(notebook)
        path = self.path("submitted", student)
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)

    def marks(self) -> dict[str, dict[str, float]]:
        """Return what each student has for each task, from the gradebook."""
        with Gradebook(f"sqlite:///{self.folder / 'gradebook.db'}") as gradebook:
            return {
                submission.student.id: {
                    grade.name.removesuffix("-tests"): grade.score
                    for notebook in submission.notebooks
                    for grade in notebook.grades
                }
                for submission in gradebook.assignment_submissions(self.name)
            }

    def points(self) -> dict[str, float]:
        """Return what each task is worth."""
        cells = (cell.metadata.get("nbgrader", {}) for cell in self.solution.cells)
        return {
            cell["grade_id"].removesuffix("-tests"): cell["points"] for cell in cells if cell.get("grade")
        }

    def hidden_lines(self) -> set[str]:
        """Return the lines of hidden tests and solutions that a student must not see."""
        regions = [
            region
            for cell in self.solution.cells
            for region in re.findall(r"### BEGIN .*?\n(.*?)### END", cell.source, flags=re.DOTALL)
        ]
        seen = {line.strip() for cell in self.release.cells for line in cell.source.splitlines()}
        lines = {line.strip() for region in regions for line in region.splitlines()} - seen
        return {line for line in lines if len(line) > 12}


def find(notebook: NotebookNode, name: str) -> NotebookNode:
    """Return the cell with this name in the gradebook."""
    (cell,) = (c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)
    return cell
