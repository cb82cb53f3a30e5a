"""Data sets for the lessons: fixed train, validation and test parts, values in [0, 1]."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aelib import downloads, settings
from aelib.checks import check_choice
from aelib.downloads import KNOWN

DATASETS = tuple(KNOWN)

# The last images of the published training file, in file order.
_MNIST_VALIDATION = 10_000
_DIGITS_VALIDATION = 300
_DIGITS_TEST = 300

_ECG_SAMPLING_RATE = 360.0  # Hz
_ECG_ZERO = 1024  # the converter's reading at 0 mV
_ECG_GAIN = 200.0  # readings per mV
_ECG_WINDOW = 360  # samples: one second
_ECG_VALIDATION = 30  # windows
_ECG_TEST = 30


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A data set in three fixed parts.

    Attributes
    ----------
    name : str
        The name it was loaded by, or the file or folder it was read from.
    x_train, x_validation, x_test : ndarray of shape (n, features), float32 or float64
        Values scaled to [0, 1]. Where the scale was taken from the training part ("ecg", tables), a
        value of the other parts can lie outside.
    y_train, y_validation, y_test : ndarray of shape (n,), int64, or None
        Class numbers, indices into `class_names`.
    image_shape : (height, width, channels) or None
        What `images` makes of a row, in pixels.
    class_names, feature_names : tuple of str, or None
    minimum, maximum : float or ndarray of shape (features,)
        What 0 and 1 stand for, in the original unit.
    signal : ndarray of shape (samples,), or None
        The whole recording ("ecg": in mV).
    sampling_rate : float or None
        Samples of `signal` per second, in Hz.
    source : str
        Where the data are from, and their licence.
    """

    name: str
    x_train: np.ndarray
    x_validation: np.ndarray
    x_test: np.ndarray
    y_train: np.ndarray | None = None
    y_validation: np.ndarray | None = None
    y_test: np.ndarray | None = None
    image_shape: tuple[int, int, int] | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    minimum: float | np.ndarray = 0.0
    maximum: float | np.ndarray = 1.0
    signal: np.ndarray | None = None
    sampling_rate: float | None = None
    source: str = ""

    def images(self, x: np.ndarray) -> np.ndarray:
        """Return the rows of `x` as images.

        Parameters
        ----------
        x : ndarray of shape (n, features)

        Returns
        -------
        ndarray of shape (n, height, width, channels)

        Raises
        ------
        ValueError
            If the data set has no images, or `x` does not have this shape.
        """
        if self.image_shape is None:
            raise ValueError(f"the data set {self.name!r} does not consist of images")
        x = np.asarray(x)
        features = int(np.prod(self.image_shape))
        if x.ndim != 2 or x.shape[1] != features:
            raise ValueError(
                f"images() takes an array of shape (n, {features}) for {self.name!r}, not {x.shape}; "
                "a single row is x[:1]"
            )
        return x.reshape(len(x), *self.image_shape)

    def unscale(self, x: np.ndarray) -> np.ndarray:
        """Return values in [0, 1] in the original unit: ``minimum + x * (maximum - minimum)``.

        Parameters
        ----------
        x : ndarray of shape (n, features)

        Returns
        -------
        ndarray of shape (n, features)
        """
        return self.minimum + np.asarray(x) * (self.maximum - self.minimum)

    def __repr__(self) -> str:
        parts = f"{len(self.x_train)} train, {len(self.x_validation)} validation, {len(self.x_test)} test"
        row = f"{self.x_train.shape[1]} features"
        if self.image_shape is not None:
            row += f" ({'×'.join(map(str, self.image_shape))})"
        classes = f", {len(self.class_names)} classes" if self.class_names else ""
        return f"<Dataset {self.name!r}: {parts}; {row}{classes}; {self.x_train.dtype}>"


def load_dataset(name: str | None = None) -> Dataset:
    """Load a data set in the profile's precision.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion_mnist", "ecg"}, optional
        - "digits": 1,797 images of 8×8 pixels, embedded in scikit-learn, offline. Shuffled once and for
          all (seed 0), then 1,197 train, 300 validation, 300 test.
        - "mnist", "fashion_mnist": 28×28 pixels. The first 50,000 of the published 60,000 train, the
          last 10,000 validation; the published 10,000 test.
        - "ecg": five minutes of electrocardiogram, cut into windows of one second (360 values), in
          order and without overlap: the first 240 train, the next 30 validation, the last 30 test.
          Scaled by the training part's extremes. `Dataset.signal` is the whole recording in mV.

        None takes what the profile says (`settings.PROFILE_DATASET`).

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If the name is unknown.
    OSError
        If the files cannot be read, written or fetched.
    """
    if name is None:
        name = settings.PROFILE_DATASET[settings.get_profile()]
    check_choice("dataset", name, DATASETS)
    if name == "digits":
        return _load_digits()
    if name == "ecg":
        return _load_ecg()
    return _load_mnist(name)


