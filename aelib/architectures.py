"""Architectures: the layers of an encoder and its mirrored decoder, without any framework.

An architecture is only a description. `plan` turns it, for samples of a given shape, into lists of
layers that both wings build; `Plan.initial_weights` draws their first weights in NumPy, so that both
frameworks start from the same numbers.
"""

from itertools import pairwise
from numbers import Integral

from sklearn.base import BaseEstimator

from aelib.checks import check_choice, check_number, check_positive_integer
from aelib.layers import (
    ACTIVATIONS,
    GATES,
    ConvLayer,
    DenseLayer,
    Plan,
    RecurrentLayer,
    RepeatLayer,
    ReshapeLayer,
)


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
        check_number("dropout", self.dropout, "[0, 1)")

    def plan(
        self,
        sample_shape: tuple[int, ...],
        output_activation: str,
        *,
        outputs_per_code_unit: int = 1,
        classes: int = 0,
    ) -> Plan:
        """Return the layers for samples of `sample_shape`.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of one sample, here ``(features,)``.
        output_activation : str
            Activation of the reconstruction.
        outputs_per_code_unit : int, default=1
            Numbers that the encoder returns for each unit of the code: 2 for a mean and a variance.
        classes : int, default=0
            Length of the condition that is appended to the encoder's and the decoder's input.

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
                inputs + (classes if i == 0 else 0),
                outputs * (outputs_per_code_unit if i == last else 1),
                self.code_activation if i == last else self.activation,
                0.0 if i == last else float(self.dropout),
            )
            for i, (inputs, outputs) in enumerate(steps)
        )
        decoder = tuple(
            DenseLayer(
                f"decoder.{i}",
                outputs + (classes if i == 0 else 0),
                inputs,
                "linear" if i == last else self.activation,
                0.0 if i == last else float(self.dropout),
                tied_to=f"encoder.{last - i}" if self.tied else None,
            )
            for i, (inputs, outputs) in enumerate(reversed(steps))
        )
        return Plan(encoder, decoder, int(self.code), output_activation)


class Conv(BaseEstimator):
    """Convolutional encoder and mirrored decoder for images.

    Each convolution halves height and width (kernel 4, stride 2, padding 1). What is left is flattened, rows
    before columns before channels, and a dense layer makes the code of it; the decoder goes back the
    same way with transposed convolutions.

    Parameters
    ----------
    channels : tuple of int
        Channels after each convolution; an image of 28×28 can be halved twice, one of 8×8 three times.
    code : int
        Units of the code.
    activation : {"linear", "relu", "tanh", "sigmoid", "elu", "softplus"}, default="relu"
        Of every hidden layer; the code is linear.

    Examples
    --------
    >>> [type(layer).__name__ for layer in Conv((8, 16), code=4).plan((28, 28, 1), "linear").encoder]
    ['ConvLayer', 'ConvLayer', 'ReshapeLayer', 'DenseLayer']
    """

    sample_axes = ("height", "width", "channels")

    def __init__(self, channels: tuple[int, ...], *, code: int, activation: str = "relu"):
        self.channels = channels
        self.code = code
        self.activation = activation

    def check(self) -> None:
        """Raise a ValueError or TypeError that names the first setting that cannot be."""
        if isinstance(self.channels, Integral | str) or len(self.channels) == 0:
            raise TypeError(f"channels must be a tuple such as (32, 64), got {self.channels!r}")
        for number in self.channels:
            check_positive_integer("a convolution's number of channels", number)
        check_positive_integer("code", self.code)
        check_choice("activation", self.activation, ACTIVATIONS)

    def plan(
        self,
        sample_shape: tuple[int, ...],
        output_activation: str,
        *,
        outputs_per_code_unit: int = 1,
        classes: int = 0,
    ) -> Plan:
        """Return the layers for images of `sample_shape`.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of one image, ``(height, width, channels)``.
        output_activation : str
            Activation of the reconstruction.
        outputs_per_code_unit : int, default=1
            Numbers that the encoder returns for each unit of the code: 2 for a mean and a variance.
        classes : int, default=0
            Length of the condition that is appended to the encoder's and the decoder's input.

        Returns
        -------
        Plan

        Raises
        ------
        ValueError
            If the convolutions cannot halve the images so often.
        """
        self.check()
        height, width, colours = sample_shape
        halvings = len(self.channels)
        if height % 2**halvings or width % 2**halvings:
            raise ValueError(
                f"Conv({tuple(self.channels)}) halves height and width {halvings} times, which images of "
                f"{height}×{width} do not allow ({_halvings(height, width)}); use fewer convolutions, or "
                f"pad the images to multiples of {2**halvings}"
            )
        rows, columns = height // 2**halvings, width // 2**halvings
        steps = list(pairwise([colours, *(int(number) for number in self.channels)]))
        small = (rows, columns, steps[-1][1])
        flat = rows * columns * small[2]
        code = int(self.code)
        encoder = [
            ConvLayer(f"encoder.{i}", inputs + (classes if i == 0 else 0), outputs, self.activation)
            for i, (inputs, outputs) in enumerate(steps)
        ]
        encoder.append(ReshapeLayer(f"encoder.{halvings}", (flat,)))
        encoder.append(DenseLayer(f"encoder.{halvings + 1}", flat, code * outputs_per_code_unit, "linear"))
        decoder = [
            DenseLayer("decoder.0", code + classes, flat, self.activation),
            ReshapeLayer("decoder.1", small),
        ]
        for i, (outputs, inputs) in enumerate(reversed(steps)):
            activation = "linear" if i == halvings - 1 else self.activation
            decoder.append(ConvLayer(f"decoder.{i + 2}", inputs, outputs, activation, transposed=True))
        return Plan(tuple(encoder), tuple(decoder), code, output_activation)


class Recurrent(BaseEstimator):
    """Recurrent encoder and decoder for sequences (Srivastava et al. 2015).

    The encoder reads a sequence step by step; a dense layer makes the code of its last state. The decoder
    is a second recurrent layer that sees the code at every step, and a dense layer that turns each of its
    states into a step of the reconstruction.

    Parameters
    ----------
    units : int
        Numbers in the state of either recurrent layer.
    code : int
        Units of the code, which is linear.
    cell : {"gru", "lstm"}, default="gru"
        The equations of one step.

    Examples
    --------
    >>> [type(layer).__name__ for layer in Recurrent(16, code=4).plan((28, 1), "linear").decoder]
    ['RepeatLayer', 'RecurrentLayer', 'DenseLayer']
    """

    sample_axes = ("time", "features")

    def __init__(self, units: int, *, code: int, cell: str = "gru"):
        self.units = units
        self.code = code
        self.cell = cell

    def check(self) -> None:
        """Raise a ValueError or TypeError that names the first setting that cannot be."""
        check_positive_integer("units", self.units)
        check_positive_integer("code", self.code)
        check_choice("cell", self.cell, tuple(GATES))

    def plan(
        self,
        sample_shape: tuple[int, ...],
        output_activation: str,
        *,
        outputs_per_code_unit: int = 1,
        classes: int = 0,
    ) -> Plan:
        """Return the layers for sequences of `sample_shape`.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of the longest sequence, ``(time, features)``.
        output_activation : str
            Activation of the reconstruction.
        outputs_per_code_unit : int, default=1
            Numbers that the encoder returns for each unit of the code: 2 for a mean and a variance.
        classes : int, default=0
            Length of the condition that is appended to the encoder's and the decoder's input.

        Returns
        -------
        Plan
        """
        self.check()
        time, features = sample_shape
        units, code = int(self.units), int(self.code)
        encoder = (
            RecurrentLayer("encoder.0", features + classes, units, self.cell, returns_sequence=False),
            DenseLayer("encoder.1", units, code * outputs_per_code_unit, "linear"),
        )
        decoder = (
            RepeatLayer("decoder.0", time),
            RecurrentLayer("decoder.1", code + classes, units, self.cell, returns_sequence=True),
            DenseLayer("decoder.2", units, features, "linear"),
        )
        return Plan(encoder, decoder, code, output_activation)


Architecture = Dense | Conv | Recurrent


def _halvings(height: int, width: int) -> str:
    sizes = [(height, width)]
    while height % 2 == 0 and width % 2 == 0:
        height, width = height // 2, width // 2
        sizes.append((height, width))
    return " → ".join(f"{height}×{width}" for height, width in sizes) + ", and no further"
