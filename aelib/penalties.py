"""Penalties: what is added to the reconstruction loss. Parameters only: the wings' `losses` compute them."""

from sklearn.base import BaseEstimator

from aelib.checks import check_number


class _Weighted(BaseEstimator):
    def __init__(self, strength: float):
        self.strength = strength

    def check(self) -> None:
        """Raise a ValueError unless the setting can be used."""
        check_number("strength", self.strength, "[0, inf)")


class L1(_Weighted):
    """The sum of the absolute values of the code, averaged over the batch.

    Parameters
    ----------
    strength : float
        Its factor in the loss, zero or positive.
    """


class L2(_Weighted):
    """The sum of the squares of all kernel entries; biases are left alone.

    Parameters
    ----------
    strength : float
        Its factor in the loss, zero or positive.
    """


class KLSparsity(BaseEstimator):
    """Σ KL(ρ ‖ ρ̂) over the code units, with ρ̂ a unit's mean over the batch; needs a sigmoid code.

    Parameters
    ----------
    rho : float in (0, 1)
        The mean activation wanted of each unit.
    beta : float
        Its factor in the loss, zero or positive.
    """

    def __init__(self, rho: float, beta: float):
        self.rho = rho
        self.beta = beta

    def check(self) -> None:
        """Raise a ValueError unless the settings can be used."""
        check_number("rho", self.rho, "(0, 1)")
        check_number("beta", self.beta, "[0, inf)")


class Contractive(_Weighted):
    """The squared Frobenius norm of the encoder's Jacobian, averaged over the batch (Rifai et al. 2011).

    Parameters
    ----------
    strength : float
        Its factor in the loss, zero or positive.
    """


class Rate(_Weighted):
    """An upper bound of the bits that a code rounded to multiples of `step` needs, for each sample.

    Σ ½ log₂ 2πe (σ² / step² + 1/12) over the code units, σ² a unit's variance over the batch. A normal
    distribution has the largest entropy of all with that variance. It bounds the entropy of the code with
    `UniformNoise(step)`, whose variance is larger by step²/12, and which stands in for the rounded code
    (Ballé et al. 2017).

    Parameters
    ----------
    strength : float
        Its factor in the loss, zero or positive: what a bit costs, in the loss's unit.
    step : float, default=1
        What the code is rounded to multiples of; positive.
    """

    def __init__(self, strength: float, *, step: float = 1.0):
        super().__init__(strength)
        self.step = step

    def check(self) -> None:
        """Raise a ValueError unless the settings can be used."""
        super().check()
        check_number("step", self.step, "(0, inf)")


Penalty = L1 | L2 | KLSparsity | Contractive | Rate
