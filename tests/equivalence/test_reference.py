"""Both wings agree with an independent NumPy reference in float64, and with random architectures."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy_reference import SGD, Adam, Reference
from suite import ARCHITECTURES, LOSSES, OPTIMIZERS, images, make_model

import aelib
from aelib.equivalence import relative_error
from aelib.layers import ACTIVATIONS
from aelib.objectives import Reconstruction
from aelib.settings import BACKENDS, load_wing
from aelib.training import epoch_order, learning_rate_at, noise_key

TOLERANCE = 1e-12


def prepared(model, backend):
    """Return the model under `backend` with initial weights, its trainer, and its data."""
    model = model.set_params(backend=backend)
    x, _ = model._prepare(images())
    return model, model._build_trainer(x), x


def reference_of(model):
    return Reference(model._plan(), model.get_weights(), model.loss)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_outputs_loss_and_gradients(architecture, loss, backend, record):
    model, _, x = prepared(make_model(aelib, ARCHITECTURES[architecture], loss), backend)
    reference = reference_of(model)
    key = noise_key(model.seed_, 0)
    terms, gradients = load_wing(backend).engine.gradients(model.network_, Reconstruction(loss), x, key)
    expected_loss, expected = reference.loss_and_gradients(x, (key, np.arange(len(x))))
    errors = {
        "outputs": relative_error(model.reconstruct(x), reference.output(x)),
        "losses": relative_error(terms["loss"], expected_loss),
        "gradients": max(relative_error(gradients[name], expected[name]) for name in expected),
    }
    for part, error in errors.items():
        record(f"NumPy reference, {part}", error, TOLERANCE)
    assert max(errors.values()) <= TOLERANCE, errors
    assert gradients.keys() == expected.keys()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("architecture", ["784-32", "784-128-64-12-2", "tied", "dropout"])
def test_training(architecture, optimizer, backend, record):
    model, trainer, x = prepared(make_model(aelib, ARCHITECTURES[architecture], optimizer=optimizer), backend)
    reference = reference_of(model)
    rule = Adam() if optimizer == "adam" else SGD(momentum=0.9)
    losses, expected_losses = [], []
    epochs = 7  # of three steps, the last with fewer samples
    for epoch in range(epochs):
        order = epoch_order(model.seed_, epoch, len(x), shuffle=True)
        key = noise_key(model.seed_, epoch)
        rate = learning_rate_at(model.learning_rate, epoch, epochs)
        losses.append(trainer.train_epoch(order, key, rate)["loss"])
        total = 0.0
        for start in range(0, len(x), model.batch_size):
            rows = order[start : start + model.batch_size]
            loss, gradients = reference.loss_and_gradients(x[rows], (key, rows))
            rule.step(reference.weights, gradients, rate)
            total += loss * len(rows)
        expected_losses.append(total / len(x))
    weights = model.get_weights()
    errors = {
        "training losses": relative_error(losses, expected_losses),
        "weights after training": max(relative_error(weights[n], w) for n, w in reference.weights.items()),
    }
    for part, error in errors.items():
        record(f"NumPy reference, {part}", error, 1e-9)
    assert max(errors.values()) <= 1e-9, errors


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    hidden=st.lists(st.integers(1, 40), max_size=3).map(tuple),
    code=st.integers(1, 20),
    activation=st.sampled_from(ACTIVATIONS),
    code_activation=st.sampled_from(ACTIVATIONS),
    output_activation=st.sampled_from(ACTIVATIONS),
    loss=st.sampled_from(LOSSES),
    tied=st.booleans(),
    dropout=st.sampled_from([0.0, 0.2, 0.7]),
    scale=st.sampled_from([0.1, 1.0, 3.0]),
)
def test_random_architectures(
    hidden, code, activation, code_activation, output_activation, loss, tied, dropout, scale
):
    architecture = aelib.Dense(
        hidden,
        code=code,
        activation=activation,
        code_activation=code_activation,
        tied=tied,
        dropout=dropout,
    )
    if loss == "binary_cross_entropy":
        output_activation = None
    found = {}
    for backend in BACKENDS:
        model = aelib.Autoencoder(
            architecture,
            loss=loss,
            output_activation=output_activation,
            random_state=1,
            backend=backend,
            dtype="float64",
        )
        x, _ = model._prepare(images()[:17, 300:420])
        model._build_trainer(x)
        model.set_weights({name: scale * array for name, array in model.get_weights().items()})
        terms, gradients = load_wing(backend).engine.gradients(model.network_, Reconstruction(loss), x, 7)
        found[backend] = {"loss": terms["loss"], "output": model.reconstruct(x), **gradients}
    reference = reference_of(model)
    loss_value, gradients = reference.loss_and_gradients(x, (7, np.arange(len(x))))
    expected = {"loss": loss_value, "output": reference.output(x), **gradients}
    # A gradient that cancels to nearly nothing is measured against the largest one.
    largest = max(np.abs(gradient).max() for gradient in gradients.values())
    for backend, results in found.items():
        for name, value in expected.items():
            size = max(np.abs(value).max(), 1e-3 * largest if name in gradients else 0.0)
            error = np.abs(results[name] - value).max() / size if size else 0.0
            assert error <= TOLERANCE, f"{backend}, {name}: {error:.1e}"
