"""Counter-based random numbers: a pure function of (key, stream, row, column), equal in both wings.

The frameworks' own generators give different numbers for the same seed, and on a GPU others again. Here
each number is computed from its position alone: `row` is the sample's place in the data set, `column`
the feature, `stream` the layer that asks, and the key belongs to one seed and one epoch. The mixing
function is the 32-bit integer hash (16, 0x21f0aaad, 15, 0x735a2d97, 15) of C. Wellons, "hash-prospector"
(2018-2023), which was searched for by its avalanche: each input bit flips each output bit with a
probability close to one half.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from aelib.corruption import Corruption, Downsampling, GaussianNoise, Masking, MissingBlock, UniformNoise
from aelib.training import STATIC_KEY, stream_number


class Noise(NamedTuple):
    """Where one batch stands in the sequence of all random numbers.

    Parameters
    ----------
    key : int
        Belongs to one seed and one epoch: `aelib.training.noise_key`.
    rows : Tensor of int64, shape (batch,)
        Places of the batch's samples in the data set.
    """

    key: int
    rows: Tensor


def mix(x: Tensor) -> Tensor:
    """Return a hash of each 32-bit integer; int32 arithmetic wraps around, as the hash needs."""
    x = x ^ ((x >> 16) & 0xFFFF)  # the mask makes the signed shift a logical one; from here on in place
    x *= 0x21F0AAAD
    x ^= (x >> 15) & 0x1FFFF
    x *= 0x735A2D97
    x ^= (x >> 15) & 0x1FFFF
    return x


def bits(noise: Noise, stream: str, columns: int) -> Tensor:
    """Return 32 random bits for each sample and column, int32 of shape (batch, columns)."""
    row = mix(mix(noise.rows.to(torch.int32)) + noise.key)  # (batch,)
    return mix(row[:, None] + _column_bits(stream, columns, row.device))  # (batch, columns)


@lru_cache(maxsize=64)
def _column_bits(stream: str, columns: int, device: torch.device) -> Tensor:
    """Return the part of the hash that is the same for every batch, (columns,)."""
    column = torch.arange(columns, dtype=torch.int32, device=device)
    return mix(column + stream_number(stream))


def uniform(noise: Noise, stream: str, columns: int, dtype: torch.dtype) -> Tensor:
    """Return numbers in [0, 1) on a grid of 2**-24, exact in float32, of shape (batch, columns)."""
    top = (bits(noise, stream, columns) >> 8) & 0xFFFFFF  # 24 bits fit a float32's fraction
    return top.to(dtype) * 2.0**-24


def normal(noise: Noise, stream: str, columns: int, dtype: torch.dtype) -> Tensor:
    """Return standard normal numbers of shape (batch, columns), by the transform of Box & Muller (1958)."""
    half = (columns + 1) // 2
    u, v = uniform(noise, stream, 2 * half, dtype).split(half, dim=1)  # (batch, half) each
    radius = torch.sqrt(-2.0 * torch.log(1.0 - u))  # 1 - u is never zero
    angle = 2.0 * torch.pi * v
    pairs = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)
    return pairs[:, :columns]


def dropout(x: Tensor, rate: float, noise: Noise, stream: str) -> Tensor:
    """Zero a fraction `rate` of `x` (batch, columns) and scale up the rest, so that the mean stays."""
    dtype = torch.float32 if x.dtype == torch.bfloat16 else x.dtype  # 24 bits do not fit a bfloat16
    keep = uniform(noise, stream, x.shape[1], dtype) >= rate
    return torch.where(keep, x / (1.0 - rate), 0.0)


def corrupt(x: Tensor, corruption: Corruption, noise: Noise, stream: str = "corruption") -> Tensor:
    """Return a corrupted copy of `x` (batch, ...), what a denoising autoencoder is shown."""
    if isinstance(corruption, Downsampling):
        return average_blocks(x, corruption.factor)
    if isinstance(corruption, MissingBlock):
        return hide_block(x, corruption.size, noise, stream)
    flat = x.flatten(1)  # (batch, features)
    if isinstance(corruption, GaussianNoise):
        flat = flat + corruption.sigma * normal(noise, stream, flat.shape[1], x.dtype)
    else:
        u = uniform(noise, stream, flat.shape[1], x.dtype)
        if isinstance(corruption, UniformNoise):
            flat = flat + corruption.width * (u - 0.5)
        else:
            put = 0.0 if isinstance(corruption, Masking) else (u < corruption.p / 2).to(x.dtype)
            hit = (u < corruption.p) & ~flat.isnan()  # what is not known stays so
            flat = torch.where(hit, put, flat)
    return flat.reshape(x.shape)


def average_blocks(x: Tensor, factor: int) -> Tensor:
    """Return images (batch, height, width, channels) with each block of factor × factor pixels averaged."""
    batch, height, width, channels = x.shape
    blocks = x.reshape(batch, height // factor, factor, width // factor, factor, channels)
    means = blocks.mean(dim=(2, 4), keepdim=True)  # (batch, height / factor, 1, width / factor, 1, channels)
    return means.expand_as(blocks).reshape(x.shape)


def hide_block(x: Tensor, size: int, noise: Noise, stream: str) -> Tensor:
    """Return images (batch, height, width, channels) with a square of size × size pixels set to 0."""
    _, height, width, _ = x.shape
    u, v = uniform(noise, stream, 2, x.dtype).split(1, dim=1)  # (batch, 1) each
    top, left = torch.floor(u * (height - size + 1)), torch.floor(v * (width - size + 1))
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    rows = (top <= rows) & (rows < top + size)  # (batch, height)
    columns = (left <= columns) & (columns < left + size)  # (batch, width)
    return torch.where((rows[:, :, None] & columns[:, None, :])[..., None], 0.0, x)


def binarise(x: Tensor, how: str | None, noise: Noise) -> Tensor:
    """Return draws of 0 and 1 with the probabilities `x` (batch, ...): "static" draws are always the same.

    None leaves `x` as it is; "dynamic" draws follow the noise.
    """
    if how is None:
        return x
    if how == "static":
        noise = Noise(STATIC_KEY, noise.rows)
    flat = x.flatten(1)  # (batch, features)
    return (uniform(noise, "binarise", flat.shape[1], x.dtype) < flat).to(x.dtype).reshape(x.shape)
