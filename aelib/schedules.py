"""Schedules: the learning rate of each epoch as a pure function of the epoch and of the losses so far."""

import math
from collections.abc import Sequence

from sklearn.base import BaseEstimator

from aelib.checks import check_integer, check_number, check_positive_integer


class StepDecay(BaseEstimator):
    """A learning rate that falls by a factor every few epochs.

    Parameters
    ----------
    initial : float
        Rate of the first epochs, positive.
    factor : float in (0, 1), default=0.1
        What the rate is multiplied by at each step.
    every : int, default=10
        Epochs from one step to the next.
    """

    def __init__(self, initial: float, *, factor: float = 0.1, every: int = 10):
        self.initial = initial
        self.factor = factor
        self.every = every

    def check(self) -> None:
        """Raise an error that names the first setting that cannot be."""
        check_number("the schedule's initial rate", self.initial, "(0, inf)")
        check_number("the schedule's factor", self.factor, "(0, 1)")
        check_positive_integer("every", self.every)

    def rate(self, epoch: int, epochs: int, losses: Sequence[float] = ()) -> float:
        """Return the rate of `epoch` (0 is the first)."""
        return self.initial * self.factor ** (epoch // self.every)


class ExponentialDecay(BaseEstimator):
    """A learning rate that falls by the same factor every epoch, from `initial` to `final`.

    Parameters
    ----------
    initial, final : float
        Rate of the first and of the last epoch, both positive.
    """

    def __init__(self, initial: float, final: float):
        self.initial = initial
        self.final = final

    def check(self) -> None:
        """Raise a ValueError unless both rates are positive numbers."""
        for name in ("initial", "final"):
            check_number(f"the schedule's {name} rate", getattr(self, name), "(0, inf)")

    def rate(self, epoch: int, epochs: int, losses: Sequence[float] = ()) -> float:
        """Return the rate of `epoch` (0 is the first) out of `epochs`."""
        progress = epoch / max(epochs - 1, 1)
        return self.initial * (self.final / self.initial) ** progress


class CosineDecay(BaseEstimator):
    """A learning rate that follows half a cosine from `initial` to `final` (Loshchilov & Hutter 2017).

    Parameters
    ----------
    initial, final : float
        Highest rate, and rate of the last epoch, both positive.
    warm_up : int, default=0
        Epochs before the highest rate is reached, in equal steps from nothing (Goyal et al. 2017).
    """

    def __init__(self, initial: float, final: float, *, warm_up: int = 0):
        self.initial = initial
        self.final = final
        self.warm_up = warm_up

    def check(self) -> None:
        """Raise an error that names the first setting that cannot be."""
        for name in ("initial", "final"):
            check_number(f"the schedule's {name} rate", getattr(self, name), "(0, inf)")
        check_integer("the schedule's warm_up", self.warm_up, at_least=0)

    def rate(self, epoch: int, epochs: int, losses: Sequence[float] = ()) -> float:
        """Return the rate of `epoch` (0 is the first) out of `epochs`."""
        if epoch < self.warm_up:
            return self.initial * (epoch + 1) / (self.warm_up + 1)
        progress = (epoch - self.warm_up) / max(epochs - 1 - self.warm_up, 1)
        return self.final + (self.initial - self.final) * 0.5 * (1 + math.cos(math.pi * progress))


class ReduceOnPlateau(BaseEstimator):
    """A learning rate that falls by a factor whenever the loss has stopped improving.

    It watches the validation loss; where there is no validation data, the training loss.

    Parameters
    ----------
    initial : float
        Rate of the first epochs, positive.
    factor : float in (0, 1), default=0.1
        What the rate is multiplied by.
    patience : int, default=5
        Epochs without improvement before the rate falls; counted anew after each fall.
    min_delta : float, default=0
        An improvement is a loss lower than the best one by more than this, in the loss's unit.
    minimum : float, default=0
        The rate never falls below.
    """

    def __init__(
        self,
        initial: float,
        *,
        factor: float = 0.1,
        patience: int = 5,
        min_delta: float = 0.0,
        minimum: float = 0.0,
    ):
        self.initial = initial
        self.factor = factor
        self.patience = patience
        self.min_delta = min_delta
        self.minimum = minimum

    def check(self) -> None:
        """Raise an error that names the first setting that cannot be."""
        check_number("the schedule's initial rate", self.initial, "(0, inf)")
        check_number("the schedule's factor", self.factor, "(0, 1)")
        check_positive_integer("the schedule's patience", self.patience)
        check_number("the schedule's min_delta", self.min_delta, "[0, inf)")
        check_number("the schedule's minimum", self.minimum, "[0, inf)")
        if self.minimum > self.initial:
            raise ValueError(
                f"the schedule's minimum, {self.minimum:g}, is above its initial rate, {self.initial:g}"
            )

    def rate(self, epoch: int, epochs: int, losses: Sequence[float] = ()) -> float:
        """Return the rate of `epoch` (0 is the first), given the losses of the epochs before it."""
        rate, best, waited = self.initial, math.inf, 0
        for loss in losses[:epoch]:
            if loss < best - self.min_delta:
                best, waited = loss, 0
            else:
                waited += 1
            if waited == self.patience:
                rate, waited = max(rate * self.factor, self.minimum), 0
        return rate


Schedule = StepDecay | ExponentialDecay | CosineDecay | ReduceOnPlateau
