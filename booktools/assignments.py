"""Assignments with automatic grading: nbgrader's course, made from course/assignments/N-name.md.

A source holds the tasks with their solutions and hidden tests, and is the only one. Tags say what nbgrader
must know of a code cell:

- ``:tags: [answer, id-kl]``: the student writes here, in the place of what stands between
  ``### BEGIN SOLUTION`` and ``### END SOLUTION``;
- ``:tags: [tests, id-kl, points-3]``: the tests of that answer; first an example that the student sees, then
  those between ``### BEGIN HIDDEN TESTS`` and ``### END HIDDEN TESTS``.

Nothing here hides a source from people who may read the repository: course/assignments/README.md says how to
keep yours on a private branch.
"""

import argparse
import ast
import re
import sys
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from booktools import grading
from booktools.address import ROOT, read_repository
from booktools.grades import FORMATS, export_grades
from booktools.preprocessors import TIMEOUT, nbgrader_metadata
from booktools.twins import write

SOURCES = ROOT / "course" / "assignments"
COURSE = ROOT / "_build" / "assignments"

# The first cell stays the student's own, so that the choice of framework survives grading. A lesson's set-up
# unpacks the repository, which holds the solutions; this one installs `aelib` alone.
SETUP = """\
# @title Set-up: choose your framework, then run this cell {{ display-mode: "form" }}
framework = "torch"  # @param ["torch", "tensorflow"]

import importlib.util

# Where aelib is missing, as in Colab, it is fetched and installed.
if importlib.util.find_spec("aelib") is None:
    %pip install -q --no-deps {address}/archive/refs/heads/{branch}.zip"""

HELPERS = '''\
# Run this cell and leave it as it is: it works in either framework.
import os

import numpy as np

import aelib

if framework not in ("torch", "tensorflow"):
    raise ValueError(f"framework is {framework!r} in the first cell; it must be 'torch' or 'tensorflow'")
if os.environ.get("AELIB_BACKEND", framework) != framework:
    raise ValueError(
        f"AELIB_BACKEND is {os.environ['AELIB_BACKEND']!r} here, but the first cell says {framework!r}: "
        "choose the same there"
    )
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
aelib.configure(backend=framework, profile="reference", device="cpu")

if framework == "torch":
    import torch
else:
    import tensorflow as tf


def to_framework(array):
    """Return a tensor of your framework, float64."""
    array = np.asarray(array, dtype=np.float64)
    return torch.tensor(array) if framework == "torch" else tf.constant(array)


def to_numpy(tensor):
    """Return the values of a tensor of your framework."""
    if framework == "torch":
        assert isinstance(tensor, torch.Tensor), f"expected a torch tensor, got {type(tensor).__name__}"
        return tensor.detach().numpy()
    assert tf.is_tensor(tensor), f"expected a TensorFlow tensor, got {type(tensor).__name__}"
    return tensor.numpy()


def gradient(function, array):
    """Return the gradient of a function of one tensor, whose value is a single number, as a NumPy array."""
    x = to_framework(array)
    if framework == "torch":
        value = function(x.requires_grad_())
        assert value.requires_grad, "no gradient reaches the result: is a tensor detached on the way?"
        (found,) = torch.autograd.grad(value, x, allow_unused=True)
    else:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        found = tape.gradient(value, x)
    assert found is not None, "no gradient reaches the result: is a tensor detached on the way?"
    return to_numpy(found)'''

_TAG = re.compile(r"(answer|tests|id-[a-z0-9-]+|points-[1-9][0-9]*)")
_HIDDEN = "### BEGIN HIDDEN TESTS"
_MARKS = {
    "answer": ("### BEGIN SOLUTION", "### END SOLUTION"),
    "tests": (_HIDDEN, "### END HIDDEN TESTS"),
}


class SourceError(Exception):
    """What is wrong with an assignment's source, with file and line."""


def assignment_paths(folder: Path = SOURCES) -> list[Path]:
    """Return the sources of the assignments, in order."""
    return sorted(folder.glob("[0-9]-*.md"))


def make_notebook(path: Path) -> NotebookNode:
    """Return the assignment at `path` with solutions, hidden tests and nbgrader's metadata.

    Raises
    ------
    SourceError
        If a tag, a mark or a cell is missing, unknown or twice there.
    """
    address, branch = read_repository()
    cells = jupytext.read(path, fmt="md:myst").cells
    lines = [number for number, line in _numbered(path) if line.startswith("```{code-cell}")]
    answers: dict[str, str] = {}
    tested: set[str] = set()
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.metadata = {}
            continue
        where = f"{path}:{lines.pop(0)}"
        kind, name, points = _read_tags(cell, where)
        _check_code(cell, kind, where)
        if kind == "answer":
            if name in answers:
                raise SourceError(f"{where}: another answer has the id {name!r} already; choose another")
            answers[name] = where
            cell.metadata = nbgrader_metadata(name, solution=True)
        elif kind == "tests":
            if name not in answers or name in tested:
                raise SourceError(f"{where}: tests of {name!r} must follow the answer with that id, once")
            tested.add(name)
            # Hidden tests must not depend on what the student made of the helpers' names.
            cell.source = cell.source.replace(_HIDDEN, f"{_HIDDEN}\n{HELPERS}\n", 1)
            cell.metadata = nbgrader_metadata(f"{name}-tests", points=points)
    for name in answers.keys() - tested:
        raise SourceError(f"{answers[name]}: the answer {name!r} has no cell of tests")
    setup = new_code_cell(SETUP.format(address=address, branch=branch))
    helpers = new_code_cell(HELPERS, metadata=nbgrader_metadata("helpers"))
    cells[1:1] = [setup, helpers]
    for number, cell in enumerate(cells, start=1):
        cell.id = cell.metadata.get("nbgrader", {}).get("grade_id", f"cell-{number}")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def _numbered(path: Path) -> list[tuple[int, str]]:
    return list(enumerate(path.read_text(encoding="utf-8").splitlines(), start=1))


