"""Schedules: what they give, what they watch, and that both backends get the same."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

import aelib
from aelib.settings import BACKENDS
from aelib.training import learning_rate_at

X = load_digits().data[:300] / 16.0


def rates(schedule, epochs, losses=()):
    return [learning_rate_at(schedule, epoch, epochs, losses) for epoch in range(epochs)]


def test_a_number_stays():
    assert rates(0.3, 3) == [0.3] * 3


@pytest.mark.parametrize("kind", [aelib.ExponentialDecay, aelib.CosineDecay])
def test_decays_go_from_the_initial_to_the_final_rate(kind):
    found = rates(kind(0.1, 0.001), 11)
    assert found[0] == pytest.approx(0.1)
    assert found[-1] == pytest.approx(0.001)
    assert np.all(np.diff(found) < 0)
    assert found[5] == pytest.approx({"ExponentialDecay": 0.01, "CosineDecay": 0.0505}[kind.__name__])
    assert rates(kind(0.1, 0.001), 1) == pytest.approx([0.1])


def test_steps():
    found = rates(aelib.StepDecay(0.8, factor=0.5, every=3), 8)
    assert found == pytest.approx([0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2])


def test_warm_up_rises_in_equal_steps_and_the_cosine_takes_over():
    found = rates(aelib.CosineDecay(0.4, 0.1, warm_up=3), 8)
    assert found[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert found[3:] == pytest.approx(rates(aelib.CosineDecay(0.4, 0.1), 5))
    assert rates(aelib.CosineDecay(0.4, 0.1, warm_up=3), 2) == pytest.approx([0.1, 0.2])


def test_a_plateau_reduces_the_rate_and_patience_is_counted_anew():
    schedule = aelib.ReduceOnPlateau(1.0, factor=0.5, patience=2, min_delta=0.1, minimum=0.3)
    # Best:   5    4    4   3.5, and then no improvement by more than 0.1
    losses = [5.0, 4.0, 3.95, 3.5, 3.45, 3.45, 3.45, 3.45]
    assert rates(schedule, 9, losses) == [1.0] * 6 + [0.5] * 2 + [0.3]


def test_only_losses_of_earlier_epochs_count():
    schedule = aelib.ReduceOnPlateau(1.0, patience=1)
    assert schedule.rate(1, 9, [2.0, 3.0, 3.0]) == 1.0
    assert schedule.rate(2, 9, [2.0, 3.0, 3.0]) == pytest.approx(0.1)


@pytest.mark.parametrize("watched", ["val_loss", "loss"])
def test_the_validation_loss_is_watched_or_else_the_training_loss(watched):
    """What counts as an improvement is set so high that there must be a plateau."""
    schedule = aelib.ReduceOnPlateau(1e-2, factor=0.2, patience=1, min_delta=1.0)
    model = aelib.Autoencoder(
        aelib.Dense((16,), code=4), learning_rate=schedule, epochs=12, random_state=0, backend="torch"
    )
    model.fit(X, validation_data=X[:50] if watched == "val_loss" else None)
    used = model.history_.learning_rate
    assert used[-1] < used[0]
    assert used == rates(schedule, 12, getattr(model.history_, watched))


@pytest.mark.parametrize(
    "schedule",
    [
        aelib.StepDecay(1e-2, factor=0.3, every=2),
        aelib.ExponentialDecay(1e-2, 1e-3),
        aelib.CosineDecay(1e-2, 1e-4, warm_up=2),
        aelib.ReduceOnPlateau(1e-2, factor=0.2, patience=1, min_delta=1.0),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_both_backends_use_the_same_rates(schedule, record):
    models = [
        aelib.Autoencoder(
            aelib.Dense((16,), code=4),
            learning_rate=schedule,
            epochs=8,
            random_state=0,
            backend=backend,
            dtype="float64",
        ).fit(X, validation_data=X[:50])
        for backend in BACKENDS
    ]
    torch, tensorflow = (model.history_ for model in models)
    assert torch.learning_rate == tensorflow.learning_rate
    assert len(set(torch.learning_rate)) > 1
    error = aelib.equivalence.relative_error(tensorflow.val_loss, torch.val_loss)
    record("validation losses under a schedule", error, 1e-9)
    assert error <= 1e-9


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (aelib.StepDecay(0.0), "initial rate must be a number in"),
        (aelib.StepDecay(0.1, factor=1.0), "factor must be a number in"),
        (aelib.StepDecay(0.1, every=0), "every must be at least 1"),
        (aelib.CosineDecay(0.1, 0.01, warm_up=-1), "warm_up must be at least 0"),
        (aelib.ReduceOnPlateau(0.0), "initial rate must be a number in"),
        (aelib.ReduceOnPlateau(0.1, factor=0.0), "factor must be a number in"),
        (aelib.ReduceOnPlateau(0.1, patience=0), "patience must be at least 1"),
        (aelib.ReduceOnPlateau(0.1, min_delta=-1.0), "min_delta must be a number in"),
        (aelib.ReduceOnPlateau(0.1, minimum=-1.0), "minimum must be a number in"),
        (aelib.ReduceOnPlateau(0.1, minimum=0.2), "minimum, 0.2, is above its initial rate"),
    ],
)
def test_what_cannot_be_is_refused(schedule, message):
    with pytest.raises(ValueError, match=message):
        aelib.Autoencoder(learning_rate=schedule).fit(X)
