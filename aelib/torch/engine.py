"""The engine: one epoch of training, evaluation, and the way from NumPy arrays to tensors and back."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from aelib.files import FileRows
from aelib.objectives import Evidence, Objective
from aelib.torch.losses import draw_codes, gaussian_kl, log_density_ratio, log_likelihood, loss_terms
from aelib.torch.networks import Autoencoder, VariationalAutoencoder, named_weights
from aelib.torch.random import Noise, binarise
from aelib.training import EVALUATION_KEY, SGD, Adam

# Rows computed at once outside training: bounds memory, whatever the size of the data set.
ROWS_AT_ONCE = 8192
# Codes drawn at once for each row when many are asked for.
SAMPLES_AT_ONCE = 64
# PyTorch's names of what an optimiser remembers of each weight, and ours.
MEMORY = {
    torch.optim.Adam: {"exp_avg": "first", "exp_avg_sq": "second"},
    torch.optim.SGD: {"momentum_buffer": "velocity"},
}


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
    x : ndarray or FileRows, shape (samples, ...)
        The training data; a file's rows are read batch by batch.
    objective : Objective
        What is minimised.
    optimizer : Adam or SGD
        The optimiser's settings.
    batch_size : int
        Samples per step; the last batch of an epoch may be smaller.
    condition : ndarray, shape (samples, classes), optional
        The samples' classes, one-hot.
    """

    is_first = True  # of the processes that share a training: the one that writes files

    def __init__(
        self,
        network: Autoencoder,
        x: np.ndarray | FileRows,
        *,
        objective: Objective,
        optimizer: Adam | SGD,
        batch_size: int,
        condition: np.ndarray | None = None,
    ):
        self.network = network
        self.objective = objective
        self.batch_size = batch_size
        self.device = next(network.parameters()).device
        # A copy: the caller may change the array.
        self.x = x if isinstance(x, FileRows) else torch.tensor(x, device=self.device)
        self.condition = None if condition is None else torch.tensor(condition, device=self.device)
        self.optimizer = make_optimizer(network, optimizer)

    def train_epoch(
        self, order: np.ndarray, noise_key: int, rate: float, beta: float = 1.0
    ) -> dict[str, float]:
        """Visit all samples once in the given order and return the mean of the loss and of each part."""
        self.set_rate(rate)
        totals: dict[str, Tensor] = {}
        with fast_arithmetic():
            for rows in torch.as_tensor(order, device=self.device).split(self.batch_size):
                batch, condition = self.part(rows)
                terms = self.step(batch, Noise(noise_key, rows), beta, condition)
                for name, value in terms.items():  # weighted: the last batch may be smaller
                    totals[name] = totals.get(name, 0.0) + value.detach() * len(rows)
        return {name: float(total) / len(order) for name, total in totals.items()}

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the next steps."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def part(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the samples of the given numbers, (batch, ...), and their classes."""
        if isinstance(self.x, FileRows):
            batch = torch.from_numpy(self.x[rows.numpy(force=True)]).to(self.device)
        else:
            batch = self.x.index_select(0, rows)
        return batch, None if self.condition is None else self.condition.index_select(0, rows)

    def step(self, batch: Tensor, noise: Noise, beta: float, condition: Tensor | None) -> dict[str, Tensor]:
        """Take one optimiser step on a batch (batch, ...) and return the loss before it, and its parts."""
        self.optimizer.zero_grad(set_to_none=True)
        terms = loss_terms(
            self.network, self.objective, batch, noise, beta=beta, training=True, condition=condition
        )
        terms["loss"].backward()
        self.optimizer.step()
        return terms

    def get_state(self) -> dict[str, np.ndarray]:
        """Return copies of what the optimiser remembers of each weight, canonical names and layout."""
        return {
            name: np.array(tensor.numpy(force=True), order="C")
            for name, tensor in optimizer_memory(self.network, self.optimizer).items()
        }

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Replace what the optimiser remembers."""
        for name, tensor in optimizer_memory(self.network, self.optimizer).items():
            tensor.copy_(torch.as_tensor(state[name]))


def make_optimizer(network: Autoencoder, settings: Adam | SGD) -> torch.optim.Optimizer:
    """Return PyTorch's optimiser for the settings; the rate is set at the start of every epoch."""
    weights = list(network.parameters())
    if isinstance(settings, Adam):
        betas, on_gpu = (settings.beta_1, settings.beta_2), weights[0].is_cuda
        optimizer = torch.optim.Adam(
            weights, betas=betas, eps=settings.epsilon, fused=True, capturable=on_gpu
        )
    else:
        optimizer = torch.optim.SGD(weights, momentum=settings.momentum, fused=True)
    for weight in weights:  # what PyTorch would do in the first step: here, so that it can be saved before
        optimizer.state[weight] = {name: torch.zeros_like(weight) for name in MEMORY[type(optimizer)]}
        if isinstance(settings, Adam):
            optimizer.state[weight]["step"] = torch.zeros((), device=weight.device)
    return optimizer


