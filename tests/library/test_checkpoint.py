"""A run that is interrupted and resumed is the run that was not: bit for bit, at any epoch."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

import aelib
from aelib import storage
from aelib.settings import BACKENDS

DIGITS = load_digits()
X, Y = DIGITS.data[:300] / 16.0, DIGITS.target[:300]
EPOCHS = 6


class Interrupted(Exception):
    """Stands for whatever ends a run."""


def autoencoder(backend="torch", **changes):
    settings = {
        "architecture": aelib.Dense((12,), code=3, dropout=0.1),
        "optimizer": "adam",
        "learning_rate": aelib.ReduceOnPlateau(1e-2, patience=1, min_delta=1.0),
        "early_stopping": aelib.EarlyStopping(patience=5),
        "corruption": aelib.Masking(0.2),
        "epochs": EPOCHS,
        "random_state": 0,
        "backend": backend,
        "dtype": "float64",
    }
    return aelib.Autoencoder(**(settings | changes))


def variational(backend):
    return aelib.VariationalAutoencoder(
        aelib.Dense((12,), code=3),
        condition="class",
        warm_up=3,
        optimizer=aelib.SGD(momentum=0.9),
        learning_rate=aelib.CosineDecay(1e-3, 1e-4, warm_up=2),
        epochs=EPOCHS,
        random_state=0,
        backend=backend,
        dtype="float64",
    )


def convolutional(backend):
    return aelib.Autoencoder(
        aelib.Conv((4, 8), code=3), epochs=EPOCHS, random_state=0, backend=backend, dtype="float32"
    )


RUNS = {
    "autoencoder": (autoencoder, (X,), {"validation_data": X[:50]}),
    "variational": (variational, (X, Y), {}),
    "convolutional": (convolutional, (X.reshape(-1, 8, 8, 1),), {}),
}


def stop_after(epochs):
    def on_epoch(model):
        if len(model.history_.loss) == epochs:
            raise Interrupted

    return on_epoch


def interrupt(model, data, path, epochs, **options):
    with pytest.raises(Interrupted):
        model.fit(*data, checkpoint=path, on_epoch=stop_after(epochs), **options)


def assert_same(one, other):
    assert one.history_ == other.history_
    for name, weight in one.get_weights().items():
        np.testing.assert_array_equal(other.get_weights()[name], weight, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", RUNS)
def test_resumed_at_any_epoch_the_weights_are_the_same_bit_for_bit(kind, backend, tmp_path):
    build, data, options = RUNS[kind]
    whole = build(backend).fit(*data, **options)
    assert len(whole.history_.loss) == EPOCHS
    # TensorFlow compiles every model anew, which takes its time.
    for epochs in range(1, EPOCHS + 1) if backend == "torch" else (2, 5):
        path = tmp_path / f"{epochs}.npz"
        interrupt(build(backend), data, path, epochs, **options)
        assert_same(whole, build(backend).fit(*data, checkpoint=path, **options))


def test_a_run_interrupted_again_and_again_is_the_same(tmp_path):
    build, data, options = RUNS["autoencoder"]
    whole = build("torch").fit(*data, **options)
    for epochs in (1, 2, 4):
        interrupt(build("torch"), data, tmp_path / "run.npz", epochs, **options)
    assert_same(whole, build("torch").fit(*data, checkpoint=tmp_path / "run.npz", **options))


def test_a_run_that_early_stopping_ended_stays_ended_with_the_best_weights(tmp_path):
    changes = {"learning_rate": 0.3, "early_stopping": aelib.EarlyStopping(patience=2), "epochs": 40}
    options = {"validation_data": X[:50], "checkpoint": tmp_path / "run.npz"}
    first = autoencoder(**changes).fit(X, **options)
    assert len(first.history_.loss) < 40
    again = autoencoder(**changes).fit(X, on_epoch=stop_after(1), **options)  # no epoch is left to stop it
    assert_same(first, again)
    assert again.history_.best_epoch == len(again.history_.loss) - 3


def test_a_run_without_a_fixed_seed_goes_on_with_the_seed_it_drew(tmp_path):
    path = tmp_path / "run.npz"
    first = autoencoder(random_state=None)
    interrupt(first, (X,), path, 2, validation_data=X[:50])
    again = autoencoder(random_state=None).fit(X, validation_data=X[:50], checkpoint=path)
    assert again.seed_ == first.seed_
    whole = autoencoder(random_state=None)
    whole.fit(X, validation_data=X[:50], checkpoint=tmp_path / "other.npz")
    assert whole.seed_ != first.seed_


@pytest.mark.parametrize(("begun", "resumed"), [BACKENDS, BACKENDS[::-1]])
@pytest.mark.parametrize("kind", ["autoencoder", "variational"])
def test_a_run_begun_under_one_backend_goes_on_under_the_other(kind, begun, resumed, tmp_path, record):
    build, data, options = RUNS[kind]
    whole = build(begun).fit(*data, **options)
    interrupt(build(begun), data, tmp_path / "run.npz", 3, **options)
    again = build(resumed).fit(*data, checkpoint=tmp_path / "run.npz", **options)
    error = max(
        aelib.equivalence.relative_error(again.get_weights()[name], weight)
        for name, weight in whole.get_weights().items()
    )
    record("weights of a run resumed under the other backend", error, 1e-9)
    assert error <= 1e-9


def test_a_killed_process_leaves_a_checkpoint_that_goes_on(tmp_path):
    script = f"""
