"""Architectures, corruptions and penalties as parts of an autoencoder, and what is refused."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

import aelib
from aelib.settings import BACKENDS, load_wing

X = load_digits().data[:200] / 16.0
IMAGES = X.reshape(-1, 8, 8, 1)
SIGMOID = aelib.Dense(code=8, code_activation="sigmoid")


def quick(**settings):
    """Return a small model with few epochs, each a single step, for which TensorFlow need not call XLA."""
    defaults = {
        "architecture": aelib.Dense((16,), code=4),
        "epochs": 2,
        "batch_size": 256,
        "random_state": 0,
        "dtype": "float64",
    }
    return aelib.Autoencoder(**(defaults | settings))


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def test_conv_keeps_the_images_shape(backend):
    model = quick(architecture=aelib.Conv((4, 8), code=3), backend=backend).fit(IMAGES)
    assert model.transform(IMAGES).shape == (200, 3)
    assert model.reconstruct(IMAGES).shape == IMAGES.shape
    assert model.inverse_transform(np.zeros((5, 3))).shape == (5, 8, 8, 1)
    shapes = {name: array.shape for name, array in model.get_weights().items()}
    assert shapes["encoder.0.kernel"] == (4, 4, 1, 4)
    assert shapes["encoder.1.kernel"] == (4, 4, 4, 8)
    assert shapes["encoder.3.kernel"] == (2 * 2 * 8, 3)
    assert shapes["decoder.2.kernel"] == (4, 4, 4, 8)
    assert shapes["decoder.3.kernel"] == (4, 4, 1, 4)


def test_conv_takes_colours_and_oblong_images(backend):
    x = np.random.default_rng(0).random((20, 4, 12, 3))
    model = quick(architecture=aelib.Conv((5, 6), code=2), backend=backend).fit(x)
    assert model.reconstruct(x).shape == x.shape


def naive_conv(x, kernel, bias):
    """Kernel 4, stride 2, border 1, written as the sum that it is."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    n, height, width, _ = x.shape
    out = np.empty((n, height // 2, width // 2, kernel.shape[3]))
    for i in range(height // 2):
        for j in range(width // 2):
            patch = padded[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4, :]  # (n, 4, 4, inputs)
            out[:, i, j] = np.tensordot(patch, kernel, axes=3) + bias
    return out


def test_conv_is_the_convolution_and_its_transpose_the_adjoint(backend, record):
    model = quick(architecture=aelib.Conv((5,), code=3, activation="linear"), backend=backend).fit(IMAGES)
    weights = {name: array.copy() for name, array in model.get_weights().items()}
    weights["encoder.0.bias"] += 0.1
    model.set_weights(weights)
    flat = naive_conv(IMAGES, weights["encoder.0.kernel"], weights["encoder.0.bias"]).reshape(200, -1)
    code = flat @ weights["encoder.2.kernel"] + weights["encoder.2.bias"]
    error = aelib.equivalence.relative_error(model.transform(IMAGES), code)
    record("convolution beside a sum written out", error, 1e-12)
    assert error <= 1e-12
    # <A x, y> = <x, A' y> with the decoder's kernel in both
    z = np.random.default_rng(0).standard_normal((200, 3))
    y = (z @ weights["decoder.0.kernel"] + weights["decoder.0.bias"]).reshape(200, 4, 4, 5)
    transposed = model.inverse_transform(z) - weights["decoder.2.bias"]
    ahead = np.sum(naive_conv(IMAGES, weights["decoder.2.kernel"], 0.0) * y)
    error = aelib.equivalence.relative_error(np.sum(IMAGES * transposed), ahead)
    record("transposed convolution beside the adjoint", error, 1e-12)
    assert error <= 1e-12


def test_initial_kernels_have_the_variance_that_their_fans_ask_for():
    plan = aelib.Conv((32, 64), code=8).plan((28, 28, 1), "linear")
    weights = plan.initial_weights(0)
    for name, fan in {"encoder.1": 16 * 32, "decoder.2": 4 * 64}.items():
        assert weights[f"{name}.kernel"].var() == pytest.approx(2 / fan, rel=0.05)  # He et al. (2015)


CORRUPTIONS = [
    aelib.GaussianNoise(0.3),
    aelib.Masking(0.3),
    aelib.SaltAndPepper(0.3),
    aelib.UniformNoise(0.3),
]
STRUCTURED = [aelib.Downsampling(2), aelib.MissingBlock(3)]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_corrupt_draws_the_distribution_it_names(corruption):
    x = np.full((200, 500), 0.25)
    y = corruption.corrupt(x, random_state=0)
    assert np.array_equal(y, corruption.corrupt(x, random_state=0))
    assert np.all(x == 0.25)
    check_distribution(corruption, y)


def check_distribution(corruption, y):
    if isinstance(corruption, aelib.GaussianNoise):
        assert stats.kstest(((y - 0.25) / 0.3).ravel(), "norm").pvalue > 1e-3
        return
    if isinstance(corruption, aelib.UniformNoise):
        assert stats.kstest(((y - 0.25) / 0.3 + 0.5).ravel(), "uniform").pvalue > 1e-3
        return
    share = {value: np.mean(y == value) for value in (0.0, 0.25, 1.0)}
    expected = {0.0: 0.3, 0.25: 0.7, 1.0: 0.0}
    if isinstance(corruption, aelib.SaltAndPepper):
        expected = {0.0: 0.15, 0.25: 0.7, 1.0: 0.15}
    assert share == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_the_wings_corrupt_alike_and_as_the_ground_floor_does(corruption):
    drawn = {}
    for backend in BACKENDS:
        random = load_wing(backend).random
        if backend == "torch":
            import torch

            x = torch.full((200, 10, 50, 1), 0.25, dtype=torch.float64)
            noise = random.Noise(7, torch.arange(200)), random.Noise(8, torch.arange(200))
        else:
            import tensorflow as tf

            x = tf.fill((200, 10, 50, 1), tf.constant(0.25, tf.float64))
            rows = tf.range(200, dtype=tf.int64)
            noise = [random.Noise(tf.constant(key, tf.uint32), rows) for key in (7, 8)]
        drawn[backend], other = (np.asarray(random.corrupt(x, corruption, key)) for key in noise)
        assert drawn[backend].shape == (200, 10, 50, 1)
        assert not np.array_equal(drawn[backend], other)  # another epoch
        check_distribution(corruption, drawn[backend])
    np.testing.assert_allclose(drawn["torch"], drawn["tensorflow"], rtol=0, atol=1e-14)


def wing_corrupt(backend, corruption, x, key=7):
    """Return what a wing's `corrupt` makes of `x` in the epoch that `key` stands for."""
    random = load_wing(backend).random
    rows = np.arange(len(x))
    if backend == "torch":
        import torch

        noise = random.Noise(key, torch.as_tensor(rows))
        return random.corrupt(torch.as_tensor(x), corruption, noise).numpy()
    import tensorflow as tf

    noise = random.Noise(tf.constant(key, tf.uint32), tf.constant(rows))
    return random.corrupt(tf.constant(x), corruption, noise).numpy()


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_what_is_unknown_stays_so(corruption, backend):
    x = np.where(np.random.default_rng(0).random((50, 20)) < 0.5, np.nan, 0.25)
    for y in (corruption.corrupt(x, random_state=0), wing_corrupt(backend, corruption, x)):
        assert np.array_equal(np.isnan(y), np.isnan(x))
        assert not np.array_equal(y[~np.isnan(x)], x[~np.isnan(x)])


def test_downsampling_is_the_mean_of_each_block(backend):
    x = np.random.default_rng(0).random((5, 4, 6, 2))
    means = np.zeros((5, 2, 3, 2))
    for i in range(2):
        for j in range(3):
            means[:, i, j] = (x[:, 2 * i, 2 * j : 2 * j + 2] + x[:, 2 * i + 1, 2 * j : 2 * j + 2]).sum(1) / 4
    for y in (aelib.Downsampling(2).corrupt(x), wing_corrupt(backend, aelib.Downsampling(2), x)):
        for shift in np.ndindex(2, 2):
            np.testing.assert_allclose(y[:, shift[0] :: 2, shift[1] :: 2], means, rtol=1e-14)


def test_a_missing_block_is_one_square_anywhere(backend):
    x = np.ones((3000, 5, 7, 2))
    for y in (
        aelib.MissingBlock(3).corrupt(x, random_state=0),
        wing_corrupt(backend, aelib.MissingBlock(3), x),
    ):
        hidden = (y == 0).all(axis=3)
        assert np.array_equal(hidden, (y == 0).any(axis=3))
        rows, columns = hidden.any(axis=2), hidden.any(axis=1)
        assert np.array_equal(hidden, rows[:, :, None] & columns[:, None, :])
        for side, places in ((rows, 3), (columns, 5)):
            assert np.all(side.sum(axis=1) == 3)
            first = np.argmax(side, axis=1)
            assert np.all(side[np.arange(3000), first + 2])
            counts = np.bincount(first, minlength=places)
            assert len(counts) == places
            assert stats.chisquare(counts).pvalue > 1e-3
        together = np.histogram2d(np.argmax(rows, axis=1), np.argmax(columns, axis=1), bins=(3, 5))[0]
        assert stats.chisquare(together.ravel()).pvalue > 1e-3


def test_the_wings_hide_the_same_blocks():
    x = np.ones((50, 8, 8, 1))
    torch, tensorflow, other = (
        wing_corrupt(backend, aelib.MissingBlock(3), x, key)
        for backend, key in (("torch", 7), ("tensorflow", 7), ("tensorflow", 8))
    )
    assert np.array_equal(torch, tensorflow)
    assert not np.array_equal(tensorflow, other)


def test_noise_on_the_code_leaves_what_is_asked_afterwards_alone(backend):
    noise = aelib.UniformNoise(2.0)
    noisy = quick(code_corruption=noise, backend=backend).fit(X, validation_data=X)
    clean = quick(backend=backend).fit(X)
    assert noisy.history_.loss[0] != clean.history_.loss[0]
    np.testing.assert_array_equal(noisy.reconstruct(X), noisy.inverse_transform(noisy.transform(X)))
    error = np.mean(np.sum((noisy.reconstruct(X) - X) ** 2, axis=1))
    assert noisy.score(X) == pytest.approx(-error, rel=1e-12)
    assert noisy.history_.val_loss[-1] > error  # that of the noisy code


def test_corruption_changes_training_but_not_what_is_asked_of_it_afterwards(backend):
    noisy = quick(corruption=aelib.Masking(0.5), backend=backend).fit(X, validation_data=X)
    clean = quick(backend=backend).fit(X)
    assert noisy.history_.loss[0] != clean.history_.loss[0]
    error = np.mean(np.sum((noisy.reconstruct(X) - X) ** 2, axis=1))
    assert noisy.score(X) == pytest.approx(-error, rel=1e-12)
    assert noisy.history_.val_loss[-1] != pytest.approx(error, rel=1e-3)  # that of corrupted inputs


def test_validation_noise_is_the_same_after_every_epoch(backend):
    class Still:  # the weights stay as they are
        def rate(self, epoch, epochs, losses):
            return 0.0

        def check(self):
            pass

    model = quick(corruption=aelib.GaussianNoise(0.5), learning_rate=Still(), epochs=3, backend=backend)
    history = model.fit(X, validation_data=X).history_
    assert len(set(history.val_loss)) == 1
    assert len(set(history.loss)) == 3


def penalty_by_hand(penalty, model):
    weights = model.get_weights()
    code = model.transform(X)
    if isinstance(penalty, aelib.L1):
        return penalty.strength * np.abs(code).sum(axis=1).mean()
    if isinstance(penalty, aelib.L2):
        return penalty.strength * sum(np.sum(w**2) for name, w in weights.items() if "kernel" in name)
    if isinstance(penalty, aelib.Rate):
        variance = code.var(axis=0) / penalty.step**2 + 1 / 12
        return penalty.strength * np.sum(np.log2(np.sqrt(2 * np.pi * np.e * variance)))
    if isinstance(penalty, aelib.KLSparsity):
        mean, rho = code.mean(axis=0), penalty.rho
        return penalty.beta * np.sum(stats.entropy([[rho] * 8, [1 - rho] * 8], [mean, 1 - mean]))
    slopes = (code * (1 - code))[:, None, :] * weights["encoder.0.kernel"]  # (samples, features, code)
    return penalty.strength * np.sum(slopes**2, axis=(1, 2)).mean()


@pytest.mark.parametrize(
    "penalty",
    [
        aelib.L1(0.3),
        aelib.L2(0.2),
        aelib.KLSparsity(0.1, 2.0),
        aelib.Contractive(0.5),
        aelib.Rate(0.1, step=0.25),
    ],
)
def test_penalties_are_their_formulas(penalty, backend):
    model = quick(architecture=SIGMOID, penalty=penalty, backend=backend).fit(X)
    terms = load_wing(backend).engine.evaluate(model.network_, model._objective(), X)
    assert terms["penalty"] == pytest.approx(penalty_by_hand(penalty, model), rel=1e-12)
    assert terms["loss"] == pytest.approx(terms["reconstruction"] + terms["penalty"], rel=1e-12)
    assert terms["reconstruction"] == pytest.approx(-model.score(X), rel=1e-12)
    history = model.history_
    np.testing.assert_allclose(history.loss, np.sum(list(history.terms.values()), axis=0), rtol=1e-12)


def tensor(backend, x):
    if backend == "torch":
        import torch

        return torch.tensor(x)
    import tensorflow as tf

    return tf.constant(x)


def array(x):
    return x.detach().numpy() if hasattr(x, "detach") else x.numpy()


@pytest.mark.parametrize("architecture", [aelib.Dense((16,), code=5, activation="tanh"), SIGMOID])
def test_the_jacobian_is_exact(architecture, backend, record):
    """Beside finite differences; the closed form also beside automatic differentiation."""
    model = quick(architecture=architecture, backend=backend).fit(X)
    wing, few, h = load_wing(backend), X[:4], 1e-6
    jacobian = np.stack(
        [(model.transform(few + h * e) - model.transform(few - h * e)) / (2 * h) for e in np.eye(64)]
    )
    expected = np.sum(jacobian**2, axis=(0, 2))
    batch = tensor(backend, few)
    found = array(wing.losses.squared_jacobian_norm(model.network_, batch))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    if architecture is SIGMOID:
        spec = model.network_.encoder[0].spec
        general = type(spec)(**(vars(spec) | {"activation": "elu"}))  # any other name takes the general way

        class SigmoidInDisguise(dict):
            def __getitem__(self, name):
                return super().__getitem__("sigmoid" if name == "elu" else name)

        activations = wing.networks.ACTIVATIONS
        wing.networks.ACTIVATIONS = SigmoidInDisguise(activations)
        model.network_.encoder[0].spec = general
        try:
            automatic = array(wing.losses.squared_jacobian_norm(model.network_, batch))
        finally:
            wing.networks.ACTIVATIONS = activations
        error = aelib.equivalence.relative_error(found, automatic)
        record("contractive closed form beside automatic differentiation", error, 1e-12)
        assert error <= 1e-12


def test_parts_are_scikit_learn_parameters():
    model = quick(corruption=aelib.GaussianNoise(0.1), penalty=aelib.L1(0.1))
    assert clone(model).get_params()["corruption__sigma"] == 0.1
    search = GridSearchCV(model, {"corruption__sigma": [0.1, 0.5], "penalty__strength": [0.1]}, cv=2)
    assert set(search.fit(X).best_params_) == {"corruption__sigma", "penalty__strength"}


PENALTIES = [aelib.L1(0.1), aelib.L2(0.1), aelib.Contractive(0.1), aelib.Rate(0.1, step=0.5)]


@pytest.mark.parametrize("part", [*CORRUPTIONS, *STRUCTURED, *PENALTIES])
def test_parts_are_saved_and_loaded(part, tmp_path):
    name = "penalty" if part in PENALTIES else "corruption"
    model = quick(architecture=aelib.Conv((4,), code=2), **{name: part}).fit(IMAGES)
    model.save(tmp_path / "model")
    again = aelib.load(tmp_path / "model")
    assert getattr(again, name).get_params() == part.get_params()
    assert again.architecture.get_params() == model.architecture.get_params()
    np.testing.assert_array_equal(again.transform(IMAGES), model.transform(IMAGES))


BAD_SETTINGS = {
    "sigma zero": (
        {"corruption": aelib.GaussianNoise(0.0)},
        r"sigma must be a number in \(0, inf\), got 0.0",
    ),
    "sigma not a number": ({"corruption": aelib.GaussianNoise(np.nan)}, "sigma must be a number"),
    "p of one": ({"corruption": aelib.Masking(1.0)}, r"p must be a number in \(0, 1\), got 1.0"),
    "p negative": ({"corruption": aelib.SaltAndPepper(-0.1)}, "p must be a number"),
    "corruption as a name": (
        {"corruption": "masking"},
        "must be one of GaussianNoise, Masking, SaltAndPepper",
    ),
    "width zero": ({"code_corruption": aelib.UniformNoise(0.0)}, r"width must be a number in \(0, inf\)"),
    "factor of one": ({"corruption": aelib.Downsampling(1)}, "factor must be at least 2, got 1"),
    "blocks of rows": ({"corruption": aelib.Downsampling(2)}, r"images .* got samples of shape \(64,\)"),
    "a block of the code": (
        {"code_corruption": aelib.MissingBlock(2)},
        r"images .* got samples of shape \(4,\)",
    ),
    "size zero": ({"corruption": aelib.MissingBlock(0)}, "size must be at least 1, got 0"),
    "step zero": ({"penalty": aelib.Rate(0.1, step=0)}, r"step must be a number in \(0, inf\), got 0"),
    "strength negative": ({"penalty": aelib.L1(-1.0)}, r"strength must be a number in \[0, inf\), got -1.0"),
    "penalty as a number": ({"penalty": 0.1}, "penalty must be one of L1, L2, KLSparsity, Contractive"),
    "rho of one": ({"penalty": aelib.KLSparsity(1.0, 1.0)}, r"rho must be a number in \(0, 1\)"),
    "beta negative": ({"penalty": aelib.KLSparsity(0.1, -1.0)}, "beta must be a number"),
    "sparsity of a linear code": ({"penalty": aelib.KLSparsity(0.1, 1.0)}, "code_activation='sigmoid'"),
    "channels as a number": ({"architecture": aelib.Conv(32, code=2)}, r"tuple such as \(32, 64\), got 32"),
    "no channels": ({"architecture": aelib.Conv((), code=2)}, r"tuple such as \(32, 64\), got \(\)"),
    "channels zero": ({"architecture": aelib.Conv((4, 0), code=2)}, "number of channels must be at least 1"),
    "conv's activation": (
        {"architecture": aelib.Conv((4,), code=2, activation="gelu")},
        "'gelu'; choose one of",
    ),
}


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_bad_settings(case):
    settings, message = BAD_SETTINGS[case]
    with pytest.raises((ValueError, TypeError), match=message):
        quick(**settings).fit(X)


BAD_IMAGES = {
    "halved too often": (IMAGES, (4, 4, 4, 4), r"halves height and width 4 times.*8×8 → 4×4 → 2×2 → 1×1"),
    "odd": (np.zeros((5, 28, 28, 1)), (4, 4, 4), r"28×28 → 14×14 → 7×7, and no further.*multiples of 8"),
    "odd width": (np.zeros((5, 8, 7, 1)), (4,), r"images of 8×7 do not allow"),
    "channels missing": (
        X.reshape(-1, 8, 8),
        (4,),
        r"got \(200, 8, 8\); channels are missing: X\[..., None\]",
    ),
    "rows": (X, (4,), r"got \(200, 64\); data.images\(X\)"),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_bad_images(case):
    images, channels, message = BAD_IMAGES[case]
    with pytest.raises(ValueError, match=message):
        quick(architecture=aelib.Conv(channels, code=2)).fit(images)


def test_corruptions_that_do_not_fit_the_images():
    conv = aelib.Conv((4,), code=2)
    with pytest.raises(ValueError, match=r"Downsampling\(factor=3\) needs .* multiples of 3, got 8×8"):
        quick(architecture=conv, corruption=aelib.Downsampling(3)).fit(IMAGES)
    with pytest.raises(ValueError, match=r"MissingBlock\(size=9\) does not fit into images of 8×8"):
        quick(architecture=conv, corruption=aelib.MissingBlock(9)).fit(IMAGES)
    with pytest.raises(ValueError, match=r"needs images of shape .* got samples of shape \(64,\)"):
        aelib.MissingBlock(2).corrupt(X)


def test_images_of_another_size_than_in_fit():
    model = quick(architecture=aelib.Conv((4,), code=2)).fit(IMAGES)
    with pytest.raises(ValueError, match=r"\(8, 6, 1\), but the model was fitted to \(8, 8, 1\)"):
        model.transform(IMAGES[:, :, :6])


def test_validation_data_outside_the_range_of_the_loss():
    with pytest.raises(ValueError, match="reaches from 0 to 3"):
        quick(loss="binary_cross_entropy").fit(X, validation_data=3 * X)
