"""The trainer for GPUs. Without one all but the recording is tested: buffers, totals, warm-up, rates."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import aelib
import aelib.torch as wing
from aelib.torch import cuda_graphs, engine

DIGITS = load_digits()
X, Y = DIGITS.data[:300] / 16.0, DIGITS.target[:300]
COMMON = {"epochs": 5, "batch_size": 64, "random_state": 0, "backend": "torch", "dtype": "float64"}

MODELS = {
    "rest": lambda **c: aelib.Autoencoder(
        aelib.Dense((16,), code=4, dropout=0.1), corruption=aelib.GaussianNoise(0.2), **COMMON, **c
    ),
    "schedule": lambda **c: aelib.Autoencoder(learning_rate=aelib.StepDecay(1e-2, every=2), **COMMON, **c),
    "classes": lambda **c: aelib.VariationalAutoencoder(
        aelib.Dense((16,), code=4),
        condition="class",
        binarise="dynamic",
        warm_up=2,
        optimizer="sgd",
        **COMMON,
        **c,
    ),
    "one small batch": lambda **c: aelib.Autoencoder(**COMMON | {"batch_size": 500}, **c),
}
RECORDINGS = {"rest": 1, "schedule": 3, "classes": 3, "one small batch": 0}


def train(monkeypatch, name, kind, device):
    with monkeypatch.context() as patch:
        patch.setattr(wing, "trainer_kind", lambda _: kind)
        return MODELS[name](device=device).fit(X, Y if name == "classes" else None)


@pytest.fixture
def replayed_on_the_cpu(monkeypatch):
    """Replay a step by computing it again, and count the recordings."""
    recordings = []

    def record(step, device):
        recordings.append(device)
        return step

    monkeypatch.setattr(cuda_graphs, "record", record)
    monkeypatch.setattr(cuda_graphs, "side_stream", lambda device: nullcontext())
    return recordings


@pytest.mark.parametrize("name", MODELS)
def test_replayed_steps_train_as_steps_do(name, monkeypatch, replayed_on_the_cpu):
    plain = train(monkeypatch, name, engine.Trainer, "cpu")
    replayed = train(monkeypatch, name, cuda_graphs.GraphTrainer, "cpu")
    np.testing.assert_allclose(replayed.history_.loss, plain.history_.loss, rtol=1e-14)
    for key, weight in plain.get_weights().items():
        np.testing.assert_array_equal(replayed.get_weights()[key], weight)
    assert len(replayed_on_the_cpu) == RECORDINGS[name]


def test_a_gpu_is_trained_on_with_graphs_and_a_cpu_without():
    assert wing.trainer_kind("cuda") is cuda_graphs.GraphTrainer
    assert wing.trainer_kind("cpu") is engine.Trainer


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", MODELS)
def test_on_a_gpu_the_outputs_are_the_cpus(name, monkeypatch, record):
    cpu = train(monkeypatch, name, engine.Trainer, "cpu")
    gpu = train(monkeypatch, name, cuda_graphs.GraphTrainer, "cuda")
    classes = {"condition": Y} if name == "classes" else {}
    error = aelib.equivalence.relative_error(gpu.reconstruct(X, **classes), cpu.reconstruct(X, **classes))
    record("outputs after training on the GPU and on the CPU", error, 1e-10)
    assert error <= 1e-10
