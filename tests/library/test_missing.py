"""Missing values, which stand as NaN in the data, and the rate of a code."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

import aelib
from aelib.settings import BACKENDS, load_wing

X = load_digits().data[:200] / 16.0
HOLES = np.where(np.random.default_rng(0).random(X.shape) < 0.3, np.nan, X)
KNOWN = ~np.isnan(HOLES)


def quick(**settings):
    """Return a small model with few epochs, each a single step."""
    defaults = {
        "architecture": aelib.Dense((16,), code=4),
        "missing": "mask",
        "epochs": 2,
        "batch_size": 256,
        "random_state": 0,
        "dtype": "float64",
    }
    return aelib.Autoencoder(**(defaults | settings))


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
def test_the_loss_counts_what_is_known(loss, backend):
    model = quick(loss=loss, backend=backend).fit(HOLES, validation_data=HOLES)
    filled = model.reconstruct(HOLES)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled, model.reconstruct(np.where(KNOWN, X, 0.0)))  # shown as 0
    if loss == "squared_error":
        errors = (filled - X) ** 2
    else:
        errors = -(X * np.log(filled) + (1 - X) * np.log(1 - filled))
    expected = np.sum(errors * KNOWN, axis=1).mean()
    assert model.score(HOLES) == pytest.approx(-expected, rel=1e-12)
    assert model.history_.val_loss[-1] == pytest.approx(expected, rel=1e-12)


def test_whole_data_train_as_without_the_setting(backend):
    masked, plain = (quick(missing=missing, backend=backend).fit(X) for missing in ("mask", "refuse"))
    for name, array in plain.get_weights().items():
        np.testing.assert_allclose(masked.get_weights()[name], array, rtol=0, atol=1e-15)


def test_what_is_unknown_has_no_influence(backend):
    """The gradient with holes is that of the known values alone, filled with zeros."""
    model = quick(backend=backend).fit(HOLES)
    engine = load_wing(backend).engine
    _, found = engine.gradients(model.network_, model._objective(), HOLES[:50], 7)
    assert all(np.isfinite(gradient).all() for gradient in found.values())
    h, name = 1e-6, "decoder.1.bias"
    weights = model.get_weights()
    slopes = []
    for j in range(5):
        scores = []
        for sign in (1, -1):
            weights[name][j] += sign * h
            model.set_weights(weights)
            scores.append(-model.score(HOLES[:50]))
            weights[name][j] -= sign * h
        slopes.append((scores[0] - scores[1]) / (2 * h))
    np.testing.assert_allclose(found[name][:5], slopes, rtol=1e-6)


@pytest.mark.parametrize(
    "corruption", [aelib.Masking(0.5), aelib.GaussianNoise(0.3), aelib.UniformNoise(0.3)]
)
def test_corruption_of_what_is_known(corruption, backend):
    history = quick(corruption=corruption, backend=backend).fit(HOLES).history_
    assert np.isfinite(history.loss).all()


def test_images_with_holes(backend):
    images = HOLES.reshape(-1, 8, 8, 1)
    model = quick(architecture=aelib.Conv((4,), code=4), backend=backend).fit(images)
    assert np.isfinite(model.reconstruct(images)).all()


def test_saved_and_loaded(backend, tmp_path):
    model = quick(backend=backend).fit(HOLES)
    model.save(tmp_path / "model")
    for other in BACKENDS:
        again = aelib.load(tmp_path / "model", backend=other)
        np.testing.assert_allclose(again.reconstruct(HOLES), model.reconstruct(HOLES), rtol=0, atol=1e-14)


def test_scikit_learn_knows():
    assert quick().__sklearn_tags__().input_tags.allow_nan
    assert not quick(missing="refuse").__sklearn_tags__().input_tags.allow_nan


BAD = {
    "refused": ({"missing": "refuse"}, HOLES, "NaN .* or say missing='mask'"),
    "infinite": ({}, np.where(X > 0.9, np.inf, X), "infinite"),
    "unknown setting": ({"missing": "drop"}, X, "unknown missing 'drop'; choose one of: 'refuse', 'mask'"),
    "out of range": ({"loss": "binary_cross_entropy"}, 2 * HOLES, "reaches from 0 to 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    settings, x, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        quick(**settings).fit(x)


def test_the_rate_bounds_the_entropy_of_a_rounded_code(backend):
    """A normal code comes within a hundredth of a bit; any other needs fewer."""
    losses = load_wing(backend).losses
    generator = np.random.default_rng(0)
    for draw, close in (
        (generator.standard_normal, True),
        (lambda size: generator.choice([-3.0, 3.0], size), False),
    ):
        code = 2.0 * draw((200_000, 1))
        for step in (0.5, 1.0, 4.0):
            shares = np.unique(np.round(code / step), return_counts=True)[1] / len(code)
            entropy = -np.sum(shares * np.log2(shares))
            bound = float(losses.rate(tensor(backend, code), step))
            assert bound >= entropy - 1e-3
            if close and step < 4:
                assert bound == pytest.approx(entropy, abs=0.02)


def tensor(backend, x):
    if backend == "torch":
        import torch

        return torch.tensor(x)
    import tensorflow as tf

    return tf.constant(x)
