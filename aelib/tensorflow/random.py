"""Counter-based random numbers: a pure function of (key, stream, row, column), equal in both wings.

The frameworks' own generators give different numbers for the same seed, and on a GPU others again. Here
each number is computed from its position alone: `row` is the sample's place in the data set, `column`
the feature, `stream` the layer that asks, and the key belongs to one seed and one epoch. The mixing
function is the 32-bit integer hash (16, 0x21f0aaad, 15, 0x735a2d97, 15) of C. Wellons, "hash-prospector"
(2018-2023), which was searched for by its avalanche: each input bit flips each output bit with a
probability close to one half.
"""

import math
from typing import NamedTuple

import tensorflow as tf
from tensorflow import Tensor

from aelib.corruption import Corruption, Downsampling, GaussianNoise, Masking, MissingBlock, UniformNoise
from aelib.training import STATIC_KEY, stream_number


class Noise(NamedTuple):
    """Where one batch stands in the sequence of all random numbers.

    Parameters
    ----------
    key : Tensor of uint32, shape ()
        Belongs to one seed and one epoch: `aelib.training.noise_key`.
    rows : Tensor of int64, shape (batch,)
        Places of the batch's samples in the data set.
    """

    key: Tensor
    rows: Tensor


def mix(x: Tensor) -> Tensor:
    """Return a hash of each 32-bit integer; uint32 arithmetic wraps around, as the hash needs."""
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(16, tf.uint32)))
    x = x * tf.constant(0x21F0AAAD, tf.uint32)
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(15, tf.uint32)))
    x = x * tf.constant(0x735A2D97, tf.uint32)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(15, tf.uint32)))


def bits(noise: Noise, stream: str, columns: int) -> Tensor:
    """Return 32 random bits for each sample and column, uint32 of shape (batch, columns)."""
    row = mix(mix(tf.cast(noise.rows, tf.uint32)) + noise.key)  # (batch,)
    column = tf.cast(tf.range(columns), tf.uint32)
    column = mix(column + tf.constant(stream_number(stream), tf.uint32))  # (columns,)
    return mix(row[:, None] + column)  # (batch, columns)


def uniform(noise: Noise, stream: str, columns: int, dtype: tf.DType) -> Tensor:
    """Return numbers in [0, 1) on a grid of 2**-24, exact in float32, of shape (batch, columns)."""
    top = tf.bitwise.right_shift(bits(noise, stream, columns), tf.constant(8, tf.uint32))
    return tf.cast(top, dtype) * tf.constant(2.0**-24, dtype)  # 24 bits fit a float32's fraction


def normal(noise: Noise, stream: str, columns: int, dtype: tf.DType) -> Tensor:
    """Return standard normal numbers of shape (batch, columns), by the transform of Box & Muller (1958)."""
    half = (columns + 1) // 2
    u, v = tf.split(uniform(noise, stream, 2 * half, dtype), 2, axis=1)  # (batch, half) each
    radius = tf.sqrt(-2.0 * tf.math.log(1.0 - u))  # 1 - u is never zero
    angle = tf.constant(2.0 * math.pi, dtype) * v
    pairs = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)
    return pairs[:, :columns]


def dropout(x: Tensor, rate: float, noise: Noise, stream: str) -> Tensor:
    """Zero a fraction `rate` of `x` (batch, columns) and scale up the rest, so that the mean stays."""
    dtype = tf.float32 if x.dtype == tf.bfloat16 else x.dtype  # 24 bits do not fit a bfloat16
    keep = uniform(noise, stream, x.shape[1], dtype) >= tf.constant(rate, dtype)
    return tf.where(keep, x / tf.constant(1.0 - rate, x.dtype), tf.zeros_like(x))


def corrupt(x: Tensor, corruption: Corruption, noise: Noise, stream: str = "corruption") -> Tensor:
    """Return a corrupted copy of `x` (batch, ...), what a denoising autoencoder is shown."""
    if isinstance(corruption, Downsampling):
        return average_blocks(x, corruption.factor)
    if isinstance(corruption, MissingBlock):
        return hide_block(x, corruption.size, noise, stream)
    flat = tf.reshape(x, (x.shape[0], -1))  # (batch, features)
    if isinstance(corruption, GaussianNoise):
        sigma = tf.constant(corruption.sigma, x.dtype)
        flat = flat + sigma * normal(noise, stream, flat.shape[1], x.dtype)
    else:
        u = uniform(noise, stream, flat.shape[1], x.dtype)
        if isinstance(corruption, UniformNoise):
            flat = flat + tf.constant(corruption.width, x.dtype) * (u - 0.5)
        else:
            p = tf.constant(corruption.p, x.dtype)
            put = tf.zeros_like(u) if isinstance(corruption, Masking) else tf.cast(u < p / 2, x.dtype)
            hit = (u < p) & ~tf.math.is_nan(flat)  # what is not known stays so
            flat = tf.where(hit, put, flat)
    return tf.reshape(flat, x.shape)


def average_blocks(x: Tensor, factor: int) -> Tensor:
    """Return images (batch, height, width, channels) with each block of factor × factor pixels averaged."""
    batch, height, width, channels = x.shape
    blocks = tf.reshape(x, (batch, height // factor, factor, width // factor, factor, channels))
    means = tf.reduce_mean(
        blocks, axis=(2, 4), keepdims=True
    )  # (batch, height / factor, 1, width / factor, 1, …)
    return tf.reshape(tf.broadcast_to(means, blocks.shape), x.shape)


def hide_block(x: Tensor, size: int, noise: Noise, stream: str) -> Tensor:
    """Return images (batch, height, width, channels) with a square of size × size pixels set to 0."""
    _, height, width, _ = x.shape
    u, v = tf.split(uniform(noise, stream, 2, x.dtype), 2, axis=1)  # (batch, 1) each
    top, left = tf.floor(u * (height - size + 1)), tf.floor(v * (width - size + 1))
    rows, columns = tf.range(height, dtype=x.dtype), tf.range(width, dtype=x.dtype)
    rows = (top <= rows) & (rows < top + size)  # (batch, height)
    columns = (left <= columns) & (columns < left + size)  # (batch, width)
    return tf.where((rows[:, :, None] & columns[:, None, :])[..., None], tf.zeros_like(x), x)


def binarise(x: Tensor, how: str | None, noise: Noise) -> Tensor:
    """Return draws of 0 and 1 with the probabilities `x` (batch, ...): "static" draws are always the same.

    None leaves `x` as it is; "dynamic" draws follow the noise.
    """
    if how is None:
        return x
    if how == "static":
        noise = Noise(tf.constant(STATIC_KEY, tf.uint32), noise.rows)
    flat = tf.reshape(x, (x.shape[0], -1))  # (batch, features)
    ones = uniform(noise, "binarise", flat.shape[1], x.dtype) < flat
    return tf.reshape(tf.cast(ones, x.dtype), x.shape)
