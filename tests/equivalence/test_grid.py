"""Both backends are the same model: outputs, loss terms, gradients and training, over a grid of settings."""

import itertools

import pytest
from suite import (
    ARCHITECTURES,
    LOSSES,
    MODELS,
    OPTIMIZERS,
    assert_equivalent,
    composed,
    images,
    make_model,
)

import aelib

# These three train long; the others for as many steps as show a wrong optimiser.
LONG_RUNS = {
    ("linear", "squared_error", "sgd"),
    ("784-128-64-12-2", "squared_error", "adam"),
    ("tied", "binary_cross_entropy", "adam"),
}
GRID = list(itertools.product(ARCHITECTURES, LOSSES, OPTIMIZERS))


@pytest.mark.parametrize(("architecture", "loss", "optimizer"), GRID)
def test_float64(architecture, loss, optimizer, record):
    steps = 1000 if (architecture, loss, optimizer) in LONG_RUNS else 50
    model = make_model(aelib, ARCHITECTURES[architecture], loss, optimizer, "float64")
    assert_equivalent(aelib, model, images(), steps, record)


@pytest.mark.parametrize(("architecture", "loss", "optimizer"), GRID)
def test_float32(architecture, loss, optimizer, record):
    model = make_model(aelib, ARCHITECTURES[architecture], loss, optimizer, "float32")
    assert_equivalent(aelib, model, images(), 100, record)


@pytest.mark.parametrize("name", MODELS)
def test_composed_models(name, record):
    """Every part of the loss: 500 steps in float64."""
    model, x, y = composed(aelib, name)
    assert_equivalent(aelib, model, x, 500, record, y)


@pytest.mark.parametrize("loss", LOSSES)
def test_convolutions_on_28_by_28(loss, record):
    model = aelib.Autoencoder(
        aelib.Conv((8, 16), code=8), loss=loss, batch_size=32, random_state=0, dtype="float64"
    )
    assert_equivalent(aelib, model, images().reshape(-1, 28, 28, 1), 50, record)


@pytest.mark.parametrize("name", ["conv", "GRU", "LSTM"])
def test_composed_models_in_float32(name, record):
    model, x, _ = composed(aelib, name)
    assert_equivalent(aelib, model.set_params(dtype="float32"), x, 100, record)


def test_all_long_runs_are_in_the_grid():
    assert set(GRID) >= LONG_RUNS