def pad_sequences(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Put sequences of different lengths into one array, with NaN after each one's end.

    Parameters
    ----------
    sequences : list of array-like, each of shape (time, features)
        All with the same features, each with its own number of steps.

    Returns
    -------
    ndarray, shape (samples, longest time, features)
        For an autoencoder with `Recurrent`, in the precision of the first sequence.

    Raises
    ------
    ValueError
        If there is no sequence, if one has no step, another number of features or a value that is not finite.
    """
    arrays = [np.asarray(sequence) for sequence in sequences]
    if not arrays:
        raise ValueError("there is no sequence to pad; got an empty list")
    dtype = np.result_type(arrays[0], np.float32)
    for i, array in enumerate(arrays):
        if array.ndim != 2 or array.shape[1:] != arrays[0].shape[1:]:
            raise ValueError(
                f"sequence {i} has shape {array.shape}; each must be (time, features), with the features of "
                f"the first one, which has shape {arrays[0].shape}"
            )
        if len(array) == 0:
            raise ValueError(f"sequence {i} has length zero; leave it out")
        if not np.isfinite(array).all():
            raise ValueError(f"sequence {i} contains NaN or infinity; interpolate, or cut it there")
    padded = np.full((len(arrays), max(map(len, arrays)), arrays[0].shape[1]), np.nan, dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded


def _load_digits() -> Dataset:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    # RandomState, because NumPy promises never to change its numbers (NEP 19).
    order = np.random.RandomState(0).permutation(len(x))
    parts = np.split(order, [len(x) - _DIGITS_VALIDATION - _DIGITS_TEST, len(x) - _DIGITS_TEST])
    x = (x / 16).astype(settings.resolve_dtype(None))
    return Dataset(
        "digits",
        *(x[part] for part in parts),
        *(y[part].astype(np.int64) for part in parts),
        image_shape=(8, 8, 1),
        class_names=tuple(KNOWN["digits"]["class_names"]),
        maximum=16.0,
        source=KNOWN["digits"]["source"],
    )


def _load_mnist(name: str) -> Dataset:
    x, y = _read_idx_pair(name, "train")
    x_test, y_test = _read_idx_pair(name, "t10k")
    train = len(x) - _MNIST_VALIDATION
    return Dataset(
        name,
        x[:train],
        x[train:],
        x_test,
        y[:train],
        y[train:],
        y_test,
        image_shape=(28, 28, 1),
        class_names=tuple(KNOWN[name]["class_names"]),
        maximum=255.0,
        source=KNOWN[name]["source"],
    )


def _read_idx_pair(name: str, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    pixels = _read_idx(downloads.fetch(name, f"{prefix}-images-idx3-ubyte.gz"))
    labels = _read_idx(downloads.fetch(name, f"{prefix}-labels-idx1-ubyte.gz"))
    x = pixels.reshape(len(pixels), -1).astype(settings.resolve_dtype(None))
    x /= 255  # in place, because a second array of this size would cost 188 MB in float32
    return x, labels.astype(np.int64)


def _read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of bytes: 0, 0, type, dimensions, the sizes as big-endian int32, the values."""
    with gzip.open(path) as file:
        content = file.read()
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", count=dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _load_ecg() -> Dataset:
    with np.load(downloads.fetch("ecg", "ecg.dat"), allow_pickle=False) as file:
        signal = (file["ecg"].astype(np.float64) - _ECG_ZERO) / _ECG_GAIN
    windows = signal.reshape(-1, _ECG_WINDOW)
    train = len(windows) - _ECG_VALIDATION - _ECG_TEST
    minimum, maximum = windows[:train].min(), windows[:train].max()
    dtype = settings.resolve_dtype(None)
    windows = ((windows - minimum) / (maximum - minimum)).astype(dtype)
    return Dataset(
        "ecg",
        *np.split(windows, [train, train + _ECG_VALIDATION]),
        minimum=float(minimum),
        maximum=float(maximum),
        signal=signal.astype(dtype),
        sampling_rate=_ECG_SAMPLING_RATE,
        source=KNOWN["ecg"]["source"],
    )
