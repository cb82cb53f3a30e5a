"""Corruptions: what is done to the input of a denoising autoencoder while the target stays clean.

Parameters only: the wings draw the noise, the same in both and new in every epoch, in
`random.corrupt`. `corrupt` here corrupts data to be looked at, such as a test set.
"""

from abc import abstractmethod

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from aelib.checks import check_integer, check_number, check_positive_integer

Seed = int | np.random.RandomState | None


class _Noise(BaseEstimator):
    @abstractmethod
    def check(self) -> None:
        """Raise a ValueError unless the setting can be used."""

    @abstractmethod
    def _draw(self, x: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
        """Return what corruption makes of `x`, in any precision."""

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise a ValueError unless samples of `shape` can be corrupted."""

    def corrupt(self, x: np.ndarray, *, random_state: Seed = None) -> np.ndarray:
        """Return a corrupted copy of `x` (samples, ...), in its floating-point precision.

        What is not known, NaN, stays so.
        """
        x = np.asarray(x)
        self.check()
        self.check_shape(x.shape[1:])
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
        hit = (generator.random_sample(x.shape) < self.p) & ~np.isnan(x)
        return np.where(hit, 0, x)


class SaltAndPepper(_PixelNoise):
    """Set each feature with probability `p` to 0 or to 1, either equally likely (Vincent et al. 2010).

    Parameters
    ----------
    p : float in (0, 1)
        Probability.
    """

    def _draw(self, x: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
        u = generator.random_sample(x.shape)
        hit = (u < self.p) & ~np.isnan(x)
        return np.where(hit, u < self.p / 2, x)


class UniformNoise(_Noise):
    """Add to every feature an independent number drawn evenly from [-width/2, width/2).

    Done to a code it stands in for rounding to multiples of `width`, which has no useful gradient (Ballé,
    Laparra & Simoncelli 2017).

    Parameters
    ----------
    width : float
        Width of the interval, in the data's unit; positive.
    """

    def __init__(self, width: float):
        self.width = width

    def check(self) -> None:
        """Raise a ValueError unless the setting can be used."""
        check_number("width", self.width, "(0, inf)")

    def _draw(self, x: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
        return x + self.width * (generator.random_sample(x.shape) - 0.5)


class Downsampling(_Noise):
    """Replace every block of `factor` × `factor` pixels of an image by its mean: nothing random here.

    For images (batch, height, width, channels) whose height and width are multiples of `factor`.

    Parameters
    ----------
    factor : int
        Side of a block, in pixels; at least 2.
    """

    def __init__(self, factor: int):
        self.factor = factor

    def check(self) -> None:
        """Raise a ValueError unless the setting can be used."""
        check_integer("factor", self.factor, at_least=2)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise a ValueError unless samples of `shape` are images that can be cut into such blocks."""
        _check_image(self, shape)
        if shape[0] % self.factor or shape[1] % self.factor:
            raise ValueError(
                f"{self} needs images whose height and width are multiples of {self.factor}, got "
                f"{shape[0]}×{shape[1]}"
            )

    def _draw(self, x: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
        f = self.factor
        batch, height, width, channels = x.shape
        means = x.reshape(batch, height // f, f, width // f, f, channels).mean(axis=(2, 4))
        return means.repeat(f, axis=1).repeat(f, axis=2)


class MissingBlock(_Noise):
    """Set a square of each image to 0, at a place that is drawn anew each time.

    For images (batch, height, width, channels); the context encoder of Pathak et al. (2016) is trained so.

    Parameters
    ----------
    size : int
        Side of the square, in pixels.
    """

    def __init__(self, size: int):
        self.size = size

    def check(self) -> None:
        """Raise a ValueError unless the setting can be used."""
        check_positive_integer("size", self.size)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise a ValueError unless samples of `shape` are images in which such a square fits."""
        _check_image(self, shape)
        if self.size > min(shape[:2]):
            raise ValueError(f"{self} does not fit into images of {shape[0]}×{shape[1]}")

    def _draw(self, x: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
        u = generator.random_sample((len(x), 2))
        rows, columns = (
            (start <= np.arange(side)) & (np.arange(side) < start + self.size)
            for side, start in (
                (x.shape[1], np.floor(u[:, :1] * (x.shape[1] - self.size + 1))),
                (x.shape[2], np.floor(u[:, 1:] * (x.shape[2] - self.size + 1))),
            )
        )
        return np.where((rows[:, :, None] & columns[:, None, :])[..., None], 0, x)


def _check_image(corruption: _Noise, shape: tuple[int, ...]) -> None:
    if len(shape) != 3:
        raise ValueError(
            f"{corruption} needs images of shape (height, width, channels), got samples of shape {shape}; "
            "use it with Conv and data.images(X)"
        )


Corruption = GaussianNoise | Masking | SaltAndPepper | UniformNoise | Downsampling | MissingBlock
