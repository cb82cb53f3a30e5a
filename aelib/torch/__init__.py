"""The PyTorch wing: the same networks, losses, random numbers and engine as `aelib.tensorflow`."""

import torch

from aelib.torch import engine, losses, networks, random

# TF32 keeps 10 bits of the fraction; ask for it after this import if speed matters more than agreement.
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False

__all__ = ["engine", "losses", "networks", "random"]
