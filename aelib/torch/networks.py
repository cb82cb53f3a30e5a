"""Networks built from a plan: the layers, the autoencoder, its weights under canonical names."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aelib.architectures import DenseLayer as DenseSpec
from aelib.architectures import Plan
from aelib.torch.random import Noise, dropout


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

    def weights_by_name(self) -> dict[str, tuple[nn.Parameter, bool]]:
        """Return each weight by its canonical name, and whether it is stored transposed."""
        return {
            f"{self.spec.name}.kernel": (self.linear.weight, True),  # PyTorch: (outputs, inputs)
            f"{self.spec.name}.bias": (self.linear.bias, False),
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

    def weights_by_name(self) -> dict[str, tuple[nn.Parameter, bool]]:
        """Return each weight by its canonical name, and whether it is stored transposed."""
        return {f"{self.spec.name}.bias": (self.bias, False)}


class Autoencoder(nn.Module):
    """An encoder and a decoder; `forward` gives the reconstruction."""

    def __init__(self, plan: Plan):
        super().__init__()
        built: dict[str, nn.Module] = {}
        for spec in plan.layers:
            if spec.tied_to is None:
                built[spec.name] = DenseLayer(spec)
            else:
                built[spec.name] = TiedDenseLayer(spec, built[spec.tied_to])
        self.encoder = nn.ModuleList(built[spec.name] for spec in plan.encoder)
        self.decoder = nn.ModuleList(built[spec.name] for spec in plan.decoder)
        self.output_activation = plan.output_activation

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

    def forward(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the reconstructions (batch, features) of `x` (batch, features)."""
        return self.decode(self.encode(x, noise), noise)


def build_network(plan: Plan, dtype: str, device: str) -> Autoencoder:
    """Build the network of a plan on a device; its weights are set by `set_weights`."""
    return Autoencoder(plan).to(device=device, dtype=getattr(torch, dtype))


def named_weights(network: Autoencoder) -> dict[str, tuple[nn.Parameter, bool]]:
    """Return all weights by canonical name, and whether each is stored transposed."""
    layers = [*network.encoder, *network.decoder]
    return {name: entry for layer in layers for name, entry in layer.weights_by_name().items()}


def get_weights(network: Autoencoder) -> dict[str, np.ndarray]:
    """Return copies of all weights as NumPy arrays, canonical names and layout."""
    return {
        name: np.array((parameter.T if transposed else parameter).numpy(force=True), order="C")
        for name, (parameter, transposed) in named_weights(network).items()
    }


@torch.no_grad()
def set_weights(network: Autoencoder, weights: dict[str, np.ndarray]) -> None:
    """Copy NumPy arrays, canonical names and layout, into the network."""
    for name, (parameter, transposed) in named_weights(network).items():
        array = torch.as_tensor(np.asarray(weights[name]))
        parameter.copy_(array.T if transposed else array)
