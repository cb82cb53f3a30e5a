"""Several processes share one training: each computes the gradient of its part of every batch.

PyTorch only. Start the processes with ``torchrun --nproc-per-node 2 train.py``; in ``train.py``::

    with distributed.process_group():
        model.fit(x, checkpoint="run.npz")

A loss that is a mean over samples is the mean of the processes' losses, weighted by their shares, and so is
its gradient: the run is the same as that of one process with the same batches, up to rounding.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from aelib.objectives import Objective, Reconstruction
from aelib.penalties import KLSparsity, Rate
from aelib.torch.engine import Trainer, fast_arithmetic
from aelib.torch.losses import loss_terms
from aelib.torch.networks import Autoencoder
from aelib.torch.random import Noise
from aelib.training import WorkerLostError

_told_to_end = threading.Event()


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that `torchrun` started, and part from them at the end.

    On a GPU each process takes the one of its own number, and NCCL carries the gradients; else gloo does.
    When one process ends, `torchrun` sends the others SIGTERM. It is obeyed at the next step of a training,
    or at the end of the group: by then the checkpoint is whole, and an error says why the process ends.

    Raises
    ------
    RuntimeError
        If this process was not started by `torchrun`.
    """
    needed = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if missing := [name for name in needed if name not in os.environ]:
        raise RuntimeError(
            f"the environment variable {missing[0]} is not set: process_group is for a script that was "
            "started with torchrun --nproc-per-node 2 script.py"
        )
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    before = signal.signal(signal.SIGTERM, lambda *_: _told_to_end.set())
    try:
        yield
    finally:
        dist.destroy_process_group()
    signal.signal(signal.SIGTERM, before)  # not after an error, which still has to be printed
    if _told_to_end.is_set():
        raise SystemExit(128 + signal.SIGTERM)


class LossModule(nn.Module):
    """The loss as a module: `DistributedDataParallel` averages the gradients of what `forward` returns."""

    def __init__(self, network: Autoencoder, objective: Objective):
        super().__init__()
        self.network = network
        self.objective = objective

    def forward(
        self, batch: Tensor, noise: Noise, beta: float, condition: Tensor | None, weight: float
    ) -> dict[str, Tensor]:
        """Return the loss of a share (share, ...) of a batch and its parts, times the share's weight."""
        terms = loss_terms(
            self.network, self.objective, batch, noise, beta=beta, training=True, condition=condition
        )
        return {name: value * weight for name, value in terms.items()}


class DistributedTrainer(Trainer):
    """A `Trainer` that computes every n-th sample of each batch, as one of n processes."""

    def __init__(
        self, network: Autoencoder, x: np.ndarray, *, objective: Objective, batch_size: int, **settings: Any
    ):
        super().__init__(network, x, objective=objective, batch_size=batch_size, **settings)
        self.rank, self.processes = dist.get_rank(), dist.get_world_size()
        self.is_first = self.rank == 0
        if batch_size % self.processes:
            lower = batch_size - batch_size % self.processes
            raise ValueError(
                f"batch_size={batch_size} cannot be shared equally by {self.processes} processes; use "
                f"{lower or self.processes} or {lower + self.processes}, or another number of processes"
            )
        penalty = objective.penalty if isinstance(objective, Reconstruction) else None
        if isinstance(penalty, KLSparsity | Rate):
            raise ValueError(
                f"{type(penalty).__name__} depends on the mean or variance over the whole batch, which no "
                "process sees: the shares' losses do not add up to the batch's. Train in one process"
            )
        self.loss_module = DistributedDataParallel(LossModule(network, objective))

    def train_epoch(
        self, order: np.ndarray, noise_key: int, rate: float, beta: float = 1.0
    ) -> dict[str, float]:
        """Visit all samples once, each in one of the processes, and return the means over all of them."""
        self.set_rate(rate)
        totals: dict[str, Tensor] = {}
        try:
            with fast_arithmetic():
                for rows in torch.as_tensor(order, device=self.device).split(self.batch_size):
                    if _told_to_end.is_set():
                        raise dist.DistError("torchrun has told this one to end")
                    for name, value in self.shared_step(rows, noise_key, beta).items():
                        totals[name] = totals.get(name, 0.0) + value.detach() * len(rows) / self.processes
                for total in totals.values():
                    dist.all_reduce(total)
        except RuntimeError as error:
            if not isinstance(error, dist.DistError) and "gloo" not in str(error):
                raise
            raise WorkerLostError(
                f"process {self.rank} of {self.processes} lost the others: one of them has ended ({error})"
            ) from error
        return {name: float(total) / len(order) for name, total in totals.items()}

    def shared_step(self, rows: Tensor, noise_key: int, beta: float) -> dict[str, Tensor]:
        """Take one step on a batch of rows, of which this process computes its share."""
        share = rows[self.rank :: self.processes]
        weight = len(share) * self.processes / len(rows)  # 1, but for the last batch of an epoch
        if not len(share):
            share = rows[:1]  # every process has to take part in every step; this one's weight is 0
        batch, condition = self.part(share)
        self.optimizer.zero_grad(set_to_none=True)
        terms = self.loss_module(batch, Noise(noise_key, share), beta, condition, weight)
        terms["loss"].backward()
        self.optimizer.step()
        return terms
