"""An independent reference in NumPy, float64: forward pass, hand-derived gradients, SGD and Adam.

Written from the formulas, sharing nothing with the wings but the plan and the names of the weights.
"""

import numpy as np

from aelib.layers import DenseLayer, Plan
from aelib.training import stream_number

Weights = dict[str, np.ndarray]


def sigmoid(z):
    return 0.5 * (1.0 + np.tanh(0.5 * z))


FUNCTIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0.0),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0.0))),
    "softplus": lambda z: np.logaddexp(z, 0.0),
}
DERIVATIVES = {
    "linear": np.ones_like,
    "relu": lambda z: (z > 0).astype(z.dtype),
    "tanh": lambda z: 1.0 - np.tanh(z) ** 2,
    "sigmoid": lambda z: sigmoid(z) * (1.0 - sigmoid(z)),
    "elu": lambda z: np.where(z > 0, 1.0, np.exp(np.minimum(z, 0.0))),
    "softplus": sigmoid,
}


def mix(x: np.ndarray) -> np.ndarray:
    """Return the 32-bit hash, in unsigned arithmetic that wraps around."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x21F0AAAD)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x735A2D97)
    return x ^ (x >> np.uint32(15))


def bits(key: int, rows: np.ndarray, stream: str, columns: int) -> np.ndarray:
    """Return the random bits of each row and column, uint32."""
    row = mix(mix(rows.astype(np.uint32)) + np.uint32(key))
    column = mix(np.arange(columns, dtype=np.uint32) + np.uint32(stream_number(stream)))
    return mix(row[:, None] + column)


def uniform(key: int, rows: np.ndarray, stream: str, columns: int) -> np.ndarray:
    """Return numbers in [0, 1)."""
    return (bits(key, rows, stream, columns) >> np.uint32(8)) / 2.0**24


class Reference:
    """A dense autoencoder with its gradients written out."""

    def __init__(self, plan: Plan, weights: Weights, loss: str):
        self.plan = plan
        self.weights = {name: array.copy() for name, array in weights.items()}
        self.loss = loss

    def kernel(self, layer: DenseLayer) -> np.ndarray:
        if layer.tied_to is None:
            return self.weights[f"{layer.name}.kernel"]
        return self.weights[f"{layer.tied_to}.kernel"].T

    def forward(self, x, noise=None):
        """Return the pre-activations before the output activation and what the backward pass needs."""
        tape = []
        for layer in self.plan.layers:
            z = x @ self.kernel(layer) + self.weights[f"{layer.name}.bias"]
            mask = 1.0
            if noise is not None and layer.dropout > 0:
                key, rows = noise
                mask = (uniform(key, rows, layer.name, z.shape[1]) >= layer.dropout) / (1.0 - layer.dropout)
            tape.append((layer, x, z, mask))
            x = FUNCTIONS[layer.activation](z) * mask
        return x, tape

    def output(self, x):
        return FUNCTIONS[self.plan.output_activation](self.forward(x)[0])

    def loss_and_gradients(self, x, noise=None) -> tuple[float, Weights]:
        logits, tape = self.forward(x, noise)
        if self.loss == "binary_cross_entropy":
            loss = np.sum(np.logaddexp(logits, 0.0) - x * logits) / len(x)
            delta = (sigmoid(logits) - x) / len(x)
        else:
            residual = FUNCTIONS[self.plan.output_activation](logits) - x
            loss = np.sum(residual**2) / len(x)
            delta = 2.0 * residual / len(x) * DERIVATIVES[self.plan.output_activation](logits)
        gradients = {name: np.zeros_like(array) for name, array in self.weights.items()}
        for layer, inputs, z, mask in reversed(tape):
            delta = delta * mask * DERIVATIVES[layer.activation](z)
            gradients[f"{layer.name}.bias"] += delta.sum(axis=0)
            if layer.tied_to is None:
                gradients[f"{layer.name}.kernel"] += inputs.T @ delta
            else:
                gradients[f"{layer.tied_to}.kernel"] += (inputs.T @ delta).T
            delta = delta @ self.kernel(layer).T
        return float(loss), gradients


class Adam:
    """Algorithm 1 of Kingma & Ba (2015)."""

    def __init__(self, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        self.betas, self.epsilon, self.t = (beta_1, beta_2), epsilon, 0
        self.m, self.v = {}, {}

    def step(self, weights: Weights, gradients: Weights, rate: float) -> None:
        beta_1, beta_2 = self.betas
        self.t += 1
        for name, g in gradients.items():
            self.m[name] = beta_1 * self.m.get(name, 0.0) + (1 - beta_1) * g
            self.v[name] = beta_2 * self.v.get(name, 0.0) + (1 - beta_2) * g**2
            m_hat = self.m[name] / (1 - beta_1**self.t)
            v_hat = self.v[name] / (1 - beta_2**self.t)
            weights[name] -= rate * m_hat / (np.sqrt(v_hat) + self.epsilon)


class SGD:
    """Gradient descent with momentum."""

    def __init__(self, momentum=0.9):
        self.momentum, self.velocity = momentum, {}

    def step(self, weights: Weights, gradients: Weights, rate: float) -> None:
        for name, g in gradients.items():
            self.velocity[name] = self.momentum * self.velocity.get(name, 0.0) + g
            weights[name] -= rate * self.velocity[name]
