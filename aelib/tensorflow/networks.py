"""Networks built from a plan: the layers, the autoencoder, its weights under canonical names."""

import keras
import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from aelib.layers import KERNEL, STRIDE, Plan
from aelib.layers import ConvLayer as ConvSpec
from aelib.layers import DenseLayer as DenseSpec
from aelib.layers import FillLayer as FillSpec
from aelib.layers import RecurrentLayer as RecurrentSpec
from aelib.layers import RepeatLayer as RepeatSpec
from aelib.layers import ReshapeLayer as ReshapeSpec
from aelib.tensorflow.random import Noise, dropout

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"Keras runs on {keras.backend.backend()!r} in this process, and aelib's TensorFlow wing needs it on "
        "TensorFlow; unset KERAS_BACKEND (or set it to 'tensorflow') and start again"
    )

# A weight by its canonical name; Keras stores every weight in the canonical layout.
NamedWeights = dict[str, keras.Variable]

ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": tf.nn.relu,
    "tanh": tf.tanh,
    "sigmoid": tf.sigmoid,
    "elu": tf.nn.elu,
    "softplus": tf.nn.softplus,
}


class DenseLayer(keras.layers.Layer):
    """A fully connected layer with weights of its own."""

    def __init__(self, spec: DenseSpec, dtype: str):
        super().__init__(dtype=dtype)
        self.spec = spec
        self.linear = keras.layers.Dense(spec.outputs, kernel_initializer="zeros", dtype=dtype)
        self.linear.build((None, spec.inputs))
        self.built = True

    def call(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the activations (batch, outputs) for `x` (batch, inputs); dropout only with noise."""
        x = ACTIVATIONS[self.spec.activation](self.linear(x))  # (batch, outputs)
        if noise is not None and self.spec.dropout > 0:
            x = dropout(x, self.spec.dropout, noise, self.spec.name)
        return x

    def weights_by_name(self) -> NamedWeights:
        """Return each weight by its canonical name."""
        return {
            f"{self.spec.name}.kernel": self.linear.kernel,  # Keras: (inputs, outputs)
            f"{self.spec.name}.bias": self.linear.bias,
        }


class TiedDenseLayer(keras.layers.Layer):
    """A fully connected layer that uses another layer's kernel, transposed, and its own bias."""

    def __init__(self, spec: DenseSpec, source: DenseLayer, dtype: str):
        super().__init__(dtype=dtype)
        self.spec = spec
        self.sources = (source,)
        self.bias = self.add_weight(shape=(spec.outputs,), initializer="zeros", name="bias")
        self.built = True

    def call(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the activations (batch, outputs) for `x` (batch, inputs); dropout only with noise."""
        kernel = self.sources[0].linear.kernel  # (outputs, inputs)
        product = tf.matmul(x, kernel, transpose_b=True)
        x = ACTIVATIONS[self.spec.activation](product + self.bias)  # (batch, outputs)
        if noise is not None and self.spec.dropout > 0:
            x = dropout(x, self.spec.dropout, noise, self.spec.name)
        return x

    def weights_by_name(self) -> NamedWeights:
        """Return each weight by its canonical name."""
        return {f"{self.spec.name}.bias": self.bias}


class ConvLayer(keras.layers.Layer):
    """A convolution that halves height and width, or its transpose, which doubles them."""

    def __init__(self, spec: ConvSpec, dtype: str):
        super().__init__(dtype=dtype)
        self.spec = spec
        kind = keras.layers.Conv2DTranspose if spec.transposed else keras.layers.Conv2D
        self.conv = kind(
            spec.outputs, KERNEL, strides=STRIDE, padding="same", kernel_initializer="zeros", dtype=dtype
        )
        self.conv.build((None, None, None, spec.inputs))
        self.built = True

    def call(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return (batch, half or double height and width, outputs) for `x` (batch, height, width, inputs)."""
        x = self.conv(x)  # "same" puts a border of 1 around even sizes
        return ACTIVATIONS[self.spec.activation](x)

    def weights_by_name(self) -> NamedWeights:
        """Return each weight by its canonical name."""
        return {
            # Keras: (4, 4, inputs, outputs), and of the transpose (4, 4, outputs, inputs)
            f"{self.spec.name}.kernel": self.conv.kernel,
            f"{self.spec.name}.bias": self.conv.bias,
        }


class ReshapeLayer(keras.layers.Layer):
    """Gives each sample another shape: rows before columns before channels."""

    def __init__(self, spec: ReshapeSpec, dtype: str):
        super().__init__(dtype=dtype)
        self.spec = spec
        self.built = True

    def call(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return `x` (batch, ...) in the new shape."""
        return tf.reshape(x, (-1, *self.spec.shape))

    def weights_by_name(self) -> NamedWeights:
        """Return an empty mapping."""
        return {}


class RecurrentLayer(keras.layers.Layer):
    """A layer that reads sequences step by step and carries a state along, a GRU or an LSTM.

    The equations stand here because the gates of Keras's own GRU come in another order.
    """

    def __init__(self, spec: RecurrentSpec, dtype: str):
        super().__init__(dtype=dtype)
        self.spec = spec
        for name, shape in spec.weight_shapes().items():  # "encoder.0.kernel" becomes self.kernel
            name = name.rpartition(".")[2]
            setattr(self, name, self.add_weight(shape=shape, initializer="zeros", name=name))
        self.built = True

    def call(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the states for `x` (batch, time, inputs): all of them, or the last one of each sequence.

        A sequence that ends before the others goes on with steps of NaN.
        """
        known = ~tf.math.is_nan(x[:, :, 0])  # (batch, time)
        x = tf.where(known[:, :, None], x, tf.zeros_like(x))
        seen = tf.matmul(x, self.kernel) + self.bias  # (batch, time, gates · units), all steps at once
        start = tf.zeros((x.shape[0], self.spec.units), x.dtype)
        seen = tf.transpose(seen, (1, 0, 2))  # (time, batch, gates · units): a scan runs along the first axis
        if self.spec.cell == "gru":
            states = tf.scan(self.gru_step, seen, start)  # (time, batch, units)
        else:
            states, _ = tf.scan(self.lstm_step, seen, (start, start))
        states = tf.transpose(states, (1, 0, 2))  # (batch, time, units)
        if self.spec.returns_sequence:
            return states
        last = tf.reduce_sum(tf.cast(known, tf.int32), axis=1) - 1  # (batch,)
        return tf.gather(states, last, axis=1, batch_dims=1)  # (batch, units)

    def gru_step(self, state: Tensor, seen: Tensor) -> Tensor:
        """Return the state (batch, units) after a step that contributes `seen` (batch, 3 · units)."""
        kept = tf.matmul(state, self.recurrent_kernel) + self.recurrent_bias  # (batch, 3 · units)
        seen_reset, seen_update, seen_new = tf.split(seen, 3, axis=1)
        kept_reset, kept_update, kept_new = tf.split(kept, 3, axis=1)
        reset = tf.sigmoid(seen_reset + kept_reset)
        update = tf.sigmoid(seen_update + kept_update)
        new = tf.tanh(seen_new + reset * kept_new)
        return (1.0 - update) * new + update * state

    def lstm_step(self, states: tuple[Tensor, Tensor], seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return state and memory, (batch, units) each, after a step that contributes `seen`."""
        state, memory = states
        gates = seen + tf.matmul(state, self.recurrent_kernel)  # (batch, 4 · units)
        write, forget, new, show = tf.split(gates, 4, axis=1)
        memory = tf.sigmoid(forget) * memory + tf.sigmoid(write) * tf.tanh(new)
        return tf.sigmoid(show) * tf.tanh(memory), memory

    def weights_by_name(self) -> NamedWeights:
        """Return each weight by its canonical name."""
        return {name: getattr(self, name.rpartition(".")[2]) for name in self.spec.weight_shapes()}


class RepeatLayer(keras.layers.Layer):
    """Gives a sequence of equal steps."""

    def __init__(self, spec: RepeatSpec, dtype: str):
        super().__init__(dtype=dtype)
        self.spec = spec
        self.built = True

    def call(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return `x` (batch, units) at every time step, (batch, times, units)."""
        return tf.repeat(x[:, None, :], self.spec.times, axis=1)

    def weights_by_name(self) -> NamedWeights:
        """Return an empty mapping."""
        return {}


class FillLayer(keras.layers.Layer):
    """Shows unknown values, NaN, to the next layer as 0."""

    def __init__(self, spec: FillSpec, dtype: str):
        super().__init__(dtype=dtype)
        self.spec = spec
        self.built = True

    def call(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return `x` (batch, ...) with 0 in the place of NaN."""
        return tf.where(tf.math.is_nan(x), tf.zeros_like(x), x)

    def weights_by_name(self) -> NamedWeights:
        """Return an empty mapping."""
        return {}


LAYERS = {
    DenseSpec: DenseLayer,
    ConvSpec: ConvLayer,
    ReshapeSpec: ReshapeLayer,
    RecurrentSpec: RecurrentLayer,
    RepeatSpec: RepeatLayer,
    FillSpec: FillLayer,
}


def append_condition(x: Tensor, condition: Tensor | None) -> Tensor:
    """Return `x` (batch, ..., channels) with a condition (batch, classes) as further channels."""
    if condition is None:
        return x
    places = tf.reshape(condition, (x.shape[0], *[1] * (x.ndim - 2), -1))  # (batch, 1, ..., classes)
    return tf.concat([x, tf.broadcast_to(places, (*x.shape[:-1], places.shape[-1]))], axis=-1)


class Autoencoder(keras.Model):
    """An encoder and a decoder; `call` gives the reconstruction."""

    def __init__(self, plan: Plan, dtype: str):
        super().__init__(dtype=dtype)
        built: dict[str, keras.layers.Layer] = {}
        for spec in plan.layers:
            if getattr(spec, "tied_to", None) is None:
                built[spec.name] = LAYERS[type(spec)](spec, dtype)
            else:
                built[spec.name] = TiedDenseLayer(spec, built[spec.tied_to], dtype)
        self.encoder = [built[spec.name] for spec in plan.encoder]
        self.decoder = [built[spec.name] for spec in plan.decoder]
        self.code = plan.code
        self.output_activation = plan.output_activation
        self.is_mixed = dtype == "mixed_bfloat16"
        self.built = True

    def run(self, layers: list[keras.layers.Layer], x: Tensor, noise: Noise | None) -> Tensor:
        """Return what the layers make of `x` (batch, ...); in mixed precision they compute in bfloat16."""
        for layer in layers:
            x = layer(x, noise)
        return tf.cast(x, tf.float32) if self.is_mixed else x

    def encode(self, x: Tensor, noise: Noise | None = None, condition: Tensor | None = None) -> Tensor:
        """Return the codes (batch, code) of `x` (batch, ...)."""
        return self.run(self.encoder, append_condition(x, condition), noise)

    def decode_logits(
        self, code: Tensor, noise: Noise | None = None, condition: Tensor | None = None
    ) -> Tensor:
        """Return what the output activation is applied to, (batch, ...)."""
        return self.run(self.decoder, append_condition(code, condition), noise)

    def decode(self, code: Tensor, noise: Noise | None = None, condition: Tensor | None = None) -> Tensor:
        """Return the reconstructions (batch, ...) of codes (batch, code)."""
        return ACTIVATIONS[self.output_activation](self.decode_logits(code, noise, condition))

    def call(self, x: Tensor, noise: Noise | None = None, condition: Tensor | None = None) -> Tensor:
        """Return the reconstructions of `x` (batch, ...), in its shape."""
        return self.decode(self.encode(x, noise, condition), noise, condition)


class VariationalAutoencoder(Autoencoder):
    """An autoencoder whose encoder returns a distribution: a mean and a log-variance for each code unit."""

    def __init__(self, plan: Plan, dtype: str):
        super().__init__(plan, dtype)
        if plan.learned_variance:
            self.log_variance = self.add_weight(shape=(), initializer="zeros")  # of the Gaussian likelihood

    def posterior(
        self, x: Tensor, noise: Noise | None = None, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, (batch, code) each, of the approximate posterior q(z|x)."""
        mean, log_variance = tf.split(super().encode(x, noise, condition), 2, axis=1)
        return mean, log_variance

    def encode(self, x: Tensor, noise: Noise | None = None, condition: Tensor | None = None) -> Tensor:
        """Return the posterior means (batch, code)."""
        return self.posterior(x, noise, condition)[0]


def build_network(plan: Plan, dtype: str, device: str, *, variational: bool = False) -> Autoencoder:
    """Build the network of a plan on a device; its weights are set by `set_weights`."""
    with tf.device("/GPU:0" if device == "cuda" else "/CPU:0"):
        return VariationalAutoencoder(plan, dtype) if variational else Autoencoder(plan, dtype)


def named_weights(network: Autoencoder) -> NamedWeights:
    """Return all weights by canonical name."""
    layers = [*network.encoder, *network.decoder]
    weights = {name: variable for layer in layers for name, variable in layer.weights_by_name().items()}
    if hasattr(network, "log_variance"):
        weights["likelihood.log_variance"] = network.log_variance
    return weights


def get_weights(network: Autoencoder) -> dict[str, np.ndarray]:
    """Return copies of all weights as NumPy arrays, canonical names and layout."""
    return {name: np.array(variable.numpy()) for name, variable in named_weights(network).items()}


def set_weights(network: Autoencoder, weights: dict[str, np.ndarray]) -> None:
    """Copy NumPy arrays, canonical names and layout, into the network."""
    for name, variable in named_weights(network).items():
        variable.assign(weights[name])
