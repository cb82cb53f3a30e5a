"""Corruptions: what is done to the input of a denoising autoencoder while the target stays clean.

Parameters only: the wings draw the noise, the same in both and new in every epoch, in
`random.corrupt`. `corrupt` here corrupts data to be looked at, such as a test set.
"""

from abc import abstractmethod

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from aelib.checks import check_number

Seed = int | np.random.RandomState | None


class _Noise(BaseEstimator):
    @abstractmethod
    def check(self) -> None:
        """Raise a ValueError unless the setting can be used."""

    @abstractmethod
    def _draw(self, x: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
        """Return what corruption makes of `x`, in any precision."""

    def corrupt(self, x: np.ndarray, *, random_state: Seed = None) -> np.ndarray:
        """Return a corrupted copy of `x`, in its floating-point precision."""
        self.check()
        x = np.asarray(x)
        return self._draw(x, check_random_state(random_state)).astype(np.result_type(x, np.float32))


class _PixelNoise(_Noise):
    def __init__(self, p: float):
        self.p = p

    def check(self) -> None:
        """Raise a ValueError unless the setting can be used."""
        check_number("p", self.p, "(0, 1)")


class GaussianNoise(_Noise):
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

    def _draw(self, x: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
        return x + self.sigma * generator.standard_normal(x.shape)


class Masking(_PixelNoise):
    """Set each feature to 0 with probability `p`, the masking noise of Vincent et al. (2008).

    Parameters
    ----------
    p : float in (0, 1)
        Probability.
    """

    def _draw(self, x: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
        return np.where(generator.random_sample(x.shape) < self.p, 0, x)


class SaltAndPepper(_PixelNoise):
    """Set each feature with probability `p` to 0 or to 1, either equally likely (Vincent et al. 2010).

    Parameters
    ----------
    p : float in (0, 1)
        Probability.
    """

    def _draw(self, x: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
        u = generator.random_sample(x.shape)
        return np.where(u < self.p, u < self.p / 2, x)


Corruption = GaussianNoise | Masking | SaltAndPepper
