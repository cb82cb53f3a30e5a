"""The engine: one epoch of training, evaluation, and the way from NumPy arrays to tensors and back."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from aelib.files import FileRows
from aelib.objectives import Evidence, Objective
from aelib.tensorflow.losses import draw_codes, gaussian_kl, log_density_ratio, log_likelihood, loss_terms
from aelib.tensorflow.networks import Autoencoder, VariationalAutoencoder, named_weights
from aelib.tensorflow.random import Noise, binarise
from aelib.training import EVALUATION_KEY, SGD, Adam

# Rows computed at once outside training: bounds memory, whatever the size of the data set.
ROWS_AT_ONCE = 8192
# Codes drawn at once for each row when many are asked for.
SAMPLES_AT_ONCE = 64


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
    x : ndarray or FileRows, shape (samples, ...)
        The training data; a file's rows are read batch by batch.
    objective : Objective
        What is minimised.
    optimizer : Adam or SGD
        The optimiser's settings.
    batch_size : int
        Samples per step; the last batch of an epoch may be smaller.
    condition : ndarray, shape (samples, classes), optional
        The samples' classes, one-hot.
    """

    is_first = True  # of the processes that share a training: the one that writes files

    def __init__(
        self,
        network: Autoencoder,
        x: np.ndarray | FileRows,
        *,
        objective: Objective,
        optimizer: Adam | SGD,
        batch_size: int,
        condition: np.ndarray | None = None,
    ):
        self.network = network
        self.objective = objective
        self.batch_size = batch_size
        self.device = _device_of(network)
        self.dtype = tf.as_dtype(x.dtype)
        with tf.device(self.device):
            self.x = x if isinstance(x, FileRows) else tf.constant(x)
            self.condition = None if condition is None else tf.constant(condition)
            self.optimizer = make_optimizer(network, optimizer)
            self.run_epoch = self._compile_epoch()

    def train_epoch(
        self, order: np.ndarray, noise_key: int, rate: float, beta: float = 1.0
    ) -> dict[str, float]:
        """Visit all samples once in the given order and return the mean of the loss and of each part."""
        with tf.device(self.device):
            key = tf.constant(noise_key, tf.uint32)
            rate, beta = tf.constant(rate, self.dtype), tf.constant(beta, self.dtype)
            try:
                totals = self.run_epoch(tf.constant(order, tf.int64), key, rate, beta)
            except tf.errors.UnknownError:
                if isinstance(self.x, FileRows):
                    self.x.check()  # what went wrong while reading, in Python's words
                raise
        return {name: float(total) / len(order) for name, total in totals.items()}

    def _compile_epoch(self) -> Callable[..., dict[str, Tensor]]:
        """Compile a whole epoch: the steps by XLA, their loop as a graph. Python is not asked in between."""
        samples, batch_size, dtype = len(self.x), self.batch_size, self.dtype
        steps, rest = divmod(samples, batch_size)
        key, number = tf.TensorSpec((), tf.uint32), tf.TensorSpec((), dtype)

        if steps:
            rows = tf.TensorSpec((batch_size,), tf.int64)
            batch = tf.TensorSpec((batch_size, *self.x.shape[1:]), dtype)
            condition = None
            if self.condition is not None:
                condition = tf.TensorSpec((batch_size, *self.condition.shape[1:]), dtype)
            step = tf.function(self.step, jit_compile=True, autograph=False)
            step = step.get_concrete_function(batch, Noise(key, rows), number, number, condition)

        def run_epoch(order: Tensor, key: Tensor, rate: Tensor, beta: Tensor) -> dict[str, Tensor]:
            def add_step(i: Tensor, totals: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
                rows = order[i * batch_size : (i + 1) * batch_size]
                batch, condition = self.part(rows)
                terms = step(batch, Noise(key, rows), rate, beta, condition)
                return i + 1, {name: total + terms[name] * batch_size for name, total in totals.items()}

            totals = {}
            if steps:
                totals = {name: tf.zeros((), dtype) for name in step.structured_outputs}
                _, totals = tf.while_loop(
                    lambda i, _: i < steps, add_step, (tf.constant(0), totals), parallel_iterations=1
                )
            if rest:  # weighted: the last batch is smaller
                rows = tf.ensure_shape(order[samples - rest :], (rest,))
                batch, condition = self.part(rows)
                terms = self.step(batch, Noise(key, rows), rate, beta, condition)
                totals = {name: totals.get(name, 0.0) + value * rest for name, value in terms.items()}
            return totals

        order = tf.TensorSpec((samples,), tf.int64)
        return tf.function(run_epoch, autograph=False).get_concrete_function(order, key, number, number)

    def part(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the samples of the given numbers, (batch, ...), and their classes."""
        if isinstance(self.x, FileRows):  # the one place where the epoch's graph asks Python
            batch = tf.numpy_function(self.x.__getitem__, [rows], self.dtype, stateful=False)
            batch = tf.ensure_shape(batch, (*rows.shape, *self.x.shape[1:]))
        else:
            batch = tf.gather(self.x, rows)
        return batch, None if self.condition is None else tf.gather(self.condition, rows)

    def step(
        self, batch: Tensor, noise: Noise, rate: Tensor, beta: Tensor, condition: Tensor | None
    ) -> dict[str, Tensor]:
        """Take one optimiser step on a batch (batch, ...) and return the loss before it, and its parts."""
        with tf.GradientTape() as tape:
            terms = loss_terms(
                self.network, self.objective, batch, noise, beta=beta, training=True, condition=condition
            )
        self.optimizer.step(tape.gradient(terms["loss"], self.optimizer.weights), rate)
        return terms

    def get_state(self) -> dict[str, np.ndarray]:
        """Return copies of what the optimiser remembers of each weight, canonical names and layout."""
        memory = optimizer_memory(self.network, self.optimizer)
        return {name: np.array(variable.numpy()) for name, variable in memory.items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Replace what the optimiser remembers."""
        for name, variable in optimizer_memory(self.network, self.optimizer).items():
            variable.assign(state[name].astype(variable.dtype.as_numpy_dtype))


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


def optimizer_memory(network: Autoencoder, optimizer: AdamOptimizer | SGDOptimizer) -> dict[str, tf.Variable]:
    """Return what the optimiser remembers, by names such as "first.encoder.0.kernel": to read or to fill."""
    names, memory = list(named_weights(network)), {}
    if isinstance(optimizer, AdamOptimizer):
        kinds = {"first": optimizer.first, "second": optimizer.second}
        memory = {f"steps.{name}": optimizer.steps for name in names}
    else:
        kinds = {"velocity": optimizer.velocities}
    for kind, variables in kinds.items():
        memory |= {f"{kind}.{name}": variable for name, variable in zip(names, variables, strict=True)}
    return memory


def evaluate(
    network: Autoencoder,
    objective: Objective,
    x: np.ndarray | FileRows,
    condition: np.ndarray | None = None,
    beta: float = 1.0,
) -> dict[str, float]:
    """Return the mean of the loss and of each part over `x`: dropout off, other noise always the same."""
    totals: dict[str, float] = {}
    copies = objective.copies(network.code)
    for batch, classes, rows in _batches(network, x, condition, ROWS_AT_ONCE // copies):
        noise = Noise(tf.constant(EVALUATION_KEY, tf.uint32), rows)
        terms = loss_terms(
            network, objective, batch, noise, beta=tf.constant(beta, batch.dtype), condition=classes
        )
        for name, value in terms.items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(batch)
    return {name: total / len(x) for name, total in totals.items()}


def apply(
    network: Autoencoder, method: str, x: np.ndarray, condition: np.ndarray | None = None
) -> np.ndarray:
    """Call a method of the network, "encode", "decode" or "__call__", on an array, part by part."""
    outputs, done = None, 0
    for batch, classes, _ in _batches(network, x, condition, ROWS_AT_ONCE):
        part = getattr(network, method)(batch, condition=classes).numpy()
        if outputs is None:  # all at once: small arrays between large ones would leave holes in the memory
            outputs = np.empty((len(x), *part.shape[1:]), part.dtype)
        outputs[done : done + len(part)] = part
        done += len(part)
    return outputs


def posterior(
    network: VariationalAutoencoder, x: np.ndarray, condition: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return means and log-variances of the approximate posterior, (samples, code) each."""
    parts = [
        network.posterior(batch, condition=classes)
        for batch, classes, _ in _batches(network, x, condition, ROWS_AT_ONCE)
    ]
    mean, log_variance = (tf.concat(part, axis=0).numpy() for part in zip(*parts, strict=True))
    return mean, log_variance


def evidence_bounds(
    network: VariationalAutoencoder,
    objective: Evidence,
    x: np.ndarray,
    condition: np.ndarray | None,
    samples: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ELBO and the importance-weighted bound of log p(x) for each sample of `x`, in nats.

    Both from the same `samples` codes for each x, drawn part by part, so that memory stays bounded.
    """
    elbos, weighted = [], []
    at_once = min(samples, SAMPLES_AT_ONCE)
    for batch, classes, rows in _batches(network, x, condition, ROWS_AT_ONCE // at_once):
        noise = Noise(tf.constant(EVALUATION_KEY, tf.uint32), rows)
        batch = binarise(batch, objective.binarise, noise)
        mean, log_variance = network.posterior(batch, condition=classes)  # (batch, code) each
        fit = tf.zeros(len(batch), mean.dtype)
        log_weights = []
        for start in range(0, samples, at_once):
            part = min(at_once, samples - start)
            codes = draw_codes(mean, log_variance, part, noise, f"posterior.{start}")
            log_p = log_likelihood(network, objective, codes, batch, None, classes)  # (batch, part)
            fit += tf.reduce_sum(log_p, axis=1)
            ratio = log_density_ratio(codes, mean, log_variance)
            log_weights.append(tf.reduce_logsumexp(log_p - ratio, axis=1))
        log_weight = tf.reduce_logsumexp(log_weights, axis=0)
        elbos.append(fit / samples - tf.reduce_sum(gaussian_kl(mean, log_variance), axis=1))
        weighted.append(log_weight - tf.constant(math.log(samples), mean.dtype))
    return tf.concat(elbos, axis=0).numpy(), tf.concat(weighted, axis=0).numpy()


def gradients(
    network: Autoencoder,
    objective: Objective,
    x: np.ndarray,
    noise_key: int,
    condition: np.ndarray | None = None,
    beta: float = 1.0,
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return the loss and its parts, and its gradient for each weight, canonical names and layout."""
    ((batch, classes, rows),) = _batches(network, x, condition, len(x))
    noise = Noise(tf.constant(noise_key, tf.uint32), rows)
    beta = tf.constant(beta, batch.dtype)
    entries = {name: variable.value for name, variable in named_weights(network).items()}
    with tf.GradientTape() as tape:
        terms = loss_terms(network, objective, batch, noise, beta=beta, training=True, condition=classes)
    found = tape.gradient(terms["loss"], entries)
    arrays = {name: gradient.numpy() for name, gradient in found.items()}
    return {name: float(value) for name, value in terms.items()}, arrays


def _batches(
    network: Autoencoder, x: np.ndarray, condition: np.ndarray | None, size: int
) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
    """Yield parts of the data and of the condition on the network's device, and their rows' numbers."""
    for start in range(0, len(x), max(1, size)):
        part = slice(start, start + max(1, size))
        with tf.device(_device_of(network)):
            batch = tf.constant(x[part])
            classes = None if condition is None else tf.constant(condition[part])
            rows = tf.range(start, start + len(batch), dtype=tf.int64)
        yield batch, classes, rows


def _device_of(network: Autoencoder) -> str:
    return next(iter(named_weights(network).values())).value.device
