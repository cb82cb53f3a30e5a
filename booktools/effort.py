"""How long a lesson takes a student: an estimate by a plain rule, the same for every lesson."""

import re
from pathlib import Path

# Minutes. Chosen by the authors, not measured on students: a teacher who knows better changes them here.
WORDS_PER_MINUTE = 150
MINUTES_PER_FORMULA = 1
MINUTES_PER_CODE_CELL = 1
MINUTES_PER_EXERCISE = 25

_CODE_CELL = re.compile(r"^```\{code-cell\}.*?^```$", re.DOTALL | re.MULTILINE)
_FORMULA = re.compile(r"^```\{math\}.*?^```$|\$\$.*?\$\$", re.DOTALL | re.MULTILINE)
_SOLUTION = re.compile(r"^:{3,}\{solution-start\}.*?\{solution-end\}", re.DOTALL | re.MULTILINE)


def read_title(root: Path, name: str) -> str:
    """Return the title of a lesson."""
    text = (root / "chapters" / f"{name}.md").read_text(encoding="utf-8")
    return re.search(r"^# (.+)$", text, re.MULTILINE)[1]


def hours_needed(root: Path, name: str) -> float:
    """Return the hours, to the nearest half, that reading a lesson and doing its exercises take."""
    text = (root / "chapters" / f"{name}.md").read_text(encoding="utf-8")
    exercises = text.count("{exercise}")
    text = _SOLUTION.sub("", text)
    cells = len(_CODE_CELL.findall(text))
    text = _CODE_CELL.sub("", text)
    formulas = len(_FORMULA.findall(text))
    words = len(_FORMULA.sub("", text).split())
    minutes = (
        words / WORDS_PER_MINUTE
        + formulas * MINUTES_PER_FORMULA
        + cells * MINUTES_PER_CODE_CELL
        + exercises * MINUTES_PER_EXERCISE
    )
    return round(minutes / 30) / 2
