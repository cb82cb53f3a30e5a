"""The engine: one epoch of training, evaluation, and the way from NumPy arrays to tensors and back."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from aelib.tensorflow.losses import TERM_NAMES, loss_terms
from aelib.tensorflow.networks import Autoencoder, get_weights, named_weights, set_weights
from aelib.tensorflow.random import Noise
from aelib.training import SGD, Adam

# Rows computed at once outside training: bounds memory, whatever the size of the data set.
ROWS_AT_ONCE = 8192


def framework_version() -> str:
    """Return the framework's name and version."""
    return f"TensorFlow {tf.__version__}"


def cuda_is_available() -> bool:
    """Tell whether the framework sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


class Trainer:
    """A network with its optimiser and its training data on the device.

    Parameters
    ----------
    network : Autoencoder
        Is changed in place.
    x : ndarray, shape (samples, features)
        The training data.
    loss : {"squared_error", "binary_cross_entropy"}
        The reconstruction loss.
    optimizer : Adam or SGD
        The optimiser's settings.
    batch_size : int
        Samples per step; the last batch of an epoch may be smaller.
    """

    def __init__(
        self, network: Autoencoder, x: np.ndarray, *, loss: str, optimizer: Adam | SGD, batch_size: int
    ):
        self.network = network
        self.loss = loss
        self.batch_size = batch_size
        self.device = _device_of(network)
        with tf.device(self.device):
            self.x = tf.constant(x)
            self.optimizer = make_optimizer(network, optimizer)
            self.run_epoch = self._compile_epoch()

    def train_epoch(self, order: np.ndarray, noise_key: int, rate: float) -> dict[str, float]:
        """Visit all samples once in the given order and return the mean of each loss term."""
        with tf.device(self.device):
            key = tf.constant(noise_key, tf.uint32)
            totals = self.run_epoch(tf.constant(order, tf.int64), key, tf.constant(rate, self.x.dtype))
        return {name: float(total) / len(order) for name, total in totals.items()}

    def _compile_epoch(self) -> Callable[..., dict[str, Tensor]]:
        """Compile a whole epoch: the steps by XLA, their loop as a graph. Python is not asked in between."""
        samples, batch_size, dtype = len(self.x), self.batch_size, self.x.dtype
        steps, rest = divmod(samples, batch_size)
        key = tf.TensorSpec((), tf.uint32)
        rate = tf.TensorSpec((), dtype)
        if steps:
            batch = tf.TensorSpec((batch_size, *self.x.shape[1:]), dtype)
            noise = Noise(key, tf.TensorSpec((batch_size,), tf.int64))
            step = tf.function(self.step, jit_compile=True, autograph=False)
            step = step.get_concrete_function(batch, noise, rate)

        def run_epoch(order: Tensor, key: Tensor, rate: Tensor) -> dict[str, Tensor]:
            def add_step(i: Tensor, totals: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
                rows = order[i * batch_size : (i + 1) * batch_size]
                terms = step(tf.gather(self.x, rows), Noise(key, rows), rate)
                return i + 1, {name: total + terms[name] * batch_size for name, total in totals.items()}

            totals = {name: tf.zeros((), dtype) for name in TERM_NAMES}
            if steps:
                _, totals = tf.while_loop(
                    lambda i, _: i < steps, add_step, (tf.constant(0), totals), parallel_iterations=1
                )
            if rest:  # weighted: the last batch is smaller
                rows = order[samples - rest :]
                terms = self.step(tf.gather(self.x, rows), Noise(key, rows), rate)
                totals = {name: total + terms[name] * rest for name, total in totals.items()}
            return totals

        order = tf.TensorSpec((samples,), tf.int64)
        return tf.function(run_epoch, autograph=False).get_concrete_function(order, key, rate)

    def step(self, batch: Tensor, noise: Noise, rate: Tensor) -> dict[str, Tensor]:
        """Take one optimiser step on a batch (batch, features) and return the loss terms before it."""
        with tf.GradientTape() as tape:
            terms = loss_terms(self.network, self.loss, batch, noise)
            total = sum(terms.values())
        self.optimizer.step(tape.gradient(total, self.optimizer.weights), rate)
        return terms

    def evaluate(self, x: np.ndarray) -> dict[str, float]:
        """Return the mean of each loss term over `x`, without dropout."""
        return evaluate(self.network, self.loss, x)

    def get_weights(self) -> dict[str, np.ndarray]:
        """Return copies of all weights, canonical names and layout."""
        return get_weights(self.network)

    def set_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Copy arrays, canonical names and layout, into the network."""
        set_weights(self.network, weights)


