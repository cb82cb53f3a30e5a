"""What the equivalence tests share: the data, the grid, the tolerances, and the one check they all make."""

from collections.abc import Callable
from functools import cache
from types import ModuleType

import numpy as np
from scipy.ndimage import zoom
from sklearn.datasets import load_digits

# Relative errors, max|a - b| / max|b| per array: the design's tolerances, never to be loosened.
TOLERANCES = {
    "float64": {"outputs": 1e-12, "losses": 1e-12, "gradients": 1e-12, "trajectory": 1e-9, "weights": 1e-9},
    "float32": {"outputs": 1e-6, "losses": 1e-6, "gradients": 1e-5, "trajectory": 1e-5},
}

ARCHITECTURES = {
    "linear": {"code": 16},
    "784-32": {"code": 32, "code_activation": "relu"},
    "784-128": {"code": 128, "code_activation": "sigmoid"},
    "784-10": {"code": 10, "code_activation": "tanh"},
    "784-128-64-12-2": {"hidden": (128, 64, 12), "code": 2, "activation": "elu"},
    "tied": {"hidden": (64,), "code": 8, "activation": "softplus", "tied": True},
    "dropout": {"hidden": (64, 32), "code": 8, "activation": "relu", "dropout": 0.3},
}
NET = {"hidden": (32,), "code": 4, "activation": "tanh"}
CONV = {"channels": (8, 16), "code": 4}
GRU = {"units": 12, "code": 4}
LSTM = {"units": 12, "code": 4, "cell": "lstm"}
SIGMOID = {"code": 20, "code_activation": "sigmoid"}
CROSS_ENTROPY = {"loss": "binary_cross_entropy"}
VAE = "VariationalAutoencoder"
# name: (estimator, architecture, settings); a tuple in the settings names a class and its arguments
MODELS = {
    "conv": ("Autoencoder", CONV, {}),
    "conv, cross-entropy": ("Autoencoder", CONV, CROSS_ENTROPY),
    "Gaussian noise": ("Autoencoder", NET, {"corruption": ("GaussianNoise", 0.3)}),
    "masking": ("Autoencoder", NET, {"corruption": ("Masking", 0.3), **CROSS_ENTROPY}),
    "salt and pepper": ("Autoencoder", NET, {"corruption": ("SaltAndPepper", 0.3)}),
    "L1": ("Autoencoder", NET, {"penalty": ("L1", 0.1)}),
    "L2": ("Autoencoder", NET, {"penalty": ("L2", 0.01)}),
    "KL sparsity": ("Autoencoder", SIGMOID, {"penalty": ("KLSparsity", 0.1, 0.5)}),
    "contractive, closed form": ("Autoencoder", SIGMOID, {"penalty": ("Contractive", 0.1)}),
    "contractive": ("Autoencoder", NET | {"dropout": 0.2}, {"penalty": ("Contractive", 0.1)}),
    "contractive conv": ("Autoencoder", CONV, {"penalty": ("Contractive", 0.1)}),
    "conv, masking and L1": (
        "Autoencoder",
        CONV,
        {"corruption": ("Masking", 0.3), "penalty": ("L1", 0.1)},
    ),
    "downsampling": ("Autoencoder", CONV, {"corruption": ("Downsampling", 2)}),
    "missing block": ("Autoencoder", CONV, {"corruption": ("MissingBlock", 3), **CROSS_ENTROPY}),
    "missing values": ("Autoencoder", NET, {"missing": "mask"}),
    "missing values, masking and L1": (
        "Autoencoder",
        NET,
        {"missing": "mask", "corruption": ("Masking", 0.3), "penalty": ("L1", 0.1), **CROSS_ENTROPY},
    ),
    "rate of a code with uniform noise": (
        "Autoencoder",
        NET,
        {"code_corruption": ("UniformNoise", 0.5), "penalty": ("Rate", 0.1)},
    ),
    "GRU": ("Autoencoder", GRU, {}),
    "LSTM": ("Autoencoder", LSTM, CROSS_ENTROPY),
    "GRU, noise on the code and L2": (
        "Autoencoder",
        GRU,
        {"corruption": ("Masking", 0.3), "code_corruption": ("GaussianNoise", 0.3), "penalty": ("L2", 0.01)},
    ),
    "VAE": (VAE, NET, {}),
    "VAE, conditional LSTM": (VAE, LSTM, {"condition": "class"}),
    "VAE, conv": (VAE, CONV, {}),
    "VAE, dropout and three samples": (VAE, NET | {"dropout": 0.2}, {"samples": 3}),
    "VAE, beta, warm-up and free bits": (VAE, NET, {"beta": 4.0, "warm_up": 20, "free_bits": 0.5}),
    "VAE, Gaussian": (VAE, NET, {"likelihood": "gaussian"}),
    "VAE, Gaussian of fixed variance": (VAE, CONV, {"likelihood": "gaussian", "variance": 0.1}),
    "VAE, binarised once": (VAE, NET, {"binarise": "static"}),
    "VAE, binarised anew": (VAE, NET, {"binarise": "dynamic"}),
    "VAE, conditional": (VAE, NET, {"condition": "class"}),
    "VAE, conditional conv": (VAE, CONV, {"condition": "class"}),
    "IWAE": (VAE, NET, {"objective": "iwae", "samples": 5}),
}
LOSSES = ("squared_error", "binary_cross_entropy")
OPTIMIZERS = ("adam", "sgd")


