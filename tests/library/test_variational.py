"""The variational autoencoder: its bounds against exact ones, its conventions, and what is refused."""

import pickle
import resource
import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

import aelib
from aelib.settings import BACKENDS, load_wing

X = load_digits().data[:200] / 16.0
Y = load_digits().target[:200]
VAE = aelib.VariationalAutoencoder


def quick(**settings):
    """Return a small model with few epochs, each a single step, for which TensorFlow need not call XLA."""
    defaults = {
        "architecture": aelib.Dense((16,), code=3),
        "epochs": 2,
        "batch_size": 256,
        "learning_rate": 1e-2,
        "random_state": 0,
        "dtype": "float64",
    }
    return VAE(**(defaults | settings))


def fitted(*arguments, **settings):
    """Fit, whatever it says of the code after so few steps."""
    model = quick(**settings)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "posterior collapse")
        return model.fit(*arguments)


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.mark.filterwarnings("ignore:posterior collapse")
@parametrize_with_checks(
    [quick(architecture=aelib.Dense(code=2), likelihood="gaussian", backend=backend) for backend in BACKENDS]
)
def test_scikit_learn(estimator, check):
    check(estimator)


def test_shapes(backend):
    model = fitted(X, backend=backend)
    mean, deviation = model.posterior(X)
    assert mean.shape == deviation.shape == (200, 3)
    assert (deviation > 0).all()
    np.testing.assert_array_equal(mean, model.transform(X))
    np.testing.assert_allclose(model.reconstruct(X), model.inverse_transform(mean), rtol=1e-12)
    assert model.sample(7, random_state=0).shape == (7, 64)
    np.testing.assert_array_equal(model.sample(7, random_state=0), model.sample(7, random_state=0))
    assert not np.array_equal(model.sample(7), model.sample(7))
    assert model.elbo(X).shape == model.log_likelihood(X).shape == (200,)
    assert model.score(X) == pytest.approx(model.elbo(X).mean())
    assert list(model.history_.terms) == ["reconstruction", "kl"]


def exact_model(backend, k=2, variance=0.3):
    """Return a linear model whose posterior is exact, with its weights: probabilistic PCA."""
    model = fitted(
        X, architecture=aelib.Dense(code=k), likelihood="gaussian", variance=variance, backend=backend
    )
    rng = np.random.default_rng(0)
    directions, _ = np.linalg.qr(rng.standard_normal((64, k)))
    loadings = directions * [0.8, 0.4]  # orthogonal columns: the posterior has no correlations
    offset = rng.random(64)
    precision = 1 + np.sum(loadings**2, axis=0) / variance  # of the posterior
    to_mean = loadings / variance / precision
    model.set_weights(
        {
            "encoder.0.kernel": np.hstack([to_mean, np.zeros((64, k))]),
            "encoder.0.bias": np.concatenate([-offset @ to_mean, -np.log(precision)]),
            "decoder.0.kernel": loadings.T,
            "decoder.0.bias": offset,
        }
    )
    exact = stats.multivariate_normal(offset, loadings @ loadings.T + variance * np.eye(64)).logpdf(X)
    return model, exact


def test_the_bound_is_exact_where_the_posterior_is(backend, record):
    model, exact = exact_model(backend)
    for samples in (1, 7, 100):  # every weight equals the evidence, so any number of samples gives it
        error = aelib.equivalence.relative_error(model.log_likelihood(X, samples=samples), exact)
        record("importance-weighted bound beside the exact evidence", error, 1e-12)
        assert error <= 1e-12
    elbo = model.elbo(X, samples=4000)
    assert np.abs(elbo - exact).max() < 0.5
    assert abs(np.mean(elbo - exact)) < 0.02


def test_more_samples_tighten_the_bound(backend):
    model = fitted(X, backend=backend, epochs=30)
    bounds = [model.log_likelihood(X, samples=k).mean() for k in (1, 10, 100, 1000)]
    assert model.elbo(X, samples=200).mean() < bounds[1] < bounds[2] < bounds[3]


def test_losses_are_their_formulas(backend):
    model = fitted(X, backend=backend, likelihood="gaussian", variance=0.5, beta=3.0, free_bits=0.2)
    terms = load_wing(backend).engine.evaluate(model.network_, model._objective(), X, None, 3.0)
    mean, deviation = model.posterior(X)
    kl = -0.5 - np.log(deviation) + 0.5 * (mean**2 + deviation**2)  # (samples, code)
    assert terms["kl"] == pytest.approx(kl.sum(axis=1).mean(), rel=1e-12)
    charged = np.maximum(kl.mean(axis=0), 0.2).sum()
    assert terms["loss"] == pytest.approx(terms["reconstruction"] + 3 * charged, rel=1e-12)
    # one draw of the code: the reconstruction differs from the mean's by noise, not by a constant
    at_mean = -stats.norm(model.reconstruct(X), np.sqrt(0.5)).logpdf(X).sum(axis=1).mean()
    assert at_mean < terms["reconstruction"] < at_mean + 20


