"""Autoencoders for a course: one interface, two equivalent backends, PyTorch and TensorFlow.

Importing this package loads neither framework; a model loads its own when it is fitted.
"""

from aelib import compression, equivalence, export, metrics, plot, settings, storage
from aelib.architectures import Conv, Dense, Recurrent
from aelib.corruption import Downsampling, GaussianNoise, Masking, MissingBlock, SaltAndPepper, UniformNoise
from aelib.data import Dataset, load_dataset, pad_sequences
from aelib.equivalence import check_equivalence
from aelib.estimators import Autoencoder
from aelib.own_data import from_images, from_table
from aelib.penalties import L1, L2, Contractive, KLSparsity, Rate
from aelib.schedules import CosineDecay, ExponentialDecay, ReduceOnPlateau, StepDecay
from aelib.settings import banner, configure
from aelib.storage import load
from aelib.training import SGD, Adam, DivergenceError, EarlyStopping, History, WorkerLostError
from aelib.variational import VariationalAutoencoder

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L2",
    "SGD",
    "Adam",
    "Autoencoder",
    "Contractive",
    "Conv",
    "CosineDecay",
    "Dataset",
    "Dense",
    "DivergenceError",
    "Downsampling",
    "EarlyStopping",
    "ExponentialDecay",
    "GaussianNoise",
    "History",
    "KLSparsity",
    "Masking",
    "MissingBlock",
    "Rate",
    "Recurrent",
    "ReduceOnPlateau",
    "SaltAndPepper",
    "StepDecay",
    "UniformNoise",
    "VariationalAutoencoder",
    "WorkerLostError",
    "banner",
    "check_equivalence",
    "compression",
    "configure",
    "equivalence",
    "export",
    "from_images",
    "from_table",
    "load",
    "load_dataset",
    "metrics",
    "pad_sequences",
    "plot",
    "settings",
    "storage",
]
