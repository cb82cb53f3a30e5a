"""A small book that uses every convention, built once with the real configuration."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from booktools import twins
from booktools.address import ROOT

BUILD = """
import sys
from pathlib import Path
from booktools.build import build
root, edition, both = sys.argv[1:]
sys.exit(not build(Path(root), "reference", edition, both_editions=both == "both"))
"""


@dataclass
class Book:
    """A copy of the sample book in a folder of its own."""

    root: Path

    @property
    def lesson(self) -> Path:
        return self.root / "chapters" / "01-sample.md"

    @property
    def html(self) -> Path:
        return self.root / "_build" / "reference-torch" / "html"

    def build(self, edition: str = "torch", editions: str = "one") -> tuple[bool, str]:
        """Build the site; return whether that went without warnings, and what was said."""
        environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        command = [sys.executable, "-c", BUILD, str(self.root), edition, editions]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.root, env=environment, check=False
        )
        return done.returncode == 0, done.stdout + done.stderr


def copy_book(folder: Path) -> Book:
    """Copy the sample book to `folder`, with the real configuration and a stand-in for `aelib`."""
    shutil.copytree(Path(__file__).parent / "book", folder, dirs_exist_ok=True)
    for name in ("_static", "_templates"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("_config.yml", "references.bib"):
        shutil.copy(ROOT / name, folder)
    (folder / "aelib").mkdir()
    (folder / "aelib" / "__init__.py").write_text("", encoding="utf-8")
    return Book(folder)


@pytest.fixture
def fresh_book(tmp_path: Path) -> Book:
    book = copy_book(tmp_path / "book")
    twins.write(twins.make_twin(book.lesson), book.lesson.with_suffix(".ipynb"))  # not executed
    return book


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """Build the sample book with its executed twin; not to be changed."""
    book = copy_book(tmp_path_factory.mktemp("built") / "book")
    twin = twins.make_twin(book.lesson)
    twins.execute(twin, book.lesson.parent)
    twins.write(twin, book.lesson.with_suffix(".ipynb"))
    good, said = book.build()
    assert good, said
    return book
