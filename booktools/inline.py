"""Inside a line: MyST's roles and footnotes become plain Markdown; code stays as it is."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from booktools.references import Bibliography, Target

_ROLE_OR_CODE = re.compile(r"(?:\{(?P<role>[\w:+-]+)\})?(?P<ticks>`+)(?P<body>.+?)(?P=ticks)(?!`)", re.DOTALL)
_WORDS_AND_TARGET = re.compile(r"^(?P<words>.*?)\s*<(?P<target>[^<>]+)>$", re.DOTALL)
_FOOTNOTE = re.compile(r"\[\^([\w-]+)\](:?)")


class UnknownMarkupError(ValueError):
    """A lesson uses a role, directive, option or label that the twins cannot show."""


@dataclass
class Lesson:
    """What the conversion of one lesson needs to know, and the works it has cited so far."""

    path: Path
    address: str
    branch: str
    targets: dict[str, Target]
    bibliography: Bibliography
    cited: list[str] = field(default_factory=list)
    footnotes: list[str] = field(default_factory=list)

    def place(self, text: str) -> str:
        """Return the lesson's file and the line on which `text` stands there first."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        numbers = (number for number, line in enumerate(lines, start=1) if text.split("\n")[0] in line)
        return f"{self.path}:{next(numbers, 1)}"

    def target(self, label: str) -> Target:
        """Return what `label` names; raise UnknownMarkupError if nothing is called so."""
        if label not in self.targets:
            raise UnknownMarkupError(f"{self.place(label)}: nothing is labelled {label!r}")
        return self.targets[label]


def inline(text: str, lesson: Lesson) -> str:
    """Convert the roles and footnotes of prose."""
    return "\n\n".join(_paragraph(part, lesson) for part in text.split("\n\n"))


def _paragraph(text: str, lesson: Lesson) -> str:
    pieces = []
    start = 0
    for found in _ROLE_OR_CODE.finditer(text):
        pieces.append(_footnotes(text[start : found.start()], lesson))
        pieces.append(_role(found["role"], found["body"], lesson) if found["role"] else found[0])
        start = found.end()
    pieces.append(_footnotes(text[start:], lesson))
    return "".join(pieces)


def _footnotes(text: str, lesson: Lesson) -> str:
    def number(found: re.Match) -> str:
        if found[1] not in lesson.footnotes:
            lesson.footnotes.append(found[1])
        return f"<sup>{lesson.footnotes.index(found[1]) + 1}</sup>"

    return _FOOTNOTE.sub(number, text)


def _role(name: str, body: str, lesson: Lesson) -> str:
    if name not in ROLES:
        known = ", ".join(sorted(ROLES))
        raise UnknownMarkupError(f"{lesson.place(f'{{{name}}}')}: unknown role {name!r}; known are: {known}")
    body = " ".join(body.split())
    explicit = _WORDS_AND_TARGET.match(body)
    words, target = (explicit["words"], explicit["target"]) if explicit else ("", body)
    try:
        return ROLES[name](words, target, lesson)
    except KeyError as error:
        raise UnknownMarkupError(f"{lesson.place(target)}: {error.args[0]}") from error


def _reference(words, target, lesson):
    found = lesson.target(target)
    words = words or found.words
    return words if found.lesson == lesson.path.stem else f"[{words}]({found.lesson}.ipynb)"


def _document(words, target, lesson):
    found = lesson.target(f"doc:{target}")
    suffix = "ipynb" if found.lesson[:2].isdigit() else "md"
    return f"[{words or found.title}]({found.lesson}.{suffix})"


def _citation(parenthesised: bool) -> Callable:
    def convert(words, target, lesson):
        works = []
        for key in (part.strip() for part in target.split(",")):
            if key not in lesson.cited:
                lesson.cited.append(key)
            book = lesson.bibliography
            authors, year, link = book.authors(key), book.year(key), book.link(key)
            works.append(f"[{authors}, {year}]({link})" if parenthesised else f"{authors} ([{year}]({link}))")
        return f"({'; '.join(works)})" if parenthesised else ", ".join(works)

    return convert


def _python_object(words, target, lesson):
    shown = target.rpartition(".")[2] if target.startswith("~") else target
    return f"`{words or shown}`"


ROLES: dict[str, Callable[[str, str, Lesson], str]] = {
    "ref": _reference,
    "numref": _reference,
    "eq": _reference,
    "prf:ref": _reference,
    "doc": _document,
    "term": lambda words, target, lesson: words or target,
    "cite:p": _citation(True),
    "cite:t": _citation(False),
}
for _name in ("func", "class", "meth", "mod", "attr", "data", "exc"):
    ROLES[f"py:{_name}"] = _python_object
