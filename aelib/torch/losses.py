"""Losses: a sum over the features of a sample, a mean over the samples of a batch."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from aelib.objectives import Evidence, Objective, Reconstruction
from aelib.penalties import L1, L2, KLSparsity, Penalty, Rate
from aelib.torch.networks import Autoencoder, VariationalAutoencoder, named_weights
from aelib.torch.random import Noise, binarise, corrupt, normal


def sum_and_mean(per_feature: Tensor, known: Tensor | None) -> Tensor:
    """Return a loss (batch, ...) summed over the features that are known, averaged over the batch."""
    if known is not None:
        per_feature = torch.where(known, per_feature, 0.0)
    return per_feature.flatten(1).sum(dim=1).mean()  # ()


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
    per_feature = F.binary_cross_entropy_with_logits(logits, target, reduction="none")  # (batch, features)
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
        known = ~x.isnan()
        x = torch.where(known, x, 0.0)
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
        return settings.strength * l1(code)
    if isinstance(settings, L2):
        return settings.strength * l2(network)
    if isinstance(settings, KLSparsity):
        return settings.beta * kl_sparsity(code, settings.rho)
    if isinstance(settings, Rate):
        return settings.strength * rate(code, settings.step)
    return settings.strength * squared_jacobian_norm(network, x, noise).mean()


def l1(code: Tensor) -> Tensor:
    """Return the sum of absolute values of each code (batch, code), averaged over the batch."""
    return code.abs().sum(dim=1).mean()


def l2(network: Autoencoder) -> Tensor:
    """Return the sum of squares of all kernel entries."""
    kernels = [weight for name, (weight, _) in named_weights(network).items() if name.endswith("kernel")]
    return sum((kernel**2).sum() for kernel in kernels)


def kl_sparsity(code: Tensor, rho: float) -> Tensor:
    """Return Σ KL(rho ‖ mean activation) over the units of a code (batch, code) with values in (0, 1)."""
    mean = code.mean(dim=0)  # (code,)
    divergence = rho * torch.log(rho / mean) + (1.0 - rho) * torch.log((1.0 - rho) / (1.0 - mean))
    return divergence.sum()


def rate(code: Tensor, step: float) -> Tensor:
    """Return an upper bound of the bits per sample that codes (batch, code) rounded to `step` need."""
    variance = code.var(dim=0, correction=0) / step**2 + 1.0 / 12.0  # (code,), that of rounding included
    return 0.5 * torch.log2(2.0 * math.pi * math.e * variance).sum()


def squared_jacobian_norm(network: Autoencoder, x: Tensor, noise: Noise | None = None) -> Tensor:
    """Return ‖∂code/∂x‖² (squared Frobenius norm) for each sample of `x` (batch, ...), of shape (batch,).

    For one sigmoid layer by the closed form of Rifai et al. (2011), else by automatic differentiation: each
    sample is copied once for each code unit, and the gradient of that unit is one row of the Jacobian.
    """
    first = network.encoder[0]
    if len(network.encoder) == 1 and first.spec.activation == "sigmoid":
        h = first(x)  # (batch, code)
        kernel_norms = (first.linear.weight**2).sum(dim=1)  # (code,)
        return (h * (1.0 - h)) ** 2 @ kernel_norms  # (batch,)
    batch, units = len(x), network.code
    copies = x.detach().repeat_interleave(units, dim=0).requires_grad_()  # (batch · code, ...)
    picks = torch.eye(units, dtype=x.dtype, device=x.device).repeat(batch, 1)  # (batch · code, code)
    if noise is not None:
        noise = Noise(noise.key, noise.rows.repeat_interleave(units))
    with torch.enable_grad():  # a derivative is needed outside training too
        picked = (network.encode(copies, noise) * picks).sum()
        (rows,) = torch.autograd.grad(picked, copies, create_graph=True)  # (batch · code, ...)
    return (rows**2).reshape(batch, -1).sum(dim=1)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, variance) ‖ N(0, 1)) of each code unit, in nats, (batch, code)."""
    return 0.5 * (mean**2 + torch.exp(log_variance) - 1.0 - log_variance)


def draw_codes(mean: Tensor, log_variance: Tensor, samples: int, noise: Noise, stream: str) -> Tensor:
    """Return codes z = mean + scale · ε, (batch, samples, code): gradients pass through mean and scale."""
    batch, code = mean.shape
    epsilon = normal(noise, stream, samples * code, mean.dtype).reshape(batch, samples, code)
    return mean[:, None] + torch.exp(0.5 * log_variance)[:, None] * epsilon


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
        noise = Noise(noise.key, noise.rows.repeat_interleave(samples))
    if condition is not None:
        condition = condition.repeat_interleave(samples, dim=0)
    output = network.decode_logits(codes.flatten(0, 1), noise, condition)  # (batch · samples, ...)
    output = output.reshape(len(x), samples, -1)  # (batch, samples, features)
    target = x.reshape(len(x), 1, -1).expand_as(output)
    if objective.likelihood == "bernoulli":
        return -F.binary_cross_entropy_with_logits(output, target, reduction="none").sum(dim=2)
    log_variance = network.log_variance if objective.variance is None else math.log(objective.variance)
    precision = torch.exp(-torch.as_tensor(log_variance, dtype=x.dtype, device=x.device))
    squares = precision * (output - target) ** 2
    return -0.5 * (squares + log_variance + math.log(2.0 * math.pi)).sum(dim=2)


def log_density_ratio(codes: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return log q(z|x) - log p(z) of codes (batch, samples, code), (batch, samples)."""
    squares = (codes - mean[:, None]) ** 2 * torch.exp(-log_variance)[:, None]
    return 0.5 * (codes**2 - squares - log_variance[:, None]).sum(dim=2)


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
    reconstruction = -fit.mean()
    if objective.importance_weighted:
        ratio = log_density_ratio(codes, mean, log_variance)  # (batch, samples)
        bound = torch.logsumexp(fit - ratio, dim=1) - math.log(objective.samples)  # (batch,)
        return {"loss": -bound.mean(), "reconstruction": reconstruction, "kl": ratio.mean()}
    per_unit = gaussian_kl(mean, log_variance).mean(dim=0)  # (code,)
    charged = torch.clamp(per_unit, min=objective.free_bits) if objective.free_bits > 0 else per_unit
    loss = reconstruction + beta * charged.sum()
    return {"loss": loss, "reconstruction": reconstruction, "kl": per_unit.sum()}
