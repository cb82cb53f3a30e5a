"""Training from a file: the same as from memory, in little memory, and a clear error if the file shrinks."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

import aelib
from aelib.files import FileRows, is_memory_mapped
from aelib.settings import BACKENDS

DIGITS = load_digits()
X, Y = DIGITS.data[:400] / 16.0, DIGITS.target[:400]


def save(path, x):
    np.save(path, x)
    return np.load(path, mmap_mode="r")


def autoencoder(backend, **changes):
    settings = {"epochs": 2, "random_state": 0, "backend": backend, "dtype": "float64"} | changes
    return aelib.Autoencoder(aelib.Dense((12,), code=3), **settings)


@pytest.mark.parametrize(
    "rows",
    [
        slice(0, 0),
        slice(3, 9),
        slice(395, 900),
        slice(None),
        np.array([7, 0, 399, 7]),
        np.array([], dtype=int),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["uint8", "float32", ">f8"])
def test_rows_are_those_of_the_array(rows, dtype, tmp_path):
    stored = (X * 16).astype(dtype)
    found = FileRows(save(tmp_path / "x.npy", stored)[:], "float64")[rows]
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, stored[rows])


def test_a_part_of_the_rows_and_a_part_of_that(tmp_path):
    mapped = save(tmp_path / "x.npy", X)
    rows = FileRows(mapped[100:300][50:], "float64")
    assert rows.shape == (150, 64)
    np.testing.assert_array_equal(rows[:], X[150:300])
    np.testing.assert_array_equal(np.concatenate(list(rows.parts())), X[150:300])


def test_what_is_mapped_and_what_is_not(tmp_path):
    mapped = save(tmp_path / "x.npy", X)
    assert is_memory_mapped(mapped)
    assert is_memory_mapped(mapped[5:])
    assert not is_memory_mapped(mapped[[1, 2]])
    assert not is_memory_mapped(mapped.copy())  # still of NumPy's class for maps, but without one
    assert not is_memory_mapped(X)


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_from_a_file_is_training_from_memory(backend, tmp_path):
    mapped = save(tmp_path / "x.npy", X)
    from_memory = autoencoder(backend).fit(X[:300], validation_data=X[300:])
    from_file = autoencoder(backend).fit(mapped[:300], validation_data=mapped[300:])
    assert from_file.history_ == from_memory.history_
    for name, weight in from_memory.get_weights().items():
        np.testing.assert_array_equal(from_file.get_weights()[name], weight)
    for method in ("transform", "reconstruct"):
        np.testing.assert_array_equal(getattr(from_file, method)(mapped), getattr(from_file, method)(X))
    assert from_file.score(mapped) == from_file.score(X)


@pytest.mark.parametrize("backend", BACKENDS)
def test_images_with_classes_from_a_file(backend, tmp_path):
    """And stored as whole numbers, so that each batch is converted."""
    images = (X.reshape(-1, 8, 8, 1) > 0.5).astype(np.uint8)
    model = aelib.VariationalAutoencoder(
        aelib.Conv((4, 8), code=2),
        condition="class",
        epochs=1,
        random_state=0,
        backend=backend,
        dtype="float32",
    )
    expected = model.fit(images, Y).history_
    assert model.fit(save(tmp_path / "x.npy", images), Y).history_ == expected


def test_sequences_that_end_from_a_file(tmp_path):
    sequences = X.reshape(-1, 8, 8).copy()
    sequences[::3, 5:] = np.nan
    model = aelib.Autoencoder(aelib.Recurrent(6, code=2), epochs=1, random_state=0, backend="torch")
    expected = model.fit(sequences).reconstruct(sequences)
    mapped = save(tmp_path / "x.npy", sequences)
    np.testing.assert_array_equal(model.fit(mapped).reconstruct(mapped), expected)


def test_a_bad_value_is_found_in_whatever_part_it_is(tmp_path):
    x = np.zeros((20_000, 3))
    x[15_000, 1] = np.nan
    with pytest.raises(ValueError, match="the first in row 15000"):
        autoencoder("torch").fit(save(tmp_path / "nan.npy", x))
    x[15_000, 1] = 2.0
    with pytest.raises(ValueError, match="reaches from 0 to 2"):
        autoencoder("torch", loss="binary_cross_entropy").fit(save(tmp_path / "range.npy", x))
    steps = np.zeros((20_000, 2, 1))
    steps[15_000] = np.nan
    with pytest.raises(ValueError, match="row 15000 has length zero"):
        aelib.Autoencoder(aelib.Recurrent(2, code=1), backend="torch").fit(
            save(tmp_path / "steps.npy", steps)
        )


def test_rows_in_another_order_in_memory_are_trained_on():
    """PyTorch refuses arrays with negative strides."""
    expected = autoencoder("torch").fit(X[::-1].copy()).history_
    assert autoencoder("torch").fit(X[::-1]).history_ == expected


def test_rows_in_pieces_are_refused_with_advice(tmp_path):
    mapped = save(tmp_path / "x.npy", X)
    with pytest.raises(
        ValueError, match=r"must follow one another in its file: take them as x\[start:stop\]"
    ):
        autoencoder("torch").fit(mapped[::2])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_that_shrinks_under_way_is_an_error_and_loses_nothing(backend, tmp_path):
    path = tmp_path / "x.npy"
    mapped = save(path, X)

    def shrink(_):
        with open(path, "r+b") as file:
            file.truncate(50_000)

    model = autoencoder(backend)
    with pytest.raises(
        OSError, match=r"x.npy has become shorter: it has 50000 bytes now, too few for the 400"
    ) as e:
        model.fit(mapped, on_epoch=shrink, checkpoint=tmp_path / "run.npz")
    assert "run.npz holds the 1 epochs that were completed" in e.value.__notes__[0]
    assert model.transform(X).shape == (400, 3)
    # The file is written again, and the run goes on from its first epoch.
    resumed = model.fit(save(tmp_path / "new.npy", X), checkpoint=tmp_path / "run.npz")
    assert resumed.history_ == autoencoder(backend).fit(X).history_


PEAK_MEMORY = """
import sys
import numpy as np
import aelib

def memory():  # bytes of this process that no file backs
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))

few = np.zeros((256, 128), "float32")
aelib.Autoencoder(aelib.Dense(code=2), epochs=1, backend="torch", device="cpu").fit(few)
before, peak = memory(), [0]
x = np.load(sys.argv[1], mmap_mode="r")
if sys.argv[2] == "memory":
    x = np.array(x)

from aelib.torch.engine import Trainer
step = Trainer.step
def watched_step(self, *arguments):
    peak[0] = max(peak[0], memory())
    return step(self, *arguments)
Trainer.step = watched_step

model = aelib.Autoencoder(
    aelib.Dense(code=2), epochs=1, batch_size=1024, backend="torch", device="cpu", dtype="float32"
)
model.fit(x)
model.transform(x)
print(max(peak[0], memory()) - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_memory_stays_bounded(tmp_path, record):
    """A file of 256 MB is trained on in a fraction of its size; loaded, it takes more than its size."""
    shape = (524_288, 128)
    stored = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype="float32", shape=shape)
    for start in range(0, len(stored), 8192):
        stored[start : start + 8192] = np.random.default_rng(start).random((8192, 128), dtype="float32")
    stored.flush()
    size = stored.nbytes

    def peak(how):
        command = [sys.executable, "-c", PEAK_MEMORY, str(tmp_path / "x.npy"), how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    from_file = peak("file") / size
    record("memory of a fit from a file, part of its size", from_file, 0.3)
    assert from_file < 0.3
    assert peak("memory") / size > 1.0
