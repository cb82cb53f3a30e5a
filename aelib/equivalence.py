"""Are the two backends the same model? Same weights in: same outputs, losses, gradients, training out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone

from aelib import settings
from aelib.training import beta_at, epoch_order, learning_rate_at, noise_key

if TYPE_CHECKING:
    from aelib.base import BaseAutoencoder


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """Return max|a - b| / max|b|; where both are zero everywhere, zero.

    Parameters
    ----------
    a, b : array-like of equal shape
        `b` is the reference.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"arrays of different shapes cannot be compared: {a.shape} and {b.shape}")
    difference, size = np.abs(a - b).max(initial=0.0), np.abs(b).max(initial=0.0)
    if difference == 0.0:
        return 0.0
    return float(difference / size) if size > 0 else float("inf")


@dataclass(frozen=True)
class Equivalence:
    """The largest relative differences between PyTorch and TensorFlow, each max|a - b| / max|b| per array.

    Parameters
    ----------
    outputs : float
        The encoder's output for the same data and the decoder's for the same codes, with initial weights.
        (Not one after the other: in float32 the rounding of a deep network's two halves adds up to more than
        either framework's distance from the exact result.)
    losses : float
        Each term of the loss, dropout on.
    gradients : float
        The gradient of every weight, dropout on.
    trajectory : float
        The training losses of all epochs.
    weights : float
        Every weight after the last step. In float32 this one may be large while the losses agree: where a
        gradient is all rounding error, Adam still takes a whole step, in either direction.
    steps : int
        Training steps taken.
    """

    outputs: float
    losses: float
    gradients: float
    trajectory: float
    weights: float
    steps: int

    def __str__(self) -> str:
        return "\n".join(
            [
                "largest relative difference between PyTorch and TensorFlow",
                f"  outputs     {self.outputs:.1e}",
                f"  losses      {self.losses:.1e}",
                f"  gradients   {self.gradients:.1e}",
                f"  trajectory  {self.trajectory:.1e} over {self.steps} steps",
                f"  weights     {self.weights:.1e} after them",
            ]
        )


def check_equivalence(
    estimator: "BaseAutoencoder", x: np.ndarray, y: np.ndarray | None = None, *, steps: int = 50
) -> Equivalence:
    """Run the same model under both backends and compare.

    Parameters
    ----------
    estimator : Autoencoder or VariationalAutoencoder
        Its settings are used, not its weights; it is left as it is. `random_state` None counts as 0.
    x : ndarray, shape (samples, ...)
        Data; the first 64 samples are used for outputs and gradients, all for training.
    y : ndarray, shape (samples,), optional
        Classes, for a conditional model.
    steps : int, default=50
        Training steps, rounded up to whole epochs.

    Returns
    -------
    Equivalence
        The largest differences; print it for a table.
    """
    runs = [_run(estimator, backend, x, y, steps) for backend in settings.BACKENDS]
    (torch, tensorflow), taken = [run for run, _ in runs], runs[0][1]
    worst = {
        part: max(relative_error(tensorflow[part][name], torch[part][name]) for name in torch[part])
        for part in torch
    }
    return Equivalence(**worst, steps=taken)


def _run(
    estimator: "BaseAutoencoder", backend: str, x: np.ndarray, y: np.ndarray | None, steps: int
) -> tuple[dict[str, dict[str, np.ndarray]], int]:
    seed = 0 if estimator.random_state is None else estimator.random_state
    model = clone(estimator).set_params(backend=backend, random_state=seed)
    x, condition = model._prepare(x, y)
    trainer = model._build_trainer(x, condition)
    codes = (
        np.random.default_rng(0)
        .standard_normal((64, model._n_features_out))
        .astype(settings.array_dtype(model.dtype_))
    )
    few, classes = x[:64], None if condition is None else condition[:64]
    of_codes = None if condition is None else np.resize(condition, (64, condition.shape[1]))
    outputs = {
        "encoder": model._apply("encode", few, classes),
        "decoder": model._apply("decode", codes, of_codes),
    }
    losses, gradients = settings.load_wing(backend).engine.gradients(
        model.network_, model._objective(), few, noise_key(model.seed_, 0), classes
    )

    steps_per_epoch = -(-len(x) // model.batch_size)
    epochs = -(-steps // steps_per_epoch)
    curve = []
    for epoch in range(epochs):
        rate = learning_rate_at(model.learning_rate, epoch, epochs, curve)
        order = epoch_order(model.seed_, epoch, len(x), model.shuffle)
        beta = beta_at(getattr(model, "beta", 1.0), getattr(model, "warm_up", 0), epoch)
        curve.append(trainer.train_epoch(order, noise_key(model.seed_, epoch), rate, beta)["loss"])
    parts = {
        "outputs": outputs,
        "losses": losses,
        "gradients": gradients,
        "trajectory": {"loss": np.array(curve)},
        "weights": model.get_weights(),
    }
    return parts, epochs * steps_per_epoch
