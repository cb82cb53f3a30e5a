"""Saving and loading: one npz file with the weights as arrays and everything else as JSON, no pickle.

The file can be opened safely wherever it comes from: arrays are read with ``allow_pickle=False``, and the
JSON can only name the classes listed here. Each part carries the zip format's checksum, so a file that was
cut short or altered is refused.
"""

import dataclasses
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

from aelib import settings
from aelib.architectures import Conv, Dense, Recurrent
from aelib.corruption import Downsampling, GaussianNoise, Masking, MissingBlock, SaltAndPepper, UniformNoise
from aelib.penalties import L1, L2, Contractive, KLSparsity, Rate
from aelib.schedules import CosineDecay, ExponentialDecay, ReduceOnPlateau, StepDecay
from aelib.training import SGD, Adam, EarlyStopping, History

if TYPE_CHECKING:
    from aelib.base import BaseAutoencoder

KIND = "aelib-model"
VERSION = 1
_PARTS = {
    part.__name__: part
    for part in (
        *(Dense, Conv, Recurrent),
        *(GaussianNoise, Masking, SaltAndPepper, UniformNoise, Downsampling, MissingBlock),
        *(L1, L2, KLSparsity, Contractive, Rate),
        *(Adam, SGD, EarlyStopping),
        *(StepDecay, ExponentialDecay, CosineDecay, ReduceOnPlateau),
    )
}


def save(estimator: "BaseAutoencoder", path: str | os.PathLike) -> None:
    """Write a fitted estimator to `path`; a file that is there is replaced only once the new one is whole.

    Parameters
    ----------
    estimator : Autoencoder or VariationalAutoencoder
        Fitted.
    path : path
        The file; no ending is added.
    """
    metadata = {
        "class": type(estimator).__name__,
        "settings": {name: to_json(value) for name, value in estimator.get_params(deep=False).items()},
        "sample_shape": list(estimator.sample_shape_),
        "feature_names": list(getattr(estimator, "feature_names_in_", [])),
        "seed": estimator.seed_,
        "dtype": estimator.dtype_,
        "backend": estimator.backend_,
        "history": dataclasses.asdict(estimator.history_),
        "classes": np.asarray(getattr(estimator, "classes_", [])).tolist(),
        "active_units": getattr(estimator, "active_units_", None),
    }
    write(Path(path), KIND, VERSION, metadata, estimator.get_weights(), compressed=True)


def write(
    path: Path,
    kind: str,
    version: int,
    metadata: dict[str, Any],
    arrays: dict[str, np.ndarray],
    *,
    compressed: bool = False,
) -> None:
    """Write arrays, and what JSON can hold, to one npz file that `read` reads."""
    content = io.BytesIO()
    description = np.array(json.dumps({"format": kind, "version": version, **metadata}))
    (np.savez_compressed if compressed else np.savez)(content, metadata=description, **arrays)
    write_whole(path, content.getvalue())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file; one that is there is replaced only once the new one is whole."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(
    path: str | os.PathLike, *, backend: str | None = None, device: str | None = None
) -> "BaseAutoencoder":
    """Read an estimator that `save` wrote, under either backend.

    Parameters
    ----------
    path : path
        The file.
    backend, device : str, optional
        Where to put the network; default: as the settings say, whatever wrote the file.

    Returns
    -------
    Autoencoder or VariationalAutoencoder
        Fitted, with the weights, the settings and the history that were saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a whole, unaltered file of `save`.
    """
    from aelib.estimators import Autoencoder
    from aelib.variational import VariationalAutoencoder

    estimators = {kind.__name__: kind for kind in (Autoencoder, VariationalAutoencoder)}
    metadata, weights = read(Path(path), KIND, VERSION, "by Autoencoder.save")
    try:
        parameters = {name: _from_json(value) for name, value in metadata["settings"].items()}
        estimator = estimators[metadata["class"]](**parameters)
        estimator.set_params(backend=backend, device=device)
        estimator.sample_shape_ = tuple(metadata["sample_shape"])
        estimator.n_features_in_ = estimator.sample_shape_[0]
        if metadata["feature_names"]:
            estimator.feature_names_in_ = np.array(metadata["feature_names"], dtype=object)
        estimator.seed_ = metadata["seed"]
        estimator.dtype_ = settings.resolve_dtype(metadata["dtype"])
        estimator.history_ = History(**metadata["history"])
        if metadata.get("classes"):
            estimator.classes_ = np.array(metadata["classes"])
        if metadata.get("active_units") is not None:
            estimator.active_units_ = metadata["active_units"]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: the description of the model is not one that aelib wrote: {error}"
        ) from error
    estimator.backend_ = settings.resolve_backend(backend)
    estimator.device_ = settings.resolve_device(device, estimator.backend_)
    estimator._build_network(weights)
    return estimator


def read(path: Path, kind: str, version: int, writer: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the description and the arrays of a file that `write` wrote, or say what is wrong with it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        metadata = json.loads(str(arrays.pop("metadata")))
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file can fail in any way; each of them means the same
        raise ValueError(
            f"{path} is not a whole file written {writer} ({error}); it was cut short or altered, or it is "
            "something else. Write it again, or fetch it again."
        ) from error
    if not isinstance(metadata, dict) or metadata.get("format") != kind:
        raise ValueError(f"{path} is an npz file, but not one written {writer}")
    if metadata.get("version") != version:
        raise ValueError(f"{path} has format version {metadata.get('version')!r}; this aelib reads {version}")
    return metadata, arrays


def to_json(value: object) -> object:
    """Return a setting as JSON can hold it; parts such as an architecture as their class and settings."""
    if isinstance(value, BaseEstimator):
        parameters = value.get_params(deep=False)
        return {
            "class": type(value).__name__,
            "settings": {name: to_json(item) for name, item in parameters.items()},
        }
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.random.RandomState):
        return None  # a generator's state cannot be described; the seed drawn from it is kept as seed_
    return value


def _from_json(value: object) -> object:
    if isinstance(value, dict):
        if value.get("class") not in _PARTS:
            raise ValueError(f"unknown part {value.get('class')!r}; known: {', '.join(_PARTS)}")
        return _PARTS[value["class"]](**{name: _from_json(item) for name, item in value["settings"].items()})
    if isinstance(value, list):
        return tuple(_from_json(item) for item in value)
    return value
