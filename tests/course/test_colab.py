"""Twins run with what Colab preinstalls and what their first cell installs, and nothing of this checkout."""

import subprocess
import zipfile

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from packaging.utils import canonicalize_name

from booktools import colab
from booktools.address import ROOT, read_repository
from booktools.colab import LessonError, make_archive, make_environment, run

# The quickest, of which two install packages that Colab lacks.
LESSONS = ("01-what-an-autoencoder-is", "12-compression", "17-search")
# What this checkout has, and Colab has not or must not be counted on to have.
ABSENT = ("aelib", "booktools", "benchmarks", "pooch", "constriction", "optuna", "onnx", "jupytext", "nbval")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_archive(tmp_path_factory.mktemp("archive")).as_uri()


def read_twin(name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "chapters" / f"{name}.ipynb", 4)


def small_twin(*cells: str) -> nbformat.NotebookNode:
    """Return a notebook with the set-up cell of a lesson and the cells given."""
    setup = next(cell for cell in read_twin(LESSONS[0]).cells if cell.cell_type == "code")
    return new_notebook(cells=[new_markdown_cell("A title"), setup, *map(new_code_cell, cells)])


@pytest.mark.parametrize("backend", colab.BACKENDS)
@pytest.mark.parametrize("name", LESSONS)
def test_a_twin_runs_from_top_to_bottom(name, backend, archive):
    run(name, read_twin(name), backend, archive)


def test_the_environment_has_nothing_else(tmp_path):
    python = make_environment(tmp_path)
    program = (
        "import importlib.util as u, sys; import numpy, torch, pip;"
        f"print([name for name in {ABSENT} if u.find_spec(name)]);"
        "print(sys.prefix, numpy.__file__, sep='\\n')"
    )
    done = subprocess.run(
        [python, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path, env={}
    )
    absent, prefix, numpy = done.stdout.splitlines()
    assert absent == "[]"
    assert prefix == str(tmp_path / "venv")
    assert numpy.startswith(str(tmp_path / "preinstalled"))


def test_pip_leaves_this_checkouts_packages_alone(tmp_path):
    """The preinstalled packages are links to the real ones, which nothing that a twin does may remove."""
    python = make_environment(tmp_path)
    done = subprocess.run(
        [python, "-m", "pip", "uninstall", "--yes", "tqdm"], capture_output=True, text=True, check=False
    )
    assert "outside environment" in done.stdout + done.stderr
    subprocess.run([python, "-c", "import tqdm"], check=True)


def test_what_is_preinstalled_is_pinned():
    pins = {line.split("==")[0] for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines()}
    assert {canonicalize_name(name) for name in colab.PREINSTALLED} - {"pip"} <= pins
    assert not {canonicalize_name(name) for name in colab.with_requirements(colab.PREINSTALLED)} & set(ABSENT)


def test_the_archive_is_githubs(tmp_path):
    address, branch = read_repository()
    top = f"{address.rsplit('/', 1)[1]}-{branch}/"
    with zipfile.ZipFile(make_archive(tmp_path)) as file:
        names = file.namelist()
    assert all(name.startswith(top) for name in names)
    for needed in ("aelib/__init__.py", "benchmarks/__init__.py", "booktools/keep.py", "pyproject.toml"):
        assert top + needed in names
    assert not [name for name in names if "/_build/" in name or "/__pycache__/" in name]


def test_a_failing_cell_is_named(archive):
    twin = small_twin("import aelib", "1 / 0")
    with pytest.raises(LessonError, match=r"99-small, under torch, code cell 3:(?s:.*)ZeroDivisionError"):
        run("99-small", twin, "torch", archive)


def test_a_kernel_that_dies_is_said(archive):
    twin = small_twin("import os\nos._exit(3)")
    with pytest.raises(LessonError, match=r"code cell 2:\nKernel died \(exit status 3\)"):
        run("99-small", twin, "torch", archive)


def test_what_stands_in_the_checkout_only_is_missed(archive):
    with pytest.raises(LessonError, match="No module named 'jupytext'"):
        run("99-small", small_twin("import jupytext"), "torch", archive)


def test_an_unreachable_archive_says_what_to_do_and_no_kernel_is_left():
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(LessonError) as caught:
        run("99-small", small_twin(), "torch", "http://127.0.0.1:9/lessons.zip")
    said = str(caught.value)
    assert "could not be fetched from http://127.0.0.1:9/lessons.zip" in said
    assert "Connection refused" in said
    assert "run this cell again" in said
    assert not set(psutil.Process().children(recursive=True)) - before


def test_a_broken_archive_says_what_to_do(tmp_path):
    broken = tmp_path / "lessons.zip"
    broken.write_bytes(b"half an archive")
    with pytest.raises(
        LessonError, match=r"could not be fetched from file://.*lessons.zip is not a zip file"
    ):
        run("99-small", small_twin(), "torch", broken.as_uri())


def test_a_twin_that_fetches_nothing_is_refused(archive):
    twin = new_notebook(cells=[new_code_cell("import aelib")])
    with pytest.raises(LessonError, match=r"99-small: its first cell does not fetch .*; run: make notebooks"):
        run("99-small", twin, "torch", archive)