def test_a_learned_variance_finds_the_residuals(backend):
    model = fitted(X, backend=backend, likelihood="gaussian", epochs=400, learning_rate=3e-2)
    variance = np.exp(model.get_weights()["likelihood.log_variance"])
    # its optimum is the mean squared residual of the sampled reconstructions, a little above the mean's
    residual = np.mean((model.reconstruct(X) - X) ** 2)
    assert residual < variance < 1.6 * residual


def test_warm_up_raises_beta_from_zero(backend):
    model = fitted(X, backend=backend, beta=2.0, warm_up=3, epochs=5)
    loss, terms = model.history_.loss, model.history_.terms
    charged = (np.array(loss) - terms["reconstruction"]) / terms["kl"]
    np.testing.assert_allclose(charged, [0, 2 / 3, 4 / 3, 2, 2], atol=1e-12)


def test_binarised_once_or_anew(backend):
    class Still:
        def rate(self, epoch, epochs, losses):
            return 0.0

        def check(self):
            pass

    kl = {}
    for binarise in (None, "static", "dynamic"):
        model = fitted(X, backend=backend, binarise=binarise, learning_rate=Still(), epochs=3)
        kl[binarise] = model.history_.terms["kl"]  # depends on the data, not on the codes' noise
    assert np.ptp(kl[None]) == pytest.approx(0, abs=1e-12)
    assert np.ptp(kl["static"]) == pytest.approx(0, abs=1e-12)
    assert np.ptp(kl["dynamic"]) > 1e-6
    assert kl["static"][0] != pytest.approx(kl[None][0], rel=1e-6)


def test_conditional(backend):
    model = fitted(X, Y, backend=backend, condition="class")
    assert list(model.classes_) == list(range(10))
    threes = model.sample(5, condition=3, random_state=0)
    eights = model.sample(5, condition=[8] * 5, random_state=0)
    assert not np.allclose(threes, eights)
    assert model.transform(X, Y).shape == (200, 3)
    assert model.log_likelihood(X, 10, Y).mean() > model.elbo(X, condition=Y).mean()
    assert model.score(X, Y) == pytest.approx(model.elbo(X, condition=Y).mean())
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.sample(5, condition=3, random_state=0), threes)


def test_conditional_with_names_as_classes_and_validation():
    names = np.array(list("abcdefghij"))[Y]
    model = quick(condition="class", early_stopping=aelib.EarlyStopping(patience=1))
    model.fit(X, names, validation_data=(X[:50], names[:50]))
    assert len(model.history_.val_loss) == 2
    assert model.sample(1, condition="c").shape == (1, 64)


@pytest.mark.parametrize("settings", [{"likelihood": "gaussian"}, {"condition": "class"}])
@pytest.mark.parametrize(("writer", "reader"), [BACKENDS, BACKENDS[::-1]])
def test_written_under_one_backend_read_under_the_other(writer, reader, settings, tmp_path):
    model = fitted(X, Y, backend=writer, **settings)
    model.save(tmp_path / "model")
    again = aelib.load(tmp_path / "model", backend=reader)
    classes = Y if model.condition else None
    np.testing.assert_allclose(again.elbo(X, condition=classes), model.elbo(X, condition=classes), rtol=1e-12)
    assert type(again) is VAE
    assert again.active_units_ == model.active_units_
    assert clone(again).get_params()["likelihood"] == model.likelihood