class AdamOptimizer:
    """Algorithm 1 of Kingma & Ba (2015). Keras's Adam adds epsilon before the bias correction."""

    def __init__(self, weights: list[tf.Variable], settings: Adam):
        self.weights = weights
        self.settings = settings
        self.first = [tf.Variable(tf.zeros_like(weight)) for weight in weights]
        self.second = [tf.Variable(tf.zeros_like(weight)) for weight in weights]
        self.steps = tf.Variable(tf.zeros((), weights[0].dtype))

    def step(self, gradients: list[Tensor], rate: Tensor) -> None:
        """Move every weight once."""
        dtype = rate.dtype
        beta_1 = tf.constant(self.settings.beta_1, dtype)  # tf.cast would round to float32 first
        beta_2 = tf.constant(self.settings.beta_2, dtype)
        epsilon = tf.constant(self.settings.epsilon, dtype)
        steps = self.steps.assign_add(tf.ones((), dtype))
        correction_1 = 1.0 - beta_1**steps
        correction_2 = 1.0 - beta_2**steps
        for weight, first, second, gradient in zip(
            self.weights, self.first, self.second, gradients, strict=True
        ):
            m = first.assign(beta_1 * first + (1.0 - beta_1) * gradient)
            v = second.assign(beta_2 * second + (1.0 - beta_2) * gradient**2)
            weight.assign_sub(rate / correction_1 * m / (tf.sqrt(v / correction_2) + epsilon))


class SGDOptimizer:
    """Gradient descent with momentum; the rate multiplies the velocity, which Keras's SGD does not do."""

    def __init__(self, weights: list[tf.Variable], settings: SGD):
        self.weights = weights
        self.settings = settings
        self.velocities = [tf.Variable(tf.zeros_like(weight)) for weight in weights]

    def step(self, gradients: list[Tensor], rate: Tensor) -> None:
        """Move every weight once."""
        momentum = tf.constant(self.settings.momentum, rate.dtype)
        for weight, velocity, gradient in zip(self.weights, self.velocities, gradients, strict=True):
            weight.assign_sub(rate * velocity.assign(momentum * velocity + gradient))


def make_optimizer(network: Autoencoder, settings: Adam | SGD) -> AdamOptimizer | SGDOptimizer:
    """Return the optimiser for the settings; the rate is passed to every step."""
    weights = [variable.value for variable in named_weights(network).values()]
    return AdamOptimizer(weights, settings) if isinstance(settings, Adam) else SGDOptimizer(weights, settings)


def evaluate(network: Autoencoder, loss: str, x: np.ndarray) -> dict[str, float]:
    """Return the mean of each loss term over `x`, without dropout."""
    totals: dict[str, float] = {}
    for batch in _batches(network, x):
        for name, value in loss_terms(network, loss, batch).items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(batch)
    return {name: total / len(x) for name, total in totals.items()}


def apply(network: Autoencoder, method: str, x: np.ndarray) -> np.ndarray:
    """Call a method of the network, "encode", "decode" or "__call__", on an array, part by part."""
    parts = [getattr(network, method)(batch).numpy() for batch in _batches(network, x)]
    return np.concatenate(parts)


def gradients(
    network: Autoencoder, loss: str, x: np.ndarray, noise_key: int
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return the loss terms and the gradient of their sum for each weight, canonical names and layout."""
    (batch,) = _batches(network, x)
    noise = Noise(tf.constant(noise_key, tf.uint32), tf.range(len(x), dtype=tf.int64))
    entries = {name: variable.value for name, variable in named_weights(network).items()}
    with tf.GradientTape() as tape:
        terms = loss_terms(network, loss, batch, noise)
        total = sum(terms.values())
    found = tape.gradient(total, entries)
    arrays = {name: gradient.numpy() for name, gradient in found.items()}
    return {name: float(value) for name, value in terms.items()}, arrays


def _batches(network: Autoencoder, x: np.ndarray) -> tuple[Tensor, ...]:
    with tf.device(_device_of(network)):
        return tuple(tf.constant(x[start : start + ROWS_AT_ONCE]) for start in range(0, len(x), ROWS_AT_ONCE))


def _device_of(network: Autoencoder) -> str:
    return next(iter(named_weights(network).values())).value.device
