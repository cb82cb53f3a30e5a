"""The autoencoder as a scikit-learn estimator: NumPy in, NumPy out, the framework behind it."""

import dataclasses
import os
from collections.abc import Callable
from typing import Self

import numpy as np

from aelib.architectures import Architecture, Recurrent
from aelib.base import BaseAutoencoder
from aelib.checks import check_choice
from aelib.corruption import Corruption
from aelib.layers import ACTIVATIONS, FillLayer, Plan
from aelib.objectives import Reconstruction
from aelib.penalties import KLSparsity, Penalty
from aelib.schedules import Schedule
from aelib.training import SGD, Adam, EarlyStopping

LOSSES = ("squared_error", "binary_cross_entropy")


class Autoencoder(BaseAutoencoder):
    """An autoencoder composed of an architecture, a loss, a corruption, a penalty and an optimiser.

    Parameters
    ----------
    architecture : Dense or Conv or Recurrent, optional
        Layers of the encoder; the decoder mirrors them. Default: ``Dense(code=2)``.
    loss : {"squared_error", "binary_cross_entropy"}, default="squared_error"
        Summed over the features of a sample, averaged over samples. Cross-entropy is computed from logits
        and needs values in [0, 1].
    output_activation : str, optional
        Of the reconstruction. Default: "linear" for the squared error; cross-entropy always has "sigmoid".
    corruption : GaussianNoise, Masking, SaltAndPepper, UniformNoise, Downsampling or MissingBlock, optional
        Done to the input while training, anew at every visit; the target stays clean.
    code_corruption : GaussianNoise, Masking, SaltAndPepper or UniformNoise, optional
        Done to the code while training, before it is decoded.
    penalty : L1, L2, KLSparsity, Contractive or Rate, optional
        Added to the loss.
    missing : {"refuse", "mask"}, default="refuse"
        What NaN in the data is: an error, or a value that is not known, shown to the network as 0 (so scale
        the data such that 0 is not a common value) and left out of the loss. NaN after the end of a
        sequence, for `Recurrent`, needs no permission.
    optimizer : {"adam", "sgd"} or Adam or SGD, default="adam"
        How gradients move the weights.
    learning_rate : float, StepDecay, ExponentialDecay, CosineDecay or ReduceOnPlateau, default=1e-3
        A number, or a schedule over epochs.
    batch_size : int, default=128
        Samples per step.
    epochs : int, default=20
        Visits to every training sample.
    shuffle : bool, default=True
        Draw a new order each epoch; the same one under both backends.
    early_stopping : EarlyStopping, optional
        Needs validation data.
    random_state : int or RandomState, optional
        Fixes initial weights, order and noise. None draws a new seed at each fit.
    progress : bool, default=True
        Show a progress bar on long runs.
    backend : {"torch", "tensorflow"}, optional
        Default: as `aelib.configure` or the environment say.
    device : {"auto", "cpu", "cuda"}, optional
        Default: likewise.
    dtype : {"float32", "float64", "mixed_bfloat16"}, optional
        Default: float64 in the profile "reference", float32 in "full". "mixed_bfloat16" computes the layers
        in bfloat16, and keeps weights, losses and the optimiser's memory in float32.

    Attributes
    ----------
    network_ : torch.nn.Module or keras.Model
        The trained network itself.
    history_ : History
        Losses per epoch.
    sample_shape_ : tuple of int
        Shape of one training sample.
    n_features_in_ : int
        Features of a training sample.
    seed_ : int
        The seed drawn from `random_state`.
    backend_, device_, dtype_ : str
        What the network was built for.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> x = load_digits().data / 16
    >>> model = Autoencoder(Dense((32,), code=8), epochs=5, random_state=0).fit(x)
    >>> model.transform(x).shape
    (1797, 8)
    """

    def __init__(
        self,
        architecture: Architecture | None = None,
        *,
        loss: str = "squared_error",
        output_activation: str | None = None,
        corruption: Corruption | None = None,
        code_corruption: Corruption | None = None,
        penalty: Penalty | None = None,
        missing: str = "refuse",
        optimizer: str | Adam | SGD = "adam",
        learning_rate: float | Schedule = 1e-3,
        batch_size: int = 128,
        epochs: int = 20,
        shuffle: bool = True,
        early_stopping: EarlyStopping | None = None,
        random_state: int | np.random.RandomState | None = None,
        progress: bool = True,
        backend: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
    ):
        self.architecture = architecture
        self.loss = loss
        self.output_activation = output_activation
        self.corruption = corruption
        self.code_corruption = code_corruption
        self.penalty = penalty
        self.missing = missing
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.random_state = random_state
        self.progress = progress
        self.backend = backend
        self.device = device
        self.dtype = dtype

    def fit(
        self,
        X: np.ndarray,
        y: object = None,
        *,
        validation_data: np.ndarray | None = None,
        initial_weights: dict[str, np.ndarray] | None = None,
        checkpoint: str | os.PathLike | None = None,
        on_epoch: Callable[[Self], object] | None = None,
    ) -> Self:
        """Train on `X` from new initial weights.

        Ctrl-C ends the training early: the estimator keeps the weights and the history of the epochs that
        were completed, and a warning says so.

        Parameters
        ----------
        X : array-like
            Training data; `Dense` takes the shape (samples, features), `Conv` (samples, height, width,
            channels), `Recurrent` (samples, time, features). A memory-mapped array, as
            ``numpy.load(path, mmap_mode="r")`` returns it, is read batch by batch and never whole.
        y : None
            Ignored; there for scikit-learn's pipelines. The target of an autoencoder is `X` itself.
        validation_data : array-like of the same shape, optional
            Its loss is recorded after each epoch, and watched by early stopping.
        initial_weights : dict of ndarray, optional
            Weights to begin with, names and shapes as `get_weights` returns them. Default: drawn anew.
        checkpoint : path, optional
            A file that is written after each epoch. Where it is there already, training goes on from it, and
            ends with the same weights, bit for bit, as if it had never been interrupted.
        on_epoch : callable, optional
            Called with the estimator after each epoch. What it raises ends the training; the estimator keeps
            the weights of that epoch.

        Returns
        -------
        Autoencoder
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a setting or the data cannot be used; the message names it.
        DivergenceError
            If the loss stops being finite; the last good weights are kept.
        """
        X, _ = self._prepare(X)
        validation = None
        if validation_data is not None:
            validation = self._validate(validation_data, reset=False, in_range=True), None
        return self._fit(X, None, validation, initial_weights, checkpoint, on_epoch)

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the codes of `X`.

        Parameters
        ----------
        X : array-like, shape (samples, ...)
            Data, in the shape of the training samples.

        Returns
        -------
        ndarray, shape (samples, code)
        """
        return self._apply("encode", self._validate_fitted(X))

    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        """Return the reconstructions of codes.

        Parameters
        ----------
        Z : array-like, shape (samples, code)
            Codes.

        Returns
        -------
        ndarray, shape (samples, ...)
        """
        return self._apply("decode", self._validate_codes(Z))

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Return ``inverse_transform(transform(X))``, in the shape of `X`.

        Values that are not known (`missing`) are filled in; the steps after a sequence's end stay NaN.
        """
        X = self._validate_fitted(X)
        reconstruction = self._apply("__call__", X)
        if self._is_recurrent:
            reconstruction[np.isnan(X[:])] = np.nan
        return reconstruction

    def score(self, X: np.ndarray, y: object = None) -> float:
        """Return the negative mean reconstruction loss of `X`, without corruption or penalty."""
        X = self._validate_fitted(X, in_range=True)
        objective = Reconstruction(self.loss, masked=self._is_masked)
        return -self._wing().engine.evaluate(self.network_, objective, X)["loss"]

    def _objective(self) -> Reconstruction:
        return Reconstruction(
            self.loss, self.corruption, self.penalty, self.code_corruption, masked=self._is_masked
        )

    def _plan(self) -> Plan:
        default = "sigmoid" if self.loss == "binary_cross_entropy" else "linear"
        plan = self._architecture().plan(self.sample_shape_, self.output_activation or default)
        if self.missing == "refuse":
            return plan
        return dataclasses.replace(plan, encoder=(FillLayer("encoder.fill"), *plan.encoder))

    @property
    def _is_recurrent(self) -> bool:
        return isinstance(self._architecture(), Recurrent)

    @property
    def _is_masked(self) -> bool:
        return self._is_recurrent or self.missing == "mask"

    def _check_settings(self) -> None:
        super()._check_settings()
        check_choice("loss", self.loss, LOSSES)
        if self.output_activation is not None:
            check_choice("output_activation", self.output_activation, ACTIVATIONS)
            if self.loss == "binary_cross_entropy" and self.output_activation != "sigmoid":
                raise ValueError(
                    f"binary_cross_entropy needs output_activation='sigmoid', got {self.output_activation!r}"
                )
        check_choice("missing", self.missing, ("refuse", "mask"))
        if self._is_recurrent and self.missing == "mask":
            raise ValueError(
                "missing='mask' is not for Recurrent, where NaN means that a sequence has ended; fill in the "
                "values within sequences, for example by interpolation"
            )
        parts = (("corruption", Corruption), ("code_corruption", Corruption), ("penalty", Penalty))
        for part, known in parts:
            value = getattr(self, part)
            if value is None:
                continue
            if not isinstance(value, known):
                names = ", ".join(choice.__name__ for choice in known.__args__)
                raise TypeError(f"{part} must be one of {names}, or None, got {value!r}")
            value.check()
        code_activation = getattr(self._architecture(), "code_activation", "linear")
        if isinstance(self.penalty, KLSparsity) and code_activation != "sigmoid":
            raise ValueError(
                "KLSparsity compares mean activations with rho and needs a code between 0 and 1: use "
                f"Dense(..., code_activation='sigmoid'), got {code_activation!r}"
            )

    def _prepare(self, X: np.ndarray, y: None = None) -> tuple[np.ndarray, None]:
        X, _ = super()._prepare(X, y)
        if self.corruption is not None:
            self.corruption.check_shape(self.sample_shape_)
        if self.code_corruption is not None:
            self.code_corruption.check_shape((self._n_features_out,))
        return X, None

    def _unusable(self, X: np.ndarray, before: int) -> np.ndarray:
        if self.missing == "mask":
            return np.isinf(X)
        if not self._is_recurrent:
            return super()._unusable(X, before)
        unknown = np.isnan(X).all(axis=2)  # (samples, time)
        ended = np.logical_and.accumulate(unknown[:, ::-1], axis=1)[:, ::-1]
        if ended[:, 0].any():
            raise ValueError(
                f"the sequence in row {before + np.flatnonzero(ended[:, 0])[0]} has length zero: all its "
                "steps are NaN; leave it out"
            )
        return ~np.isfinite(X) & ~ended[:, :, None]

    @property
    def _advice_on_nan(self) -> str:
        if self._is_recurrent:
            return "in a sequence NaN may only follow its end: interpolate, or cut the sequence there"
        return f"{super()._advice_on_nan}, or say missing='mask' if NaN means that a value is not known"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._is_masked
        return tags

    def _check_range(self, X: np.ndarray) -> None:
        if self.loss == "binary_cross_entropy" and ((X < 0).any() or (X > 1).any()):
            raise ValueError(
                f"binary_cross_entropy needs values in [0, 1], but X reaches from {np.nanmin(X):g} to "
                f"{np.nanmax(X):g}; scale it (sklearn.preprocessing.MinMaxScaler) or use loss='squared_error'"
            )
