"""The memory of notebooks' kernels: measured, printed, and held to a limit."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from booktools.address import ROOT

SECTION = "peak memory of each notebook's kernel and its children"
ALLOCATE = "held = bytearray(b'x') * 300_000_000"
# The memory of a child that lives as long as its parent holds its input open.
IN_A_CHILD = """\
import subprocess, sys
program = "held = bytearray(b'x') * 300_000_000; print('ready', flush=True); input()"
pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
child = subprocess.Popen([sys.executable, "-c", program], **pipes)
child.stdout.readline()
import time; time.sleep(0.5)
child.communicate("end")
"""


def write_notebook(path: Path, *cells: str) -> None:
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)


def run_nbval(folder: Path, *options: str) -> tuple[int, str]:
    """Run nbval on the notebooks in `folder`; return the exit status and what was printed."""
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "booktools.memory", "-p", "no:cacheprovider"),
        *("--nbval", "--nbval-current-env", "--rootdir", str(folder), *options, str(folder)),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    return done.returncode, done.stdout + done.stderr


def read_table(printed: str) -> dict[str, float]:
    """Return the MB of each notebook in the table."""
    table = printed.split(SECTION, 1)[1]
    return {name: float(peak) for name, peak in re.findall(r"^(\S+) +(\d+) MB$", table, re.MULTILINE)}


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> tuple[int, str]:
    """Three notebooks by two workers, with a limit that two of them pass."""
    folder = tmp_path_factory.mktemp("notebooks")
    write_notebook(folder / "empty.ipynb", "1 + 1")
    # Freed before the cell ends: only a peak shows it.
    write_notebook(folder / "large.ipynb", "1 + 1", ALLOCATE + "\ndel held", "2 + 2")
    write_notebook(folder / "child.ipynb", IN_A_CHILD)
    return run_nbval(folder, "-n", "2", "--dist", "loadfile", "--memory-limit", "250")


def test_what_a_notebook_allocates_is_measured(measured):
    peaks = read_table(measured[1])
    assert set(peaks) == {"empty", "large", "child"}
    assert peaks["large"] - peaks["empty"] == pytest.approx(300, rel=0.15)


def test_children_count(measured):
    peaks = read_table(measured[1])
    assert peaks["child"] - peaks["empty"] == pytest.approx(300, rel=0.15)


def test_a_notebook_above_the_limit_fails_the_run_by_name(measured):
    status, printed = measured
    peaks = read_table(printed)
    assert "5 passed" in printed, "the cells themselves are right"
    assert status == pytest.ExitCode.TESTS_FAILED
    assert f"FAILED: large.ipynb took {peaks['large']:.0f} MB; the limit is 250 MB" in printed
    assert "FAILED: child.ipynb took" in printed
    assert "FAILED: empty.ipynb" not in printed


def test_below_the_limit_the_run_succeeds_in_one_process(tmp_path):
    write_notebook(tmp_path / "empty.ipynb", "1 + 1")
    status, printed = run_nbval(tmp_path)
    assert status == pytest.ExitCode.OK, printed
    assert 20 < read_table(printed)["empty"] < 250


def test_a_kernel_that_dies_is_nbvals_failure(tmp_path):
    write_notebook(tmp_path / "dies.ipynb", "1 + 1", "import os\nos._exit(1)")
    status, printed = run_nbval(tmp_path, "--nbval-cell-timeout", "5")
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "dies" in read_table(printed)
    assert "booktools/memory.py" not in printed.split(SECTION)[0], "the plug-in itself must not fail"


def test_runs_without_notebooks_print_nothing(tmp_path):
    (tmp_path / "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
    status, printed = run_nbval(tmp_path)
    assert status == pytest.ExitCode.OK
    assert SECTION not in printed
