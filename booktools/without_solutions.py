"""A copy of the book without the solutions to its exercises, for a running course."""

import re
import shutil
from pathlib import Path

import nbformat

from booktools.twins import lesson_paths, make_twin, write

_LEFT_OUT = (".*", "_build", "__pycache__", "*.egg-info", "assignments", "tests")
_SOLUTION = re.compile(
    r"^(?P<fence>:{3,}|`{3,})\{solution-start\} *(?P<label>\S+).*?\{solution-end\}[^\n]*\n(?P=fence)\n?",
    re.DOTALL | re.MULTILINE,
)


def remove_solutions(text: str) -> str:
    """Return the text of a lesson without what stands between the marks of its solutions.

    Raises
    ------
    ValueError
        If a mark remains: a solution that begins but does not end, say.
    """
    left = _SOLUTION.sub("", text)
    if mark := re.search(r"\{solution-(?:start|end)\}", left):
        line = left[: mark.start()].count("\n") + 1
        raise ValueError(f"a solution is not marked as CONTRIBUTING.md says; line {line} without solutions")
    return left


def copy_without_solutions(root: Path, target: Path | None = None) -> Path:
    """Copy the book at `root` without solutions in lessons and twins; return the copy's folder, made anew.

    It is `target`, or ``_build/without-solutions`` if that is None.

    Raises
    ------
    ValueError
        If the solutions of a lesson are not marked as they should be.
    FileNotFoundError
        If a lesson has no twin.
    """
    target = target or root / "_build" / "without-solutions"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root, target, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    for path in lesson_paths(target):
        try:
            path.write_text(remove_solutions(path.read_text(encoding="utf-8")), encoding="utf-8")
        except ValueError as error:
            raise ValueError(f"{root / 'chapters' / path.name}: {error}") from error
    for path in lesson_paths(target):  # when no reference can point into a lesson that is still complete
        _shorten_twin(path)
    return target


def _shorten_twin(path: Path) -> None:
    """Keep of a twin what stands in the shortened lesson, with its outputs."""
    twin_path = path.with_suffix(".ipynb")
    if not twin_path.exists():
        raise FileNotFoundError(f"{path} has no twin beside it; run make notebooks first")
    outputs = {cell.id: cell.get("outputs") for cell in nbformat.read(twin_path, as_version=4).cells}
    twin = make_twin(path)
    count = 0
    for cell in twin.cells:
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            if cell.id not in outputs:
                raise ValueError(f"{twin_path} is out of date; run make notebooks first")
            cell.outputs = outputs[cell.id]
    write(twin, twin_path)
