"""Layers and plans: what a network consists of, as plain numbers that both wings build from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

ACTIVATIONS = ("linear", "relu", "tanh", "sigmoid", "elu", "softplus")
# Half of a rectifier's inputs are cut away; He et al. (2015) double the variance to make up for it.
_RECTIFIERS = ("relu", "elu", "softplus")
# A kernel of 4 at stride 2 with a border of 1 halves even sizes exactly, the same in both frameworks, and
# gives every output of its transpose equally many contributions: no checkerboards.
KERNEL, STRIDE, PADDING = 4, 2, 1
# Gates of a recurrent layer's cell, as many times `units` columns its kernels have.
GATES = {"gru": 3, "lstm": 4}


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

    def fans(self) -> tuple[int, int]:
        """Return how many inputs reach one output, and how many outputs one input reaches."""
        return self.inputs, self.outputs


@dataclass(frozen=True)
class ConvLayer:
    """A convolution that halves height and width, or its transpose, which doubles them.

    The kernel has the shape (4, 4, inputs, outputs), that of a transpose (4, 4, outputs, inputs): both are
    the kernel of the convolution.

    Parameters
    ----------
    name : str
        Canonical name, such as "encoder.0".
    inputs, outputs : int
        Channels before and after the layer.
    activation : str
        One of `ACTIVATIONS`.
    transposed : bool
        Whether the layer doubles height and width.
    """

    name: str
    inputs: int
    outputs: int
    activation: str
    transposed: bool = False

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the canonical names and shapes of the weights that this layer owns."""
        channels = (self.outputs, self.inputs) if self.transposed else (self.inputs, self.outputs)
        return {f"{self.name}.kernel": (KERNEL, KERNEL, *channels), f"{self.name}.bias": (self.outputs,)}

    def fans(self) -> tuple[int, int]:
        """Return how many inputs reach one output, and how many outputs one input reaches."""
        whole, per_place = KERNEL**2, (KERNEL // STRIDE) ** 2
        if self.transposed:
            return per_place * self.inputs, whole * self.outputs
        return whole * self.inputs, per_place * self.outputs


@dataclass(frozen=True)
class ReshapeLayer:
    """Gives each sample another shape; rows before columns before channels. It has no weights.

    Parameters
    ----------
    name : str
        Canonical name.
    shape : tuple of int
        A sample's shape afterwards.
    """

    name: str
    shape: tuple[int, ...]

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return an empty mapping."""
        return {}


@dataclass(frozen=True)
class RecurrentLayer:
    """A layer that reads a sequence step by step and carries a state of `units` numbers along.

    The gates stand side by side in the columns of the kernels and in the biases: reset, update, new for
    the GRU (Cho et al. 2014; the reset gate acts on ``state @ recurrent_kernel + recurrent_bias``), input,
    forget, cell, output for the LSTM (Hochreiter & Schmidhuber 1997), which has a single bias.

    Parameters
    ----------
    name : str
        Canonical name, such as "encoder.0".
    inputs : int
        Features per time step.
    units : int
        Numbers in the state.
    cell : {"gru", "lstm"}
        The equations of one step.
    returns_sequence : bool
        Whether the result is the state after every step, or after each sequence's last known one.
    """

    name: str
    inputs: int
    units: int
    cell: str
    returns_sequence: bool

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the canonical names and shapes of the weights that this layer owns."""
        columns = GATES[self.cell] * self.units
        shapes = {
            f"{self.name}.kernel": (self.inputs, columns),
            f"{self.name}.recurrent_kernel": (self.units, columns),
            f"{self.name}.bias": (columns,),
        }
        return shapes | ({f"{self.name}.recurrent_bias": (columns,)} if self.cell == "gru" else {})


@dataclass(frozen=True)
class RepeatLayer:
    """Gives a sequence of equal steps: (units,) becomes (times, units). It has no weights.

    Parameters
    ----------
    name : str
        Canonical name.
    times : int
        Steps of the sequence.
    """

    name: str
    times: int

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return an empty mapping."""
        return {}


@dataclass(frozen=True)
class FillLayer:
    """Shows unknown values, NaN, to the next layer as 0. It has no weights.

    Parameters
    ----------
    name : str
        Canonical name.
    """

    name: str

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return an empty mapping."""
        return {}


Layer = DenseLayer | ConvLayer | ReshapeLayer | RecurrentLayer | RepeatLayer | FillLayer


def _initial_weights(layer: Layer, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw a uniform kernel, scaled after He et al. (2015) or Glorot & Bengio (2010), and a zero bias."""
    if isinstance(layer, RecurrentLayer):
        return _initial_recurrent_weights(layer, generator)
    weights = {}
    for name, shape in layer.weight_shapes().items():
        if name.endswith("bias"):
            weights[name] = np.zeros(shape)
        else:
            fan_in, fan_out = layer.fans()
            fan = fan_in if layer.activation in _RECTIFIERS else fan_in + fan_out
            limit = math.sqrt(6.0 / fan)
            weights[name] = generator.uniform(-limit, limit, shape)
    return weights


def _initial_recurrent_weights(
    layer: RecurrentLayer, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw kernels after Glorot & Bengio (2010), recurrent ones orthogonal (Saxe et al. 2014)."""
    gates, units = GATES[layer.cell], layer.units
    limit = math.sqrt(6.0 / (layer.inputs + units))
    kernel = generator.uniform(-limit, limit, (layer.inputs, gates * units))
    squares = [np.linalg.qr(generator.standard_normal((units, units)))[0] for _ in range(gates)]
    weights = {name: np.zeros(shape) for name, shape in layer.weight_shapes().items()}
    weights |= {f"{layer.name}.kernel": kernel, f"{layer.name}.recurrent_kernel": np.hstack(squares)}
    if layer.cell == "lstm":  # at first nothing is forgotten (Gers et al. 2000)
        weights[f"{layer.name}.bias"][units : 2 * units] = 1.0
    return weights


@dataclass(frozen=True)
class Plan:
    """The layers of a network for samples of one shape.

    Parameters
    ----------
    encoder, decoder : tuple of layers
        In the order in which they are applied.
    code : int
        Units of the code.
    output_activation : str
        Applied to the last decoder layer's result, which is kept apart because cross-entropy needs it.
    learned_variance : bool
        Whether the network owns a number "likelihood.log_variance", the logarithm of the variance of a
        Gaussian likelihood.
    """

    encoder: tuple[Layer, ...]
    decoder: tuple[Layer, ...]
    code: int
    output_activation: str
    learned_variance: bool = False

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, encoder first."""
        return self.encoder + self.decoder

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the canonical names and shapes of all weights."""
        shapes = {name: shape for layer in self.layers for name, shape in layer.weight_shapes().items()}
        return shapes | ({"likelihood.log_variance": ()} if self.learned_variance else {})

    def initial_weights(self, seed: int) -> dict[str, np.ndarray]:
        """Draw all weights from `seed`, in float64; the variance of a likelihood begins at 1."""
        generator = np.random.default_rng(seed)
        weights = {
            name: array for layer in self.layers for name, array in _initial_weights(layer, generator).items()
        }
        return weights | ({"likelihood.log_variance": np.zeros(())} if self.learned_variance else {})


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
