"""The variational autoencoder as a scikit-learn estimator (Kingma & Welling 2014)."""

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from aelib import metrics, settings
from aelib.architectures import Architecture
from aelib.base import BaseAutoencoder
from aelib.checks import check_choice, check_integer, check_number, check_positive_integer
from aelib.layers import Plan
from aelib.objectives import Evidence
from aelib.schedules import Schedule
from aelib.training import SGD, Adam, EarlyStopping

LIKELIHOODS = ("bernoulli", "gaussian")
OBJECTIVES = ("elbo", "iwae")
BINARISATIONS = ("static", "dynamic")
# Training rows that are looked at to see whether the code is used.
_ROWS_FOR_COLLAPSE = 8192


class VariationalAutoencoder(BaseAutoencoder):
    """An autoencoder with a distribution over codes, trained on a lower bound of the log-evidence.

    The prior of the code is standard normal; the encoder gives mean and variance of a normal posterior.

    Parameters
    ----------
    architecture : Dense or Conv, optional
        Layers of the encoder; the decoder mirrors them. Default: ``Dense(code=2)``. The code must be linear
        and the weights not tied.
    likelihood : {"bernoulli", "gaussian"}, default="bernoulli"
        Distribution of a feature given the code. Bernoulli needs values in [0, 1].
    variance : float, optional
        Of the Gaussian likelihood, in the squared unit of the data. Default: learned, one number for all
        features (Rybkin et al. 2021).
    beta : float, default=1
        Factor of the KL divergence (Higgins et al. 2017).
    samples : int, default=1
        Codes drawn for each training sample.
    objective : {"elbo", "iwae"}, default="elbo"
        "iwae" is the importance-weighted bound of Burda et al. (2016) with `samples` codes.
    warm_up : int, default=0
        Epochs in which beta rises linearly from 0.
    free_bits : float, default=0
        Nats of divergence per code unit, on average over a batch, that cost nothing (Kingma et al. 2016).
    binarise : {"static", "dynamic"}, optional
        Replace features by draws of 0 and 1 with these probabilities: once for all, or anew in every epoch.
    condition : {"class"}, optional
        Encoder and decoder also see each sample's class: pass the classes as `y` to `fit`, and as `condition`
        afterwards.
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
        The trained network itself; its method ``posterior`` returns mean and log-variance.
    history_ : History
        Losses per epoch; ``history_.terms`` keeps "reconstruction" and "kl" apart, in nats.
    active_units_ : int
        Code units that depend on the data, counted on up to 8192 training samples by
        `aelib.metrics.active_units`.
    classes_ : ndarray
        The classes seen in `fit`; only with ``condition="class"``.
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
    >>> model = VariationalAutoencoder(Dense((32,), code=4), epochs=5, random_state=0).fit(x)
    >>> model.sample(3, random_state=0).shape
    (3, 64)
    """

    _is_variational = True

    def __init__(
        self,
        architecture: Architecture | None = None,
        *,
        likelihood: str = "bernoulli",
        variance: float | None = None,
        beta: float = 1.0,
        samples: int = 1,
        objective: str = "elbo",
        warm_up: int = 0,
        free_bits: float = 0.0,
        binarise: str | None = None,
        condition: str | None = None,
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
        self.likelihood = likelihood
        self.variance = variance
        self.beta = beta
        self.samples = samples
        self.objective = objective
        self.warm_up = warm_up
        self.free_bits = free_bits
        self.binarise = binarise
        self.condition = condition
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
        y: np.ndarray | None = None,
        *,
        validation_data: np.ndarray | tuple[np.ndarray, np.ndarray] | None = None,
        initial_weights: dict[str, np.ndarray] | None = None,
        checkpoint: str | os.PathLike | None = None,
        on_epoch: Callable[[Self], object] | None = None,
    ) -> Self:
        """Train on `X` from new initial weights.

        Ctrl-C ends the training early: the estimator keeps the weights and the history of the epochs that
        were completed, and a warning says so. Another warning says so if the code came out unused.

        Parameters
        ----------
        X : array-like, shape (samples, features) or (samples, height, width, channels)
            Training data. A memory-mapped array, as ``numpy.load(path, mmap_mode="r")`` returns it, is read
            batch by batch and never whole.
        y : array-like, shape (samples,), optional
            Classes; used with ``condition="class"``, else ignored.
        validation_data : array-like, or tuple of data and classes, optional
            Its loss, at the final beta, is recorded after each epoch, and watched by early stopping.
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
        VariationalAutoencoder
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a setting or the data cannot be used; the message names it.
        DivergenceError
            If the loss stops being finite; the last good weights are kept.
        """
        X, condition = self._prepare(X, y)
        self._check_memory()
        validation = None
        if validation_data is not None:
            x, classes = validation_data if isinstance(validation_data, tuple) else (validation_data, None)
            x = self._validate(x, reset=False, in_range=True)
            validation = x, self._one_hot(classes, len(x), "validation_data=(X, y)")
        options = {"beta": self.beta, "warm_up": self.warm_up}
        self._fit(X, condition, validation, initial_weights, checkpoint, on_epoch, **options)
        part = slice(_ROWS_FOR_COLLAPSE)
        means = self._apply("encode", X[part], None if condition is None else condition[part])
        self.active_units_ = metrics.active_units(means)
        if self.active_units_ == 0:
            warnings.warn(
                f"posterior collapse: none of the {self._n_features_out} code units depends on the data, so "
                "every reconstruction is the same. Try a smaller beta, warm_up, free_bits, another learning "
                "rate, or more epochs.",
                stacklevel=2,
            )
        return self

    def transform(self, X: np.ndarray, condition: np.ndarray | None = None) -> np.ndarray:
        """Return the posterior means of `X`.

        Parameters
        ----------
        X : array-like, shape (samples, ...)
            Data.
        condition : class or array-like of classes, shape (samples,), optional
            Needed by a conditional model.

        Returns
        -------
        ndarray, shape (samples, code)
        """
        X = self._validate_fitted(X)
        return self._apply("encode", X, self._one_hot(condition, len(X)))

    def posterior(self, X: np.ndarray, condition: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the approximate posterior q(z|x) of each sample.

        Parameters
        ----------
        X : array-like, shape (samples, ...)
            Data.
        condition : class or array-like of classes, shape (samples,), optional
            Needed by a conditional model.

        Returns
        -------
        mean, standard_deviation : ndarray, shape (samples, code) each
        """
        X = self._validate_fitted(X)
        condition = self._one_hot(condition, len(X))
        mean, log_variance = self._wing().engine.posterior(self.network_, X, condition)
        return mean, np.exp(0.5 * log_variance)

    def inverse_transform(self, Z: np.ndarray, condition: np.ndarray | None = None) -> np.ndarray:
        """Return the mean of p(x|z) for each code.

        Parameters
        ----------
        Z : array-like, shape (samples, code)
            Codes.
        condition : class or array-like of classes, shape (samples,), optional
            Needed by a conditional model.

        Returns
        -------
        ndarray, shape (samples, ...)
        """
        Z = self._validate_codes(Z)
        return self._apply("decode", Z, self._one_hot(condition, len(Z)))

    def reconstruct(self, X: np.ndarray, condition: np.ndarray | None = None) -> np.ndarray:
        """Return what the decoder makes of the posterior means, in the shape of `X`."""
        X = self._validate_fitted(X)
        return self._apply("__call__", X, self._one_hot(condition, len(X)))

    def sample(
        self,
        n: int,
        condition: np.ndarray | None = None,
        *,
        random_state: int | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Draw `n` codes from the prior and return the means of p(x|z).

        Parameters
        ----------
        n : int
            How many.
        condition : class or array-like of classes, shape (n,), optional
            Needed by a conditional model.
        random_state : int or RandomState, optional
            None draws other codes at every call.

        Returns
        -------
        ndarray, shape (n, ...)
        """
        check_is_fitted(self)
        check_positive_integer("n", n)
        codes = check_random_state(random_state).standard_normal((n, self._n_features_out))
        return self.inverse_transform(codes, condition)

    def elbo(self, X: np.ndarray, samples: int = 1, condition: np.ndarray | None = None) -> np.ndarray:
        """Return the evidence lower bound of each sample, at beta 1 and with the divergence in closed form.

        Parameters
        ----------
        X : array-like, shape (n, ...)
            Data.
        samples : int, default=1
            Codes drawn for each x; always the same ones.
        condition : class or array-like of classes, shape (n,), optional
            Needed by a conditional model.

        Returns
        -------
        ndarray, shape (n,)
            In nats per sample. Densities for the Gaussian likelihood, probabilities for binary data; with
            `binarise` set, of `X` as binarised, the same way each time.
        """
        return self._evidence_bounds(X, samples, condition)[0]

    def log_likelihood(
        self, X: np.ndarray, samples: int = 100, condition: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the importance-weighted lower bound of log p(x): the more samples, the tighter.

        Equation 8 of Burda et al. (2016). Codes are drawn part by part, so that memory stays bounded.

        Parameters
        ----------
        X : array-like, shape (n, ...)
            Data.
        samples : int, default=100
            Codes drawn for each x; always the same ones.
        condition : class or array-like of classes, shape (n,), optional
            Needed by a conditional model.

        Returns
        -------
        ndarray, shape (n,)
            In nats per sample, of the same data as in `elbo`.
        """
        return self._evidence_bounds(X, samples, condition)[1]

    def score(self, X: np.ndarray, y: np.ndarray | None = None) -> float:
        """Return the mean evidence lower bound of `X` in nats; `y` holds a conditional model's classes."""
        return float(np.mean(self.elbo(X, condition=None if self.condition is None else y)))

    def _evidence_bounds(
        self, X: np.ndarray, samples: int, condition: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        check_positive_integer("samples", samples)
        X = self._validate_fitted(X, in_range=True)
        condition = self._one_hot(condition, len(X))
        engine = self._wing().engine
        return engine.evidence_bounds(self.network_, self._objective(), X, condition, samples)

    def _objective(self) -> Evidence:
        return Evidence(
            self.likelihood,
            self.variance,
            self.samples,
            self.objective == "iwae",
            self.free_bits,
            self.binarise,
        )

    def _plan(self) -> Plan:
        plan = self._architecture().plan(
            self.sample_shape_,
            "sigmoid" if self.likelihood == "bernoulli" else "linear",
            outputs_per_code_unit=2,
            classes=0 if self.condition is None else len(self.classes_),
        )
        return replace(plan, learned_variance=self.likelihood == "gaussian" and self.variance is None)

    def _prepare(self, X: np.ndarray, y: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        X, _ = super()._prepare(X)
        if self.condition is None:
            return X, None
        if y is None:
            raise ValueError("condition='class' needs the classes of the training samples: fit(X, y)")
        self.classes_ = np.unique(np.asarray(y))
        if len(self.classes_) < 2:
            raise ValueError(
                "condition='class' needs samples of at least two classes, but all are of "
                f"{self.classes_.tolist()[0]!r}; leave the condition out"
            )
        return X, self._one_hot(y, len(X), "fit(X, y)")

    def _one_hot(
        self, condition: np.ndarray | None, n: int, where: str = "condition=..."
    ) -> np.ndarray | None:
        """Return classes as an array (n, classes) of 0 and 1, or say what is wrong with them."""
        if self.condition is None:
            if condition is not None:
                raise ValueError("this model has no condition; fit one with condition='class'")
            return None
        if condition is None:
            raise ValueError(
                f"this model was fitted with classes and needs them here too: pass {where}, one class for "
                "all or one for each sample"
            )
        condition = np.asarray(condition)
        if condition.ndim == 0:
            condition = np.broadcast_to(condition, n)
        if condition.shape != (n,):
            raise ValueError(f"{where} has shape {condition.shape}, but there are {n} samples: pass ({n},)")
        unknown = np.setdiff1d(condition, self.classes_)
        if len(unknown):
            raise ValueError(f"unknown classes {unknown.tolist()}; known: {self.classes_.tolist()}")
        return (condition[:, None] == self.classes_).astype(settings.array_dtype(self.dtype_))

    def _check_settings(self) -> None:
        super()._check_settings()
        check_choice("likelihood", self.likelihood, LIKELIHOODS)
        check_choice("objective", self.objective, OBJECTIVES)
        if self.binarise is not None:
            check_choice("binarise", self.binarise, BINARISATIONS)
        if self.condition is not None:
            check_choice("condition", self.condition, ("class",))
        check_number("beta", self.beta, "[0, inf)")
        check_number("free_bits", self.free_bits, "[0, inf)")
        check_positive_integer("samples", self.samples)
        check_integer("warm_up", self.warm_up, at_least=0)
        if self.variance is not None:
            check_number("variance", self.variance, "(0, inf)")
        architecture = self._architecture()
        refused = [
            (getattr(architecture, "tied", False), "tied=True: the encoder has two outputs per code unit"),
            (
                getattr(architecture, "code_activation", "linear") != "linear",
                "a code_activation: means and log-variances may be any number",
            ),
            (self.likelihood == "bernoulli" and self.variance is not None, "a variance: Bernoulli has none"),
            (self.likelihood == "gaussian" and self.binarise is not None, "binarise: a density needs none"),
            (
                self.objective == "iwae" and (self.beta != 1 or self.warm_up or self.free_bits),
                "beta, warm_up or free_bits together with objective='iwae', whose bound has no such term",
            ),
        ]
        for is_set, what in refused:
            if is_set:
                raise ValueError(f"this VariationalAutoencoder cannot have {what}")

    def _check_range(self, X: np.ndarray) -> None:
        if self.likelihood == "bernoulli" and (X.min() < 0 or X.max() > 1):
            raise ValueError(
                f"likelihood='bernoulli' needs values in [0, 1], but X reaches from {X.min():g} to "
                f"{X.max():g}; scale it (sklearn.preprocessing.MinMaxScaler) or use likelihood='gaussian'"
            )

    def _check_memory(self) -> None:
        """Refuse a batch whose decoder outputs alone are larger than the machine's memory."""
        if not hasattr(os, "sysconf"):
            return
        features = int(np.prod(self.sample_shape_))
        needed = (
            self.batch_size * self.samples * features * np.dtype(settings.array_dtype(self.dtype_)).itemsize
        )
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needed > memory:
            raise ValueError(
                f"samples={self.samples} with batch_size={self.batch_size} needs {needed / 1e9:.1f} GB for "
                f"a step's outputs alone, and this machine has {memory / 1e9:.1f} GB; use fewer samples or "
                "smaller batches"
            )
