"""What every autoencoder estimator shares: settings, training, NumPy in and NumPy out."""

import os
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from aelib import export, settings, storage
from aelib.architectures import Architecture, Dense
from aelib.checkpoint import Checkpoint
from aelib.checks import check_choice, check_positive_integer
from aelib.files import FileRows, is_memory_mapped, parts_of
from aelib.layers import Plan, check_weights
from aelib.objectives import Objective
from aelib.training import SGD, Adam, History, Trainer, Weights, check_learning_rate, run_epochs

# Samples in memory, or the rows of a memory-mapped array.
Data = np.ndarray | FileRows
OPTIMIZERS = {"adam": Adam, "sgd": SGD}


class BaseAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The part of an autoencoder that does not depend on what is minimised."""

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

    def export(self, path: str | os.PathLike) -> tuple[Path, Path]:
        """Write encoder and decoder as ONNX, which other programs read: `aelib.export.export`."""
        return export.export(self, path)

    def _fit(
        self,
        X: Data,
        condition: np.ndarray | None,
        validation: tuple[Data, np.ndarray | None] | None,
        initial_weights: Weights | None,
        checkpoint: str | os.PathLike | None,
        on_epoch: Callable[[Self], object] | None,
        *,
        beta: float = 1.0,
        warm_up: int = 0,
    ) -> Self:
        """Train on data that `_prepare` has checked, from new weights or from where a checkpoint stopped."""
        if self.early_stopping is not None and validation is None:
            raise ValueError("early_stopping needs fit(..., validation_data=...) to watch")
        trainer = self._build_trainer(X, condition, initial_weights)
        run, best = None, None
        if checkpoint is not None:
            names = ("training data", "classes", "validation data", "validation classes", "initial weights")
            data = (X, condition, *(validation or (None, None)), initial_weights)
            run = Checkpoint(checkpoint, self, dict(zip(names, data, strict=True)))
            best = run.restore(trainer)
        from tqdm.auto import tqdm

        # In a notebook tqdm overlooks its own variable, and a bar would be stored among the outputs.
        hidden = not self.progress or "TQDM_DISABLE" in os.environ or not trainer.is_first
        done = len(self.history_.loss)
        with tqdm(
            total=self.epochs, initial=done, desc="epochs", leave=False, delay=2, disable=hidden
        ) as bar:

            def finish_epoch(best: Weights) -> None:
                bar.update()
                if run is not None and trainer.is_first:
                    run.write(trainer, best)
                if on_epoch is not None:
                    on_epoch(self)

            try:
                run_epochs(
                    self,
                    trainer,
                    samples=len(X),
                    validation_loss=None if validation is None else lambda: self._loss(*validation, beta),
                    history=self.history_,
                    epochs=self.epochs,
                    learning_rate=self.learning_rate,
                    beta=beta,
                    warm_up=warm_up,
                    early_stopping=self.early_stopping,
                    shuffle=self.shuffle,
                    seed=self.seed_,
                    best=best,
                    on_epoch=finish_epoch,
                )
            except (OSError, RuntimeError) as error:
                if run is not None:
                    error.add_note(
                        f"{run.path} holds the {len(self.history_.loss)} epochs that were completed; "
                        "the same fit resumes there"
                    )
                raise
        return self

    def _loss(self, X: Data, condition: np.ndarray | None, beta: float) -> float:
        engine = self._wing().engine
        return engine.evaluate(self.network_, self._objective(), X, condition, beta)["loss"]

    @abstractmethod
    def _objective(self) -> Objective:
        """Return what training minimises."""

    @abstractmethod
    def _plan(self) -> Plan:
        """Return the network's layers for the training samples' shape."""

    @abstractmethod
    def _check_range(self, X: np.ndarray) -> None:
        """Raise a ValueError unless the loss is defined for the values of `X`."""

    def _prepare(self, X: np.ndarray, y: np.ndarray | None = None) -> tuple[Data, np.ndarray | None]:
        """Check all settings and the data, set what follows from them, and return data and condition."""
        self._check_settings()
        self.backend_ = settings.resolve_backend(self.backend)
        self.device_ = settings.resolve_device(self.device, self.backend_)
        self.dtype_ = settings.resolve_dtype(self.dtype)
        X = self._validate(X, reset=True, in_range=True)
        self.sample_shape_ = X.shape[1:]
        self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
        return X, None

    def _build_trainer(
        self, X: Data, condition: np.ndarray | None = None, initial_weights: Weights | None = None
    ) -> Trainer:
        """Build the network with initial weights and an empty history, and the engine that trains it."""
        plan = self._plan()
        self._build_network(plan.initial_weights(self.seed_) if initial_weights is None else initial_weights)
        self.history_ = History()
        optimizer = self.optimizer
        return self._wing().trainer_kind(self.device_)(
            self.network_,
            X,
            objective=self._objective(),
            optimizer=OPTIMIZERS[optimizer]() if isinstance(optimizer, str) else optimizer,
            batch_size=self.batch_size,
            condition=condition,
        )

    def _build_network(self, weights: dict[str, np.ndarray]) -> None:
        plan = self._plan()
        check_weights(weights, plan.weight_shapes())
        networks = self._wing().networks
        self.network_ = networks.build_network(
            plan, self.dtype_, self.device_, variational=self._is_variational
        )
        networks.set_weights(self.network_, weights)

    def _check_settings(self) -> None:
        self._architecture().check()
        if isinstance(self.optimizer, str):
            check_choice("optimizer", self.optimizer, tuple(OPTIMIZERS))
        else:
            self.optimizer.check()
        check_learning_rate(self.learning_rate)
        check_positive_integer("batch_size", self.batch_size)
        check_positive_integer("epochs", self.epochs)
        if self.early_stopping is not None:
            self.early_stopping.check()

    def _validate(self, X: np.ndarray, *, reset: bool, in_range: bool = False) -> Data:
        """Return `X` in the network's precision, or say what is wrong with it; a file's rows stay there."""
        dtype = settings.array_dtype(self.dtype_)
        options = {"dtype": dtype, "order": "C", "ensure_all_finite": False, "allow_nd": True}
        if is_memory_mapped(X):
            validate_data(self, X[:1], reset=reset, **options)
            X = FileRows(X, dtype)
        else:
            X = validate_data(self, X, reset=reset, **options)
        axes = self._architecture().sample_axes
        if len(X.shape) != 1 + len(axes):
            raise ValueError(
                f"{type(self._architecture()).__name__} takes arrays of shape (samples, {', '.join(axes)}), "
                f"got {X.shape}; {_reshaping_advice(len(X.shape), len(axes))}"
            )
        if not reset and X.shape[1:] != self.sample_shape_:
            raise ValueError(
                f"X has samples of shape {X.shape[1:]}, but the model was fitted to {self.sample_shape_}"
            )
        before = 0
        for part in parts_of(X):
            bad = self._unusable(part, before)
            if bad.any():
                raise ValueError(
                    f"X contains {bad.sum()} NaN or infinite (inf) values, the first in row "
                    f"{before + np.argwhere(bad)[0][0]}; {self._advice_on_nan}"
                )
            if in_range:
                self._check_range(part)
            before += len(part)
        return X

    _advice_on_nan = "leave out such rows or fill them in, for example with sklearn.impute.SimpleImputer"

    def _unusable(self, X: np.ndarray, before: int) -> np.ndarray:
        """Tell for each value whether the model can do nothing with it; `before` rows came before `X`."""
        return ~np.isfinite(X)

    def _validate_fitted(self, X: np.ndarray, *, in_range: bool = False) -> Data:
        check_is_fitted(self)
        return self._validate(X, reset=False, in_range=in_range)

    def _validate_codes(self, Z: np.ndarray) -> np.ndarray:
        check_is_fitted(self)
        Z = check_array(Z, dtype=settings.array_dtype(self.dtype_), input_name="Z")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(f"Z has {Z.shape[1]} columns, but the code has {self._n_features_out} units")
        return Z

    def _apply(self, method: str, x: Data, condition: np.ndarray | None = None) -> np.ndarray:
        return self._wing().engine.apply(self.network_, method, x, condition)

    def _architecture(self) -> Architecture:
        return Dense(code=2) if self.architecture is None else self.architecture

    def _wing(self):
        return settings.load_wing(self.backend_)

    _is_variational = False

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


def _reshaping_advice(found: int, wanted: int) -> str:
    """Return what to do with an array of `found` axes where a sample needs `wanted`."""
    if wanted == 1:
        return "flatten images with X.reshape(len(X), -1)"
    if wanted == 2:
        return (
            "X[..., None] makes sequences of one feature of rows, data.images(X)[..., 0] sequences of an "
            "image's rows, and aelib.pad_sequences one array of sequences of different lengths"
        )
    if found == 3:
        return "channels are missing: X[..., None] makes grey images of it"
    return "data.images(X) or X.reshape(len(X), height, width, channels) makes images of rows"
