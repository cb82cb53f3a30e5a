"""The autoencoder as a scikit-learn estimator: NumPy in, NumPy out, the framework behind it."""

import os
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from aelib import settings, storage
from aelib.architectures import ACTIVATIONS, Dense, check_positive_integer, check_weights
from aelib.training import (
    SGD,
    Adam,
    CosineDecay,
    EarlyStopping,
    ExponentialDecay,
    History,
    Trainer,
    check_learning_rate,
    run_epochs,
)

LOSSES = ("squared_error", "binary_cross_entropy")
OPTIMIZERS = {"adam": Adam, "sgd": SGD}


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An autoencoder composed of an architecture, a loss and an optimiser.

    Parameters
    ----------
    architecture : Dense, optional
        Layers of the encoder; the decoder mirrors them. Default: ``Dense(code=2)``.
    loss : {"squared_error", "binary_cross_entropy"}, default="squared_error"
        Summed over the features of a sample, averaged over samples. Cross-entropy is computed from logits
        and needs values in [0, 1].
    output_activation : str, optional
        Of the reconstruction. Default: "linear" for the squared error; cross-entropy always has "sigmoid".
    optimizer : {"adam", "sgd"} or Adam or SGD, default="adam"
        How gradients move the weights.
    learning_rate : float or ExponentialDecay or CosineDecay, default=1e-3
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
        Fixes initial weights, order and dropout. None draws a new seed at each fit.
    progress : bool, default=True
        Show a progress bar on long runs.
    backend : {"torch", "tensorflow"}, optional
        Default: as `aelib.configure` or the environment say.
    device : {"auto", "cpu", "cuda"}, optional
        Default: likewise.
    dtype : {"float32", "float64"}, optional
        Default: float64 in the profile "reference", float32 in "full".

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
        architecture: Dense | None = None,
        *,
        loss: str = "squared_error",
        output_activation: str | None = None,
        optimizer: str | Adam | SGD = "adam",
        learning_rate: float | ExponentialDecay | CosineDecay = 1e-3,
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

    def fit(self, X: np.ndarray, y: object = None, *, validation_data: np.ndarray | None = None) -> Self:
        """Train on `X` from new initial weights.

        Ctrl-C ends the training early: the estimator keeps the weights and the history of the epochs that
        were completed, and a warning says so.

        Parameters
        ----------
        X : array-like, shape (samples, features)
            Training data.
        y : None
            Ignored; there for scikit-learn's pipelines. The target of an autoencoder is `X` itself.
        validation_data : array-like, shape (samples, features), optional
            Its loss is recorded after each epoch, and watched by early stopping.

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
        X = self._prepare(X)
        validation = None if validation_data is None else self._validate(validation_data, reset=False)
        if self.early_stopping is not None and validation is None:
            raise ValueError("early_stopping needs fit(..., validation_data=...) to watch")
        trainer = self._build_trainer(X)
        from tqdm.auto import tqdm

        # In a notebook tqdm overlooks its own variable, and a bar would be stored among the outputs.
        hidden = not self.progress or "TQDM_DISABLE" in os.environ
        with tqdm(total=self.epochs, desc="epochs", leave=False, delay=2, disable=hidden) as bar:
            run_epochs(
                trainer,
                X,
                validation=validation,
                history=self.history_,
                epochs=self.epochs,
                learning_rate=self.learning_rate,
                early_stopping=self.early_stopping,
                shuffle=self.shuffle,
                seed=self.seed_,
                on_epoch=bar.update,
            )
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the codes of `X`.

        Parameters
        ----------
        X : array-like, shape (samples, features)
            Data.

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
        ndarray, shape (samples, features)
        """
        check_is_fitted(self)
        Z = check_array(Z, dtype=self.dtype_, input_name="Z")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(f"Z has {Z.shape[1]} columns, but the code has {self._n_features_out} units")
        return self._apply("decode", Z)

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Return ``inverse_transform(transform(X))``, in the shape of `X`."""
        return self._apply("__call__", self._validate_fitted(X))

    def score(self, X: np.ndarray, y: object = None) -> float:
        """Return the negative mean loss of `X`: higher is better."""
        X = self._validate_fitted(X)
        self._check_range(X)
        return -sum(self._wing().engine.evaluate(self.network_, self.loss, X).values())

    def get_weights(self) -> dict[str, np.ndarray]:
        """Return copies of all weights under their canonical names, kernels as (inputs, outputs)."""
        check_is_fitted(self)
        return self._wing().networks.get_weights(self.network_)

    def set_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Replace all weights; names and shapes as `get_weights` returns them.

        Raises
        ------
        ValueError
            If a name or shape is not the network's, or a value is not finite; nothing is changed then.
        """
        check_is_fitted(self)
        check_weights(weights, self._plan().weight_shapes())
        self._wing().networks.set_weights(self.network_, weights)

    def save(self, path: str | os.PathLike) -> None:
        """Write settings, weights and history to one file that either backend can load: `aelib.load`."""
        check_is_fitted(self)
        storage.save(self, path)

    def _prepare(self, X: np.ndarray) -> np.ndarray:
        """Check all settings and `X`, and set the attributes that follow from them."""
        self._check_settings()
        self.backend_ = settings.resolve_backend(self.backend)
        self.device_ = settings.resolve_device(self.device, self.backend_)
        self.dtype_ = settings.resolve_dtype(self.dtype)
        X = self._validate(X, reset=True)
        self.sample_shape_ = X.shape[1:]
        self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
        return X

    def _build_trainer(self, X: np.ndarray) -> Trainer:
        """Build the network with initial weights and an empty history, and the engine that trains it."""
        self._build_network(self._plan().initial_weights(self.seed_))
        self.history_ = History()
        optimizer = self.optimizer
        return self._wing().engine.Trainer(
            self.network_,
            X,
            loss=self.loss,
            optimizer=OPTIMIZERS[optimizer]() if isinstance(optimizer, str) else optimizer,
            batch_size=self.batch_size,
        )

    def _build_network(self, weights: dict[str, np.ndarray]) -> None:
        plan = self._plan()
        check_weights(weights, plan.weight_shapes())
        networks = self._wing().networks
        self.network_ = networks.build_network(plan, self.dtype_, self.device_)
        networks.set_weights(self.network_, weights)

    def _check_settings(self) -> None:
        self._architecture().check()
        settings.check_choice("loss", self.loss, LOSSES)
        if self.output_activation is not None:
            settings.check_choice("output_activation", self.output_activation, ACTIVATIONS)
            if self.loss == "binary_cross_entropy" and self.output_activation != "sigmoid":
                raise ValueError(
                    f"binary_cross_entropy needs output_activation='sigmoid', got {self.output_activation!r}"
                )
        if isinstance(self.optimizer, str):
            settings.check_choice("optimizer", self.optimizer, tuple(OPTIMIZERS))
        else:
            self.optimizer.check()
        check_learning_rate(self.learning_rate)
        check_positive_integer("batch_size", self.batch_size)
        check_positive_integer("epochs", self.epochs)
        if self.early_stopping is not None:
            self.early_stopping.check()

    def _validate(self, X: np.ndarray, *, reset: bool) -> np.ndarray:
        """Return `X` in the network's precision, or say what is wrong with it."""
        axes = self._architecture().sample_axes
        X = validate_data(self, X, reset=reset, dtype=self.dtype_, ensure_all_finite=False, allow_nd=True)
        if X.ndim != 1 + len(axes):
            raise ValueError(
                f"{type(self._architecture()).__name__} takes arrays of shape (samples, {', '.join(axes)}), "
                f"got {X.shape}; flatten images with X.reshape(len(X), -1)"
            )
        bad = ~np.isfinite(X)
        if bad.any():
            raise ValueError(
                f"X contains {bad.sum()} NaN or infinite (inf) values, the first in row "
                f"{np.argwhere(bad)[0][0]}; leave out such rows or fill them in, for example with "
                "sklearn.impute.SimpleImputer"
            )
        if reset:
            self._check_range(X)
        return X

    def _check_range(self, X: np.ndarray) -> None:
        if self.loss == "binary_cross_entropy" and (X.min() < 0 or X.max() > 1):
            raise ValueError(
                f"binary_cross_entropy needs values in [0, 1], but X reaches from {X.min():g} to "
                f"{X.max():g}; scale it (sklearn.preprocessing.MinMaxScaler) or use loss='squared_error'"
            )

    def _validate_fitted(self, X: np.ndarray) -> np.ndarray:
        check_is_fitted(self)
        return self._validate(X, reset=False)

    def _apply(self, method: str, x: np.ndarray) -> np.ndarray:
        return self._wing().engine.apply(self.network_, method, x)

    def _architecture(self) -> Dense:
        return Dense(code=2) if self.architecture is None else self.architecture

    def _plan(self):
        default = "sigmoid" if self.loss == "binary_cross_entropy" else "linear"
        return self._architecture().plan(self.sample_shape_, self.output_activation or default)

    def _wing(self):
        return settings.load_wing(self.backend_)

    @property
    def _n_features_out(self) -> int:
        return int(self._architecture().code)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # the output has the network's precision
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        if "network_" in state:  # a network is pickled as its weights
            state["network_"] = self.get_weights()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        weights = state.pop("network_", None)
        super().__setstate__(state)
        if weights is not None:
            self._build_network(weights)
