"""The counter-based random numbers: equal bits everywhere, uniform, and independent."""

import numpy as np
import numpy_reference
import pytest
from scipy import stats

from aelib.settings import BACKENDS, load_wing
from aelib.training import noise_key, stream_number


def noise(backend, key, rows):
    random = load_wing(backend).random
    if backend == "torch":
        import torch

        return random, random.Noise(key, torch.as_tensor(rows)), torch.float64
    import tensorflow as tf

    return random, random.Noise(tf.constant(key, tf.uint32), tf.constant(rows)), tf.float64


def drawn(backend, function, key=12345, rows=None, stream="encoder.0", columns=500):
    rows = np.arange(400) if rows is None else rows
    random, batch, dtype = noise(backend, key, rows)
    if function == "bits":
        return np.asarray(random.bits(batch, stream, columns)).view(np.uint32)
    return np.asarray(getattr(random, function)(batch, stream, columns, dtype))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("key", [0, 1, 2**31 - 1])
def test_bits_equal_the_numpy_reference(backend, key):
    rows = np.array([0, 1, 59_999, 7, 2**31 - 1])
    found = drawn(backend, "bits", key, rows, "decoder.3", 33)
    np.testing.assert_array_equal(found, numpy_reference.bits(key, rows, "decoder.3", 33))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_sample_gets_the_same_numbers_in_whatever_batch(backend):
    rows = np.arange(100)
    whole = drawn(backend, "bits", rows=rows)
    np.testing.assert_array_equal(drawn(backend, "bits", rows=rows[[40, 3]]), whole[[40, 3]])


def test_normals_agree_between_the_wings(record):
    torch, tensorflow = (drawn(backend, "normal", columns=501) for backend in BACKENDS)
    error = np.abs(torch - tensorflow).max()
    record("normal numbers, absolute", error, 1e-13)
    assert error <= 1e-13
    assert torch.shape == (400, 501)


def test_every_bit_is_fair():
    words = drawn("torch", "bits")
    ones = np.array([(words >> np.uint32(b) & np.uint32(1)).mean() for b in range(32)])
    deviation = np.abs(ones - 0.5) * 2 * np.sqrt(words.size)  # standard normal for a fair bit
    assert deviation.max() < 4.5


def test_uniform_and_normal_have_their_distributions():
    uniform = drawn("torch", "uniform").ravel()
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert stats.chisquare(np.histogram(uniform, bins=1000, range=(0, 1))[0]).pvalue > 1e-3
    normal = drawn("torch", "normal").ravel()
    assert stats.kstest(normal, "norm").pvalue > 1e-3
    assert abs(stats.kurtosis(normal)) < 0.05


def correlation(a, b):
    return abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) * np.sqrt(a.size)  # standard normal if independent


@pytest.mark.parametrize(
    "other",
    [
        {"key": 12346},
        {"stream": "encoder.1"},
        {"rows": np.arange(1, 401)},
        {"rows": np.arange(400, 800)},
        {"key": noise_key(0, 1)},
    ],
)
def test_neighbouring_keys_streams_and_rows_are_independent(other):
    a, b = drawn("torch", "uniform"), drawn("torch", "uniform", **other)
    if "rows" in other and other["rows"][0] == 1:
        a, b = a[::2], b[::2]  # rows shifted by one: pairs (0, 1), (2, 3), ... have no row in common
    assert correlation(a, b) < 4.5
    assert correlation((a - 0.5) ** 2, (b - 0.5) ** 2) < 4.5


def test_neighbouring_columns_and_far_lags_are_independent():
    u = drawn("torch", "uniform")
    for lag in (1, 2, 3, 28, 64, 250):
        assert correlation(u[:, :-lag], u[:, lag:]) < 4.5
    pairs = np.histogram2d(u[:, ::2].ravel(), u[:, 1::2].ravel(), bins=30, range=[(0, 1), (0, 1)])[0]
    assert stats.chisquare(pairs.ravel()).pvalue > 1e-3


def test_flipping_one_input_bit_flips_half_of_the_output_bits():
    words = np.random.default_rng(0).integers(0, 2**32, 20_000, dtype=np.uint32)
    before = numpy_reference.mix(words)
    for bit in range(32):
        flipped = np.bitwise_count(before ^ numpy_reference.mix(words ^ np.uint32(1 << bit)))
        assert abs(flipped.mean() - 16) < 0.5


def test_keys_and_streams_differ_and_fit_31_bits():
    keys = [noise_key(seed, epoch) for seed in range(20) for epoch in range(20)]
    assert len(set(keys)) == len(keys)
    assert 0 <= min(keys) <= max(keys) < 2**31
    assert 0 <= stream_number("encoder.0") < 2**31


@pytest.mark.parametrize("backend", BACKENDS)
def test_dropout_keeps_the_mean_and_drops_the_rate(backend):
    random, batch, dtype = noise(backend, 3, np.arange(300))
    ones = np.ones((300, 400))
    if backend == "torch":
        import torch

        x = torch.as_tensor(ones, dtype=dtype)
    else:
        import tensorflow as tf

        x = tf.constant(ones, dtype)
    dropped = np.asarray(random.dropout(x, 0.3, batch, "encoder.0"))
    assert set(np.unique(dropped)) == {0.0, 1.0 / 0.7}
    assert abs((dropped == 0).mean() - 0.3) < 0.006
