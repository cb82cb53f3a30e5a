"""Networks built from a plan: the layers, the autoencoder, its weights under canonical names."""

import keras
import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from aelib.architectures import DenseLayer as DenseSpec
from aelib.architectures import Plan
from aelib.tensorflow.random import Noise, dropout

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"Keras runs on {keras.backend.backend()!r} in this process, and aelib's TensorFlow wing needs it on "
        "TensorFlow; unset KERAS_BACKEND (or set it to 'tensorflow') and start again"
    )

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

    def weights_by_name(self) -> dict[str, keras.Variable]:
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

    def weights_by_name(self) -> dict[str, keras.Variable]:
        """Return each weight by its canonical name."""
        return {f"{self.spec.name}.bias": self.bias}


class Autoencoder(keras.Model):
    """An encoder and a decoder; `call` gives the reconstruction."""

    def __init__(self, plan: Plan, dtype: str):
        super().__init__(dtype=dtype)
        built: dict[str, keras.layers.Layer] = {}
        for spec in plan.layers:
            if spec.tied_to is None:
                built[spec.name] = DenseLayer(spec, dtype)
            else:
                built[spec.name] = TiedDenseLayer(spec, built[spec.tied_to], dtype)
        self.encoder = [built[spec.name] for spec in plan.encoder]
        self.decoder = [built[spec.name] for spec in plan.decoder]
        self.output_activation = plan.output_activation
        self.built = True

    def encode(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the codes (batch, code) of `x` (batch, features)."""
        for layer in self.encoder:
            x = layer(x, noise)
        return x

    def decode_logits(self, code: Tensor, noise: Noise | None = None) -> Tensor:
        """Return what the output activation is applied to, (batch, features)."""
        for layer in self.decoder:
            code = layer(code, noise)
        return code

    def decode(self, code: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the reconstructions (batch, features) of codes (batch, code)."""
        return ACTIVATIONS[self.output_activation](self.decode_logits(code, noise))

    def call(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the reconstructions (batch, features) of `x` (batch, features)."""
        return self.decode(self.encode(x, noise), noise)


def build_network(plan: Plan, dtype: str, device: str) -> Autoencoder:
    """Build the network of a plan on a device; its weights are set by `set_weights`."""
    with tf.device("/GPU:0" if device == "cuda" else "/CPU:0"):
        return Autoencoder(plan, dtype)


def named_weights(network: Autoencoder) -> dict[str, keras.Variable]:
    """Return all weights by canonical name."""
    layers = [*network.encoder, *network.decoder]
    return {name: variable for layer in layers for name, variable in layer.weights_by_name().items()}


def get_weights(network: Autoencoder) -> dict[str, np.ndarray]:
    """Return copies of all weights as NumPy arrays, canonical names and layout."""
    return {name: variable.numpy().copy() for name, variable in named_weights(network).items()}


def set_weights(network: Autoencoder, weights: dict[str, np.ndarray]) -> None:
    """Copy NumPy arrays, canonical names and layout, into the network."""
    for name, variable in named_weights(network).items():
        variable.assign(weights[name])
