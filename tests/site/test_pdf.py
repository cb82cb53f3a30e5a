"""The printed book: what stands in it, and what is said when it cannot be set."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import copy_book

from booktools.address import ROOT
from booktools.pdf import latex

NEEDED = [*latex.PROGRAMS, "rsvg-convert", "pdftotext", "pdfinfo"]
MISSING = [program for program in NEEDED if shutil.which(program) is None]
MAKE = """
import sys
from pathlib import Path
from booktools.pdf.book import make_pdf
print(make_pdf(Path(sys.argv[1]), "reference", sys.argv[2]))
"""
# What lessons have and the sample lesson has not: signs, a long line, an output that a page shows in HTML.
MORE = """
```{code-cell} ipython3
class Quiz:
    def _repr_mimebundle_(self, include=None, exclude=None):
        page = {"text/html": "<b>For a browser</b>", "text/plain": "For a terminal"}
        return page | {"text/markdown": "*For paper*"}


Quiz()
```

```{code-cell} ipython3
print("γ λ ε ² x̂ − ≤ → ₂ ᵀ ∂ ‖ 25°")
print("a line that is far too long for a page " * 4)
```

```{code-cell} ipython3
from IPython.display import HTML

HTML('<img src="data:image/png;base64,PIXEL" alt="One grey point.">')
```

In the text: γ, λ, x², x̂, −, ≤, →, β₂, Wᵀ.

| Where | Address |
|---|---|
| A hub | `ADDRESS` |

| Number | Meaning |
|---|---|
ROWS