def _read_tags(cell: NotebookNode, where: str) -> tuple[str | None, str, int]:
    """Return a cell's kind ("answer", "tests" or None), id and points."""
    tags = cell.metadata.get("tags", [])
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise SourceError(f"{where}: unknown tag {tag!r}; known are answer, tests, id-NAME and points-N")
    kinds = [tag for tag in tags if tag in _MARKS]
    names = [tag.removeprefix("id-") for tag in tags if tag.startswith("id-")]
    points = [int(tag.removeprefix("points-")) for tag in tags if tag.startswith("points-")]
    kind = kinds[0] if kinds else None
    if not tags:
        return None, "", 0
    if len(kinds) != 1 or len(names) != 1 or len(points) != (kind == "tests"):
        raise SourceError(
            f"{where}: tags are [answer, id-NAME] or [tests, id-NAME, points-N], not [{', '.join(tags)}]"
        )
    return kind, names[0], sum(points)


def _check_code(cell: NotebookNode, kind: str | None, where: str) -> None:
    """Raise an error unless the cell is Python, and has its pair of marks, once and with code around it."""
    try:
        ast.parse(cell.source)
    except SyntaxError as error:
        raise SourceError(f"{where}: line {error.lineno} of this cell: {error.msg}") from error
    found = [line.strip() for line in cell.source.splitlines() if line.strip().startswith("### ")]
    if found != list(_MARKS.get(kind, ())):
        expected = " and ".join(_MARKS.get(kind, ())) or "no line that begins with ###"
        raise SourceError(f"{where}: this cell must have {expected}, it has {found}")
    if kind == "tests" and not ast.parse(cell.source.split(_HIDDEN)[0]).body:
        raise SourceError(f"{where}: the hidden tests need an example before them that the student can see")


def make_release(course: Path = COURSE, sources: Path = SOURCES) -> list[Path]:
    """Write nbgrader's course to a folder: settings, gradebook, sources, and the students' release.

    Parameters
    ----------
    course : path
        Existing grades and submissions stay.
    sources : path
        The folder with the Jupytext files.

    Returns
    -------
    list of path
        The students' notebooks.

    Raises
    ------
    SourceError
        If a source is wrong.
    booktools.grading.CourseError
        If nbgrader cannot make the release.
    """
    paths = assignment_paths(sources)
    if not paths:
        raise SourceError(
            f"{sources}: no assignment here; a source is called N-name.md, such as 1-foundations.md"
        )
    notebooks = {path.stem: make_notebook(path) for path in paths}
    grading.write_settings(course)
    for name, notebook in notebooks.items():
        path = course / "source" / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_bytes() if path.exists() else None
        write(notebook, path)
        try:
            grading.generate(course, name)
        except grading.CourseError:
            if before is not None:  # what students have in hand can still be graded
                path.write_bytes(before)
                grading.generate(course, name)
            raise
    return [course / "release" / name / f"{name}.ipynb" for name in notebooks]


def main() -> None:
    """Make the students' release; or grade what they handed in; or export the grades."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--course", type=Path, default=COURSE, help="nbgrader's folder; _build/assignments")
    parser.add_argument("--autograde", action="store_true", help="grade submitted/STUDENT/NAME/NAME.ipynb")
    parser.add_argument("--timeout", type=int, default=TIMEOUT, help="seconds that a cell may take")
    parser.add_argument("--grades", type=Path, metavar="FILE.csv", help="write the grades to this file")
    parser.add_argument("--format", choices=FORMATS, default="moodle", help="whose import reads the file")
    options = parser.parse_args()
    course = options.course.resolve()
    try:
        if options.autograde:
            reports = grading.autograde(course, timeout=options.timeout)
            print("\n".join(str(report) for report in reports))
            print(f"feedback for the students: {course / 'feedback'}")
            if any(report.score is None for report in reports):
                sys.exit("not everything was graded: see above")
        if options.grades:
            print(export_grades(course, options.grades, options.format))
        if not (options.autograde or options.grades):
            for path in make_release(course):
                print(path)
    except (SourceError, grading.CourseError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
