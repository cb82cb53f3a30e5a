"""Compressed files come back bit for bit, under either backend; damaged and foreign ones are refused."""

import struct
import sys
import zlib

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import aelib
from aelib import compression
from aelib.settings import BACKENDS

pytest.importorskip("constriction")
X = load_digits().data[:100] / 16.0
STEP = 0.25
STORED = (  # a file of format version 1, written by constriction 0.5.0
    "61656c6962636d70010000002ce67859bb277f83e1927f95515575cdc90ee711370287bb2574389972a3108f00000000"
    "0000e03f0600000002000000fdff0300fcfffcff01000000000001000300000001000600483a8e5f4a53ba23"
)


def fitted(backend="torch", dtype="float64", **settings):
    model = aelib.Autoencoder(
        aelib.Dense((16,), code=4), epochs=2, random_state=0, backend=backend, dtype=dtype, **settings
    )
    return model.fit(X)


@pytest.fixture(scope="module")
def model():
    return fitted()


@pytest.fixture
def path(model, tmp_path):
    compression.compress(model, X, tmp_path / "codes", step=STEP)
    return tmp_path / "codes"


class Identity(FunctionTransformer):
    """A transformer that stores arrays as codes without changing them."""

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        return super().fit(X)


def round_trip(codes, path, step=1.0):
    """Write the codes and read them back, both as integers and through the decoder."""
    model = Identity().fit(codes)
    size = compression.compress(model, codes, path, step=step)
    integers = compression.read_codes(path)
    np.testing.assert_array_equal(integers, compression.quantise(codes, step))
    np.testing.assert_array_equal(compression.decompress(model, path), integers * step)
    assert size.total == path.stat().st_size
    return size


def entropy_bits(integers):
    """Return the empirical entropy of all code units together, in bits."""
    total = 0.0
    for column in integers.T:
        shares = np.unique_counts(column).counts / len(column)
        total -= len(column) * np.sum(shares * np.log2(shares))
    return total


def with_checksum(content):
    return content + struct.pack("<I", zlib.crc32(content))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
@pytest.mark.parametrize(("writer", "reader"), [BACKENDS, BACKENDS[::-1]])
def test_written_under_one_backend_read_under_the_other(writer, reader, dtype, tolerance, tmp_path, record):
    model = fitted(writer, dtype)
    model.save(tmp_path / "model")
    compression.compress(model, X, tmp_path / "codes", step=STEP)
    integers = compression.quantise(model.transform(X), STEP)
    pixels = model.inverse_transform(integers * STEP)
    again = aelib.load(tmp_path / "model", backend=reader)
    np.testing.assert_array_equal(compression.read_codes(tmp_path / "codes"), integers)
    error = np.abs(compression.decompress(again, tmp_path / "codes") - pixels).max()
    record(f"{dtype} pixels decompressed in the other backend", error, tolerance)
    assert error <= tolerance


@pytest.mark.parametrize("kind", ["pca", "variational", "convolutional"])
def test_other_models(kind, tmp_path):
    x = X
    if kind == "pca":
        model = PCA(5, random_state=np.random.RandomState(0)).fit(x)
    elif kind == "variational":
        model = aelib.VariationalAutoencoder(aelib.Dense((8,), code=2), epochs=1, random_state=0).fit(x)
    else:
        x = X.reshape(-1, 8, 8, 1)
        model = aelib.Autoencoder(aelib.Conv((4,), code=3), epochs=1, random_state=0).fit(x)
    compression.compress(model, x, tmp_path / "codes", step=STEP)
    expected = model.inverse_transform(compression.quantise(model.transform(x), STEP) * STEP)
    np.testing.assert_allclose(compression.decompress(model, tmp_path / "codes"), expected, atol=1e-12)


@pytest.mark.parametrize(
    "codes",
    [
        pytest.param(np.random.default_rng(0).normal(0, 5, (1000, 3)), id="ordinary"),
        pytest.param(np.array([[0.4, -2.6, 7.0]]), id="one sample"),
        pytest.param(np.array([[1.0], [2.0], [2.0]]), id="one unit"),
        pytest.param(np.full((50, 2), -3.0), id="all units constant"),
        pytest.param(np.arange(30.0)[:, None] * [1, 0, -1], id="one unit constant"),
        pytest.param(np.array([[-32767.0], [32767.0], [0.0]]), id="the widest range"),
        pytest.param(np.eye(70_000, 2), id="counts beyond 16 bits"),
    ],
)
def test_integers_come_back_bit_for_bit(codes, tmp_path):
    round_trip(codes, tmp_path / "codes")


def test_a_constant_code_costs_no_bits(tmp_path):
    assert round_trip(np.full((50, 2), -3.0), tmp_path / "codes").codes == 0


def test_the_coder_comes_close_to_the_entropy(tmp_path):
    codes = np.random.default_rng(0).normal(0, 3, (20_000, 4))
    bits = 8 * round_trip(codes, tmp_path / "codes").codes
    entropy = entropy_bits(compression.quantise(codes, 1.0))
    assert entropy <= bits <= 1.001 * entropy + 64


def test_a_file_is_the_same_bytes_each_time(model, path, tmp_path):
    compression.compress(model, X, tmp_path / "again", step=STEP)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_stored_file_of_this_version_can_still_be_read(tmp_path):
    (tmp_path / "codes").write_bytes(bytes.fromhex(STORED))
    assert compression.read_codes(tmp_path / "codes").T.tolist() == [
        [1, -3, 1, 0, 1, 3],
        [-4, -4, -4, -4, -4, -4],
    ]


