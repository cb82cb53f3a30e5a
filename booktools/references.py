"""What a lesson may refer to: labels in the lessons and works in the bibliography."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pybtex.database
import yaml
from pybtex.plugin import find_plugin

_HEADING = re.compile(r"^#+\s+(.*)$")
_TARGET = re.compile(r"^\(([\w.:-]+)\)=\s*$")
_DIRECTIVE = re.compile(r"^\s*(?:`{3,}|:{3,})\{([\w:-]+)\}\s*(.*)$")
_NAMED = re.compile(r"^\s*:(?:label|name):\s*(\S+)\s*$")
_EQUATION = re.compile(r"\$\$\s*\(([\w.:-]+)\)\s*$")


@dataclass(frozen=True)
class Target:
    """One thing that can be referred to: how it is called, and in which lesson it stands."""

    words: str
    lesson: str
    title: str = ""


def collect_targets(folder: Path) -> dict[str, Target]:
    """Return every label of the lessons in `folder`, and ``doc:NAME`` for each lesson itself."""
    targets: dict[str, Target] = {}
    for path in sorted(folder.glob("*.md")):
        for label, target in _targets_of(path.stem, path.read_text(encoding="utf-8")):
            if label in targets:
                raise ValueError(f"{path.name}: the label {label!r} stands in {targets[label].lesson} too")
            targets[label] = target
    return targets


def _targets_of(lesson: str, text: str):
    lines = text.splitlines()
    counts: dict[str, int] = {}
    # As on the site: lessons are chapters with their own number, lesson 00 has none.
    chapter = f"{int(lesson[:2])}." if lesson[:2].isdigit() and lesson[:2] != "00" else ""

    def numbered(kind: str) -> str:
        counts[kind] = counts.get(kind, 0) + 1
        return f"({counts[kind]})" if kind == "equation" else f"{kind.capitalize()} {chapter}{counts[kind]}"

    waiting: list[str] = []  # labels that belong to the next heading
    directive = argument = ""
    for number, line in enumerate(lines):
        if heading := _HEADING.match(line):
            if line.startswith("# ") and f"doc:{lesson}" not in counts:
                counts[f"doc:{lesson}"] = 1
                yield f"doc:{lesson}", Target(heading[1], lesson, heading[1])
            for label in waiting:
                yield label, Target(heading[1], lesson, heading[1])
            waiting = []
        elif target := _TARGET.match(line):
            waiting.append(target[1])
        elif opening := _DIRECTIVE.match(line):
            directive, argument = opening[1], opening[2]
            if directive == "code-cell":
                for name in _figure_names(lines[number + 1 :]):
                    yield name, Target(numbered("figure"), lesson)
        elif equation := _EQUATION.search(line):
            yield equation[1], Target(numbered("equation"), lesson)
        elif (named := _NAMED.match(line)) and directive:
            kind = "equation" if directive == "math" else directive.removeprefix("prf:")
            yield named[1], Target(numbered(kind), lesson, argument)
            directive = ""


def _figure_names(lines: list[str]) -> list[str]:
    """Return the name of the figure that a code cell's YAML header declares, if it does."""
    if not lines or lines[0].strip() != "---":
        return []
    end = next(i for i, line in enumerate(lines[1:], start=1) if line.strip() == "---")
    header = yaml.safe_load("\n".join(lines[1:end])) or {}
    name = header.get("mystnb", {}).get("figure", {}).get("name")
    return [name] if name else []


class Bibliography:
    """The works of a BibTeX file, as they are called in plain Markdown."""

    def __init__(self, path: Path):
        self.path = path
        self.database = pybtex.database.parse_file(str(path))

    def entry(self, key: str) -> pybtex.database.Entry:
        """Return the work called `key`; raise KeyError with what to do if there is none."""
        if key not in self.database.entries:
            raise KeyError(f"{key!r} is cited but does not stand in {self.path.name}; append its entry there")
        return self.database.entries[key]

    def authors(self, key: str) -> str:
        """Return "Baldi and Hornik", or "Rumelhart et al." for three authors or more."""
        people = self.entry(key).persons.get("author") or self.entry(key).persons.get("editor", [])
        names = [" ".join(str(part) for part in person.rich_last_names) for person in people]
        if len(names) > 2:
            return f"{names[0]} et al."
        return " and ".join(names)

    def year(self, key: str) -> str:
        """Return the year of publication."""
        return self.entry(key).fields["year"]

    def link(self, key: str) -> str:
        """Return the work's DOI as an address, or its url."""
        fields = self.entry(key).fields
        if "doi" in fields:
            return f"https://doi.org/{fields['doi']}"
        if "url" in fields:
            return fields["url"]
        raise KeyError(f"{key!r} in {self.path.name} has neither doi nor url; add one")

    def formatted(self, keys: list[str]) -> list[str]:
        """Return the works as the lines of a list of references, sorted by author and year."""
        style = find_plugin("pybtex.style.formatting", "plain")()
        backend = find_plugin("pybtex.backends", "markdown")()
        entries = style.format_entries([self.entry(key) for key in sorted(keys)])
        ordered = sorted(entries, key=lambda entry: (self.authors(entry.key), self.year(entry.key)))
        lines = (entry.text.render(backend).replace("\n", " ") for entry in ordered)
        # The backend escapes every punctuation mark, needed or not.
        return ["- " + re.sub(r"\\([-.,:()!/])", r"\1", line) for line in lines]


@lru_cache
def load_bibliography(path: Path) -> Bibliography:
    """Return the bibliography at `path`, read once."""
    return Bibliography(path)
