"""Weights to begin with, a function called after each epoch, and mixed precision."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

import aelib
from aelib.settings import BACKENDS

X = load_digits().data[:300] / 16.0


def autoencoder(backend="torch", **changes):
    settings = {"epochs": 3, "random_state": 0, "backend": backend, "dtype": "float64"}
    return aelib.Autoencoder(aelib.Dense((16,), code=4), **(settings | changes))


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_begins_with_the_given_weights(backend):
    weights = autoencoder(backend, random_state=5).fit(X).get_weights()
    kept = {name: weight.copy() for name, weight in weights.items()}
    before = aelib.equivalence.relative_error
    started = autoencoder(backend, learning_rate=1e-12, epochs=1).fit(X, initial_weights=weights)
    for name, weight in started.get_weights().items():
        assert before(weight, kept[name]) < 1e-9
        np.testing.assert_array_equal(weights[name], kept[name])  # the caller's arrays are not touched


def test_weights_of_another_network_are_refused():
    weights = autoencoder().fit(X).get_weights()
    del weights["encoder.0.kernel"]
    with pytest.raises(ValueError, match=r"encoder\.0\.kernel"):
        autoencoder().fit(X, initial_weights=weights)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_function_is_called_after_each_epoch_with_the_model_as_it_is_then(backend):
    seen = []
    model = autoencoder(backend).fit(
        X, validation_data=X[:50], on_epoch=lambda m: seen.append((len(m.history_.loss), m.score(X[:50])))
    )
    assert [epochs for epochs, _ in seen] == [1, 2, 3]
    np.testing.assert_allclose([-score for _, score in seen], model.history_.val_loss, rtol=1e-12)


def test_what_the_function_raises_ends_the_training_and_the_model_can_be_used():
    def stop(model):
        if len(model.history_.loss) == 2:
            raise LookupError("enough")

    model = autoencoder(epochs=9)
    with pytest.raises(LookupError, match="enough"):
        model.fit(X, on_epoch=stop)
    assert model.history_ == autoencoder(epochs=2).fit(X).history_
    assert model.transform(X).shape == (300, 4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_mixed_precision_keeps_weights_and_outputs_in_float32_and_computes_layers_in_bfloat16(
    backend, record
):
    mixed = autoencoder(backend, dtype="mixed_bfloat16", learning_rate=1e-12, epochs=1).fit(X)
    exact = autoencoder(backend, dtype="float32", learning_rate=1e-12, epochs=1).fit(X)
    assert {weight.dtype for weight in mixed.get_weights().values()} == {np.dtype("float32")}
    codes = mixed.transform(X)
    assert codes.dtype == np.float32
    error = aelib.equivalence.relative_error(codes, exact.transform(X))
    record("codes of mixed precision", error, 2.0**-6)
    assert 2.0**-12 < error < 2.0**-6  # 8 bits of significand, in two layers


@pytest.mark.parametrize("backend", BACKENDS)
def test_mixed_precision_trains(backend):
    settings = {"epochs": 15, "learning_rate": 1e-2}
    mixed = autoencoder(backend, dtype="mixed_bfloat16", **settings).fit(X)
    exact = autoencoder(backend, dtype="float32", **settings).fit(X)
    assert mixed.history_.loss[-1] == pytest.approx(exact.history_.loss[-1], rel=0.05)
    assert mixed.history_.loss[-1] < 0.7 * mixed.history_.loss[0]


def test_dropout_in_mixed_precision_drops_what_it_drops_in_float32():
    """A number of 24 bits rounded to bfloat16's 8 would come out at or above the rate too often."""
    import torch

    from aelib.torch.random import Noise, dropout

    noise = Noise(1, torch.arange(64))
    ones = torch.ones(64, 100)
    kept = [dropout(ones.to(dtype), 0.3, noise, "layer") != 0 for dtype in (torch.float32, torch.bfloat16)]
    assert torch.equal(*kept)


def test_a_mixed_model_is_written_and_read(tmp_path):
    model = autoencoder(dtype="mixed_bfloat16").fit(X)
    model.save(tmp_path / "model.npz")
    again = aelib.load(tmp_path / "model.npz", backend="torch")
    assert again.dtype_ == "mixed_bfloat16"
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
