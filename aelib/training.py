"""The epoch loop and what steers it: optimisers, early stopping, history. No framework here."""

import math
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Protocol

import numpy as np
from sklearn.base import BaseEstimator

from aelib.checks import check_number, check_positive_integer
from aelib.schedules import Schedule

Weights = dict[str, np.ndarray]

# Keys of noise that is the same in every epoch: of losses outside training, and of data binarised once.
EVALUATION_KEY = 0
STATIC_KEY = 1


class DivergenceError(ArithmeticError):
    """The training loss stopped being a finite number."""


class WorkerLostError(RuntimeError):
    """Another process of a training that several share has ended."""


class Trainer(Protocol):
    """What the loop needs of a wing's `engine.Trainer`."""

    def train_epoch(
        self, order: np.ndarray, noise_key: int, rate: float, beta: float = 1.0
    ) -> dict[str, float]:
        """Visit all samples once and return the mean of the loss and of each of its parts."""

    def get_state(self) -> Weights:
        """Return copies of what the optimiser remembers."""

    def set_state(self, state: Weights) -> None:
        """Replace what the optimiser remembers."""


class Model(Protocol):
    """What the loop needs of an estimator."""

    def get_weights(self) -> Weights:
        """Return copies of all weights."""

    def set_weights(self, weights: Weights) -> None:
        """Replace all weights."""


@dataclass
class History:
    """What happened in each epoch; index 0 is the first.

    Parameters
    ----------
    loss : list of float
        Mean training loss while the epoch ran (dropout and corruption on), weighted by batch size.
    val_loss : list of float
        The same loss on the validation data after the epoch, dropout off and the noise the same each time;
        empty where there was none.
    terms : dict of str to list of float
        The parts of `loss`: "reconstruction", and "penalty" where there is one (the loss is their sum) or
        "kl" (the divergence itself, before its factor and before free bits).
    learning_rate : list of float
        The rate used.
    best_epoch : int or None
        The epoch whose weights were restored by early stopping.
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    terms: dict[str, list[float]] = field(default_factory=dict)
    learning_rate: list[float] = field(default_factory=list)
    best_epoch: int | None = None

    def append(self, terms: dict[str, float], val_loss: float | None, rate: float) -> None:
        """Record one epoch; `terms` holds the loss under "loss", and its parts."""
        self.loss.append(terms["loss"])
        for name, value in terms.items():
            if name != "loss":
                self.terms.setdefault(name, []).append(value)
        if val_loss is not None:
            self.val_loss.append(val_loss)
        self.learning_rate.append(rate)


class Adam(BaseEstimator):
    """Adam as in Algorithm 1 of Kingma & Ba (2015): epsilon is added after the bias correction.

    Parameters
    ----------
    beta_1, beta_2 : float in [0, 1), default=0.9 and 0.999
        Decay rates of the two moment estimates.
    epsilon : float, default=1e-8
        Keeps the division finite.
    """

    def __init__(self, *, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def check(self) -> None:
        """Raise a ValueError that names the first setting out of range."""
        for name in ("beta_1", "beta_2"):
            check_number(name, getattr(self, name), "[0, 1)")
        check_number("epsilon", self.epsilon, "(0, inf)")


class SGD(BaseEstimator):
    """Stochastic gradient descent: ``v = momentum * v + gradient``, then ``weight -= rate * v``.

    Parameters
    ----------
    momentum : float in [0, 1), default=0
        Zero gives plain gradient descent.
    """

    def __init__(self, *, momentum: float = 0.0):
        self.momentum = momentum

    def check(self) -> None:
        """Raise a ValueError if the momentum is out of range."""
        check_number("momentum", self.momentum, "[0, 1)")


class EarlyStopping(BaseEstimator):
    """Stop when the validation loss has not improved for `patience` epochs.

    Parameters
    ----------
    patience : int, default=10
        Epochs without improvement before training stops.
    min_delta : float, default=0
        An improvement is a loss lower than the best one by more than this, in the loss's unit.
    restore_best : bool, default=True
        Go back to the weights of the best epoch at the end, also when all epochs were run.
    """

    def __init__(self, *, patience: int = 10, min_delta: float = 0.0, restore_best: bool = True):
        self.patience = patience
        self.min_delta = min_delta
        self.restore_best = restore_best

    def check(self) -> None:
        """Raise an error that names the first setting that cannot be."""
        check_positive_integer("patience", self.patience)
        check_number("min_delta", self.min_delta, "[0, inf)")

    def best_epoch(self, losses: Sequence[float]) -> int | None:
        """Return the last epoch that improved the loss, None before the first."""
        best, best_loss = None, math.inf
        for epoch, loss in enumerate(losses):
            if loss < best_loss - self.min_delta:
                best, best_loss = epoch, loss
        return best

    def is_over(self, losses: Sequence[float]) -> bool:
        """Tell whether `patience` epochs have passed without improvement."""
        return bool(losses) and len(losses) - 1 - self.best_epoch(losses) >= self.patience


def check_learning_rate(learning_rate: object) -> None:
    """Raise an error unless `learning_rate` is a positive number or a schedule of positive ones."""
    if hasattr(learning_rate, "rate"):
        learning_rate.check()
        return
    is_number = isinstance(learning_rate, Real) and not isinstance(learning_rate, bool)
    if not is_number or not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate must be a positive number or a schedule, got {learning_rate!r}")


def learning_rate_at(
    learning_rate: float | Schedule, epoch: int, epochs: int, losses: Sequence[float] = ()
) -> float:
    """Return the rate of `epoch` (0 is the first) from a number or a schedule, which may watch losses."""
    if hasattr(learning_rate, "rate"):
        return float(learning_rate.rate(epoch, epochs, losses))
    return float(learning_rate)


def beta_at(beta: float, warm_up: int, epoch: int) -> float:
    """Return the divergence's factor in `epoch` (0 is the first): from 0 up to `beta` in `warm_up` epochs."""
    return float(beta) * min(1.0, epoch / warm_up) if warm_up else float(beta)


