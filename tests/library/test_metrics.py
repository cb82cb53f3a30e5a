"""Metrics against numbers worked out by hand, scikit-learn and scikit-image."""

import math

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import log_loss, mean_squared_error

from aelib import metrics

X = load_digits().data / 16.0
RANDOM = np.random.RandomState(0)
NOISY = np.clip(X + RANDOM.normal(0, 0.1, X.shape), 0, 1)


def test_squared_error_by_hand():
    x, reconstruction = [[1, 2], [3, 4]], [[1, 0], [0, 4]]
    np.testing.assert_array_equal(metrics.per_sample_squared_error(x, reconstruction), [4, 9])
    assert metrics.squared_error(x, reconstruction) == 6.5
    assert metrics.squared_error(x, x) == 0
    assert type(metrics.squared_error(x, reconstruction)) is float


def test_squared_error_is_the_mean_squared_error_times_the_features(record):
    expected = 64 * mean_squared_error(X, NOISY)
    error = abs(metrics.squared_error(X, NOISY) / expected - 1)
    record("squared error beside scikit-learn's", error, 1e-13)
    assert error <= 1e-13


def test_images_count_like_their_rows():
    pictures, noisy = X.reshape(-1, 8, 8, 1), NOISY.reshape(-1, 8, 8, 1)
    per_sample = metrics.per_sample_squared_error(pictures, noisy)
    np.testing.assert_array_equal(per_sample, metrics.per_sample_squared_error(X, NOISY))
    assert per_sample.shape == (1797,)
    assert metrics.binary_cross_entropy(pictures, noisy) == metrics.binary_cross_entropy(X, NOISY)
    assert metrics.entropy_floor(pictures) == metrics.entropy_floor(X)
    assert metrics.psnr(pictures, noisy) == metrics.psnr(X, NOISY)


@pytest.mark.parametrize("n", [4095, 4096, 4097, 10_000])
def test_large_sets_are_summed_whole(n):
    x, reconstruction = RANDOM.uniform(size=(2, n, 3))
    per_sample = metrics.per_sample_squared_error(x, reconstruction)
    np.testing.assert_allclose(per_sample, ((x - reconstruction) ** 2).sum(axis=1), rtol=1e-13)
    cross_entropy = -(x * np.log(reconstruction) + (1 - x) * np.log(1 - reconstruction)).sum(axis=1).mean()
    assert metrics.binary_cross_entropy(x, reconstruction) == pytest.approx(cross_entropy, rel=1e-12)


def test_small_types_are_computed_in_double_precision():
    x = RANDOM.uniform(size=(50, 784)).astype(np.float32)
    y = RANDOM.uniform(size=(50, 784)).astype(np.float32)
    expected = metrics.squared_error(x.astype(np.float64), y.astype(np.float64))
    assert metrics.squared_error(x, y) == expected
    assert metrics.per_sample_squared_error(x, y).dtype == np.float64
    black, white = np.zeros((2, 3), np.uint8), np.full((2, 3), 200, np.uint8)
    assert metrics.squared_error(black, white) == 3 * 200**2  # bytes would run over


def test_binary_cross_entropy_by_hand():
    assert metrics.binary_cross_entropy([[1, 0.5]], [[0.5, 0.5]]) == pytest.approx(2 * math.log(2))
    assert metrics.binary_cross_entropy([[1], [0]], [[0.25], [0.25]]) == pytest.approx(
        (math.log(4) + math.log(4 / 3)) / 2
    )


def test_binary_cross_entropy_is_the_log_loss_of_binary_data(record):
    x, p = (RANDOM.uniform(size=(200, 1)) > 0.5).astype(float), RANDOM.uniform(size=(200, 1))
    error = abs(metrics.binary_cross_entropy(x, p) / log_loss(x[:, 0], p[:, 0]) - 1)
    record("cross-entropy beside scikit-learn's", error, 1e-13)
    assert error <= 1e-13


