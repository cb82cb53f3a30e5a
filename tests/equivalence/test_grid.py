"""Both backends are the same model: outputs, loss terms, gradients and training, over a grid of settings."""

import itertools

import pytest
from suite import ARCHITECTURES, LOSSES, OPTIMIZERS, assert_equivalent, images, make_model

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


def test_all_long_runs_are_in_the_grid():
    assert set(GRID) >= LONG_RUNS
