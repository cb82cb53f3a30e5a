"""The PyTorch wing: the same networks, losses, random numbers and engine as `aelib.tensorflow`."""

import torch

from aelib.torch import cuda_graphs, distributed, engine, losses, networks, random

# TF32 keeps 10 bits of the fraction; ask for it after this import if speed matters more than agreement.
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False

__all__ = ["cuda_graphs", "distributed", "engine", "losses", "networks", "random", "trainer_kind"]


def trainer_kind(device: str) -> type[engine.Trainer]:
    """Return the engine to train with on `device`, "cpu" or "cuda"."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return distributed.DistributedTrainer
    return cuda_graphs.GraphTrainer if device == "cuda" else engine.Trainer
