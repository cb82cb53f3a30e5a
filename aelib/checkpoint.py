"""Checkpoints: a run of `fit` on disk after each epoch, so that it can be interrupted and resumed.

The file has the format of `aelib.storage`. Weights and what the optimiser remembers are kept in the
canonical layout, so that a run may be resumed under the other backend.
"""

import dataclasses
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aelib import storage, training
from aelib.files import FileRows, parts_of
from aelib.layers import check_weights
from aelib.training import History, Trainer, Weights

if TYPE_CHECKING:
    from aelib.base import BaseAutoencoder

KIND = "aelib-checkpoint"
VERSION = 1
# Where a run computes, what it shows, and how long it goes on may differ when it is resumed.
MAY_DIFFER = ("backend", "device", "progress", "epochs")


class Checkpoint:
    """The file of one run, and what must be the same for a run to go on from it.

    Parameters
    ----------
    path : path
        The file; it need not be there yet.
    estimator : Autoencoder or VariationalAutoencoder
        With its settings checked and its network built.
    data : dict of str to (ndarray or FileRows or dict or None)
        All arrays that `fit` was given, by what they are.
    """

    def __init__(self, path: str | os.PathLike, estimator: "BaseAutoencoder", data: Mapping[str, Any]):
        self.path = Path(path)
        self.estimator = estimator
        settings = {name: storage.to_json(v) for name, v in estimator.get_params(deep=False).items()}
        self.run = {
            "class": type(estimator).__name__,
            "settings": {name: value for name, value in settings.items() if name not in MAY_DIFFER},
            "dtype": estimator.dtype_,
            "data": {name: _fingerprint(array) for name, array in data.items()},
        }

    def restore(self, trainer: Trainer) -> Weights | None:
        """Go on where the file stopped, and return the weights of the best epoch so far.

        Without a file nothing happens, and None is returned.

        Raises
        ------
        ValueError
            If the file is of another run; the message says in what it differs.
        """
        if not self.path.exists():
            return None
        found, arrays = storage.read(self.path, KIND, VERSION, "by fit(..., checkpoint=...)")
        differences = list(_differences(found.get("run"), json.loads(json.dumps(self.run))))
        if differences:
            raise ValueError(
                f"{self.path} is the checkpoint of another run: {'; '.join(differences)}. Give this run a "
                "file of its own, or the settings and the data of that one"
            )
        history = History(**found["history"])
        self._check_epochs(history)
        kinds: dict[str, Weights] = {"weights": {}, "best": {}, "optimizer": {}}
        for name, array in arrays.items():
            kind, _, weight = name.partition("/")
            kinds[kind][weight] = array
        shapes = {name: array.shape for name, array in self.estimator.get_weights().items()}
        for kind in ("weights", "best"):
            check_weights(kinds[kind], shapes)
        trainer.set_state(kinds["optimizer"])
        self.estimator.set_weights(kinds["weights"])
        self.estimator.history_ = history
        self.estimator.seed_ = found["seed"]
        return kinds["best"]

    def write(self, trainer: Trainer, best: Weights) -> None:
        """Write the run as it is after an epoch; the file before is replaced once the new one is whole."""
        metadata = {
            "run": self.run,
            "seed": self.estimator.seed_,
            "history": dataclasses.asdict(self.estimator.history_),
        }
        arrays = {f"weights/{name}": array for name, array in self.estimator.get_weights().items()}
        arrays |= {f"best/{name}": array for name, array in best.items()}
        arrays |= {f"optimizer/{name}": array for name, array in trainer.get_state().items()}
        storage.write(self.path, KIND, VERSION, metadata, arrays)

    def _check_epochs(self, history: History) -> None:
        """Refuse another number of epochs where it would have changed the epochs that are done."""
        epochs, done = self.estimator.epochs, len(history.loss)
        if done > epochs:
            raise ValueError(f"{self.path} holds {done} epochs already, more than epochs={epochs}")
        for epoch, used in enumerate(history.learning_rate):
            losses = (history.val_loss or history.loss)[:epoch]
            rate = training.learning_rate_at(self.estimator.learning_rate, epoch, epochs, losses)
            if rate != used:
                raise ValueError(
                    f"{self.path} was written by a run with another number of epochs: with epochs={epochs} "
                    f"its schedule would have used the rate {rate:g} in epoch {epoch + 1}, not {used:g}. "
                    "Only a constant rate, StepDecay and ReduceOnPlateau can be prolonged"
                )


def _fingerprint(data: "np.ndarray | FileRows | Weights | None") -> object:
    """Return shape and CRC-32 of an array, of a file's rows, or of each array of a dictionary."""
    if data is None:
        return None
    if isinstance(data, dict):
        return {name: _fingerprint(np.asarray(array)) for name, array in data.items()}
    checksum = 0
    for part in parts_of(data):
        checksum = zlib.crc32(np.ascontiguousarray(part), checksum)
    return {"shape": list(data.shape), "crc32": checksum}


def _differences(there: object, here: object, where: str = "") -> list[str]:
    """Return in words what differs between two descriptions of a run."""
    if isinstance(there, dict) and isinstance(here, dict) and there.get("class") == here.get("class"):
        names = [*there, *(name for name in here if name not in there)]
        found = []
        for name in names:
            deeper = where if name in ("settings", "run") else f"{where}.{name}".lstrip(".")
            found += _differences(there.get(name), here.get(name), deeper)
        return found
    if there == here:
        return []
    return [f"{where or 'the class'} is {_brief(there)} there and {_brief(here)} here"]


def _brief(value: object) -> object:
    return value["class"] if isinstance(value, dict) and "class" in value else value