import os, signal, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_checkpoint import X, autoencoder
def kill(model):
    if len(model.history_.loss) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
autoencoder().fit(X, validation_data=X[:50], checkpoint={str(tmp_path / "run.npz")!r}, on_epoch=kill)
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == -signal.SIGKILL
    seen = []
    again = autoencoder().fit(
        X,
        validation_data=X[:50],
        checkpoint=tmp_path / "run.npz",
        on_epoch=lambda model: seen.append(len(model.history_.loss)),
    )
    assert seen == [4, 5, 6]
    assert_same(autoencoder().fit(X, validation_data=X[:50]), again)


def test_a_run_may_be_prolonged_where_its_rates_stay_as_they_were(tmp_path):
    changes = {"learning_rate": aelib.StepDecay(1e-2, every=2), "early_stopping": None}
    autoencoder(epochs=3, **changes).fit(X, checkpoint=tmp_path / "run.npz")
    again = autoencoder(epochs=5, **changes).fit(X, checkpoint=tmp_path / "run.npz")
    assert_same(autoencoder(epochs=5, **changes).fit(X), again)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "run.npz"
    changes = {"learning_rate": aelib.CosineDecay(1e-2, 1e-3)}
    interrupt(autoencoder(**changes), (X,), path, 3, validation_data=X[:50])
    return path


IMAGES = X.reshape(-1, 8, 8, 1)
OTHER_RUNS = {
    "architecture": (
        {"architecture": aelib.Dense((12,), code=5, dropout=0.1)},
        X,
        "architecture.code is 3 there and 5 here",
    ),
    "class of a part": (
        {"architecture": aelib.Conv((4,), code=3)},
        IMAGES,
        "architecture is Dense there and Conv here",
    ),
    "loss": (
        {"loss": "binary_cross_entropy"},
        X,
        "loss is squared_error there and binary_cross_entropy here",
    ),
    "corruption": ({"corruption": None}, X, "corruption is Masking there and None here"),
    "seed": ({"random_state": 1}, X, "random_state is 0 there and 1 here"),
    "precision": ({"dtype": "float32"}, X, "dtype is float64 there and float32 here"),
    "samples": ({}, X[:200], r"training data.shape is \[300, 64\] there and \[200, 64\] here"),
    "values": ({}, X[::-1], r"training data.crc32 is \d+ there and \d+ here"),
    "fewer epochs": ({"epochs": 2}, X, "holds 3 epochs already, more than epochs=2"),
    "more epochs of a cosine": ({"epochs": 9}, X, "with epochs=9 its schedule would have used the rate"),
}


@pytest.mark.parametrize("what", OTHER_RUNS)
def test_the_checkpoint_of_another_run_is_refused_and_kept(what, written):
    changes, x, message = OTHER_RUNS[what]
    before = written.read_bytes()
    model = autoencoder(**({"learning_rate": aelib.CosineDecay(1e-2, 1e-3)} | changes))
    with pytest.raises(ValueError, match=message):
        model.fit(x, validation_data=x[:50], checkpoint=written)
    assert written.read_bytes() == before


def test_other_initial_weights_and_another_class_of_model_are_refused(written):
    model = autoencoder(learning_rate=aelib.CosineDecay(1e-2, 1e-3))
    weights = model.fit(X, validation_data=X[:50]).get_weights()
    with pytest.raises(ValueError, match="initial weights is None there and"):
        model.fit(X, validation_data=X[:50], checkpoint=written, initial_weights=weights)
    with pytest.raises(ValueError, match="class is Autoencoder there and VariationalAutoencoder here"):
        variational("torch").fit(X, Y, checkpoint=written)


def test_another_version_a_model_and_a_damaged_file_are_refused(written, tmp_path, monkeypatch):
    model = autoencoder(learning_rate=aelib.CosineDecay(1e-2, 1e-3))
    model.fit(X, validation_data=X[:50]).save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="but not one written by fit"):
        model.fit(X, validation_data=X[:50], checkpoint=tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"but not one written by Autoencoder\.save"):
        aelib.load(written)
    (tmp_path / "short.npz").write_bytes(written.read_bytes()[:-100])
    with pytest.raises(ValueError, match="cut short or altered"):
        model.fit(X, validation_data=X[:50], checkpoint=tmp_path / "short.npz")
    monkeypatch.setattr("aelib.checkpoint.VERSION", 2)
    with pytest.raises(ValueError, match="format version 1; this aelib reads 2"):
        model.fit(X, validation_data=X[:50], checkpoint=written)


def test_an_interrupted_write_leaves_the_checkpoint_before_it(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    interrupt(autoencoder(), (X,), path, 2, validation_data=X[:50])
    before = path.read_bytes()

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(storage.os, "replace", fail)
    with pytest.raises(OSError, match="the disk is full") as caught:
        autoencoder().fit(X, validation_data=X[:50], checkpoint=path)
    assert "run.npz holds the" in caught.value.__notes__[0]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
