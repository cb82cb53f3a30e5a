"""The TensorFlow wing: the same networks, losses, random numbers and engine as `aelib.torch`."""

import os

# TensorFlow's start-up notes would land in notebook outputs; errors and warnings still show. The note on
# oneDNN ignores the log level, and the XLA steps that train here do not use oneDNN.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf

from aelib.tensorflow import engine, losses, networks, random

# TF32 keeps 10 bits of the fraction; ask for it after this import if speed matters more than agreement.
tf.config.experimental.enable_tensor_float_32_execution(False)

__all__ = ["engine", "losses", "networks", "random", "trainer_kind"]


def trainer_kind(device: str) -> type[engine.Trainer]:
    """Return the engine to train with on `device`, "cpu" or "cuda"."""
    return engine.Trainer
