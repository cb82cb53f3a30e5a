"""Networks built from a plan: the layers, the autoencoder, its weights under canonical names."""

from contextlib import nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aelib.layers import KERNEL, PADDING, STRIDE, Plan
from aelib.layers import ConvLayer as ConvSpec
from aelib.layers import DenseLayer as DenseSpec
from aelib.layers import FillLayer as FillSpec
from aelib.layers import RecurrentLayer as RecurrentSpec
from aelib.layers import RepeatLayer as RepeatSpec
from aelib.layers import ReshapeLayer as ReshapeSpec
from aelib.torch.random import Noise, dropout

# A weight, and the order of its axes in the canonical layout.
NamedWeights = dict[str, tuple[nn.Parameter, tuple[int, ...]]]


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + exp(x)); PyTorch's default switches to x at 20, where float64 still sees the rest."""
    return F.softplus(x, threshold=40.0)


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "elu": F.elu,
    "softplus": softplus,
}


class DenseLayer(nn.Module):
    """A fully connected layer with weights of its own."""

    def __init__(self, spec: DenseSpec):
        super().__init__()
        self.spec = spec
        self.linear = nn.utils.skip_init(nn.Linear, spec.inputs, spec.outputs)

    def forward(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the activations (batch, outputs) for `x` (batch, inputs); dropout only with noise."""
        x = ACTIVATIONS[self.spec.activation](self.linear(x))  # (batch, outputs)
        if noise is not None and self.spec.dropout > 0:
            x = dropout(x, self.spec.dropout, noise, self.spec.name)
        return x

    def weights_by_name(self) -> NamedWeights:
        """Return each weight by its canonical name, and the axes' order in the canonical layout."""
        return {
            f"{self.spec.name}.kernel": (self.linear.weight, (1, 0)),  # PyTorch: (outputs, inputs)
            f"{self.spec.name}.bias": (self.linear.bias, (0,)),
        }


class TiedDenseLayer(nn.Module):
    """A fully connected layer that uses another layer's kernel, transposed, and its own bias."""

    def __init__(self, spec: DenseSpec, source: DenseLayer):
        super().__init__()
        self.spec = spec
        self.sources = [source]  # in a list, so that its weights are not registered twice
        self.bias = nn.Parameter(torch.empty(spec.outputs))

    def forward(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the activations (batch, outputs) for `x` (batch, inputs); dropout only with noise."""
        kernel = self.sources[0].linear.weight.T  # (outputs, inputs)
        x = ACTIVATIONS[self.spec.activation](F.linear(x, kernel, self.bias))  # (batch, outputs)
        if noise is not None and self.spec.dropout > 0:
            x = dropout(x, self.spec.dropout, noise, self.spec.name)
        return x

    def weights_by_name(self) -> NamedWeights:
        """Return each weight by its canonical name, and the axes' order in the canonical layout."""
        return {f"{self.spec.name}.bias": (self.bias, (0,))}


class ConvLayer(nn.Module):
    """A convolution that halves height and width, or its transpose, which doubles them."""

    def __init__(self, spec: ConvSpec):
        super().__init__()
        self.spec = spec
        kind = nn.ConvTranspose2d if spec.transposed else nn.Conv2d
        self.conv = nn.utils.skip_init(
            kind, spec.inputs, spec.outputs, KERNEL, stride=STRIDE, padding=PADDING
        )

    def forward(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return (batch, half or double height and width, outputs) for `x` (batch, height, width, inputs)."""
        x = self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # PyTorch has channels first; views only
        return ACTIVATIONS[self.spec.activation](x)

    def weights_by_name(self) -> NamedWeights:
        """Return each weight by its canonical name, and the axes' order in the canonical layout."""
        return {
            # PyTorch: (outputs, inputs, 4, 4), and of the transpose (inputs, outputs, 4, 4)
            f"{self.spec.name}.kernel": (self.conv.weight, (2, 3, 1, 0)),
            f"{self.spec.name}.bias": (self.conv.bias, (0,)),
        }


class ReshapeLayer(nn.Module):
    """Gives each sample another shape: rows before columns before channels."""

    def __init__(self, spec: ReshapeSpec):
        super().__init__()
        self.spec = spec

    def forward(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return `x` (batch, ...) in the new shape."""
        return x.reshape(-1, *self.spec.shape)

    def weights_by_name(self) -> NamedWeights:
        """Return an empty mapping."""
        return {}


class RecurrentLayer(nn.Module):
    """A layer that reads sequences step by step and carries a state along: PyTorch's own GRU or LSTM."""

    def __init__(self, spec: RecurrentSpec):
        super().__init__()
        self.spec = spec
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[spec.cell]
        # what skip_init does, which does not know these: no initial weights are drawn
        self.recurrent = kind(spec.inputs, spec.units, batch_first=True, device="meta").to_empty(device="cpu")
        if spec.cell == "lstm":  # PyTorch adds up two biases: two for Adam to move where one is meant
            nn.init.zeros_(self.recurrent.bias_hh_l0).requires_grad_(False)

    def forward(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the states for `x` (batch, time, inputs): all of them, or the last one of each sequence.

        A sequence that ends before the others goes on with steps of NaN.
        """
        known = ~x[:, :, 0].isnan()  # (batch, time)
        states, _ = self.recurrent(torch.where(known[:, :, None], x, 0.0))  # (batch, time, units)
        if self.spec.returns_sequence:
            return states
        last = known.sum(dim=1) - 1  # (batch,)
        return states[torch.arange(len(x), device=x.device), last]  # (batch, units)

    def weights_by_name(self) -> NamedWeights:
        """Return each weight by its canonical name, and the axes' order in the canonical layout."""
        weights = {
            # PyTorch: (gates · units, inputs) and (gates · units, units)
            f"{self.spec.name}.kernel": (self.recurrent.weight_ih_l0, (1, 0)),
            f"{self.spec.name}.recurrent_kernel": (self.recurrent.weight_hh_l0, (1, 0)),
            f"{self.spec.name}.bias": (self.recurrent.bias_ih_l0, (0,)),
        }
        if self.spec.cell == "gru":
            weights[f"{self.spec.name}.recurrent_bias"] = (self.recurrent.bias_hh_l0, (0,))
        return weights


class RepeatLayer(nn.Module):
    """Gives a sequence of equal steps."""

    def __init__(self, spec: RepeatSpec):
        super().__init__()
        self.spec = spec

    def forward(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return `x` (batch, units) at every time step, (batch, times, units)."""
        return x[:, None, :].expand(-1, self.spec.times, -1)

    def weights_by_name(self) -> NamedWeights:
        """Return an empty mapping."""
        return {}


class FillLayer(nn.Module):
    """Shows unknown values, NaN, to the next layer as 0."""

    def __init__(self, spec: FillSpec):
        super().__init__()
        self.spec = spec

    def forward(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return `x` (batch, ...) with 0 in the place of NaN."""
        return torch.where(x.isnan(), 0.0, x)

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
    places = condition.reshape(len(x), *[1] * (x.ndim - 2), -1)  # (batch, 1, ..., classes)
    return torch.cat([x, places.expand(*x.shape[:-1], -1)], dim=-1)


class Autoencoder(nn.Module):
    """An encoder and a decoder; `forward` gives the reconstruction."""

    def __init__(self, plan: Plan):
        super().__init__()
        built: dict[str, nn.Module] = {}
        for spec in plan.layers:
            if getattr(spec, "tied_to", None) is None:
                built[spec.name] = LAYERS[type(spec)](spec)
            else:
                built[spec.name] = TiedDenseLayer(spec, built[spec.tied_to])
        self.encoder = nn.ModuleList(built[spec.name] for spec in plan.encoder)
        self.decoder = nn.ModuleList(built[spec.name] for spec in plan.decoder)
        self.code = plan.code
        self.output_activation = plan.output_activation
        self.is_mixed = False

    def run(self, layers: nn.ModuleList, x: Tensor, noise: Noise | None) -> Tensor:
        """Return what the layers make of `x` (batch, ...); in mixed precision they compute in bfloat16."""
        with torch.autocast(x.device.type, torch.bfloat16) if self.is_mixed else nullcontext():
            for layer in layers:
                x = layer(x, noise)
        return x.float() if self.is_mixed else x

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

    def forward(self, x: Tensor, noise: Noise | None = None, condition: Tensor | None = None) -> Tensor:
        """Return the reconstructions of `x` (batch, ...), in its shape."""
        return self.decode(self.encode(x, noise, condition), noise, condition)


class VariationalAutoencoder(Autoencoder):
    """An autoencoder whose encoder returns a distribution: a mean and a log-variance for each code unit."""

    def __init__(self, plan: Plan):
        super().__init__(plan)
        if plan.learned_variance:
            self.log_variance = nn.Parameter(torch.zeros(()))  # of the Gaussian likelihood

    def posterior(
        self, x: Tensor, noise: Noise | None = None, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, (batch, code) each, of the approximate posterior q(z|x)."""
        mean, log_variance = super().encode(x, noise, condition).chunk(2, dim=1)
        return mean, log_variance

    def encode(self, x: Tensor, noise: Noise | None = None, condition: Tensor | None = None) -> Tensor:
        """Return the posterior means (batch, code)."""
        return self.posterior(x, noise, condition)[0]


def build_network(plan: Plan, dtype: str, device: str, *, variational: bool = False) -> Autoencoder:
    """Build the network of a plan on a device; its weights are set by `set_weights`."""
    network = VariationalAutoencoder(plan) if variational else Autoencoder(plan)
    network.is_mixed = dtype == "mixed_bfloat16"
    network = network.to(device=device, dtype=torch.float32 if network.is_mixed else getattr(torch, dtype))
    return network.to(memory_format=torch.channels_last)  # as the views above leave the data


def named_weights(network: Autoencoder) -> NamedWeights:
    """Return all weights by canonical name, and the axes' order in the canonical layout."""
    layers = [*network.encoder, *network.decoder]
    weights = {name: entry for layer in layers for name, entry in layer.weights_by_name().items()}
    if hasattr(network, "log_variance"):
        weights["likelihood.log_variance"] = (network.log_variance, ())
    return weights


def get_weights(network: Autoencoder) -> dict[str, np.ndarray]:
    """Return copies of all weights as NumPy arrays, canonical names and layout."""
    return {
        name: np.array(parameter.permute(axes).numpy(force=True), order="C")
        for name, (parameter, axes) in named_weights(network).items()
    }


@torch.no_grad()
def set_weights(network: Autoencoder, weights: dict[str, np.ndarray]) -> None:
    """Copy NumPy arrays, canonical names and layout, into the network."""
    for name, (parameter, axes) in named_weights(network).items():
        parameter.permute(axes).copy_(torch.as_tensor(np.asarray(weights[name])))
