"""Losses: a sum over the features of a sample, a mean over the samples of a batch."""

import math

import tensorflow as tf
from tensorflow import Tensor

from aelib.objectives import Evidence, Objective, Reconstruction
from aelib.penalties import L1, L2, KLSparsity, Penalty, Rate
from aelib.tensorflow.networks import Autoencoder, VariationalAutoencoder, named_weights
from aelib.tensorflow.random import Noise, binarise, corrupt, normal


def sum_and_mean(per_feature: Tensor, known: Tensor | None) -> Tensor:
    """Return a loss (batch, ...) summed over the features that are known, averaged over the batch."""
    if known is not None:
        per_feature = tf.where(known, per_feature, tf.zeros_like(per_feature))
    return tf.reduce_mean(tf.reduce_sum(per_feature, axis=range(1, per_feature.ndim)))  # ()


def squared_error(output: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
    """Return the squared error, summed over features and averaged over the batch.

    Up to a factor and a constant the negative log-likelihood of a Gaussian with fixed variance.
    """
    per_feature = (output - target) ** 2  # (batch, features)
    return sum_and_mean(per_feature, known)  # ()


def binary_cross_entropy(logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
    """Return the cross-entropy of sigmoid(logits), in nats, summed over features and averaged over the batch.

    The negative log-likelihood of a Bernoulli distribution; from logits, so that it never takes log(0).
    """
    per_feature = tf.nn.sigmoid_cross_entropy_with_logits(target, logits)  # (batch, features)
    return sum_and_mean(per_feature, known)  # ()


def loss_terms(
    network: Autoencoder,
    objective: Objective,
    x: Tensor,
    noise: Noise,
    *,
    beta: float | Tensor = 1.0,
    training: bool = False,
    condition: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return the training loss of a batch under the name "loss", and its parts under theirs.

    Parameters
    ----------
    network : Autoencoder
        The network.
    objective : Objective
        What is minimised.
    x : Tensor, shape (batch, ...)
        The batch.
    noise : Noise
        Random numbers for corruption, codes and dropout.
    beta : float, default=1
        Factor of the divergence in a variational objective.
    training : bool, default=False
        Whether dropout is on.
    condition : Tensor, shape (batch, classes), optional
        The samples' classes, one-hot.

    Returns
    -------
    dict of str to Tensor of shape ()
    """
    if isinstance(objective, Evidence):
        return variational_terms(network, objective, x, noise, beta, training, condition)
    return reconstruction_terms(network, objective, x, noise, training)


def reconstruction_terms(
    network: Autoencoder, objective: Reconstruction, x: Tensor, noise: Noise, training: bool
) -> dict[str, Tensor]:
    """Return the loss of an autoencoder: the reconstruction of the clean `x` (batch, ...), and a penalty."""
    dropout_noise = noise if training else None
    seen = x if objective.corruption is None else corrupt(x, objective.corruption, noise)
    code = network.encode(seen, dropout_noise)  # (batch, code)
    sent = code
    if objective.code_corruption is not None:
        sent = corrupt(code, objective.code_corruption, noise, stream="code corruption")
    known = None
    if objective.masked:  # the target's unknown values are replaced, or their NaN would reach the gradient
        known = ~tf.math.is_nan(x)
        x = tf.where(known, x, tf.zeros_like(x))
    if objective.loss == "binary_cross_entropy":
        reconstruction = binary_cross_entropy(network.decode_logits(sent, dropout_noise), x, known)
    else:
        reconstruction = squared_error(network.decode(sent, dropout_noise), x, known)
    if objective.penalty is None:
        return {"loss": reconstruction, "reconstruction": reconstruction}
    added = penalty(network, objective.penalty, seen, code, dropout_noise)
    return {"loss": reconstruction + added, "reconstruction": reconstruction, "penalty": added}


def penalty(network: Autoencoder, settings: Penalty, x: Tensor, code: Tensor, noise: Noise | None) -> Tensor:
    """Return what the penalty adds to the loss for inputs `x` (batch, ...) with their codes (batch, code)."""
    if isinstance(settings, L1):
        return tf.constant(settings.strength, x.dtype) * l1(code)
    if isinstance(settings, L2):
        return tf.constant(settings.strength, x.dtype) * l2(network)
    if isinstance(settings, KLSparsity):
        return tf.constant(settings.beta, x.dtype) * kl_sparsity(code, settings.rho)
    if isinstance(settings, Rate):
        return tf.constant(settings.strength, x.dtype) * rate(code, settings.step)
    return tf.constant(settings.strength, x.dtype) * tf.reduce_mean(squared_jacobian_norm(network, x, noise))


def l1(code: Tensor) -> Tensor:
    """Return the sum of absolute values of each code (batch, code), averaged over the batch."""
    return tf.reduce_mean(tf.reduce_sum(tf.abs(code), axis=1))


def l2(network: Autoencoder) -> Tensor:
    """Return the sum of squares of all kernel entries."""
    kernels = [weight.value for name, weight in named_weights(network).items() if name.endswith("kernel")]
    return sum(tf.reduce_sum(kernel**2) for kernel in kernels)


def kl_sparsity(code: Tensor, rho: float) -> Tensor:
    """Return Σ KL(rho ‖ mean activation) over the units of a code (batch, code) with values in (0, 1)."""
    mean = tf.reduce_mean(code, axis=0)  # (code,)
    rho = tf.constant(rho, code.dtype)
    divergence = rho * tf.math.log(rho / mean) + (1.0 - rho) * tf.math.log((1.0 - rho) / (1.0 - mean))
    return tf.reduce_sum(divergence)


def rate(code: Tensor, step: float) -> Tensor:
    """Return an upper bound of the bits per sample that codes (batch, code) rounded to `step` need."""
    step = tf.constant(step, code.dtype)
    rounding = tf.constant(1.0 / 12.0, code.dtype)
    variance = (
        tf.math.reduce_variance(code, axis=0) / step**2 + rounding
    )  # (code,), that of rounding included
    entropy = 0.5 * tf.math.log(tf.constant(2.0 * math.pi * math.e, code.dtype) * variance)  # (code,), nats
    return tf.reduce_sum(entropy) / tf.constant(math.log(2.0), code.dtype)


def squared_jacobian_norm(network: Autoencoder, x: Tensor, noise: Noise | None = None) -> Tensor:
    """Return ‖∂code/∂x‖² (squared Frobenius norm) for each sample of `x` (batch, ...), of shape (batch,).

    For one sigmoid layer by the closed form of Rifai et al. (2011), else by automatic differentiation: each
    sample is copied once for each code unit, and the gradient of that unit is one row of the Jacobian.
    """
    first = network.encoder[0]
    if len(network.encoder) == 1 and first.spec.activation == "sigmoid":
        h = first(x)  # (batch, code)
        kernel_norms = tf.reduce_sum(first.linear.kernel**2, axis=0)  # (code,)
        return tf.linalg.matvec((h * (1.0 - h)) ** 2, kernel_norms)  # (batch,)
    batch, units = x.shape[0], network.code
    copies = tf.repeat(x, units, axis=0)  # (batch · code, ...)
    picks = tf.tile(tf.eye(units, dtype=x.dtype), (batch, 1))  # (batch · code, code)
    if noise is not None:
        noise = Noise(noise.key, tf.repeat(noise.rows, units))
    with tf.GradientTape() as tape:
        tape.watch(copies)
        picked = tf.reduce_sum(network.encode(copies, noise) * picks)
    rows = tape.gradient(picked, copies)  # (batch · code, ...)
    return tf.reduce_sum(tf.reshape(rows**2, (batch, -1)), axis=1)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, variance) ‖ N(0, 1)) of each code unit, in nats, (batch, code)."""
    return 0.5 * (mean**2 + tf.exp(log_variance) - 1.0 - log_variance)


def draw_codes(mean: Tensor, log_variance: Tensor, samples: int, noise: Noise, stream: str) -> Tensor:
    """Return codes z = mean + scale · ε, (batch, samples, code): gradients pass through mean and scale."""
    batch, code = mean.shape
    epsilon = tf.reshape(normal(noise, stream, samples * code, mean.dtype), (batch, samples, code))
    return mean[:, None] + tf.exp(0.5 * log_variance)[:, None] * epsilon


def log_likelihood(
    network: VariationalAutoencoder,
    objective: Evidence,
    codes: Tensor,
    x: Tensor,
    noise: Noise | None,
    condition: Tensor | None,
) -> Tensor:
    """Return log p(x|z) in nats, (batch, samples), for `x` (batch, ...) and codes (batch, samples, code)."""
    samples = codes.shape[1]
    if noise is not None:
        noise = Noise(noise.key, tf.repeat(noise.rows, samples))
    if condition is not None:
        condition = tf.repeat(condition, samples, axis=0)
    output = network.decode_logits(tf.reshape(codes, (-1, codes.shape[2])), noise, condition)
    output = tf.reshape(output, (x.shape[0], samples, -1))  # (batch, samples, features)
    target = tf.broadcast_to(tf.reshape(x, (x.shape[0], 1, -1)), output.shape)
    if objective.likelihood == "bernoulli":
        return -tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(target, output), axis=2)
    if objective.variance is None:
        log_variance = network.log_variance.value
    else:
        log_variance = tf.constant(math.log(objective.variance), x.dtype)
    squares = tf.exp(-log_variance) * (output - target) ** 2
    constant = tf.constant(math.log(2.0 * math.pi), x.dtype)
    return -0.5 * tf.reduce_sum(squares + log_variance + constant, axis=2)


def log_density_ratio(codes: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return log q(z|x) - log p(z) of codes (batch, samples, code), (batch, samples)."""
    squares = (codes - mean[:, None]) ** 2 * tf.exp(-log_variance)[:, None]
    return 0.5 * tf.reduce_sum(codes**2 - squares - log_variance[:, None], axis=2)


def variational_terms(
    network: VariationalAutoencoder,
    objective: Evidence,
    x: Tensor,
    noise: Noise,
    beta: float | Tensor,
    training: bool,
    condition: Tensor | None,
) -> dict[str, Tensor]:
    """Return the loss of a variational autoencoder and its parts, in nats, for `x` (batch, ...).

    Kingma & Welling (2014), equation 7, with beta as in Higgins et al. (2017) and free bits as in Kingma et
    al. (2016); or Burda et al. (2016), equation 8.
    """
    dropout_noise = noise if training else None
    x = binarise(x, objective.binarise, noise)
    mean, log_variance = network.posterior(x, dropout_noise, condition)  # (batch, code) each
    codes = draw_codes(mean, log_variance, objective.samples, noise, "posterior")
    fit = log_likelihood(network, objective, codes, x, dropout_noise, condition)  # (batch, samples)
    reconstruction = -tf.reduce_mean(fit)
    if objective.importance_weighted:
        ratio = log_density_ratio(codes, mean, log_variance)  # (batch, samples)
        bound = tf.reduce_logsumexp(fit - ratio, axis=1) - tf.constant(math.log(objective.samples), x.dtype)
        return {"loss": -tf.reduce_mean(bound), "reconstruction": reconstruction, "kl": tf.reduce_mean(ratio)}
    per_unit = tf.reduce_mean(gaussian_kl(mean, log_variance), axis=0)  # (code,)
    free = tf.constant(objective.free_bits, x.dtype)
    charged = tf.maximum(per_unit, free) if objective.free_bits > 0 else per_unit
    loss = reconstruction + beta * tf.reduce_sum(charged)
    return {"loss": loss, "reconstruction": reconstruction, "kl": tf.reduce_sum(per_unit)}
