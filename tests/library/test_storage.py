"""Models are written under one backend and read under the other; damaged files are refused."""

import json
import zipfile

import numpy as np
import pytest
from sklearn.datasets import load_digits

import aelib
from aelib.settings import BACKENDS

X = load_digits().data[:100] / 16.0


def fitted(backend, dtype="float64", **settings):
    model = aelib.Autoencoder(
        aelib.Dense((16, 8), code=3, activation="tanh", tied=True, dropout=0.1),
        epochs=2,
        random_state=0,
        backend=backend,
        dtype=dtype,
        **settings,
    )
    return model.fit(X, validation_data=X[:20])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.npz"
    fitted("torch").save(path)
    return path


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
@pytest.mark.parametrize(("writer", "reader"), [BACKENDS, BACKENDS[::-1]])
def test_written_under_one_backend_read_under_the_other(writer, reader, dtype, tolerance, tmp_path, record):
    model = fitted(writer, dtype)
    model.save(tmp_path / "model.npz")
    again = aelib.load(tmp_path / "model.npz", backend=reader)
    error = aelib.equivalence.relative_error(again.transform(X), model.transform(X))
    record(f"{dtype} codes after loading in the other backend", error, tolerance)
    assert error <= tolerance
    assert (again.backend_, again.dtype_, again.seed_) == (reader, dtype, model.seed_)
    assert again.history_ == model.history_
    for name, array in model.get_weights().items():
        np.testing.assert_array_equal(again.get_weights()[name], array)


def test_all_settings_come_back(tmp_path):
    model = fitted(
        "torch",
        loss="binary_cross_entropy",
        optimizer=aelib.SGD(momentum=0.5),
        learning_rate=aelib.CosineDecay(0.01, 0.001),
        early_stopping=aelib.EarlyStopping(patience=3),
    )
    model.save(tmp_path / "model")
    again = aelib.load(tmp_path / "model")
    unlike = {"backend", "device", "dtype"}  # these say where it runs; load has its own
    for name, value in model.get_params().items():
        if name not in unlike and not hasattr(value, "get_params"):
            assert again.get_params()[name] == value, name
    again.fit(X, validation_data=X[:20])  # and it can be trained again


def test_a_model_fitted_on_named_columns_keeps_the_names(tmp_path):
    model = fitted("torch")
    model.feature_names_in_ = np.array([f"pixel {i}" for i in range(64)], dtype=object)
    model.save(tmp_path / "model")
    assert aelib.load(tmp_path / "model").feature_names_in_[5] == "pixel 5"


def test_the_default_backend_is_the_settings_one(saved, monkeypatch):
    monkeypatch.setenv("AELIB_BACKEND", "tensorflow")
    assert aelib.load(saved).backend_ == "tensorflow"


def test_nothing_in_the_file_is_pickled(saved):
    with zipfile.ZipFile(saved) as file:
        for name in file.namelist():
            header = file.read(name)[:128]
            assert b"'descr': '|O'" not in header


def test_a_file_with_a_pickle_inside_is_refused(tmp_path):
    np.savez(tmp_path / "evil.npz", metadata=np.array({"format": "aelib-model"}, dtype=object))
    with pytest.raises(ValueError, match="not a whole file"):
        aelib.load(tmp_path / "evil.npz")


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, keep, tmp_path):
    content = saved.read_bytes()
    length = int(len(content) * keep) if isinstance(keep, float) else keep
    (tmp_path / "cut.npz").write_bytes(content[:length])
    with pytest.raises(ValueError, match="cut short or altered"):
        aelib.load(tmp_path / "cut.npz")


def test_a_byte_altered_anywhere_is_refused_or_harmless(saved, tmp_path):
    content = bytearray(saved.read_bytes())
    expected = aelib.load(saved).transform(X)
    refused = 0
    for position in range(0, len(content), 41):
        altered = content.copy()
        altered[position] ^= 0x55
        (tmp_path / "altered.npz").write_bytes(altered)
        try:
            model = aelib.load(tmp_path / "altered.npz")
        except ValueError:
            refused += 1
        else:  # a time stamp or the like: the model must be the same
            np.testing.assert_array_equal(model.transform(X), expected)
    assert refused > 0.8 * len(range(0, len(content), 41))


def rewritten(saved, path, **changes):
    """Write a copy of the file with changed metadata or arrays, checksums and all."""
    with np.load(saved) as file:
        arrays = {name: file[name] for name in file.files}
    metadata = json.loads(str(arrays.pop("metadata"))) | changes.pop("metadata", {})
    np.savez(path, metadata=np.array(json.dumps(metadata)), **(arrays | changes))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metadata": {"format": "other"}}, "not one written by"),
        ({"metadata": {"version": 99}}, "format version 99"),
        ({"metadata": {"sample_shape": [10]}}, "has shape .* this network needs"),
        (
            {"metadata": {"settings": {"architecture": {"class": "os.system", "settings": {}}}}},
            "unknown part",
        ),
        ({"metadata": {"settings": {"no_such_setting": 1}}}, "description of the model"),
        ({"encoder.0.bias": np.zeros(5)}, "has shape"),
        ({"encoder.0.bias": np.full(16, np.inf)}, "NaN or infinity"),
        ({"encoder.9.bias": np.zeros(5)}, "unknown"),
    ],
)
def test_a_well_formed_file_with_wrong_content_is_refused(saved, changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        aelib.load(rewritten(saved, tmp_path / "wrong.npz", **changes))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="not a whole file"):
        aelib.load(tmp_path / "text")
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ValueError, match="not a whole file"):
        aelib.load(tmp_path / "array.npy")
    with pytest.raises(FileNotFoundError):
        aelib.load(tmp_path / "nothing")


def test_a_failed_save_leaves_the_old_file(saved, tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    path.write_bytes(saved.read_bytes())
    model = fitted("torch")

    def full_disk(*arguments, **arrays):
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="no space"):
        model.save(path)
    assert path.read_bytes() == saved.read_bytes()
    assert list(tmp_path.iterdir()) == [path]
