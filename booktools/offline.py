"""Files of other projects that the site serves itself: a reader's browser asks nobody else for them."""

import shutil
from importlib.util import find_spec
from pathlib import Path

# The distribution's module cannot be imported by its name; only its files are wanted.
_MATHJAX = "sphinx-mathjax-offline"
_REVEAL = "sphinx_revealjs"
# Of MathJax: the program that Sphinx asks for, and what it loads when a page needs it.
_MATHJAX_FILES = ("tex-mml-chtml.js", "a11y", "input/tex/extensions", "output/chtml/fonts", "sre", "ui")
_REVEAL_FILES = ("LICENSE", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js")


def package_folder(name: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises
    ------
    FileNotFoundError
        If the package is not installed.
    """
    found = find_spec(name)
    if found is None or found.origin is None:
        raise FileNotFoundError(f"the package {name} is not installed; call make install")
    return Path(found.origin).parent


def add_mathjax(html: Path) -> None:
    """Copy MathJax to the folder ``mathjax`` of a site."""
    _copy(package_folder(_MATHJAX) / "static" / "mathjax", _MATHJAX_FILES, html / "mathjax")


def add_reveal(html: Path) -> None:
    """Copy reveal.js to the folder ``slides/reveal`` of a site."""
    _copy(package_folder(_REVEAL) / "_static" / "revealjs", _REVEAL_FILES, html / "slides" / "reveal")


def _copy(source: Path, names: tuple[str, ...], target: Path) -> None:
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / name, target / name)
