"""Compression: codes quantised, entropy-coded with a range coder, and written to one small file.

The file holds these parts in this order, the lowest byte of every number first:

- **header**: the format's name and version, the model's fingerprint, the step, samples and units;
- **tables**: the lowest and highest integer of each code unit, then how often every integer between occurs;
- **codes**: the integers, one unit after the other, written by the range coder under these tables;
- **checksum**: the CRC-32 of all bytes before it; it is counted with the header.

The decoder is not in the file: whoever reads it must have the model that wrote it, under either backend.
"""

import hashlib
import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from aelib.checks import check_number
from aelib.storage import to_json, write_whole

FORMAT = b"aelibcmp"
FORMAT_VERSION = 1
_HEADER = struct.Struct("<8sI32sdII")  # name, version, fingerprint, step, samples, units
_CHECKSUM = struct.Struct("<I")
_LARGEST = 2**15 - 1  # of the integers; so a table never has more than 65,535 entries
_WHERE_IT_RUNS = {"backend", "device", "dtype", "progress"}  # settings that do not make another model


@dataclass(frozen=True)
class FileSize:
    """What a compressed file is made of, in bytes.

    Parameters
    ----------
    codes : int
        The entropy-coded integers.
    tables : int
        The frequencies without which they cannot be read.
    header : int
        Everything else: name, version, fingerprint, sizes, checksum.
    """

    codes: int
    tables: int
    header: int

    @property
    def total(self) -> int:
        """The size of the whole file, in bytes."""
        return self.codes + self.tables + self.header


def quantise(codes: ArrayLike, step: float) -> np.ndarray:
    """Return codes in units of `step`, rounded to the nearest integers (halves to the even one).

    Parameters
    ----------
    codes : array of shape (n, units)
    step : float
        The distance of neighbouring values after rounding, in the unit of the codes.

    Returns
    -------
    ndarray of shape (n, units), int32
        Times `step` they are what a decoder is given.

    Raises
    ------
    ValueError
        If the step is not positive, or the codes are not a matrix with at least one sample and one unit,
        not finite, or more than 32,767 steps away from 0.
    """
    check_number("step", step, "(0, inf)")
    codes = np.asarray(codes, dtype=np.float64)
    if codes.ndim != 2 or codes.size == 0:
        raise ValueError(f"codes must have the shape (n, units), both at least 1, not {codes.shape}")
    bad = ~np.isfinite(codes)
    if bad.any():
        row = np.argwhere(bad)[0][0]
        raise ValueError(f"codes are NaN or infinite, first in row {row}; leave such samples out")
    largest = np.abs(codes).max()
    if largest / step > _LARGEST:
        needed = 1.1 * largest / _LARGEST
        raise ValueError(f"step {step:g} is too small for codes up to {largest:g}; take {needed:.2g} or more")
    return np.rint(codes / step).astype(np.int32)


def compress(estimator: Any, x: ArrayLike, path: str | os.PathLike, *, step: float) -> FileSize:
    """Write the quantised codes of `x` to a file; one that is there is replaced once the new one is whole.

    Parameters
    ----------
    estimator : Autoencoder, VariationalAutoencoder or a scikit-learn transformer
        Fitted; needs ``transform`` and ``inverse_transform``.
    x : array of shape (n, ...)
        As ``estimator.transform`` takes it.
    path : path
        The file; no ending is added.
    step : float
        Of the quantisation, in the unit of the codes; the same for every unit.

    Returns
    -------
    FileSize
        The decoder, which the reader needs too, is not counted.

    Raises
    ------
    ValueError
        If `quantise` refuses the codes.
    TypeError
        If the estimator has no weights to tell it from others.
    ImportError
        If the package constriction, which has the range coder, is not installed.

    References
    ----------
    G. N. N. Martin (1979), Range encoding: an algorithm for removing redundancy from a digitised message.
    R. Bamler (2022), Understanding entropy coding with asymmetric numeral systems (ANS): a statistician's
    perspective, arXiv:2201.01741 (the library constriction).
    """
    coder = _range_coder().queue.RangeEncoder()
    integers = quantise(estimator.transform(x), step)
    lowest, highest = integers.min(axis=0), integers.max(axis=0)
    symbols = (integers - lowest).T  # (units, n), each from 0 upwards
    counts = [np.bincount(row) for row in symbols]
    for row, frequencies in zip(symbols, counts, strict=True):
        if len(frequencies) > 1:  # a constant unit needs no bits: its table says it all
            coder.encode(np.ascontiguousarray(row), _probabilities(frequencies))
    tables = np.column_stack([lowest, highest]).astype("<i2").tobytes()
    tables += np.concatenate(counts).astype(_count_type(len(integers))).tobytes()
    codes = coder.get_compressed().astype("<u4").tobytes()
    header = _HEADER.pack(FORMAT, FORMAT_VERSION, fingerprint(estimator), step, *integers.shape)
    content = header + tables + codes
    write_whole(Path(path), content + _CHECKSUM.pack(zlib.crc32(content)))
    return FileSize(codes=len(codes), tables=len(tables), header=len(header) + _CHECKSUM.size)


