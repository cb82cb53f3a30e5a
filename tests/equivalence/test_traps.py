"""Each known trap is planted in a copy of the library, and the suite's own check is seen to fail on it."""

import importlib
import re
import shutil
import sys
from pathlib import Path

import pytest
from suite import assert_equivalent, composed, images, make_model

import aelib

SOURCE = Path(aelib.__file__).parent
DEEP = {"hidden": (32,), "code": 4, "activation": "softplus"}
DROPOUT = {"hidden": (32,), "code": 4, "dropout": 0.3}
TIED = {"hidden": (32,), "code": 4, "tied": True}

# name: (file, what stands there, what people write, the model that shows it, the part that fails)
FAULTS = {
    "epsilon before the bias correction, as Keras's Adam has it": (
        "tensorflow/engine.py",
        "(tf.sqrt(v / correction_2) + epsilon)",
        "((tf.sqrt(v) + epsilon) / tf.sqrt(correction_2))",
        {"architecture": DEEP},
        "trajectory",
    ),
    "Keras's default epsilon": (
        "tensorflow/engine.py",
        "epsilon = tf.constant(self.settings.epsilon, dtype)",
        "epsilon = tf.constant(1e-7, dtype)",
        {"architecture": DEEP},
        "trajectory",
    ),
    "tf.cast of a Python number rounds to float32 first": (
        "tensorflow/engine.py",
        "beta_1 = tf.constant(self.settings.beta_1, dtype)",
        "beta_1 = tf.cast(self.settings.beta_1, dtype)",
        {"architecture": DEEP},
        "trajectory",
    ),
    "the rate inside the velocity, as Keras's SGD has it": (
        "tensorflow/engine.py",
        "weight.assign_sub(rate * velocity.assign(momentum * velocity + gradient))",
        "weight.assign_sub(velocity.assign(momentum * velocity + rate * gradient))",
        {"architecture": DEEP, "optimizer": "sgd"},
        "trajectory",
    ),
    "PyTorch's softplus is a straight line above 20": (
        "torch/networks.py",
        "F.softplus(x, threshold=40.0)",
        "F.softplus(x, threshold=1.0)",  # 20 needs inputs that large; 1 shows the same fault on these
        {"architecture": DEEP},
        "outputs",
    ),
    "dropout from the framework's own generator": (
        "torch/networks.py",
        "x = dropout(x, self.spec.dropout, noise, self.spec.name)",
        "x = F.dropout(x, self.spec.dropout)",
        {"architecture": DROPOUT},
        "losses",
    ),
    "dropout left on outside training": (
        "tensorflow/networks.py",
        "return self.decode(self.encode(x, noise, condition), noise, condition)",
        "return self.decode(tf.nn.dropout(self.encode(x, noise), 0.3), noise)",
        {"architecture": DROPOUT},
        "reconstruct",
    ),
    "the mean over features where the sum is meant": (
        "tensorflow/losses.py",
        "tf.reduce_mean(tf.reduce_sum(per_feature, axis=range(1, per_feature.ndim)))",
        "tf.reduce_mean(tf.reduce_mean(per_feature, axis=range(1, per_feature.ndim)))",
        {"architecture": DEEP},
        "losses",
    ),
    "every batch counts the same, also the smaller last one": (
        "torch/engine.py",
        "value.detach() * len(rows)",
        "value.detach() * self.batch_size * len(order) / 96",
        {"architecture": DEEP},
        "trajectory",
    ),
    "a tied kernel that no gradient reaches": (
        "torch/networks.py",
        "kernel = self.sources[0].linear.weight.T",
        "kernel = self.sources[0].linear.weight.T.detach()",
        {"architecture": TIED},
        "gradients",
    ),
    "initial weights from the framework": (
        "tensorflow/networks.py",
        "variable.assign(weights[name])",
        "variable.assign(keras.random.uniform(variable.shape, -0.05, 0.05, seed=0))",
        {"architecture": DEEP},
        "outputs",
    ),
    "a sigmoid on top of logits": (
        "torch/losses.py",
        "binary_cross_entropy(network.decode_logits(sent, dropout_noise), x, known)",
        "binary_cross_entropy(network.decode(sent, dropout_noise), x, known)",
        {"architecture": DEEP, "loss": "binary_cross_entropy"},
        "losses",
    ),
}


