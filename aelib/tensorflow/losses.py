"""Losses: a sum over the features of a sample, a mean over the samples of a batch."""

import tensorflow as tf
from tensorflow import Tensor

from aelib.tensorflow.networks import Autoencoder
from aelib.tensorflow.random import Noise

# What a training loss is made of, in the order of the history.
TERM_NAMES = ("reconstruction",)


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Return the squared error, summed over features and averaged over the batch.

    Up to a factor and a constant the negative log-likelihood of a Gaussian with fixed variance.
    """
    per_feature = (output - target) ** 2  # (batch, features)
    return tf.reduce_mean(tf.reduce_sum(per_feature, axis=range(1, per_feature.ndim)))  # ()


def binary_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of sigmoid(logits), in nats, summed over features and averaged over the batch.

    The negative log-likelihood of a Bernoulli distribution; from logits, so that it never takes log(0).
    """
    per_feature = tf.nn.sigmoid_cross_entropy_with_logits(target, logits)  # (batch, features)
    return tf.reduce_mean(tf.reduce_sum(per_feature, axis=range(1, per_feature.ndim)))  # ()


def loss_terms(network: Autoencoder, loss: str, x: Tensor, noise: Noise | None = None) -> dict[str, Tensor]:
    """Return the terms of the training loss for a batch; the loss is their sum.

    Parameters
    ----------
    network : Autoencoder
        The network.
    loss : {"squared_error", "binary_cross_entropy"}
        How the reconstruction is compared with `x`.
    x : Tensor, shape (batch, features)
        The batch.
    noise : Noise or None
        Random numbers for dropout; None switches it off, as outside training.

    Returns
    -------
    dict of str to Tensor of shape ()
    """
    code = network.encode(x, noise)  # (batch, code)
    if loss == "binary_cross_entropy":
        return {"reconstruction": binary_cross_entropy(network.decode_logits(code, noise), x)}
    return {"reconstruction": squared_error(network.decode(code, noise), x)}
