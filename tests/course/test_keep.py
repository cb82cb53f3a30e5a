"""Keeping a reader's work: in a real kernel, as the set-up cell starts it."""

import os
import re
from pathlib import Path

import matplotlib
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

import aelib
from booktools import keep
from booktools.address import ROOT

KEEP_HOME = 'from booktools.keep import keep_work\nkeep_work("02-losses", "my home folder")'
KEEP_DRIVE = 'from booktools.keep import keep_work\nkeep_work("02-losses", "Google Drive")'
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nplt.plot([2, 1])\nplt.show()"
FIT = """\
import aelib
import numpy as np
x = np.random.default_rng(0).random((20, 6))
ae = aelib.Autoencoder(aelib.Dense(code=2), epochs=1, random_state=0).fit(x)
unfitted = aelib.Autoencoder(aelib.Dense(code=2))
models = {"wide 3": aelib.Autoencoder(aelib.Dense(code=3), epochs=1, random_state=0).fit(x)}
"""
# The events and hooks of the kernel are what matters: a stand-in for a model is as good and much quicker.
MODEL = """\
import sys, types
import numpy as np
class BaseAutoencoder:
    network_ = None
    def get_weights(self):
        return {"w": np.zeros(3)}
    def save(self, path):
        path.write_bytes(b"saved")
sys.modules["aelib.base"] = types.SimpleNamespace(BaseAutoencoder=BaseAutoencoder)
ae = BaseAutoencoder()
"""
FAKE_DRIVE = """\
from pathlib import Path
def mount(folder):
    {body}
"""


def run(home: Path, *cells: str, **environment: str) -> tuple[list[str], list[str]]:
    """Run `cells` in a kernel whose home folder is `home`; return what each printed, and the files kept."""
    home.mkdir(exist_ok=True)
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(home)}})
    paths = [*filter(None, [environment.pop("FIRST", "")]), str(ROOT)]
    surroundings = {name: value for name, value in os.environ.items() if name != "BINDER_LAUNCH_HOST"}
    client.execute(
        env=surroundings
        | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(paths), "IPYTHONDIR": str(home / ".ipython")}
        | {"MPLCONFIGDIR": matplotlib.get_cachedir()}  # else each kernel would look for fonts
        | environment
    )
    printed = [
        "".join(output.text for output in cell.outputs if output.output_type == "stream")
        for cell in notebook.cells
    ]
    kept = home / keep.FOLDER
    return printed, sorted(str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file())


def fake_colab(folder: Path, body: str) -> str:
    """Write a stand-in for Colab's own package; return the folder to import it from."""
    package = folder / "fake" / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "drive.py").write_text(FAKE_DRIVE.format(body=body), encoding="utf-8")
    return str(folder / "fake")


def names(files: list[str]) -> list[str]:
    return [Path(file).name for file in files]


