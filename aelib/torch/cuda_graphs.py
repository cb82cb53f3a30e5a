"""Training on a GPU: the step is recorded once as a CUDA graph and then replayed.

A step of a small network is some hundred kernels that each take a few microseconds, about as long as Python
needs to start one. A replay starts all of them at once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aelib.torch.engine import Trainer
from aelib.torch.random import Noise

# Before the recording, so that libraries have chosen their kernels and caches are filled.
WARM_UP_STEPS = 3


@contextmanager
def side_stream(device: torch.device) -> Iterator[None]:
    """Compute on another stream than the usual one, as PyTorch asks of the steps before a recording."""
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream(device).wait_stream(stream)


def record(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Record what `step` would compute on the GPU, and return the function that computes it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device), torch.cuda.graph(graph):
        step()
    return graph.replay


class GraphTrainer(Trainer):
    """A `Trainer` that replays whole steps; what changes from step to step is copied into buffers."""

    def __init__(self, *arguments: Any, **settings: Any):
        super().__init__(*arguments, **settings)
        self.recorded_for: tuple[float, float] | None = None
        self.totals: dict[str, Tensor] = {}

    def train_epoch(
        self, order: np.ndarray, noise_key: int, rate: float, beta: float = 1.0
    ) -> dict[str, float]:
        """Visit all samples once in the given order and return the mean of the loss and of each part."""
        whole = len(order) - len(order) % self.batch_size
        sums: dict[str, float] = {}
        if whole:
            self._replay_steps(order[:whole], noise_key, rate, beta)
            sums = {name: float(total) * self.batch_size for name, total in self.totals.items()}
        if whole < len(order):  # the last batch is smaller
            for name, mean in super().train_epoch(order[whole:], noise_key, rate, beta).items():
                sums[name] = sums.get(name, 0.0) + mean * (len(order) - whole)
        return {name: total / len(order) for name, total in sums.items()}

    def _replay_steps(self, order: np.ndarray, noise_key: int, rate: float, beta: float) -> None:
        batches = torch.as_tensor(order, device=self.device).split(self.batch_size)
        if self.recorded_for != (rate, beta):  # both are constants in a recording
            self._record(batches[0], noise_key, rate, beta)
        for total in self.totals.values():
            total.zero_()
        self.key.fill_(noise_key)
        for rows in batches:
            self._fill_buffers(rows)
            self.replay()

    def _record(self, rows: Tensor, noise_key: int, rate: float, beta: float) -> None:
        def step() -> None:
            terms = self.step(self.batch, Noise(self.key, self.rows), beta, self.classes)
            for name, value in terms.items():
                if name not in self.totals:  # in the warm-up only: a recording has no zeros to make
                    self.totals[name] = torch.zeros_like(value)
                self.totals[name].add_(value.detach())

        if not self.totals:
            self.key = torch.tensor(noise_key, dtype=torch.int32, device=self.device)
            self.rows = rows.clone()
            self.batch, self.classes = self.part(rows)
            memory = self.get_state()
            self.set_rate(0.0)  # leaves the weights as they are, bit for bit
            with side_stream(self.device):
                for _ in range(WARM_UP_STEPS):
                    step()
            self.set_state(memory)
        self.set_rate(rate)
        self.recorded_for = None  # should the recording fail
        self.replay = record(step, self.device)
        self.recorded_for = rate, beta

    def _fill_buffers(self, rows: Tensor) -> None:
        batch, classes = self.part(rows)
        self.rows.copy_(rows)
        self.batch.copy_(batch)
        if classes is not None:
            self.classes.copy_(classes)
