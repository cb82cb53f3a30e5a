"""Autoencoders for a course: one interface, two equivalent backends, PyTorch and TensorFlow.

Importing this package loads neither framework; a model loads its own when it is fitted.
"""

from aelib import equivalence, metrics, plot, settings, storage
from aelib.architectures import Dense
from aelib.data import Dataset, load_dataset
from aelib.equivalence import check_equivalence
from aelib.estimators import Autoencoder
from aelib.own_data import from_images, from_table
from aelib.settings import banner, configure
from aelib.storage import load
from aelib.training import SGD, Adam, CosineDecay, DivergenceError, EarlyStopping, ExponentialDecay, History

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "Autoencoder",
    "CosineDecay",
    "Dataset",
    "Dense",
    "DivergenceError",
    "EarlyStopping",
    "ExponentialDecay",
    "History",
    "banner",
    "check_equivalence",
    "configure",
    "equivalence",
    "from_images",
    "from_table",
    "load",
    "load_dataset",
    "metrics",
    "plot",
    "settings",
    "storage",
]
