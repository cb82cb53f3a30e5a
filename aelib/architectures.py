"""Architectures: the layers of an encoder and its mirrored decoder, without any framework.

An architecture is only a description. `plan` turns it, for samples of a given shape, into lists of
layers that both wings build; `initial_weights` draws their first weights in NumPy, so that both
frameworks start from the same numbers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator

from aelib.settings import check_choice

ACTIVATIONS = ("linear", "relu", "tanh", "sigmoid", "elu", "softplus")
# Half of a rectifier's inputs are cut away; He et al. (2015) double the variance to make up for it.
_RECTIFIERS = ("relu", "elu", "softplus")


@dataclass(frozen=True)
class DenseLayer:
    """One fully connected layer: ``activation(x @ kernel + bias)``, kernel of shape (inputs, outputs).

    Parameters
    ----------
    name : str
        Canonical name, such as "encoder.0"; the weights are called "encoder.0.kernel" and "encoder.0.bias".
    inputs, outputs : int
        Features per sample before and after the layer.
    activation : str
        One of `ACTIVATIONS`.
    dropout : float
        Fraction of the outputs set to zero while training.
    tied_to : str or None
        The layer whose kernel, transposed, serves as this one's; None for a kernel of its own.
    """

    name: str
    inputs: int
    outputs: int
    activation: str
    dropout: float = 0.0
    tied_to: str | None = None

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the canonical names and shapes of the weights that this layer owns."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.tied_to is None:
            shapes[f"{self.name}.kernel"] = (self.inputs, self.outputs)
        shapes[f"{self.name}.bias"] = (self.outputs,)
        return shapes

    def initial_weights(self, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw a uniform kernel, scaled after He et al. (2015) or Glorot & Bengio (2010), and a zero bias."""
        weights = {}
        for name, shape in self.weight_shapes().items():
            if name.endswith("bias"):
                weights[name] = np.zeros(shape)
            else:
                fan = self.inputs if self.activation in _RECTIFIERS else self.inputs + self.outputs
                limit = math.sqrt(6.0 / fan)
                weights[name] = generator.uniform(-limit, limit, shape)
        return weights


@dataclass(frozen=True)
class Plan:
    """The layers of a network for samples of one shape.

    Parameters
    ----------
    encoder, decoder : tuple of layers
        In the order in which they are applied.
    output_activation : str
        Applied to the last decoder layer's result, which is kept apart because cross-entropy needs it.
    """

    encoder: tuple[DenseLayer, ...]
    decoder: tuple[DenseLayer, ...]
    output_activation: str

    @property
    def layers(self) -> tuple[DenseLayer, ...]:
        """All layers, encoder first."""
        return self.encoder + self.decoder

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the canonical names and shapes of all weights."""
        return {name: shape for layer in self.layers for name, shape in layer.weight_shapes().items()}

    def initial_weights(self, seed: int) -> dict[str, np.ndarray]:
        """Draw all weights from `seed`, in float64."""
        generator = np.random.default_rng(seed)
        return {
            name: array for layer in self.layers for name, array in layer.initial_weights(generator).items()
        }


def check_weights(weights: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise a ValueError unless `weights` has exactly the names and shapes of `shapes`, all finite."""
    missing, unknown = sorted(shapes.keys() - weights.keys()), sorted(weights.keys() - shapes.keys())
    if missing or unknown:
        raise ValueError(
            f"these are not the weights of this network: missing {missing}, unknown {unknown}; "
            f"expected {sorted(shapes)}"
        )
    for name, shape in shapes.items():
        array = np.asarray(weights[name])
        if array.shape != tuple(shape):
            raise ValueError(f"weight {name!r} has shape {array.shape}; this network needs {tuple(shape)}")
        if not np.isfinite(array).all():
            raise ValueError(f"weight {name!r} contains NaN or infinity")


class Dense(BaseEstimator):
    """Fully connected encoder and mirrored decoder.

    Parameters
    ----------
    hidden : tuple of int, default=()
        Units of the encoder's hidden layers; the decoder has the same in reverse. Empty: one layer each way.
    code : int
        Units of the code.
    activation : {"linear", "relu", "tanh", "sigmoid", "elu", "softplus"}, default="relu"
        Of every hidden layer.
    code_activation : same choice, default="linear"
        Of the code layer.
    tied : bool, default=False
        The decoder uses the transposed kernels of the encoder and has only biases of its own.
    dropout : float in [0, 1), default=0
        Fraction of each hidden layer's outputs set to zero while training, the rest scaled up to keep the
        mean (Srivastava et al. 2014).

    Examples
    --------
    >>> Dense((128, 64), code=32).plan((784,), "linear").encoder[0].outputs
    128
    """

    sample_axes = ("features",)

    def __init__(
        self,
        hidden: tuple[int, ...] = (),
        *,
        code: int,
        activation: str = "relu",
        code_activation: str = "linear",
        tied: bool = False,
        dropout: float = 0.0,
    ):
        self.hidden = hidden
        self.code = code
        self.activation = activation
        self.code_activation = code_activation
        self.tied = tied
        self.dropout = dropout

    def check(self) -> None:
        """Raise a ValueError or TypeError that names the first setting that cannot be."""
        if isinstance(self.hidden, Integral | str):
            raise TypeError(f"hidden must be a tuple of layer sizes such as (128, 64), got {self.hidden!r}")
        for size in self.hidden:
            check_positive_integer("a hidden layer's size", size)
        check_positive_integer("code", self.code)
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("code_activation", self.code_activation, ACTIVATIONS)
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, Real) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be a fraction in [0, 1), got {self.dropout!r}")

    def plan(self, sample_shape: tuple[int, ...], output_activation: str) -> Plan:
        """Return the layers for samples of `sample_shape`.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of one sample, here ``(features,)``.
        output_activation : str
            Activation of the reconstruction.

        Returns
        -------
        Plan
        """
        self.check()
        (features,) = sample_shape
        sizes = [features, *(int(size) for size in self.hidden), int(self.code)]
        steps = list(pairwise(sizes))
        last = len(steps) - 1
        encoder = tuple(
            DenseLayer(
                f"encoder.{i}",
                inputs,
                outputs,
                self.code_activation if i == last else self.activation,
                0.0 if i == last else float(self.dropout),
            )
            for i, (inputs, outputs) in enumerate(steps)
        )
        decoder = tuple(
            DenseLayer(
                f"decoder.{i}",
                outputs,
                inputs,
                "linear" if i == last else self.activation,
                0.0 if i == last else float(self.dropout),
                tied_to=f"encoder.{last - i}" if self.tied else None,
            )
            for i, (inputs, outputs) in enumerate(reversed(steps))
        )
        return Plan(encoder, decoder, output_activation)


def check_positive_integer(name: str, value: object) -> None:
    """Raise a TypeError or ValueError unless `value` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a positive integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
