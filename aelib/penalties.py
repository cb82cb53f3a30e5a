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


Penalty = L1 | L2 | KLSparsity | Contractive