def epoch_order(seed: int, epoch: int, samples: int, shuffle: bool) -> np.ndarray:
    """Return the order in which `epoch` visits the samples, the same under both backends."""
    if not shuffle:
        return np.arange(samples)
    return np.random.default_rng([seed, epoch]).permutation(samples)


def noise_key(seed: int, epoch: int) -> int:
    """Return the 31-bit key of all noise in `epoch`; a new one each epoch."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0] >> 1)


def stream_number(name: str) -> int:
    """Return the 31-bit number of a stream of noise, such as "encoder.0"; streams are independent."""
    return zlib.crc32(name.encode()) >> 1


def run_epochs(
    model: Model,
    trainer: Trainer,
    *,
    samples: int,
    validation_loss: Callable[[], float] | None,
    history: History,
    epochs: int,
    learning_rate: float | Schedule,
    beta: float,
    warm_up: int,
    early_stopping: EarlyStopping | None,
    shuffle: bool,
    seed: int,
    best: Weights | None,
    on_epoch: Callable[[Weights], object],
) -> None:
    """Train until `history` has `epochs` epochs; always leaves the model with weights that can be used.

    Parameters
    ----------
    model : Model
        The estimator whose network is trained.
    trainer : Trainer
        A wing's engine, holding the network and the training data.
    samples : int
        Number of training samples.
    validation_loss : callable or None
        Returns the loss on the validation data.
    history : History
        Appended to, epoch by epoch; a run that is resumed brings that of its first part.
    epochs, learning_rate, beta, warm_up, early_stopping, shuffle, seed
        As in the estimators.
    best : dict of ndarray or None
        A resumed run's weights of the best epoch so far.
    on_epoch : callable
        Called after every epoch with the weights of the best epoch so far.

    Raises
    ------
    DivergenceError
        At the first epoch with a loss that is not finite; the weights before it are restored.
    """
    good = model.get_weights()
    best = good if best is None else best
    try:
        for epoch in range(len(history.loss), epochs):
            if early_stopping is not None and early_stopping.is_over(history.val_loss):
                break
            rate = learning_rate_at(learning_rate, epoch, epochs, history.val_loss or history.loss)
            order = epoch_order(seed, epoch, samples, shuffle)
            terms = trainer.train_epoch(order, noise_key(seed, epoch), rate, beta_at(beta, warm_up, epoch))
            val_loss = None if validation_loss is None else validation_loss()
            losses = terms["loss"], 0.0 if val_loss is None else val_loss
            weights = model.get_weights()
            if not np.isfinite(losses).all() or not all(np.isfinite(w).all() for w in weights.values()):
                raise DivergenceError(_divergence_message(epoch, losses, rate))
            history.append(terms, val_loss, rate)
            good = weights
            if early_stopping is not None and early_stopping.best_epoch(history.val_loss) == epoch:
                best = weights
            on_epoch(best)
    except KeyboardInterrupt:
        model.set_weights(good)
        warnings.warn(
            f"fit was interrupted in epoch {len(history.loss) + 1} of {epochs}; the estimator keeps the "
            f"weights and the history of the {len(history.loss)} epochs that were completed",
            stacklevel=3,
        )
    except Exception:
        model.set_weights(good)
        raise
    if early_stopping is not None and early_stopping.restore_best and history.val_loss:
        model.set_weights(best)
        history.best_epoch = early_stopping.best_epoch(history.val_loss)


def _divergence_message(epoch: int, losses: tuple[float, float], rate: float) -> str:
    return (
        f"training diverged in epoch {epoch + 1}: training loss {losses[0]}, validation loss {losses[1]} at "
        f"learning rate {rate:g}; the weights from before that epoch are kept and can be used. Try a "
        "learning rate ten times smaller, data scaled to [0, 1], or another activation."
    )
