"""Each known trap is planted in a copy of the library, and the suite's own check is seen to fail on it."""

import importlib
import re
import shutil
import sys
from pathlib import Path

import pytest
from suite import assert_equivalent, images, make_model

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
        "binary_cross_entropy(network.decode_logits(code, dropout_noise), x)",
        "binary_cross_entropy(network.decode(code, dropout_noise), x)",
        {"architecture": DEEP, "loss": "binary_cross_entropy"},
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