def test_figures_and_models_are_kept_and_models_load(tmp_path):
    printed, files = run(tmp_path / "home", KEEP_HOME, PLOT, FIT, "ae.fit(1 - x)", "0")
    assert names(files) == [
        "cell-02-figure-2.png",
        "cell-02-figure.png",
        "cell-03-ae.npz",
        "cell-03-models-wide-3.npz",
        "cell-04-ae.npz",  # fitted again, and not kept a third time by the last cell
    ]
    assert re.fullmatch(r"02-losses/\d{4}-\d\d-\d\d", str(Path(files[0]).parent))
    folder = tmp_path / "home" / keep.FOLDER / Path(files[0]).parent
    assert printed[0] == f"Figures and models of this lesson are kept in {folder}\n"
    assert not any(printed[1:])
    assert (folder / "cell-02-figure.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "cell-02-figure.png").read_bytes() != (folder / "cell-02-figure-2.png").read_bytes()

    x = np.random.default_rng(0).random((20, 6))
    before, after = (aelib.load(folder / f"cell-{cell}-ae.npz") for cell in ("03", "04"))
    again = aelib.Autoencoder(aelib.Dense(code=2), epochs=1, random_state=0).fit(x)
    np.testing.assert_array_equal(before.transform(x), again.transform(x))
    assert not np.array_equal(before.transform(x), after.transform(x))
    assert aelib.load(folder / "cell-03-models-wide-3.npz").transform(x).shape == (20, 3)


def test_figures_that_the_end_of_a_cell_shows_are_kept(tmp_path):
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"
    _, files = run(tmp_path / "home", "%matplotlib inline", KEEP_HOME, plot)
    assert names(files) == ["cell-03-figure.png"]


def test_a_second_run_of_the_day_has_its_own_folder(tmp_path):
    run(tmp_path / "home", KEEP_HOME, MODEL)
    _, files = run(tmp_path / "home", KEEP_HOME, KEEP_HOME, MODEL)
    folders = {str(Path(file).parent): Path(file).name for file in files}
    first, third = sorted(folders)
    assert third == f"{first}-3", "the set-up cell ran three times in all"
    assert folders == {first: "cell-02-ae.npz", third: "cell-03-ae.npz"}


def test_a_failed_save_is_said_once_and_the_lesson_goes_on(tmp_path):
    lost = "import shutil, booktools.keep\nshutil.rmtree(booktools.keep._keeper.folder)\n"
    printed, files = run(tmp_path / "home", KEEP_HOME, MODEL, lost + PLOT + "\nae = BaseAutoencoder()", PLOT)
    assert files == []
    assert re.match(r"Not kept: .*No such file or directory.*The lesson goes on", printed[2])
    assert printed[2].count("Not kept") == 1
    assert not printed[3]


def test_half_a_figure_is_not_left_behind(tmp_path):
    full_disk = """\
import errno, pathlib
def write_bytes(path, content):
    path.write_text("half")
    raise OSError(errno.ENOSPC, "No space left on device")
pathlib.Path.write_bytes = write_bytes
"""
    printed, files = run(tmp_path / "home", KEEP_HOME, full_disk, PLOT)
    assert files == []
    assert "No space left on device" in printed[2]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / keep.FOLDER).write_text("a file, not a folder", encoding="utf-8")
    printed, _ = run(home, KEEP_HOME, "print('on')")
    assert "cannot be used" in printed[0]
    assert "Nothing is kept. The lesson runs all the same." in printed[0]
    assert printed[1] == "on\n"


def test_drive_is_mounted_and_used(tmp_path):
    fake = fake_colab(tmp_path, "(Path(folder) / 'MyDrive').mkdir(parents=True)")
    mount = (
        f"import booktools.keep, pathlib\nbooktools.keep.MOUNT = pathlib.Path({str(tmp_path / 'drive')!r})"
    )
    printed, files = run(tmp_path / "home", mount, KEEP_DRIVE, MODEL, FIRST=fake)
    assert files == [], "the home folder is not Drive"
    assert "forgets" not in printed[1]
    [kept] = (tmp_path / "drive" / "MyDrive" / keep.FOLDER / "02-losses").rglob("*.npz")
    assert kept.name == "cell-03-ae.npz"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (None, "Google Drive can be reached from Colab only; the home folder is taken instead."),
        ("raise ValueError('mount failed')", "Google Drive was not mounted (ValueError: mount failed)"),
        ("pass", "Google Drive was not mounted (there is no"),
    ],
)
def test_without_drive_the_home_folder_is_taken(tmp_path, body, says):
    first = fake_colab(tmp_path, body) if body else ""
    printed, files = run(tmp_path / "home", KEEP_DRIVE, MODEL, FIRST=first)
    assert says in printed[0]
    assert names(files) == ["cell-02-ae.npz"]
    assert ("Colab forgets this folder" in printed[0]) == bool(body)


def test_binder_forgets_and_a_zip_can_be_downloaded(tmp_path):
    pack = "import booktools.keep; print(booktools.keep.pack())"
    printed, files = run(
        tmp_path / "home", KEEP_HOME, MODEL, pack, BINDER_LAUNCH_HOST="https://mybinder.org/"
    )
    assert "Binder forgets this folder with the session" in printed[0]
    assert "booktools.keep.pack()" in printed[0]
    assert printed[2].strip().endswith(".zip")
    assert [Path(file).suffix for file in files] == [".zip", ".npz"]


def test_an_unknown_choice_is_said(capsys):
    keep.keep_work("02-losses", "my cellar")
    assert capsys.readouterr().out == (
        "Nothing is kept: keep is 'my cellar'; it can be 'nothing', 'my home folder' or 'Google Drive'.\n"
    )


def test_the_set_up_cell_offers_it():
    twin = nbformat.read(next((ROOT / "chapters").glob("02-*.ipynb")), 4)
    source = next(cell.source for cell in twin.cells if cell.cell_type == "code")
    choices = re.search(r'^keep = "nothing"  # @param (\[.*\])$', source, re.MULTILINE)
    assert choices, "the twin's set-up cell has no keep; run: make notebooks"
    assert choices[1] == f'["nothing", "{keep.HOME}", "{keep.DRIVE}"]'
    assert 'keep_work("02-losses", keep)' in source
