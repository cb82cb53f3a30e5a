"""The autoencoder as a scikit-learn estimator: NumPy in, NumPy out, the framework behind it."""

from typing import Self

import numpy as np

from aelib.architectures import Conv, Dense
from aelib.base import BaseAutoencoder
from aelib.checks import check_choice
from aelib.corruption import Corruption
from aelib.layers import ACTIVATIONS, Plan
from aelib.objectives import Reconstruction
from aelib.penalties import KLSparsity, Penalty
from aelib.training import SGD, Adam, CosineDecay, EarlyStopping, ExponentialDecay

LOSSES = ("squared_error", "binary_cross_entropy")


class Autoencoder(BaseAutoencoder):
    """An autoencoder composed of an architecture, a loss, a corruption, a penalty and an optimiser.

    Parameters
    ----------
    architecture : Dense or Conv, optional
        Layers of the encoder; the decoder mirrors them. Default: ``Dense(code=2)``.
    loss : {"squared_error", "binary_cross_entropy"}, default="squared_error"
        Summed over the features of a sample, averaged over samples. Cross-entropy is computed from logits
        and needs values in [0, 1].
    output_activation : str, optional
        Of the reconstruction. Default: "linear" for the squared error; cross-entropy always has "sigmoid".
    corruption : GaussianNoise or Masking or SaltAndPepper, optional
        Done to the input while training, anew at every visit; the target stays clean.
    penalty : L1 or L2 or KLSparsity or Contractive, optional
        Added to the loss.
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
        Fixes initial weights, order and noise. None draws a new seed at each fit.
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
        architecture: Dense | Conv | None = None,
        *,
        loss: str = "squared_error",
        output_activation: str | None = None,
        corruption: Corruption | None = None,
        penalty: Penalty | None = None,
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
        self.corruption = corruption
        self.penalty = penalty
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
        X : array-like, shape (samples, features) or (samples, height, width, channels)
            Training data; `Dense` takes the first shape, `Conv` the second.
        y : None
            Ignored; there for scikit-learn's pipelines. The target of an autoencoder is `X` itself.
        validation_data : array-like of the same shape, optional
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
        X, _ = self._prepare(X)
        validation = None
        if validation_data is not None:
            validation = self._validate(validation_data, reset=False), None
            self._check_range(validation[0])
        return self._fit(X, None, validation)

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
        """Return ``inverse_transform(transform(X))``, in the shape of `X`."""
        return self._apply("__call__", self._validate_fitted(X))

    def score(self, X: np.ndarray, y: object = None) -> float:
        """Return the negative mean reconstruction loss of `X`, without corruption or penalty."""
        X = self._validate_fitted(X)
        self._check_range(X)
        return -self._wing().engine.evaluate(self.network_, Reconstruction(self.loss), X)["loss"]

    def _objective(self) -> Reconstruction:
        return Reconstruction(self.loss, self.corruption, self.penalty)

    def _plan(self) -> Plan:
        default = "sigmoid" if self.loss == "binary_cross_entropy" else "linear"
        return self._architecture().plan(self.sample_shape_, self.output_activation or default)

    def _check_settings(self) -> None:
        super()._check_settings()
        check_choice("loss", self.loss, LOSSES)
        if self.output_activation is not None:
            check_choice("output_activation", self.output_activation, ACTIVATIONS)
            if self.loss == "binary_cross_entropy" and self.output_activation != "sigmoid":
                raise ValueError(
                    f"binary_cross_entropy needs output_activation='sigmoid', got {self.output_activation!r}"
                )
        for part, known in (("corruption", Corruption), ("penalty", Penalty)):
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

    def _check_range(self, X: np.ndarray) -> None:
        if self.loss == "binary_cross_entropy" and (X.min() < 0 or X.max() > 1):
            raise ValueError(
                f"binary_cross_entropy needs values in [0, 1], but X reaches from {X.min():g} to "
                f"{X.max():g}; scale it (sklearn.preprocessing.MinMaxScaler) or use loss='squared_error'"
            )
