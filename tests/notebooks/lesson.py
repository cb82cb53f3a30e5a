"""A lesson as the tests look at it: its source, its twin, its exercises."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

SECTIONS = (
    "Question", "Theory", "Code", "Experiment", "Findings", "Checks", "Exercises", "Quiz",
    "Further reading",
)  # fmt: skip
KINDS = ("Derivation", "Coding", "Experiment", "Interpretation")
IGNORED = "nbval-ignore-output"
_REASON = re.compile(r"^# output not compared: (?P<reason>.*\S)")
_RESULT = re.compile(r"(?<![\w.])-?\d+(?:\.\d+(?:[eE][-+]?\d+)?|[eE][-+]?\d+)(?![\w])")
_EXERCISE = re.compile(
    r"^:{3,}\{exercise\}(?P<title>.*)\n:label: *(?P<label>\S+)\n(?P<text>(?:.*\n)*?):{3,}$", re.MULTILINE
)


@dataclass(frozen=True)
class Lesson:
    """The source of a lesson at `path`, and its twin."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def cells(self) -> list[NotebookNode]:
        return jupytext.read(self.path, fmt="md:myst").cells

    @cached_property
    def code(self) -> list[NotebookNode]:
        return [cell for cell in self.cells if cell.cell_type == "code"]

    @cached_property
    def twin(self) -> NotebookNode:
        return nbformat.read(self.path.with_suffix(".ipynb"), as_version=4)

    @property
    def sections(self) -> list[str]:
        """The second-level headings, in order."""
        prose = (cell.source for cell in self.cells if cell.cell_type == "markdown")
        return re.findall(r"^## (.*)$", "\n".join(prose), re.MULTILINE)

    @property
    def exercises(self) -> dict[str, str]:
        """The text of each exercise by its label."""
        return {found["label"]: found["text"].strip() for found in _EXERCISE.finditer(self.text)}

    @property
    def solutions(self) -> dict[str, list[NotebookNode]]:
        """The code cells of each solution by the label of its exercise."""
        solutions: dict[str, list[NotebookNode]] = {}
        label = ""
        for cell in self.cells:
            if cell.cell_type == "code":
                if label:
                    solutions[label].append(cell)
                continue
            for start, end in re.findall(r"\{solution-start\} *(\S+)|(\{solution-end\})", cell.source):
                label = "" if end else start
                if start:
                    solutions[start] = []
        return solutions

    @property
    def results(self) -> list[str]:
        """The numbers with a decimal point or an exponent that nbval compares."""
        outputs = (
            output
            for cell in self.twin.cells
            if cell.cell_type == "code" and IGNORED not in tags(cell)
            for output in cell.outputs
        )
        texts = (output.get("text") or output.data.get("text/plain", "") for output in outputs)
        return [
            number for text in texts if not text.startswith("[Figure:") for number in _RESULT.findall(text)
        ]

    @property
    def ignored(self) -> list[tuple[NotebookNode, str | None]]:
        """The cells whose output is not compared, each with its reason."""
        cells = [cell for cell in self.code if IGNORED in tags(cell)]
        found = [_REASON.match(cell.source) for cell in cells]
        return [(cell, reason and reason["reason"]) for cell, reason in zip(cells, found, strict=True)]


def tags(cell: NotebookNode) -> list[str]:
    """Return the tags of a cell."""
    return cell.metadata.get("tags", [])