# name: (replacements in files, the model of suite.MODELS that shows it, the part that fails)
FAULTS_OF_MODELS = {
    "kernel 3: TensorFlow's 'same' pads at one side only where PyTorch pads at both": (
        [
            ("layers.py", "KERNEL, STRIDE, PADDING = 4, 2, 1", "KERNEL, STRIDE, PADDING = 3, 2, 1"),
            (
                "torch/networks.py",
                "KERNEL, stride=STRIDE, padding=PADDING",
                'KERNEL, stride=2, padding=1, **({"output_padding": 1} if spec.transposed else {})',
            ),
        ],
        "conv",
        "outputs",
    ),
    "flattened with channels first, as PyTorch has them": (
        [
            (
                "torch/networks.py",
                "return x.reshape(-1, *self.spec.shape)",
                "return (x.permute(0, 3, 1, 2) if x.ndim == 4 else x).reshape(-1, *self.spec.shape)",
            )
        ],
        "conv",
        "outputs",
    ),
    "weight decay in the optimiser instead of a penalty in the loss": (
        [
            (
                "torch/engine.py",
                "eps=settings.epsilon, fused",
                "eps=settings.epsilon, weight_decay=0.01, fused",
            )
        ],
        "L2",
        "trajectory",
    ),
    "the noisy input as target": (
        [
            (
                "torch/losses.py",
                "network.decode(sent, dropout_noise), x, known)",
                "network.decode(sent, dropout_noise), seen, known)",
            )
        ],
        "Gaussian noise",
        "losses",
    ),
    "corruption from the framework's own generator": (
        [
            (
                "tensorflow/random.py",
                "normal(noise, stream, flat.shape[1], x.dtype)",
                "tf.random.normal(flat.shape, dtype=x.dtype)",
            )
        ],
        "Gaussian noise",
        "losses",
    ),
    "the same corruption in every epoch": (
        [
            (
                "tensorflow/losses.py",
                "corrupt(x, objective.corruption, noise)",
                "corrupt(x, objective.corruption, Noise(tf.constant(0, tf.uint32), noise.rows))",
            )
        ],
        "masking",
        "trajectory",
    ),
    "a Jacobian that no gradient reaches": (
        [
            (
                "torch/losses.py",
                "torch.autograd.grad(picked, copies, create_graph=True)",
                "torch.autograd.grad(picked, copies)",
            )
        ],
        "contractive",
        "gradients",
    ),
    "the gates in the order of Keras's GRU": (
        [
            (
                "tensorflow/networks.py",
                "seen_reset, seen_update, seen_new = tf.split",
                "seen_update, seen_reset, seen_new = tf.split",
            ),
            (
                "tensorflow/networks.py",
                "kept_reset, kept_update, kept_new = tf.split",
                "kept_update, kept_reset, kept_new = tf.split",
            ),
        ],
        "GRU",
        "outputs",
    ),
    "the reset gate before the product, as Keras's GRU without reset_after": (
        [
            (
                "tensorflow/networks.py",
                "new = tf.tanh(seen_new + reset * kept_new)",
                "units = self.spec.units\n        new = tf.tanh(seen_new + "
                "tf.matmul(reset * state, self.recurrent_kernel[:, 2 * units :]) + "
                "self.recurrent_bias[2 * units :])",
            )
        ],
        "GRU",
        "outputs",
    ),
    "PyTorch's second bias of the LSTM, which Adam moves too": (
        [("torch/networks.py", "bias_hh_l0).requires_grad_(False)", "bias_hh_l0)")],
        "LSTM",
        "trajectory",
    ),
    "the state after the padding instead of the last known one": (
        [("torch/networks.py", "last = known.sum(dim=1) - 1", "last = 0 * known.sum(dim=1) - 1")],
        "GRU",
        "outputs",
    ),
    "unknown values counted as if they were 0": (
        [
            (
                "tensorflow/losses.py",
                "per_feature = tf.where(known, per_feature, tf.zeros_like(per_feature))",
                "pass",
            )
        ],
        "missing values",
        "losses",
    ),
    "rounding to the step's variance forgotten in the rate": (
        [("torch/losses.py", "/ step**2 + 1.0 / 12.0", "/ step**2")],
        "rate of a code with uniform noise",
        "losses",
    ),
    "the block's place drawn once for the whole batch": (
        [
            (
                "torch/random.py",
                "uniform(noise, stream, 2, x.dtype).split",
                "uniform(noise, stream, 2, x.dtype)[:1].split",
            )
        ],
        "missing block",
        "losses",
    ),
    "the divergence averaged over the code's units": (
        [("torch/losses.py", "beta * charged.sum()", "beta * charged.mean()")],
        "VAE",
        "losses",
    ),
    "the log-variance taken for a log-scale": (
        [
            (
                "tensorflow/losses.py",
                "tf.exp(0.5 * log_variance)[:, None] * epsilon",
                "tf.exp(log_variance)[:, None] * epsilon",
            )
        ],
        "VAE",
        "losses",
    ),
    "noise that is not reparameterised: no gradient reaches the variance": (
        [
            (
                "torch/losses.py",
                "torch.exp(0.5 * log_variance)[:, None] * epsilon",
                "torch.exp(0.5 * log_variance.detach())[:, None] * epsilon",
            )
        ],
        "VAE",
        "gradients",
    ),
    "the mean of the weights' logarithms: the ELBO, not the tighter bound": (
        [
            (
                "tensorflow/losses.py",
                "tf.reduce_logsumexp(fit - ratio, axis=1)",
                "tf.reduce_mean(fit - ratio, axis=1)",
            )
        ],
        "IWAE",
        "losses",
    ),
}