@pytest.mark.parametrize("keep", [0, 1, 8, 40, 64, 0.5, 0.99])
def test_a_truncated_file_is_refused(model, path, keep):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(ValueError, match=r"cut short or altered|beginning is damaged"):
        compression.decompress(model, path)


def test_a_byte_altered_anywhere_is_refused(path):
    content = path.read_bytes()
    for position in range(len(content)):
        altered = bytearray(content)
        altered[position] ^= 0x10
        path.write_bytes(altered)
        with pytest.raises(ValueError, match=r"cut short or altered|beginning is damaged"):
            compression.read_codes(path)


def test_a_file_with_something_behind_it_is_refused(path):
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ValueError, match="cut short or altered"):
        compression.read_codes(path)


def test_another_file_is_refused(tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match=r"not a file written by aelib\.compression"):
        compression.read_codes(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        compression.read_codes(tmp_path / "nothing")


def test_another_version_is_refused(path):
    content = bytearray(path.read_bytes()[:-4])
    content[8] = 99
    path.write_bytes(with_checksum(bytes(content)))
    with pytest.raises(ValueError, match="format version 99, but this aelib reads 1; read it with"):
        compression.read_codes(path)


def test_codes_of_another_range_coder_are_refused(path):
    content = bytearray(path.read_bytes()[:-4])
    content[-8:] = bytes(8)
    path.write_bytes(with_checksum(bytes(content)))
    with pytest.raises(ValueError, match="another version of constriction"):
        compression.read_codes(path)


def changed_weights():
    model = fitted()
    weights = model.get_weights()
    weights["decoder.0.bias"][0] = np.nextafter(weights["decoder.0.bias"][0], np.inf)
    model.set_weights(weights)
    return model


class Renamed(aelib.Autoencoder):
    """Another kind of model with the same settings and weights."""


def changed_class():
    model = fitted()
    model.__class__ = Renamed
    return model


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(changed_weights, id="a last bit of a weight"),
        pytest.param(lambda: fitted().set_params(output_activation="sigmoid"), id="a setting"),
        pytest.param(changed_class, id="the class"),
    ],
)
def test_another_model_is_refused(other, path):
    with pytest.raises(ValueError, match=r"another model .* load the model that wrote it"):
        compression.decompress(other(), path)


def test_two_pcas_are_told_apart(tmp_path):
    compression.compress(PCA(3).fit(X), X, tmp_path / "codes", step=STEP)
    with pytest.raises(ValueError, match="another model"):
        compression.decompress(PCA(3).fit(X[:90]), tmp_path / "codes")


def test_where_a_model_runs_does_not_make_it_another(model, tmp_path):
    model.save(tmp_path / "model")
    again = aelib.load(tmp_path / "model", backend="tensorflow", device="cpu")
    assert compression.fingerprint(again) == compression.fingerprint(model)


def test_a_model_without_weights_is_refused(tmp_path):
    with pytest.raises(TypeError, match="Pipeline has no weights"):
        compression.compress(make_pipeline(PCA(2)).fit(X), X, tmp_path / "codes", step=STEP)


@pytest.mark.parametrize("unfitted", [aelib.Autoencoder(), PCA(4)])
def test_an_unfitted_model_is_refused(unfitted, path):
    with pytest.raises(ValueError, match="not fitted"):
        compression.decompress(unfitted, path)


@pytest.mark.parametrize(
    ("codes", "step", "message"),
    [
        (np.empty((0, 2)), 1.0, "both at least 1"),
        (np.empty((2, 0)), 1.0, "both at least 1"),
        (np.zeros(3), 1.0, r"shape \(n, units\)"),
        (np.array([[0.0], [np.nan]]), 1.0, "NaN or infinite, first in row 1"),
        (np.array([[np.inf, 0.0]]), 1.0, "NaN or infinite, first in row 0"),
        (np.array([[-1.0]]), 1e-5, "too small for codes up to 1; take 3.4e-05 or more"),
        (np.zeros((1, 1)), 0.0, "step must be a number"),
        (np.zeros((1, 1)), -1.0, "step must be a number"),
        (np.zeros((1, 1)), np.nan, "step must be a number"),
    ],
)
def test_codes_that_cannot_be_quantised_are_refused(codes, step, message):
    with pytest.raises(ValueError, match=message):
        compression.quantise(codes, step)


@pytest.mark.parametrize("x", [X[:0], np.full((3, 64), np.nan)])
def test_samples_that_cannot_be_encoded_are_refused_and_nothing_is_written(model, x, tmp_path):
    with pytest.raises(ValueError, match=r"minimum of 1|NaN"):
        compression.compress(model, x, tmp_path / "codes", step=STEP)
    assert list(tmp_path.iterdir()) == []


def test_float32_codes_are_rounded_in_float64():
    codes = np.array([[0.85]], np.float32)  # a little above 0.85
    assert compression.quantise(codes, 0.1)[0, 0] == 9  # float32 would make 8.5 steps of it, and 8
    assert compression.quantise(np.array([[0.5, 1.5, -0.5]]), 1.0).tolist() == [[0, 2, 0]]


def test_a_failed_write_leaves_the_old_file(model, path, monkeypatch):
    before = path.read_bytes()

    def full_disk(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        compression.compress(model, X[:10], path, step=STEP)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_without_the_range_coder_the_error_says_what_to_install(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(ImportError, match="pip install constriction"):
        compression.compress(model, X, tmp_path / "codes", step=STEP)
