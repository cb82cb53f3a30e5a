"""The estimator follows scikit-learn's conventions under both backends, and refuses what it cannot use."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import aelib
from aelib.settings import BACKENDS

X = load_digits().data[:200] / 16.0
Y = load_digits().target[:200]

# No check is expected to fail. An entry would be "check name": "why it cannot apply", at most three.
EXPECTED_FAILED_CHECKS: dict[str, str] = {}


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


@parametrize_with_checks(
    [quick(architecture=aelib.Dense(code=2), backend=backend) for backend in BACKENDS],
    expected_failed_checks=lambda estimator: EXPECTED_FAILED_CHECKS,
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def test_shapes_and_values(backend):
    model = quick(backend=backend).fit(X)
    codes = model.transform(X)
    assert codes.shape == (200, 4)
    assert codes.dtype == np.float64
    np.testing.assert_allclose(model.inverse_transform(codes), model.reconstruct(X), rtol=1e-12)
    error = np.mean(np.sum((model.reconstruct(X) - X) ** 2, axis=1))
    assert model.score(X) == pytest.approx(-error, rel=1e-12)


def test_training_lowers_the_loss_to_what_pca_reaches(backend):
    model = quick(
        architecture=aelib.Dense(code=4),
        learning_rate=aelib.ExponentialDecay(1e-1, 1e-4),
        epochs=300,
        batch_size=32,
        backend=backend,
    ).fit(X)
    pca = PCA(4).fit(X)
    best = np.mean(np.sum((pca.inverse_transform(pca.transform(X)) - X) ** 2, axis=1))
    assert best <= -model.score(X) <= 1.01 * best


def test_history(backend):
    model = quick(backend=backend, epochs=3, learning_rate=aelib.CosineDecay(1e-2, 1e-3)).fit(
        X[:150], validation_data=X[150:]
    )
    history = model.history_
    assert len(history.loss) == len(history.val_loss) == len(history.learning_rate) == 3
    assert history.loss == history.terms["reconstruction"]
    assert history.loss[0] > history.loss[-1]
    assert history.val_loss[-1] == pytest.approx(-model.score(X[150:]), rel=1e-12)
    assert history.learning_rate == pytest.approx([1e-2, 5.5e-3, 1e-3])


def test_epoch_loss_is_weighted_by_batch_size(backend):
    class Still:  # a schedule of rate zero: the weights stay, so the epoch's loss is the data's
        def check(self):
            pass

        def rate(self, epoch, epochs, losses):
            return 0.0

    model = quick(backend=backend, batch_size=128, epochs=1, learning_rate=Still()).fit(X)
    assert model.history_.loss[0] == pytest.approx(-model.score(X), rel=1e-12)


def test_same_seed_same_model_other_seed_other_model(backend):
    a, b, c = (quick(backend=backend, random_state=seed).fit(X).transform(X) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 1e-3


def test_fit_leaves_the_framework_and_numpy_random_states_alone(backend):
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    quick(backend=backend).fit(X)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_denormal_numbers_are_back_after_fit(backend):
    quick(backend=backend).fit(X)
    assert np.float64(2.0**-1060) * np.float64(1.0) > 0


def test_pickle_and_clone(backend):
    model = quick(backend=backend).fit(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    assert again.history_ == model.history_
    assert not hasattr(clone(model), "network_")


def test_pipeline_and_grid_search(backend):
    pipeline = make_pipeline(quick(backend=backend), LogisticRegression(max_iter=500))
    search = GridSearchCV(pipeline, {"autoencoder__architecture__code": [2, 8]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"autoencoder__architecture__code": 8}


def test_native_network(backend):
    network = quick(backend=backend).fit(X).network_
    if backend == "torch":
        import torch

        assert isinstance(network, torch.nn.Module)
        assert len(list(network.parameters())) == 8
    else:
        import keras

        assert isinstance(network, keras.Model)
        assert len(network.trainable_variables) == 8


def test_every_activation_and_option_trains(backend):
    for activation in aelib.architectures.ACTIVATIONS:
        architecture = aelib.Dense((8,), code=3, activation=activation, tied=True, dropout=0.1)
        model = quick(architecture=architecture, backend=backend, epochs=3).fit(X)
        assert model.history_.loss[-1] < model.history_.loss[0], activation


def test_early_stopping_restores_the_best_weights(backend):
    model = quick(
        architecture=aelib.Dense((64,), code=16),
        backend=backend,
        learning_rate=0.01,
        epochs=200,
        early_stopping=aelib.EarlyStopping(patience=5),
    ).fit(X[:40], validation_data=X[150:])
    history = model.history_
    assert len(history.loss) < 200
    assert history.best_epoch == int(np.argmin(history.val_loss)) == len(history.loss) - 6
    assert -model.score(X[150:]) == pytest.approx(min(history.val_loss), rel=1e-9)


def test_weights_round_trip(backend):
    a, b = quick(backend=backend).fit(X), quick(backend=backend, random_state=5).fit(X)
    b.set_weights(a.get_weights())
    np.testing.assert_array_equal(a.transform(X), b.transform(X))
    assert list(a.get_weights())[:2] == ["encoder.0.kernel", "encoder.0.bias"]
    assert a.get_weights()["encoder.0.kernel"].shape == (64, 16)
    a.get_weights()["encoder.0.kernel"][:] = 0  # a copy: the network does not change
    np.testing.assert_array_equal(a.transform(X), b.transform(X))


def test_divergence_stops_and_keeps_the_last_good_weights(backend):
    model = quick(backend=backend, optimizer="sgd", learning_rate=10.0, epochs=50)
    with pytest.raises(aelib.DivergenceError, match=r"diverged in epoch \d+.*ten times smaller"):
        model.fit(X)
    assert np.isfinite(model.reconstruct(X[:5])).all()
    assert len(model.history_.loss) < 50


def test_ctrl_c_leaves_a_usable_estimator(backend, monkeypatch):
    wing = aelib.settings.load_wing(backend)
    train_epoch = wing.engine.Trainer.train_epoch
    calls = []

    def interrupted(self, *arguments):
        losses = train_epoch(self, *arguments)  # the weights have moved when Ctrl-C comes
        calls.append(losses)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return losses

    monkeypatch.setattr(wing.engine.Trainer, "train_epoch", interrupted)
    model = quick(backend=backend, epochs=9)
    with pytest.warns(UserWarning, match="interrupted in epoch 4 of 9"):
        model.fit(X)
    assert len(model.history_.loss) == 3
    monkeypatch.undo()
    after_three = aelib.Autoencoder(**(model.get_params(deep=False) | {"epochs": 3})).fit(X)
    np.testing.assert_array_equal(model.transform(X), after_three.transform(X))


def test_long_data_is_computed_in_parts(backend, monkeypatch):
    model = quick(backend=backend).fit(X)
    whole = model.transform(X), model.score(X)
    monkeypatch.setattr(aelib.settings.load_wing(backend).engine, "ROWS_AT_ONCE", 64)
    np.testing.assert_allclose(model.transform(X), whole[0], rtol=1e-12, atol=1e-14)
    assert model.score(X) == pytest.approx(whole[1], rel=1e-12)


def test_no_warning_in_a_plain_fit(backend):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick(backend=backend).fit(X, validation_data=X)


def test_progress_bar_only_on_stderr(backend, capsys):
    quick(backend=backend).fit(X)
    assert capsys.readouterr().out == ""


BAD_DATA = {
    "not a number": (
        np.where(np.arange(64) == 3, np.nan, X[:5]),
        {},
        r"5 NaN or infinite.*row 0.*SimpleImputer",
    ),
    "infinity": (np.where(X[:5] == X[2].max(), np.inf, X[:5]), {}, "NaN or infinite"),
    "outside [0, 1]": (
        2 * X,
        {"loss": "binary_cross_entropy"},
        r"\[0, 1\].*reaches from 0 to 2.*MinMaxScaler",
    ),
    "images for Dense": (X.reshape(-1, 8, 8), {}, r"shape \(samples, features\), got \(200, 8, 8\); flatten"),
    "one sample as a vector": (X[0], {}, "Expected 2D array|1D array|shape"),
    "empty": (np.empty((0, 64)), {}, "minimum of 1 is required"),
    "no features": (np.empty((5, 0)), {}, "minimum of 1 is required|0 feature"),
    "validation of another width": (X, {"validation_data": X[:, :10]}, "X has 10 features.*expecting 64"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data(case, backend):
    data, settings, message = BAD_DATA[case]
    settings = dict(settings)
    fit_settings = {name: settings.pop(name) for name in ("validation_data",) if name in settings}
    with pytest.raises(ValueError, match=message):
        quick(backend=backend, **settings).fit(data, **fit_settings)


BAD_SETTINGS = {
    "code zero": ({"architecture": aelib.Dense(code=0)}, "code must be at least 1, got 0"),
    "code negative": ({"architecture": aelib.Dense(code=-3)}, "code must be at least 1, got -3"),
    "code not whole": (
        {"architecture": aelib.Dense(code=2.5)},
        "code must be an integer of at least 1, got 2.5",
    ),
    "hidden not a tuple": ({"architecture": aelib.Dense(32, code=2)}, r"tuple of layer sizes.*got 32"),
    "hidden size zero": (
        {"architecture": aelib.Dense((8, 0), code=2)},
        "hidden layer's size must be at least 1",
    ),
    "batch size": ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    "epochs": ({"epochs": -1}, "epochs must be at least 1, got -1"),
    "rate": ({"learning_rate": 0.0}, "learning_rate must be a positive number or a schedule, got 0.0"),
    "schedule": ({"learning_rate": aelib.CosineDecay(0.1, 0.0)}, "schedule's final rate must be a number in"),
    "loss": ({"loss": "mse"}, "unknown loss 'mse'; choose one of: 'squared_error', 'binary_cross_entropy'"),
    "activation": (
        {"architecture": aelib.Dense(code=2, code_activation="gelu")},
        "unknown code_activation 'gelu'.*'elu'",
    ),
    "output activation": (
        {"loss": "binary_cross_entropy", "output_activation": "linear"},
        "needs output_activation='sigmoid', got 'linear'",
    ),
    "optimizer": ({"optimizer": "rmsprop"}, "unknown optimizer 'rmsprop'; choose one of: 'adam', 'sgd'"),
    "momentum": ({"optimizer": aelib.SGD(momentum=1.0)}, r"momentum must be a number in \[0, 1\), got 1.0"),
    "beta": ({"optimizer": aelib.Adam(beta_2=1.5)}, r"beta_2 must be a number in \[0, 1\)"),
    "epsilon": ({"optimizer": aelib.Adam(epsilon=0.0)}, "epsilon must be a number in"),
    "dropout": (
        {"architecture": aelib.Dense(code=2, dropout=1.0)},
        r"dropout must be a number in \[0, 1\), got 1.0",
    ),
    "backend": ({"backend": "jax"}, "unknown backend 'jax'; choose one of: 'torch', 'tensorflow'"),
    "device": ({"device": "tpu"}, "unknown device 'tpu'; choose one of: 'auto', 'cpu', 'cuda'"),
    "dtype": ({"dtype": "float16"}, "unknown dtype 'float16'; choose one of: 'float32', 'float64'"),
    "early stopping": ({"early_stopping": aelib.EarlyStopping()}, "validation_data"),
    "patience": ({"early_stopping": aelib.EarlyStopping(patience=0)}, "patience must be at least 1"),
    "min_delta": (
        {"early_stopping": aelib.EarlyStopping(min_delta=-1.0)},
        "min_delta must be a number in",
    ),
}


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_bad_settings(case):
    settings, message = BAD_SETTINGS[case]
    with pytest.raises((ValueError, TypeError), match=message):
        quick(**settings).fit(X)


def test_use_before_fit():
    model = quick()
    for use in (model.transform, model.inverse_transform, model.reconstruct, model.score):
        with pytest.raises(ValueError, match="not fitted yet"):
            use(X)
    for use in (model.get_weights, lambda: model.save("model.npz")):
        with pytest.raises(ValueError, match="not fitted yet"):
            use()


def test_bad_weights_change_nothing(backend):
    model = quick(backend=backend).fit(X)
    codes = model.transform(X)
    good = model.get_weights()
    bad = {
        r"shape \(3,\); this network needs \(16,\)": good | {"encoder.0.bias": np.zeros(3)},
        "missing": {name: array for name, array in good.items() if name != "decoder.1.bias"},
        "unknown": good | {"encoder.7.kernel": np.zeros((2, 2))},
        "NaN": good | {"encoder.0.bias": np.full(16, np.nan)},
    }
    for message, weights in bad.items():
        with pytest.raises(ValueError, match=message):
            model.set_weights(weights)
    np.testing.assert_array_equal(model.transform(X), codes)


def test_codes_of_the_wrong_width(backend):
    with pytest.raises(ValueError, match="Z has 7 columns, but the code has 4 units"):
        quick(backend=backend).fit(X).inverse_transform(np.zeros((3, 7)))


def test_cuda_where_there_is_none(backend, monkeypatch):
    monkeypatch.setattr(aelib.settings.load_wing(backend).engine, "cuda_is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r"'cuda' was asked for, but .* sees no GPU"):
        quick(backend=backend, device="cuda").fit(X)