def plant(folder: Path, name: str, replacements: list[tuple[str, str, str]]):
    """Copy the library under another name, change its source, and import it."""
    package = folder / name
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in package.rglob("*.py"):
        path.write_text(re.sub(r"\baelib\b", name, path.read_text()))
    for file, right, wrong in replacements:
        path = package / file
        source = path.read_text()
        assert right in source, f"{file} has changed: plant this fault anew"
        path.write_text(source.replace(right, wrong))
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


def check(package, settings):
    model = make_model(package, **settings)
    assert_equivalent(package, model, images(), 50, lambda *_: None)
    # One step per epoch, for which TensorFlow need not call XLA.
    short = {"epochs": 1, "batch_size": 128}
    backends = [
        make_model(package, **settings)
        .set_params(backend=backend, **short)
        .fit(images())
        .reconstruct(images())
        for backend in package.settings.BACKENDS
    ]
    error = package.equivalence.relative_error(*backends)
    assert error <= 1e-9, f"reconstruct: {error:.1e}"


@pytest.mark.parametrize("fault", FAULTS)
def test_the_suite_fails_on(fault, tmp_path):
    file, right, wrong, settings, part = FAULTS[fault]
    planted = plant(tmp_path, f"planted_{list(FAULTS).index(fault)}", [(file, right, wrong)])
    with pytest.raises(AssertionError, match=rf"{part}: "):
        check(planted, settings)


@pytest.mark.parametrize("fault", FAULTS_OF_MODELS)
def test_the_suite_fails_on_a_model_with(fault, tmp_path):
    replacements, name, part = FAULTS_OF_MODELS[fault]
    planted = plant(tmp_path, f"planted_model_{list(FAULTS_OF_MODELS).index(fault)}", replacements)
    model, x, y = composed(planted, name)
    with pytest.raises(AssertionError, match=rf"{part}: "):
        assert_equivalent(planted, model, x, 50, lambda *_: None, y)


def test_the_copy_without_a_fault_passes(tmp_path):
    copy = plant(tmp_path, "planted_nothing", [])
    for settings in ({"architecture": TIED}, {"architecture": DROPOUT, "optimizer": "sgd"}):
        check(copy, settings)


def test_the_softplus_trap_at_its_real_threshold():
    import numpy as np
    import torch

    from aelib.torch.networks import softplus

    x = torch.tensor([21.0], dtype=torch.float64)
    exact = np.logaddexp(21.0, 0.0)
    assert abs(softplus(x).item() - exact) <= 1e-15 * exact
    assert abs(torch.nn.functional.softplus(x).item() - exact) > 1e-11 * exact


def test_tensor_float_32_is_off():
    """TF32 keeps 10 bits of the fraction; both wings switch it off where the framework has it on."""
    import tensorflow as tf
    import torch

    aelib.settings.load_wing("torch")
    aelib.settings.load_wing("tensorflow")
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