def test_binary_cross_entropy_at_its_ends():
    assert metrics.binary_cross_entropy([[0, 1]], [[0, 1]]) == 0
    assert math.copysign(1, metrics.binary_cross_entropy([[0, 1]], [[0, 1]])) == 1  # prints as 0, not -0
    assert metrics.binary_cross_entropy([[1]], [[0]]) == math.inf
    assert metrics.binary_cross_entropy([[0.1]], [[1]]) == math.inf


def test_the_entropy_floor_is_the_cross_entropy_with_itself(record):
    floor = metrics.entropy_floor(X)
    error = abs(floor / metrics.binary_cross_entropy(X, X) - 1)
    record("entropy floor beside the cross-entropy", error, 1e-13)
    assert error <= 1e-13
    assert metrics.entropy_floor([[0.5, 0.5], [0.5, 1]]) == pytest.approx(1.5 * math.log(2))
    assert metrics.entropy_floor(np.round(X)) == 0
    assert floor < metrics.binary_cross_entropy(X, np.clip(0.99 * X, 0, 1)) < math.inf


def test_psnr_by_hand():
    x = np.full((3, 5), 0.5)
    assert metrics.psnr(x, x + 0.1) == pytest.approx(20)
    assert metrics.psnr(255 * x, 255 * x + 25.5, data_range=255) == pytest.approx(20)
    assert metrics.psnr(x, x + 0.1, data_range=10) == pytest.approx(40)
    assert metrics.psnr(x, x) == math.inf


@pytest.mark.parametrize("data_range", [1.0, 16.0])
def test_psnr_is_scikit_images(data_range, record):
    skimage = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    expected = skimage.peak_signal_noise_ratio(X, NOISY, data_range=data_range)
    error = abs(metrics.psnr(X, NOISY, data_range=data_range) - expected)
    record("PSNR beside scikit-image's (dB)", error, 1e-12)
    assert error <= 1e-12


def plane(angle):
    """Return the plane that holds the first axis and is turned about it, in a skew basis."""
    first, second = np.array([1.0, 0, 0]), np.array([0, math.cos(angle), math.sin(angle)])
    return np.column_stack([3 * first + second, first - 2 * second])


@pytest.mark.parametrize("angle", [1e-9, 1e-4, 0.3, 1.2, math.pi / 2])
def test_principal_angles_of_two_planes(angle):
    angles = metrics.principal_angles(plane(0), plane(angle))
    np.testing.assert_allclose(angles, [angle, 0], rtol=1e-6, atol=1e-15)


def test_principal_angles_of_a_line_and_a_plane():
    line = np.array([[0.0], [1.0], [1.0]])
    np.testing.assert_allclose(metrics.principal_angles(line, plane(0)), [math.pi / 4])
    np.testing.assert_allclose(metrics.principal_angles(plane(math.pi / 4), line), [0], atol=1e-15)


@pytest.mark.parametrize(
    ("a", "b"), [(np.eye(3)[:, 0], np.eye(3)), (np.eye(3), np.eye(4)), (np.zeros((1, 3, 3)), np.eye(3))]
)
def test_principal_angles_refuses_other_shapes(a, b):
    with pytest.raises(ValueError, match=r"two matrices with equally many rows .*not \(.*\) and \("):
        metrics.principal_angles(a, b)


@pytest.mark.parametrize("name", ["a", "b"])
def test_principal_angles_refuses_dependent_columns(name):
    dead = np.eye(4)[:, :3].copy()
    dead[:, 1] = 0
    bases = {"a": np.eye(4)[:, :2], "b": np.eye(4)[:, :2]} | {name: dead}
    with pytest.raises(ValueError, match=f"the 3 columns of {name} span only 2 dimensions.*drop"):
        metrics.principal_angles(**bases)