@cache
def images() -> np.ndarray:
    """Return 80 real digits enlarged to 28×28, (80, 784) in [0, 1]: two batches of 32 and one of 16."""
    small = load_digits().images[:80] / 16.0
    return np.clip(zoom(small, (1, 3.5, 3.5), order=1), 0.0, 1.0).reshape(80, 784)


def make_model(
    package: ModuleType,
    architecture: dict[str, object],
    loss: str = "squared_error",
    optimizer: str = "adam",
    dtype: str = "float64",
):
    """Return an unfitted model of `package`: `aelib`, or a copy of it with a fault."""
    # The rate falls, because a velocity that swallows the rate shows only when the rate changes.
    rate = 1e-3 if optimizer == "adam" else 1e-4
    return package.Autoencoder(
        package.Dense(**architecture),
        loss=loss,
        optimizer=package.Adam() if optimizer == "adam" else package.SGD(momentum=0.9),
        learning_rate=package.ExponentialDecay(rate, rate / 10),
        batch_size=32,
        random_state=0,
        dtype=dtype,
    )


def composed(package: ModuleType, name: str) -> tuple[object, np.ndarray, np.ndarray | None]:
    """Return one of `MODELS` with its data and classes."""
    kind, architecture, settings = MODELS[name]
    settings = {key: _part(package, value) for key, value in settings.items()}
    structure = {"channels": package.Conv, "units": package.Recurrent}
    structure = next((made for key, made in structure.items() if key in architecture), package.Dense)
    model = getattr(package, kind)(
        structure(**architecture),
        batch_size=32,
        random_state=0,
        dtype="float64",
        **settings,
    )
    x, y = load_digits(return_X_y=True)
    x = x[:80] / 16.0
    if structure is package.Conv:
        x = x.reshape(80, 8, 8, 1)
    elif structure is package.Recurrent:
        x = x.reshape(80, 8, 8)
        if kind != VAE:  # sequences of 3 to 8 rows
            x[np.arange(8) >= 3 + np.arange(80)[:, None] % 6] = np.nan
    elif settings.get("missing") == "mask":
        x[np.random.default_rng(0).random(x.shape) < 0.4] = np.nan
    return model, x, y[:80]


def _part(package: ModuleType, value: object) -> object:
    """Return ``package.Name(*arguments)`` for a tuple ("Name", arguments...)."""
    return getattr(package, value[0])(*value[1:]) if isinstance(value, tuple) else value


def assert_equivalent(
    package: ModuleType,
    model: object,
    x: np.ndarray,
    steps: int,
    record: Callable[[str, float, float], None],
    y: np.ndarray | None = None,
) -> None:
    """Run `model` under both backends of `package` and hold every part to its tolerance."""
    measured = package.check_equivalence(model, x, y, steps=steps)
    failures = []
    for part, tolerance in TOLERANCES[model.dtype].items():
        error = getattr(measured, part)
        label = f"{model.dtype} {part}"
        record(f"{label}, {steps} steps" if part in ("trajectory", "weights") else label, error, tolerance)
        if not error <= tolerance:
            failures.append(f"{part}: {error:.1e} > {tolerance:.0e}")
    assert not failures, "; ".join(failures)
