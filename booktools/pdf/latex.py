"""XeLaTeX: is it there, run it, and say in terms of the lessons what it complains about."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from booktools.pdf.translator import SOURCE_MARK

PACKAGES = (
    "latexmk texlive-xetex texlive-latex-extra texlive-fonts-recommended tex-gyre fonts-texgyre-math "
    "fonts-dejavu-core librsvg2-bin"
)
PROGRAMS = ("xelatex", "latexmk", "makeindex")
WIDEST_OVERFULL = 3.0  # points that a line may stick out: a millimetre, which nobody sees
HIGHEST_OVERFULL = 12.0  # points that a page may be too high: a line


class LatexError(Exception):
    """The book cannot be set; the message says where and why."""


def check_programs() -> None:
    """Raise LatexError where a program is missing, with the Debian packages that bring it."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise LatexError(
            f"{' and '.join(missing)} not found. A PDF needs XeLaTeX:\n\n"
            f"    sudo apt-get install {PACKAGES}\n"
        )


def typeset(tex: Path) -> Path:
    """Set `tex` and return the PDF beside it; raise LatexError on errors and on what would look bad."""
    done = subprocess.run(
        ["latexmk", "-xelatex", "-interaction=nonstopmode", "-halt-on-error", "-file-line-error", tex.name],
        cwd=tex.parent,
        # Long lines stay in one piece in the log.
        env=os.environ | {"max_print_line": "1000", "error_line": "254", "half_error_line": "238"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    log_path = tex.with_suffix(".log")
    log = log_path.read_text(encoding="utf-8", errors="replace") if log_path.exists() else done.stdout
    lines = tex.read_text(encoding="utf-8").splitlines()
    problems = errors(log, lines, tex.name) if done.returncode else complaints(log, lines)
    if done.returncode and not problems:
        problems = [(done.stdout + done.stderr)[-2000:]]
    if problems:
        raise LatexError("\n".join(problems) + f"\nThe whole log: {log_path}")
    return tex.with_suffix(".pdf")


def errors(log: str, lines: list[str], name: str) -> list[str]:
    """Return what stopped LaTeX, each with the lesson's file and line."""
    found = []
    for match in re.finditer(rf"^\./?{re.escape(name)}:(\d+): (.+)$", log, re.MULTILINE):
        following = log[match.end() :].lstrip("\n").split("\n", 3)
        shown = next((line for line in following if line.startswith("l.")), "")
        found.append(f"{source(lines, int(match[1]))}: LaTeX says: {match[2]} {shown}".rstrip())
    for match in re.finditer(r"File `([^']+\.sty)' not found|The font \"([^\"]+)\" cannot be found", log):
        found.append(f"LaTeX misses {match[1] or match[2]}:\n\n    sudo apt-get install {PACKAGES}\n")
    return found


def complaints(log: str, lines: list[str]) -> list[str]:
    """Return what LaTeX let pass but a reader would see: signs without a glyph, wide lines, dead links."""
    found = []
    for match in sorted(set(re.findall(r"Missing character: There is no (.+?) in font ([^!]+)", log))):
        where = next((source(lines, i) for i, line in enumerate(lines, 1) if match[0][0] in line), "the book")
        found.append(f"{where}: the font {match[1]} has no sign {match[0]}; use another one")
    for kind, line in re.findall(r"LaTeX Warning: (.+ undefined) on input line (\d+)", log):
        found.append(f"{source(lines, int(line))}: {kind}")
    for label in re.findall(r"LaTeX Warning: Label `([^']+)' multiply defined", log):
        found.append(f"the label {label} is defined more than once")
    for width, line in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\) [a-z ]+ lines? (\d+)", log):
        if float(width) > WIDEST_OVERFULL:
            found.append(
                f"{source(lines, int(line))}: this is {float(width):.0f} points wider than the page; break it"
            )
    for match in re.finditer(r"Overfull \\vbox \(([\d.]+)pt too high\)", log):
        if float(match[1]) > HIGHEST_OVERFULL:
            pages = re.findall(r"\[(\d+)", log[: match.start()])
            after = f"after page {pages[-1]}" if pages else "on the first page"
            found.append(
                f"{after}: a table or figure is {float(match[1]):.0f} points higher than the page; divide it"
            )
    return found


def source(lines: list[str], number: int) -> str:
    """Return the lesson's file and line that line `number` of the LaTeX comes from."""
    for line in reversed(lines[:number]):
        if line.startswith(SOURCE_MARK):
            return line.removeprefix(SOURCE_MARK)
    return f"line {number} of the LaTeX"