@pytest.mark.parametrize("n", [100, 1500])  # fewer and more than ten samples per feature
def test_pca_is_scikit_learns(n, record):
    train, test = X[:n], X[1500:]
    sizes = [30, 1, 2, 10]
    errors = metrics.pca_errors(train, test, sizes)
    for size, error in zip(sizes, errors, strict=True):
        pca = PCA(size, svd_solver="full").fit(train)
        expected = pca.inverse_transform(pca.transform(test))
        reconstruction = metrics.pca_reconstruction(train, test, size)
        difference = np.abs(reconstruction - expected).max()
        record("PCA's reconstruction beside scikit-learn's", difference, 1e-10)
        assert difference <= 1e-10
        assert error == pytest.approx(((test - expected) ** 2).sum() / len(test), rel=1e-10)
        assert metrics.pca_error(train, test, size) == pytest.approx(error, rel=1e-10)
        assert metrics.squared_error(test, reconstruction) == pytest.approx(error, rel=1e-10)


def test_pca_with_all_components_reconstructs():
    x = RANDOM.normal(size=(40, 5))
    assert metrics.pca_error(x, x, 5) < 1e-25
    np.testing.assert_allclose(metrics.pca_reconstruction(x[:4], x[:4], 4), x[:4], atol=1e-12)


def test_pca_in_single_precision_is_computed_in_double():
    train, test = X[:1500].astype(np.float32), X[1500:].astype(np.float32)  # sixteenths: exact in both
    assert metrics.pca_error(train, test, 10) == metrics.pca_error(X[:1500], X[1500:], 10)
    assert metrics.pca_reconstruction(train, test, 10).dtype == np.float64


@pytest.mark.parametrize("code", [0, -1, 65, 2.0, "2", None])
def test_pca_refuses_other_code_sizes(code):
    for function in (metrics.pca_error, metrics.pca_reconstruction):
        with pytest.raises(ValueError, match=f"whole number from 1 to 64, not {code!r}"):
            function(X, X, code)
    with pytest.raises(ValueError, match="from 1 to 20, not 21"):
        metrics.pca_errors(X[:20], X, [1, 21])


@pytest.mark.parametrize(("train", "test"), [(X, X[:, :5]), (X[0], X), (X, X[0]), (X.reshape(-1, 8, 8), X)])
def test_pca_refuses_other_shapes(train, test):
    for function in (metrics.pca_error, metrics.pca_reconstruction):
        with pytest.raises(ValueError, match=r"shape \(n, features\) with equal features, not \("):
            function(train, test, 2)


PAIRS = [
    metrics.squared_error,
    metrics.per_sample_squared_error,
    metrics.binary_cross_entropy,
    metrics.psnr,
]


@pytest.mark.parametrize("function", PAIRS)
def test_shapes_that_differ_are_refused(function):
    with pytest.raises(ValueError, match=r"x has the shape \(4, 3\), its reconstruction \(4, 2\)"):
        function(np.zeros((4, 3)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="they must be equal"):  # these would broadcast
        function(np.zeros((4, 3)), np.zeros((1, 3)))


@pytest.mark.parametrize("function", [*PAIRS, metrics.entropy_floor])
@pytest.mark.parametrize("shape", [(), (3,), (0, 3), (3, 0)])
def test_no_samples_are_refused(function, shape):
    arrays = [np.zeros(shape)] * (2 if function in PAIRS else 1)
    with pytest.raises(ValueError, match="at least one sample and one feature, not"):
        function(*arrays)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_cross_entropy_refuses_what_is_no_probability(value):
    good, bad = np.full((2, 2), 0.5), np.array([[0.5, value], [0.5, 0.5]])
    with pytest.raises(ValueError, match=r"x must lie in .*scale the data"):
        metrics.binary_cross_entropy(bad, good)
    with pytest.raises(ValueError, match=r"probabilities must lie in .*logit through a sigmoid"):
        metrics.binary_cross_entropy(good, bad)
    with pytest.raises(ValueError, match=f"x must lie in .*{value:g}"):
        metrics.entropy_floor(bad)
