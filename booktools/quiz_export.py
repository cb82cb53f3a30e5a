"""Quizzes for a learning-management system: Moodle's GIFT text format, which others import too."""

import argparse
import sys
from pathlib import Path

from booktools.address import ROOT
from booktools.effort import read_title
from booktools.lined_yaml import WrongFileError
from booktools.quiz import Question, read_quiz
from booktools.twins import lesson_paths

# Signs with a meaning of their own in GIFT, https://docs.moodle.org/en/GIFT_format
_SPECIAL = str.maketrans({sign: f"\\{sign}" for sign in "\\~=#{}:"})


def to_gift(title: str, questions: list[Question]) -> str:
    """Return a quiz in GIFT format: one category, each choice with its explanation as feedback."""
    blocks = [f"$CATEGORY: $course$/top/{title.replace('/', '//')}"]
    for number, question in enumerate(questions, start=1):
        lines = [f"::{_escaped(title)} {number}::[markdown]{_escaped(question.text)} {{"]
        for choice in question.choices:
            mark = "=" if choice.right else "~"
            lines.append(f"\t{mark}{_escaped(choice.text)}#{_escaped(choice.because)}")
        blocks.append("\n".join([*lines, "}"]))
    return "\n\n".join(blocks) + "\n"


def _escaped(text: str) -> str:
    return text.translate(_SPECIAL)


def main() -> None:
    """Write the quizzes of all lessons, or of those named, for a learning-management system."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("lessons", nargs="*", help="names such as 02-losses; all if none is given")
    parser.add_argument("--to", type=Path, default=ROOT / "_build" / "quizzes", help="the folder to write to")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    names = options.lessons or [path.stem for path in lesson_paths()]
    for name in names:
        try:
            text = to_gift(read_title(ROOT, name), read_quiz(name))
        except (WrongFileError, FileNotFoundError) as error:
            sys.exit(str(error))
        (options.to / f"{name}.gift.txt").write_text(text, encoding="utf-8")
    print(f"{len(names)} quizzes in Moodle's GIFT format: {options.to}")


if __name__ == "__main__":
    main()
