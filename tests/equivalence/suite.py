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


def assert_equivalent(
    package: ModuleType, model: object, x: np.ndarray, steps: int, record: Callable[[str, float, float], None]
) -> None:
    """Run `model` under both backends of `package` and hold every part to its tolerance."""
    measured = package.check_equivalence(model, x, steps=steps)
    failures = []
    for part, tolerance in TOLERANCES[model.dtype].items():
        error = getattr(measured, part)
        label = f"{model.dtype} {part}"
        record(f"{label}, {steps} steps" if part in ("trajectory", "weights") else label, error, tolerance)
        if not error <= tolerance:
            failures.append(f"{part}: {error:.1e} > {tolerance:.0e}")
    assert not failures, "; ".join(failures)
