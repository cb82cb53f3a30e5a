"""Recurrent autoencoders: the equations of a step, sequences of different lengths, and what is refused."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.datasets import load_digits

import aelib
from aelib.settings import BACKENDS

IMAGES = load_digits().images[:60] / 16.0
LENGTHS = 3 + np.arange(60) % 6
SEQUENCES = [image[:length] for image, length in zip(IMAGES, LENGTHS, strict=True)]
PADDED = aelib.pad_sequences(SEQUENCES)
TOLERANCE = 1e-13


def quick(**settings):
    """Return a small model with few epochs, each a single step."""
    defaults = {
        "architecture": aelib.Recurrent(6, code=3),
        "epochs": 2,
        "batch_size": 64,
        "random_state": 0,
        "dtype": "float64",
    }
    return aelib.Autoencoder(**(defaults | settings))


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def states_by_hand(sequence, weights, name, cell):
    """Run one sequence (time, inputs) through a layer, gate by gate, as the papers write it."""
    kernel, recurrent = weights[f"{name}.kernel"], weights[f"{name}.recurrent_kernel"]
    bias, units = weights[f"{name}.bias"], recurrent.shape[0]
    gates = [slice(i * units, (i + 1) * units) for i in range(kernel.shape[1] // units)]
    state = memory = np.zeros(units)
    states = []
    for x in sequence:

        def seen(gate, x=x):
            return x @ kernel[:, gate] + bias[gate]

        def kept(gate, state=state):
            own = weights[f"{name}.recurrent_bias"][gate] if cell == "gru" else 0.0
            return state @ recurrent[:, gate] + own

        if cell == "gru":
            reset, update = (expit(seen(gate) + kept(gate)) for gate in gates[:2])
            new = np.tanh(seen(gates[2]) + reset * kept(gates[2]))
            state = (1 - update) * new + update * state
        else:
            write, forget, show = (expit(seen(gates[i]) + kept(gates[i])) for i in (0, 1, 3))
            memory = forget * memory + write * np.tanh(seen(gates[2]) + kept(gates[2]))
            state = show * np.tanh(memory)
        states.append(state)
    return np.array(states)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_recurrent_autoencoder_is_its_equations(cell, backend, record):
    model = quick(architecture=aelib.Recurrent(6, code=3, cell=cell), backend=backend).fit(PADDED)
    weights = model.get_weights()
    codes, outputs = [], []
    for sequence in SEQUENCES:
        last = states_by_hand(sequence, weights, "encoder.0", cell)[-1]
        codes.append(last @ weights["encoder.1.kernel"] + weights["encoder.1.bias"])
        repeated = np.tile(codes[-1], (8, 1))
        states = states_by_hand(repeated, weights, "decoder.1", cell)
        outputs.append(states @ weights["decoder.2.kernel"] + weights["decoder.2.bias"])
    for found, expected in (
        (model.transform(PADDED), codes),
        (model.inverse_transform(np.array(codes)), outputs),
    ):
        error = aelib.equivalence.relative_error(found, np.array(expected))
        record(f"{cell}, beside its equations, {backend}", error, TOLERANCE)
        assert error <= TOLERANCE


def keras_weights(weights, name, cell):
    """Return a layer's weights as Keras's own layer wants them: update, reset, new; one array of biases."""
    found = [weights[f"{name}.{part}"] for part in ("kernel", "recurrent_kernel", "bias")]
    if cell == "lstm":
        return found
    found[2] = np.stack([found[2], weights[f"{name}.recurrent_bias"]])
    units = len(found[1])
    order = np.r_[units : 2 * units, :units, 2 * units : 3 * units]
    return [array[..., order] for array in found]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_keras_own_layers_agree_with_reset_after_and_the_gates_reordered(cell):
    import keras

    model = quick(architecture=aelib.Recurrent(6, code=3, cell=cell), backend="tensorflow").fit(IMAGES)
    weights = model.get_weights()
    kind, settings = (keras.layers.GRU, {"reset_after": True}) if cell == "gru" else (keras.layers.LSTM, {})
    layer = kind(6, dtype="float64", **settings)
    layer.build((None, 8, 8))
    layer.set_weights(keras_weights(weights, "encoder.0", cell))
    codes = np.asarray(layer(IMAGES)) @ weights["encoder.1.kernel"] + weights["encoder.1.bias"]
    np.testing.assert_allclose(codes, model.transform(IMAGES), rtol=0, atol=1e-13)


def test_initial_weights():
    plan = aelib.Recurrent(50, code=3, cell="lstm").plan((8, 70), "linear")
    weights = plan.initial_weights(0)
    assert weights.keys() == plan.weight_shapes().keys()
    assert {name: array.shape for name, array in weights.items()} == plan.weight_shapes()
    for gate in np.split(weights["encoder.0.recurrent_kernel"], 4, axis=1):
        np.testing.assert_allclose(gate.T @ gate, np.eye(50), atol=1e-12)
    assert weights["encoder.0.kernel"].var() == pytest.approx(2 / (70 + 50), rel=0.05)
    np.testing.assert_array_equal(weights["encoder.0.bias"].reshape(4, 50).mean(axis=1), [0, 1, 0, 0])


def test_padding_changes_nothing(backend):
    model = quick(backend=backend).fit(PADDED)
    alone = [model.transform(aelib.pad_sequences([s, IMAGES[0]]))[0] for s in SEQUENCES[:6]]
    np.testing.assert_allclose(alone, model.transform(PADDED)[:6], rtol=0, atol=1e-14)
    reconstruction = model.reconstruct(PADDED)
    assert np.array_equal(np.isnan(reconstruction), np.isnan(PADDED))
    error = np.nansum((reconstruction - PADDED) ** 2, axis=(1, 2)).mean()
    assert model.score(PADDED) == pytest.approx(-error, rel=1e-12)
    losses = model.set_params(epochs=1).fit(PADDED, validation_data=PADDED).history_
    assert losses.val_loss[-1] == pytest.approx(-model.score(PADDED), rel=1e-12)


def test_a_sequence_learns_the_same_with_more_padding(backend):
    longer = np.concatenate([PADDED, np.full((60, 4, 8), np.nan)], axis=1)
    short, long = (quick(backend=backend).fit(x) for x in (PADDED, longer))
    np.testing.assert_allclose(long.transform(longer), short.transform(PADDED), rtol=0, atol=1e-13)


def test_a_loss_falls(backend):
    model = quick(architecture=aelib.Recurrent(32, code=8), epochs=60, learning_rate=1e-2, backend=backend)
    history = model.fit(PADDED).history_
    assert history.loss[-1] < 0.5 * history.loss[0]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_saved_under_one_backend_and_read_under_the_other(cell, backend, tmp_path):
    model = quick(architecture=aelib.Recurrent(6, code=3, cell=cell), backend=backend).fit(PADDED)
    model.save(tmp_path / "model")
    for other in BACKENDS:
        again = aelib.load(tmp_path / "model", backend=other)
        np.testing.assert_allclose(again.transform(PADDED), model.transform(PADDED), rtol=0, atol=1e-14)


def test_pytorch_builds_the_layer_without_its_own_random_numbers():
    import torch

    before = torch.get_rng_state()
    model = quick(architecture=aelib.Recurrent(6, code=3, cell="lstm"), backend="torch").fit(PADDED)
    assert torch.equal(before, torch.get_rng_state())
    frozen = model.network_.encoder[0].recurrent.bias_hh_l0
    assert not frozen.requires_grad
    assert torch.count_nonzero(frozen) == 0


def test_pad_sequences():
    padded = aelib.pad_sequences([np.ones((2, 3), np.float32), [[5, 6, 7]]])
    assert padded.dtype == np.float32
    np.testing.assert_array_equal(padded[0], np.ones((2, 3)))
    np.testing.assert_array_equal(padded[1], [[5, 6, 7], [np.nan] * 3])


BAD_LISTS = {
    "empty list": ([], "no sequence to pad"),
    "length zero": ([np.ones((2, 3)), np.ones((0, 3))], "sequence 1 has length zero"),
    "NaN": ([np.full((2, 3), np.nan)], "sequence 0 contains NaN or infinity"),
    "one axis": ([np.ones(4)], r"sequence 0 has shape \(4,\); each must be \(time, features\)"),
    "other features": ([np.ones((2, 3)), np.ones((2, 4))], r"sequence 1 has shape \(2, 4\)"),
}


@pytest.mark.parametrize("case", BAD_LISTS)
def test_lists_that_cannot_be_padded(case):
    sequences, message = BAD_LISTS[case]
    with pytest.raises(ValueError, match=message):
        aelib.pad_sequences(sequences)


def with_nan(place):
    x = IMAGES.copy()
    x[place] = np.nan
    return x


BAD_SEQUENCES = {
    "length zero": (with_nan(4), "the sequence in row 4 has length zero"),
    "a value unknown": (with_nan((5, 2, 3)), "1 NaN .* first in row 5; in a sequence NaN may only follow"),
    "a step unknown": (
        with_nan((5, 2)),
        "8 NaN .* first in row 5; in a sequence NaN may only follow its end",
    ),
    "the beginning unknown": (with_nan((5, slice(0, 2))), "16 NaN .* first in row 5"),
    "infinite": (np.where(IMAGES > 0.9, np.inf, IMAGES), "infinite"),
    "rows": (IMAGES.reshape(60, 64), r"Recurrent takes arrays of shape \(samples, time, features\)"),
    "images": (IMAGES[..., None], r"got \(60, 8, 8, 1\)"),
}


@pytest.mark.parametrize("case", BAD_SEQUENCES)
def test_bad_sequences(case):
    x, message = BAD_SEQUENCES[case]
    with pytest.raises(ValueError, match=message):
        quick().fit(x)
    with pytest.raises(ValueError):
        quick().fit(IMAGES).transform(x)


BAD_SETTINGS = {
    "units zero": ({"architecture": aelib.Recurrent(0, code=2)}, "units must be at least 1, got 0"),
    "cell": (
        {"architecture": aelib.Recurrent(4, code=2, cell="rnn")},
        "unknown cell 'rnn'; .* 'gru', 'lstm'",
    ),
    "masked": ({"missing": "mask"}, "missing='mask' is not for Recurrent"),
}


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_bad_settings(case):
    settings, message = BAD_SETTINGS[case]
    with pytest.raises(ValueError, match=message):
        quick(**settings).fit(IMAGES)


def test_a_variational_one_takes_whole_sequences_only():
    model = aelib.VariationalAutoencoder(aelib.Recurrent(4, code=2), epochs=1, random_state=0)
    assert model.fit(IMAGES).sample(3).shape == (3, 8, 8)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(PADDED)