## Findings
"""


ADDRESS = (
    "https://hub.example.org/git-pull?repo=https%3A%2F%2Fgithub.com%2Fyou%2Fcourse&urlpath=lab%2Ftree" * 2
)


ROWS = "\n".join(f"| Row {number} | {'many words ' * 20} |" for number in range(40))
# One grey point.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="


@dataclass
class Printed:
    """A PDF and what programs read in it."""

    pdf: Path
    log: str

    def text(self) -> str:
        return self._run("pdftotext", "-layout", str(self.pdf), "-")

    def information(self, *options: str) -> str:
        return self._run("pdfinfo", *options, str(self.pdf))

    @staticmethod
    def _run(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Printed:
    """Set the sample book, with a lesson that has a little more in it."""
    if MISSING:
        pytest.skip(f"{', '.join(MISSING)} not installed")
    book = copy_book(tmp_path_factory.mktemp("printed") / "book")
    lesson = book.lesson.read_text(encoding="utf-8")
    book.lesson.write_text(
        lesson.replace(
            "\n## Findings\n",
            MORE.replace("ADDRESS", ADDRESS).replace("ROWS", ROWS).replace("PIXEL", PIXEL),
            1,
        ),
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-c", MAKE, str(book.root), "torch"],
        capture_output=True,
        text=True,
        cwd=book.root,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "QUIET": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pdf = Path(done.stdout.splitlines()[-1])
    log = next((pdf.parent / "latex").glob("*.log"))
    return Printed(pdf, log.read_text(encoding="utf-8"))


def flat(text: str) -> str:
    """Return `text` with single spaces."""
    return " ".join(text.split())


@pytest.mark.parametrize(
    "expected",
    [
        "PyTorch edition",
        "Contents",
        "1 A sample lesson",
        "Figure 1.1: The encoder narrows, the decoder widens.",
        "Figure 1.2: What the projection loses.",
        "Both (1) and (2) are used below",
        "Theorem 1.1 (Projections shrink)",
        "By Theorem 1.1 nothing grows",
        "Proof. Pythagoras, applied to",
        "Exercise 1.1 (A derivation with",
        "Solution to Exercise 1.2",
        "Do it after Exercise 1.1",
        "Where does this matter? Everywhere.",
        "[2] David E. Rumelhart",
        "For paper",
        "γ λ ε ² x",
        "− ≤ → ₂ ᵀ ∂ ‖ 25°",
        "γ, λ, x², x̂, −, ≤, →, β₂, Wᵀ.",
        "1. What does",  # the quiz
        "Row 0 many words",
        "Row 39 many words",
        "One grey point. On the site a point can be moved over it.",
    ],
)
def test_the_book_holds(printed: Printed, expected: str) -> None:
    assert expected in flat(printed.text())


def test_formulas_are_numbered_as_on_the_site(printed: Printed) -> None:
    assert re.search(r"^.*\(1\)$", printed.text(), re.MULTILINE)
    assert re.search(r"^.*\(2\)$", printed.text(), re.MULTILINE)


def test_only_the_chosen_framework_is_printed(printed: Printed) -> None:
    text = printed.text()
    assert "return w @ (w.T @ x)" in text
    assert "w = np.eye(4)[:, :2]" in text
    for other in ("matvec", "np.eye(4, 2)", 'print("tensorflow")', "TensorFlow"):
        assert other not in text


def test_nothing_for_browsers_is_printed(printed: Printed) -> None:
    text = printed.text()
    assert "For a browser" not in text.split("Quiz()")[1]
    assert "For a terminal" not in text.split("Quiz()")[1]
    assert "<IPython" not in text


def test_pages_have_a4_size_and_the_file_says_what_it_is(printed: Printed) -> None:
    information = flat(printed.information())
    assert "Title: Autoencoder lessons" in information
    assert "Subject: PyTorch edition" in information
    assert "(A4)" in information


def test_links_have_targets(printed: Printed) -> None:
    targets = printed.information("-dests")
    assert "section*" in targets
    assert "cite.chapters" in targets
    assert "equation.2.1" in targets


def test_nothing_runs_out_of_the_margin_or_lacks_a_glyph(printed: Printed) -> None:
    widths = [float(width) for width in re.findall(r"Overfull \\hbox \(([\d.]+)pt", printed.log)]
    assert max(widths, default=0) <= latex.WIDEST_OVERFULL
    assert "Missing character" not in printed.log


TEX = ["\\begin{document}", "%@ chapters/02-losses.md:17", "The sign ᚠ.", "$\\undefined$", "Words."]


def test_an_error_names_the_lessons_line() -> None:
    log = "(./book.tex\n./book.tex:4: Undefined control sequence.\nl.4 $\\undefined\n                $\n"
    (message,) = latex.errors(log, TEX, "book.tex")
    assert message.startswith("chapters/02-losses.md:17: LaTeX says: Undefined control sequence.")
    assert "\\undefined" in message


def test_a_missing_package_of_latex_is_named_with_the_packages_to_install() -> None:
    log = "./book.tex:1: LaTeX Error: File `needspace.sty' not found.\n"
    message = "\n".join(latex.errors(log, TEX, "book.tex"))
    assert "needspace.sty" in message
    assert "apt-get install latexmk texlive-xetex texlive-latex-extra" in message


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "Missing character: There is no ᚠ (U+16A0) in font texgyrepagella!",
            "chapters/02-losses.md:17: the font texgyrepagella has no sign ᚠ (U+16A0); use another one",
        ),
        (
            "Overfull \\hbox (45.2pt too wide) in paragraph at lines 5--5",
            "chapters/02-losses.md:17: this is 45 points wider than the page; break it",
        ),
        (
            "LaTeX Warning: Hyper reference `chapters/x:y' on page 3 undefined on input line 5.",
            "chapters/02-losses.md:17: Hyper reference `chapters/x:y' on page 3 undefined",
        ),
        (
            "[7] [8]\nOverfull \\vbox (106.7pt too high) has occurred while \\output is active []",
            "after page 8: a table or figure is 107 points higher than the page; divide it",
        ),
        ("LaTeX Warning: Label `eq-x' multiply defined.", "the label eq-x is defined more than once"),
    ],
)
def test_what_a_reader_would_see_is_a_complaint(line: str, expected: str) -> None:
    assert latex.complaints(f"…\n{line}\n…", TEX) == [expected]


def test_a_millimetre_is_no_complaint() -> None:
    assert latex.complaints("Overfull \\hbox (2.1pt too wide) in paragraph at lines 5--5", TEX) == []


def test_missing_programs_are_named_with_the_packages_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(latex.LatexError, match="xelatex and latexmk and makeindex not found") as error:
        latex.check_programs()
    assert "apt-get install latexmk texlive-xetex" in str(error.value)