def optimizer_memory(network: Autoencoder, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what the optimiser remembers, by names such as "first.encoder.0.kernel": to read or to fill."""
    memory = {}
    for name, (weight, axes) in named_weights(network).items():
        state = optimizer.state[weight]
        memory |= {
            f"{ours}.{name}": state[theirs].permute(axes) for theirs, ours in MEMORY[type(optimizer)].items()
        }
        if "step" in state:
            memory[f"steps.{name}"] = state["step"]
    return memory


@torch.no_grad()
def evaluate(
    network: Autoencoder,
    objective: Objective,
    x: np.ndarray | FileRows,
    condition: np.ndarray | None = None,
    beta: float = 1.0,
) -> dict[str, float]:
    """Return the mean of the loss and of each part over `x`: dropout off, other noise always the same."""
    totals: dict[str, float] = {}
    copies = objective.copies(network.code)
    for batch, classes, rows in _batches(network, x, condition, ROWS_AT_ONCE // copies):
        noise = Noise(EVALUATION_KEY, rows)
        terms = loss_terms(network, objective, batch, noise, beta=beta, condition=classes)
        for name, value in terms.items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(batch)
    return {name: total / len(x) for name, total in totals.items()}


@torch.no_grad()
def apply(
    network: Autoencoder, method: str, x: np.ndarray, condition: np.ndarray | None = None
) -> np.ndarray:
    """Call a method of the network, "encode", "decode" or "__call__", on an array, part by part."""
    outputs, done = None, 0
    for batch, classes, _ in _batches(network, x, condition, ROWS_AT_ONCE):
        part = getattr(network, method)(batch, condition=classes).cpu().numpy()
        if outputs is None:  # all at once: small arrays between large ones would leave holes in the memory
            outputs = np.empty((len(x), *part.shape[1:]), part.dtype)
        outputs[done : done + len(part)] = part
        done += len(part)
    return outputs


@torch.no_grad()
def posterior(
    network: VariationalAutoencoder, x: np.ndarray, condition: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return means and log-variances of the approximate posterior, (samples, code) each."""
    parts = [
        network.posterior(batch, condition=classes)
        for batch, classes, _ in _batches(network, x, condition, ROWS_AT_ONCE)
    ]
    mean, log_variance = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
    return mean, log_variance


@torch.no_grad()
def evidence_bounds(
    network: VariationalAutoencoder,
    objective: Evidence,
    x: np.ndarray,
    condition: np.ndarray | None,
    samples: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ELBO and the importance-weighted bound of log p(x) for each sample of `x`, in nats.

    Both from the same `samples` codes for each x, drawn part by part, so that memory stays bounded.
    """
    elbos, weighted = [], []
    at_once = min(samples, SAMPLES_AT_ONCE)
    for batch, classes, rows in _batches(network, x, condition, ROWS_AT_ONCE // at_once):
        noise = Noise(EVALUATION_KEY, rows)
        batch = binarise(batch, objective.binarise, noise)
        mean, log_variance = network.posterior(batch, condition=classes)  # (batch, code) each
        fit = torch.zeros(len(batch), dtype=mean.dtype, device=mean.device)
        log_weights = []
        for start in range(0, samples, at_once):
            part = min(at_once, samples - start)
            codes = draw_codes(mean, log_variance, part, noise, f"posterior.{start}")
            log_p = log_likelihood(network, objective, codes, batch, None, classes)  # (batch, part)
            fit += log_p.sum(dim=1)
            ratio = log_density_ratio(codes, mean, log_variance)
            log_weights.append(torch.logsumexp(log_p - ratio, dim=1))
        log_weight = torch.logsumexp(torch.stack(log_weights), dim=0)
        elbos.append(fit / samples - gaussian_kl(mean, log_variance).sum(dim=1))
        weighted.append(log_weight - math.log(samples))
    return torch.cat(elbos).cpu().numpy(), torch.cat(weighted).cpu().numpy()


def gradients(
    network: Autoencoder,
    objective: Objective,
    x: np.ndarray,
    noise_key: int,
    condition: np.ndarray | None = None,
    beta: float = 1.0,
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return the loss and its parts, and its gradient for each weight, canonical names and layout."""
    ((batch, classes, rows),) = _batches(network, x, condition, len(x))
    noise = Noise(noise_key, rows)
    terms = loss_terms(network, objective, batch, noise, beta=beta, training=True, condition=classes)
    entries = named_weights(network)
    found = torch.autograd.grad(terms["loss"], [parameter for parameter, _ in entries.values()])
    arrays = {
        name: gradient.permute(axes).cpu().numpy()
        for gradient, (name, (_, axes)) in zip(found, entries.items(), strict=True)
    }
    return {name: value.item() for name, value in terms.items()}, arrays


def _batches(
    network: Autoencoder, x: np.ndarray, condition: np.ndarray | None, size: int
) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
    """Yield parts of the data and of the condition on the network's device, and their rows' numbers."""
    device = next(network.parameters()).device
    for start in range(0, len(x), max(1, size)):
        part = slice(start, start + max(1, size))
        batch = torch.tensor(x[part], device=device)
        classes = None if condition is None else torch.tensor(condition[part], device=device)
        yield batch, classes, torch.arange(start, start + len(batch), device=device)