def test_memory_stays_bounded_however_many_samples(backend):
    model = fitted(X, backend=backend)
    model.log_likelihood(X, samples=64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.log_likelihood(X[:50], samples=20_000)  # at once: 50 · 20,000 · 64 · 8 bytes = 512 MB
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024  # MB
    assert grown < 200


def test_parts_do_not_change_the_bounds(backend, monkeypatch):
    model = fitted(X, backend=backend)
    whole = model.elbo(X, samples=8), model.log_likelihood(X, samples=8)
    monkeypatch.setattr(load_wing(backend).engine, "ROWS_AT_ONCE", 64)
    np.testing.assert_allclose(model.elbo(X, samples=8), whole[0], rtol=1e-12)
    np.testing.assert_allclose(model.log_likelihood(X, samples=8), whole[1], rtol=1e-12)


def test_collapse_is_said_in_words_and_the_model_kept(backend):
    model = quick(beta=1000.0, epochs=60, backend=backend)
    with pytest.warns(UserWarning, match=r"posterior collapse: none of the 3 code units.*warm_up"):
        model.fit(X)
    assert model.active_units_ == 0
    assert np.isfinite(model.reconstruct(X)).all()


def test_divergence_keeps_the_last_good_weights(backend):
    model = quick(likelihood="gaussian", optimizer="sgd", learning_rate=1e6, epochs=9, backend=backend)
    with pytest.raises(aelib.DivergenceError, match=r"diverged in epoch \d+"):
        model.fit(X)
    assert np.isfinite(model.reconstruct(X)).all()


def test_active_units_counts_what_varies():
    means = np.random.default_rng(0).standard_normal((500, 3)) * [1.0, 0.05, 0.2]
    assert aelib.metrics.active_units(means) == 2
    assert aelib.metrics.active_units(means, threshold=0.5) == 1


BAD = {
    "likelihood": ({"likelihood": "poisson"}, X, "unknown likelihood 'poisson'"),
    "objective": ({"objective": "miwae"}, X, "unknown objective 'miwae'"),
    "binarise": ({"binarise": "always"}, X, "unknown binarise 'always'"),
    "condition": ({"condition": "digit"}, X, "unknown condition 'digit'; choose one of: 'class'"),
    "beta": ({"beta": -1.0}, X, r"beta must be a number in \[0, inf\), got -1.0"),
    "beta not a number": ({"beta": np.nan}, X, "beta must be a number"),
    "free bits": ({"free_bits": -0.1}, X, "free_bits must be a number"),
    "samples": ({"samples": 0}, X, "samples must be at least 1, got 0"),
    "warm-up": ({"warm_up": 2.5}, X, "warm_up must be an integer of at least 0, got 2.5"),
    "variance": ({"likelihood": "gaussian", "variance": 0.0}, X, r"variance must be a number in \(0, inf\)"),
    "variance of Bernoulli": ({"variance": 0.1}, X, "cannot have a variance: Bernoulli has none"),
    "binarised densities": ({"likelihood": "gaussian", "binarise": "static"}, X, "cannot have binarise"),
    "iwae with beta": ({"objective": "iwae", "beta": 2.0}, X, "together with objective='iwae'"),
    "tied": ({"architecture": aelib.Dense(code=2, tied=True)}, X, "cannot have tied=True"),
    "code activation": (
        {"architecture": aelib.Dense(code=2, code_activation="sigmoid")},
        X,
        "cannot have a code_activation",
    ),
    "data above 1": ({}, 2 * X, r"likelihood='bernoulli' needs values in \[0, 1\].*reaches from 0 to 2"),
    "binarised data below 0": ({"binarise": "dynamic"}, X - 1, r"needs values in \[0, 1\]"),
    "no classes": ({"condition": "class"}, X, r"needs the classes of the training samples: fit\(X, y\)"),
    "samples beyond memory": ({"samples": 10**12}, X, r"GB.*this machine has.*fewer samples"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_and_data(case):
    settings, data, message = BAD[case]
    with pytest.raises((ValueError, TypeError), match=message):
        quick(**settings).fit(data)


@pytest.fixture(scope="module")
def conditional():
    return fitted(X, Y, condition="class")


def test_classes_of_the_wrong_number(conditional):
    with pytest.raises(ValueError, match=r"shape \(3,\), but there are 5 samples"):
        conditional.sample(5, condition=[1, 2, 3])
    with pytest.raises(ValueError, match=r"fit\(X, y\) has shape \(10,\), but there are 200 samples"):
        quick(condition="class").fit(X, Y[:10])


def test_a_single_class():
    with pytest.raises(ValueError, match="at least two classes, but all are of 'cat'; leave the condition"):
        quick(condition="class").fit(X, ["cat"] * len(X))


def test_unknown_classes(conditional):
    with pytest.raises(ValueError, match=r"unknown classes \[10\]; known: \[0, 1, 2"):
        conditional.sample(1, condition=10)


@pytest.mark.parametrize(
    "method", ["transform", "posterior", "reconstruct", "elbo", "log_likelihood", "score"]
)
def test_classes_given_to_fit_but_not_afterwards(conditional, method):
    with pytest.raises(ValueError, match="fitted with classes and needs them here too"):
        getattr(conditional, method)(X)


def test_classes_given_to_fit_but_not_to_sample(conditional):
    with pytest.raises(ValueError, match="fitted with classes and needs them here too"):
        conditional.sample(3)


def test_classes_for_a_model_without_a_condition():
    with pytest.raises(ValueError, match="this model has no condition"):
        fitted(X).sample(3, condition=1)


def test_bounds_of_data_outside_the_range():
    with pytest.raises(ValueError, match="reaches from 0 to 2"):
        fitted(X).elbo(2 * X)


@pytest.mark.parametrize("samples", [0, -1, 2.5])
def test_bad_numbers_of_samples(samples):
    with pytest.raises((ValueError, TypeError), match="samples must be"):
        fitted(X).log_likelihood(X, samples=samples)
