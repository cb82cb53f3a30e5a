"""Objectives: what training minimises, as plain numbers that both wings' `losses` compute from."""

from dataclasses import dataclass

from aelib.corruption import Corruption
from aelib.penalties import Contractive, Penalty


@dataclass(frozen=True)
class Reconstruction:
    """The reconstruction loss of corrupted inputs against clean targets, and a penalty.

    Parameters
    ----------
    loss : {"squared_error", "binary_cross_entropy"}
        How a reconstruction is compared with its target.
    corruption : Corruption or None
        Done to the input.
    penalty : Penalty or None
        Added to the loss.
    code_corruption : Corruption or None
        Done to the code before it is decoded.
    masked : bool
        Whether NaN may stand in the data, for values that are not known and not counted.
    """

    loss: str
    corruption: Corruption | None = None
    penalty: Penalty | None = None
    code_corruption: Corruption | None = None
    masked: bool = False

    def copies(self, code: int) -> int:
        """Return how many tensors like a batch the loss holds at once; the Jacobian has one per code unit."""
        return code if isinstance(self.penalty, Contractive) else 1


@dataclass(frozen=True)
class Evidence:
    """The negative lower bound of the log-evidence of a variational autoencoder.

    Parameters
    ----------
    likelihood : {"bernoulli", "gaussian"}
        Distribution of a feature given the code.
    variance : float or None
        Variance of the Gaussian; None is learned.
    samples : int
        Codes drawn for each training sample.
    importance_weighted : bool
        The bound of Burda et al. (2016) instead of the ELBO.
    free_bits : float
        Nats of divergence per code unit that cost nothing (Kingma et al. 2016).
    binarise : {"static", "dynamic"} or None
        Replace features by draws of 0 and 1: the same ones always, or new ones each epoch.
    """

    likelihood: str
    variance: float | None
    samples: int
    importance_weighted: bool
    free_bits: float
    binarise: str | None

    def copies(self, code: int) -> int:
        """Return how many tensors like a batch the loss holds at once: one for each code drawn."""
        return self.samples


Objective = Reconstruction | Evidence
