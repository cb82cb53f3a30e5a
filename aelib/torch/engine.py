"""The engine: one epoch of training, evaluation, and the way from NumPy arrays to tensors and back."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from aelib.torch.losses import loss_terms
from aelib.torch.networks import Autoencoder, get_weights, named_weights, set_weights
from aelib.torch.random import Noise
from aelib.training import SGD, Adam

# Rows computed at once outside training: bounds memory, whatever the size of the data set.
ROWS_AT_ONCE = 8192


def framework_version() -> str:
    """Return the framework's name and version."""
    return f"PyTorch {torch.__version__}"


def cuda_is_available() -> bool:
    """Tell whether the framework sees a GPU."""
    return torch.cuda.is_available()


@contextmanager
def fast_arithmetic() -> Iterator[None]:
    """Treat denormal numbers as zero, which is faster, and go back afterwards: the switch is global."""
    already = np.float64(2.0**-1060) * np.float64(1.0) == 0.0  # PyTorch cannot tell, a denormal can
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(bool(already))


class Trainer:
    """A network with its optimiser and its training data on the device.

    Parameters
    ----------
    network : Autoencoder
        Is changed in place.
    x : ndarray, shape (samples, features)
        The training data.
    loss : {"squared_error", "binary_cross_entropy"}
        The reconstruction loss.
    optimizer : Adam or SGD
        The optimiser's settings.
    batch_size : int
        Samples per step; the last batch of an epoch may be smaller.
    """

    def __init__(
        self, network: Autoencoder, x: np.ndarray, *, loss: str, optimizer: Adam | SGD, batch_size: int
    ):
        self.network = network
        self.loss = loss
        self.batch_size = batch_size
        self.device = next(network.parameters()).device
        self.x = torch.tensor(x, device=self.device)  # a copy: the caller may change the array
        self.optimizer = make_optimizer(network, optimizer)

    def train_epoch(self, order: np.ndarray, noise_key: int, rate: float) -> dict[str, float]:
        """Visit all samples once in the given order and return the mean of each loss term."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        totals: dict[str, Tensor] = {}
        with fast_arithmetic():
            for rows in torch.as_tensor(order, device=self.device).split(self.batch_size):
                terms = self.step(self.x.index_select(0, rows), Noise(noise_key, rows))
                for name, value in terms.items():  # weighted: the last batch may be smaller
                    totals[name] = totals.get(name, 0.0) + value.detach() * len(rows)
        return {name: float(total) / len(order) for name, total in totals.items()}

    def step(self, batch: Tensor, noise: Noise) -> dict[str, Tensor]:
        """Take one optimiser step on a batch (batch, features) and return the loss terms before it."""
        self.optimizer.zero_grad(set_to_none=True)
        terms = loss_terms(self.network, self.loss, batch, noise)
        sum(terms.values()).backward()
        self.optimizer.step()
        return terms

    def evaluate(self, x: np.ndarray) -> dict[str, float]:
        """Return the mean of each loss term over `x`, without dropout."""
        return evaluate(self.network, self.loss, x)

    def get_weights(self) -> dict[str, np.ndarray]:
        """Return copies of all weights, canonical names and layout."""
        return get_weights(self.network)

    def set_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Copy arrays, canonical names and layout, into the network."""
        set_weights(self.network, weights)


def make_optimizer(network: Autoencoder, settings: Adam | SGD) -> torch.optim.Optimizer:
    """Return PyTorch's optimiser for the settings; the rate is set at the start of every epoch."""
    if isinstance(settings, Adam):
        betas = (settings.beta_1, settings.beta_2)
        return torch.optim.Adam(network.parameters(), betas=betas, eps=settings.epsilon, fused=True)
    return torch.optim.SGD(network.parameters(), momentum=settings.momentum, fused=True)


@torch.no_grad()
def evaluate(network: Autoencoder, loss: str, x: np.ndarray) -> dict[str, float]:
    """Return the mean of each loss term over `x`, without dropout."""
    totals: dict[str, float] = {}
    for batch in _batches(network, x):
        for name, value in loss_terms(network, loss, batch).items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(batch)
    return {name: total / len(x) for name, total in totals.items()}


@torch.no_grad()
def apply(network: Autoencoder, method: str, x: np.ndarray) -> np.ndarray:
    """Call a method of the network, "encode", "decode" or "__call__", on an array, part by part."""
    parts = [getattr(network, method)(batch).cpu().numpy() for batch in _batches(network, x)]
    return np.concatenate(parts)


def gradients(
    network: Autoencoder, loss: str, x: np.ndarray, noise_key: int
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return the loss terms and the gradient of their sum for each weight, canonical names and layout."""
    (batch,) = _batches(network, x)
    noise = Noise(noise_key, torch.arange(len(x), device=batch.device))
    terms = loss_terms(network, loss, batch, noise)
    entries = named_weights(network)
    found = torch.autograd.grad(sum(terms.values()), [parameter for parameter, _ in entries.values()])
    arrays = {
        name: (gradient.T if transposed else gradient).cpu().numpy()
        for gradient, (name, (_, transposed)) in zip(found, entries.items(), strict=True)
    }
    return {name: value.item() for name, value in terms.items()}, arrays


def _batches(network: Autoencoder, x: np.ndarray) -> tuple[Tensor, ...]:
    device = next(network.parameters()).device
    return tuple(
        torch.tensor(x[start : start + ROWS_AT_ONCE], device=device)
        for start in range(0, len(x), ROWS_AT_ONCE)
    )
