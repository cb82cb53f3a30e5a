"""Quizzes: read from ``course/quizzes/NN-name.yml``, shown as buttons on a page and in Jupyter.

In a lesson, ``quiz("02-losses")`` is the last expression of a cell. Verdicts and explanations stand in the
page encoded, so that nobody reads them by chance; they are no secret.
"""

import argparse
import base64
import hashlib
import html
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from booktools.address import ROOT
from booktools.lined_yaml import LINE, WrongFileError, check_keys, load

FEWEST_QUESTIONS = 5
FEWEST_WORDS = 6  # of an explanation
_SCRIPT = Path(__file__).with_name("quiz.js")
_STYLE = Path(__file__).with_name("quiz.css")
_CODE = re.compile(r"`([^`]+)`")
_EMPHASIS = re.compile(r"\*([^*\s](?:[^*]*[^*\s])?)\*")


@dataclass(frozen=True)
class Choice:
    """One answer to a question: whether it is right, and why."""

    text: str
    right: bool
    because: str


@dataclass(frozen=True)
class Question:
    """A question and its choices, in the order in which they are shown."""

    text: str
    choices: tuple[Choice, ...]


def read_quiz(name: str, root: Path = ROOT) -> list[Question]:
    """Return the questions about the lesson called `name`.

    Raises
    ------
    FileNotFoundError
        If the lesson has no quiz.
    WrongFileError
        If a question has not exactly one right answer, or an explanation is missing; with file and line.
    """
    path = root / "course" / "quizzes" / f"{name}.yml"
    data = load(path)
    if not isinstance(data, list) or len(data) < FEWEST_QUESTIONS:
        raise WrongFileError(path, 1, f"a quiz is a list of at least {FEWEST_QUESTIONS} questions")
    return [_question(path, item) for item in data]


def _question(path: Path, item: object) -> Question:
    if not isinstance(item, dict):
        raise WrongFileError(path, 1, f"a question has the keys question and choices, not {item!r}")
    check_keys(path, item, {"question", "choices"})
    choices = [_choice(path, choice) for choice in item["choices"]]
    right = sum(choice.right for choice in choices)
    for good, message in (
        (right == 1, f"this question has {right} right answers; it needs exactly one"),
        (len(choices) >= 3, f"this question has {len(choices)} choices; it needs three or more"),
        (
            len({choice.text for choice in choices}) == len(choices),
            "two of its choices are the same",
        ),
    ):
        if not good:
            raise WrongFileError(path, item[LINE], message)
    # Shuffled, the same at every run: by a hash of question and choice.
    shuffled = sorted(choices, key=lambda choice: _digest(item["question"] + choice.text))
    return Question(_plain(path, item[LINE], item["question"]), tuple(shuffled))


def _choice(path: Path, item: object) -> Choice:
    if not isinstance(item, dict):
        raise WrongFileError(path, 1, f"a choice has the keys right or wrong, and because, not {item!r}")
    verdict = "right" if "right" in item else "wrong"
    check_keys(path, item, {verdict, "because"})
    line = item[LINE]
    because = _plain(path, line, item["because"])
    if len(because.split()) < FEWEST_WORDS:
        raise WrongFileError(path, line, f"{because!r} explains too little; say why in a sentence")
    return Choice(_plain(path, line, item[verdict]), verdict == "right", because)


def _plain(path: Path, line: int, text: object) -> str:
    if not isinstance(text, str):  # YAML takes yes and no for truth values, 2 for a number
        raise WrongFileError(path, line, f"{text!r} is no text for YAML; put it in quotation marks")
    if "$" in text:
        raise WrongFileError(path, line, f"write Unicode mathematics here, not LaTeX: {text!r}")
    return " ".join(text.split())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class quiz:
    """The quiz about a lesson, to be the last expression of a cell.

    Parameters
    ----------
    name : str
        The lesson's name, such as ``"02-losses"``.
    """

    def __init__(self, name: str):
        self.name = name
        # A lesson runs in the folder chapters of its book.
        here = Path.cwd().parent
        self.questions = read_quiz(name, here if (here / "course" / "quizzes").is_dir() else ROOT)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self.to_html(), "text/markdown": self.to_markdown(), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"[Quiz on {self.name}: {len(self.questions)} questions. Run the cell to answer them.]"

    def to_markdown(self) -> str:
        """Return the questions and their lettered choices for print, without the answers."""
        lines = []
        for number, question in enumerate(self.questions, start=1):
            lines += [f"**{number}.** {question.text}", ""]
            lines += [f"- ({'abcdefgh'[i]}) {choice.text}" for i, choice in enumerate(question.choices)]
            lines.append("")
        return "\n".join(lines)

    def to_html(self) -> str:
        """Return the quiz as a fragment of HTML that needs nothing but itself."""
        name = "quiz-" + _digest(self.name)[:8]
        questions = "\n".join(
            _question_html(question, number) for number, question in enumerate(self.questions, start=1)
        )
        style = _STYLE.read_text(encoding="utf-8")
        script = _SCRIPT.read_text(encoding="utf-8").replace("QUIZ_ID", json.dumps(name))
        return (
            f'<section class="quiz" id="{name}" aria-label="Quiz">\n<style>\n{style}</style>\n{questions}\n'
            f'<p class="quiz-score" role="status"></p>\n</section>\n<script>\n{script}</script>'
        )


def _question_html(question: Question, number: int) -> str:
    return f"""\
<fieldset class="quiz-question">
<legend><strong>{number}.</strong> {_html(question.text)}</legend>
<div class="quiz-choices">
{chr(10).join(map(_button, question.choices))}
</div>
<p class="quiz-answer" role="status"></p>
</fieldset>"""


def _button(choice: Choice) -> str:
    answer = f'data-answer="{_encoded(choice)}"'
    return f'<button type="button" class="quiz-choice" {answer}>{_html(choice.text)}</button>'


def _encoded(choice: Choice) -> str:
    answer = json.dumps([choice.right, _html(choice.because)], ensure_ascii=False)
    return base64.b64encode(answer.encode()).decode()


def _html(text: str) -> str:
    """Return text with `code` and *emphasis* as HTML."""
    escaped = html.escape(text, quote=False)
    parts = _CODE.split(escaped)  # every second part is code
    parts[::2] = [_EMPHASIS.sub(r"<em>\1</em>", part) for part in parts[::2]]
    parts[1::2] = [f"<code>{part}</code>" for part in parts[1::2]]
    return "".join(parts)


def main() -> None:
    """Check the quizzes of all lessons or of those named."""
    from booktools.twins import lesson_paths  # Jupytext, which a reader's notebook need not have

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", required=True)
    parser.add_argument("lessons", nargs="*", help="names such as 02-losses; all if none is given")
    options = parser.parse_args()
    wrong = []
    for name in options.lessons or [path.stem for path in lesson_paths()]:
        try:
            read_quiz(name)
        except (WrongFileError, FileNotFoundError) as error:
            wrong.append(str(error))
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
