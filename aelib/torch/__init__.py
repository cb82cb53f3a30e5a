"""The PyTorch wing: the same networks, losses, random numbers and engine as `aelib.tensorflow`."""

from aelib.torch import engine, losses, networks, random

__all__ = ["engine", "losses", "networks", "random"]
