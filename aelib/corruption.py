"""Corruptions: what is done to the input of a denoising autoencoder while the target stays clean.

Parameters only: the wings draw the noise, the same in both and new in every epoch, in
`random.corrupt`. `corrupt` here corrupts data to be looked at, such as a test set.
"""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from aelib.checks import check_number

Seed = int | np.random.RandomState | None


class GaussianNoise(BaseEstimator):
    """Add to every feature an independent normal number with mean 0.

    Parameters
    ----------
    sigma : float
        Standard deviation, in the data's unit; positive. The result is not clipped.
    """

    def __init__(self, sigma: float):
        self.sigma = sigma

    def check(self) -> None:
        """Raise a ValueError unless the setting can be used."""
        check_number("sigma", self.sigma, "(0, inf)")

    def corrupt(self, x: np.ndarray, *, random_state: Seed = None) -> np.ndarray:
        """Return a corrupted copy of `x`, in its floating-point precision."""
        self.check()
        x = np.asarray(x)
        noise = check_random_state(random_state).standard_normal(x.shape)
        return (x + self.sigma * noise).astype(np.result_type(x, np.float32))


class _WithProbability(BaseEstimator):
    def __init__(self, p: float):
        self.p = p

    def check(self) -> None:
        """Raise a ValueError unless the setting can be used."""
        check_number("p", self.p, "(0, 1)")


class Masking(_WithProbability):
    """Set each feature to 0 with probability `p`, the masking noise of Vincent et al. (2008).

    Parameters
    ----------
    p : float in (0, 1)
        Probability.
    """

    def corrupt(self, x: np.ndarray, *, random_state: Seed = None) -> np.ndarray:
        """Return a corrupted copy of `x`, in its floating-point precision."""
        self.check()
        x = np.asarray(x)
        u = check_random_state(random_state).random_sample(x.shape)
        return np.where(u < self.p, 0, x).astype(np.result_type(x, np.float32))


class SaltAndPepper(_WithProbability):
    """Set each feature with probability `p` to 0 or to 1, either equally likely (Vincent et al. 2010).

    Parameters
    ----------
    p : float in (0, 1)
        Probability.
    """

    def corrupt(self, x: np.ndarray, *, random_state: Seed = None) -> np.ndarray:
        """Return a corrupted copy of `x`, in its floating-point precision."""
        self.check()
        x = np.asarray(x)
        u = check_random_state(random_state).random_sample(x.shape)
        return np.where(u < self.p, u < self.p / 2, x).astype(np.result_type(x, np.float32))


Corruption = GaussianNoise | Masking | SaltAndPepper