def decompress(estimator: Any, path: str | os.PathLike) -> np.ndarray:
    """Read a file that `compress` wrote, and return what the decoder makes of its codes.

    Parameters
    ----------
    estimator : as for `compress`
        The model that wrote the file: the same object, or loaded again, under either backend.
    path : path
        The file.

    Returns
    -------
    ndarray of shape (n, ...)
        Reconstructions, as ``estimator.inverse_transform`` returns them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, of another version or kind, or written with another model.
    ImportError
        If the package constriction, which has the range coder, is not installed.
    """
    writer, step, integers = _read(Path(path))
    reader = fingerprint(estimator)
    if writer != reader:
        raise ValueError(
            f"{path} was written with another model ({writer.hex()[:12]}, this one is {reader.hex()[:12]}): "
            "its codes mean nothing to this decoder; load the model that wrote it"
        )
    return estimator.inverse_transform(integers * step)


def read_codes(path: str | os.PathLike) -> np.ndarray:
    """Return the integers in a file that `compress` wrote, exactly as `quantise` made them.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    ndarray of shape (n, units), int32

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or of another version or kind.
    ImportError
        If the package constriction, which has the range coder, is not installed.
    """
    return _read(Path(path))[2]


def fingerprint(estimator: Any) -> bytes:
    """Return 32 bytes that tell models apart: the SHA-256 of class, settings and weights.

    Weights count as float64, which holds a float32 exactly, and settings that only say where a model runs do
    not count. So a model has the same fingerprint after it was saved, and under either backend.

    Parameters
    ----------
    estimator : as for `compress`
        Of a scikit-learn transformer, the fitted arrays stand for weights.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        If the estimator has neither weights nor fitted arrays, such as a pipeline.
    """
    check_is_fitted(estimator)
    kind, settings = type(estimator).__name__, estimator.get_params(deep=False)
    settings = {name: to_json(value) for name, value in settings.items() if name not in _WHERE_IT_RUNS}
    weights = estimator.get_weights() if hasattr(estimator, "get_weights") else vars(estimator)
    weights = {k: v for k, v in weights.items() if isinstance(v, np.ndarray) and v.dtype.kind in "fiu"}
    if not weights:
        raise TypeError(f"{kind} has no weights of its own to tell it from others; use the model inside it")
    digest = hashlib.sha256(json.dumps([kind, settings], sort_keys=True).encode())
    for name in sorted(weights):
        digest.update(f"{name}{weights[name].shape}".encode())
        digest.update(weights[name].astype("<f8").tobytes())
    return digest.digest()


def _read(path: Path) -> tuple[bytes, float, np.ndarray]:
    """Return the fingerprint of the model that wrote the file, the step, and the integers."""
    coder = _range_coder().queue.RangeDecoder
    content = path.read_bytes()
    if not content.startswith(FORMAT):
        raise ValueError(f"{path} is not a file written by aelib.compression, or its beginning is damaged")
    content, checksum = content[: -_CHECKSUM.size], content[-_CHECKSUM.size :]
    if checksum != _CHECKSUM.pack(zlib.crc32(content)):
        raise ValueError(f"{path} was cut short or altered: the checksum is wrong; write or fetch it again")
    version = int.from_bytes(content[8:12], "little")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {version}, but this aelib reads {FORMAT_VERSION}; "
            "read it with the aelib that wrote it"
        )
    _, _, writer, step, samples, units = _HEADER.unpack_from(content)
    ranges = np.frombuffer(content, "<i2", 2 * units, _HEADER.size).reshape(units, 2).astype(np.int32)
    lengths = ranges[:, 1] - ranges[:, 0] + 1
    counts = np.frombuffer(content, _count_type(samples), lengths.sum(), _HEADER.size + 4 * units)
    start = _HEADER.size + 4 * units + counts.nbytes
    coder = coder(np.frombuffer(content[start:], "<u4").astype(np.uint32))
    symbols = np.zeros((units, samples), np.int32)
    for row, frequencies in zip(symbols, np.split(counts, lengths.cumsum()[:-1]), strict=True):
        if len(frequencies) > 1:
            row[:] = coder.decode(_probabilities(frequencies), samples)
        if not np.array_equal(np.bincount(row, minlength=len(frequencies)), frequencies):
            raise ValueError(
                f"{path} is whole, but its codes contradict its tables: another version of constriction "
                "wrote it; install that one"
            )
    return writer, step, symbols.T + ranges[:, 0]


def _probabilities(counts: np.ndarray) -> Any:
    """Return the range coder's model of a unit, which follows from integers alone.

    IEEE 754 fixes the result of a division on every machine; constriction rounds to multiples of 2**-24.
    """
    return _range_coder().model.Categorical(counts / float(counts.sum()), perfect=False)


def _count_type(samples: int) -> str:
    return "<u2" if samples < 2**16 else "<u4"


def _range_coder() -> ModuleType:
    try:
        from constriction import stream
    except ImportError as error:
        raise ImportError("the range coder is not installed; get it with pip install constriction") from error
    return stream
