"""Several processes under torchrun: the run of one process, and a clear end when one of them dies."""

import os
import subprocess
import sys

import pytest
from sklearn.datasets import load_digits

import aelib
from aelib.equivalence import relative_error
from aelib.torch import distributed

X = load_digits().data[:303] / 16.0  # the last batch of an epoch has three samples: shares of two and one
COMMON = {
    "batch_size": 60,
    "epochs": 3,
    "random_state": 0,
    "backend": "torch",
    "device": "cpu",
    "dtype": "float64",
}

MODELS = {
    "denoising": lambda: aelib.Autoencoder(
        aelib.Dense((16,), code=4, dropout=0.1, tied=True),
        corruption=aelib.Masking(0.2),
        penalty=aelib.L1(0.1),
        **COMMON,
    ),
    "weight decay": lambda: aelib.Autoencoder(
        aelib.Dense((16,), code=4, activation="tanh"),
        penalty=aelib.L2(0.1),
        optimizer=aelib.SGD(momentum=0.9),
        **COMMON,
    ),
    "contractive": lambda: aelib.Autoencoder(
        aelib.Dense((16,), code=4, activation="tanh"), penalty=aelib.Contractive(0.1), **COMMON
    ),
    "convolutional": lambda: aelib.Autoencoder(
        aelib.Conv((4, 8), code=4), loss="binary_cross_entropy", **COMMON
    ),
    "recurrent": lambda: aelib.Autoencoder(aelib.Recurrent(6, code=2, cell="lstm"), **COMMON),
    "variational": lambda: aelib.VariationalAutoencoder(
        aelib.Dense((16,), code=4), binarise="dynamic", warm_up=2, **COMMON
    ),
}
SHAPES = {"convolutional": (-1, 8, 8, 1), "recurrent": (-1, 8, 8)}


def data(name):
    if name == "weight decay":
        return X[:301]  # the last batch has a single sample, less than there are processes
    return X.reshape(SHAPES.get(name, X.shape))


def torchrun(body, processes, *arguments):
    """Run Python text in processes that join a group, as `torchrun` would."""
    script = f"""
import os, signal, sys, time
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_distributed import COMMON, MODELS, X, data
import aelib
from aelib.torch import distributed
with distributed.process_group():
    {body}
"""
    path = arguments[0] / "train.py"
    path.write_text(script)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def trained_by_two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    body = f"""for name, build in MODELS.items():
        model = build().fit(data(name), validation_data=data(name)[:50])
        if os.environ["RANK"] == "0":
            model.save({str(folder)!r} + "/" + name)
"""
    ended = torchrun(body, 2, folder)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_two_processes_train_as_one(name, trained_by_two, record):
    one = MODELS[name]().fit(data(name), validation_data=data(name)[:50])
    two = aelib.load(trained_by_two / name, backend="torch")
    errors = [
        relative_error(two.history_.loss, one.history_.loss),
        relative_error(two.history_.val_loss, one.history_.val_loss),
        *(relative_error(two.get_weights()[key], weight) for key, weight in one.get_weights().items()),
    ]
    record("two processes and one, losses and weights", max(errors), 1e-9)
    assert max(errors) <= 1e-9


@pytest.mark.parametrize("survivor", ["waits for the other", "is busy when torchrun ends it"])
def test_a_killed_process_ends_the_run_with_an_error_and_a_checkpoint(survivor, tmp_path, record):
    path = tmp_path / "run.npz"
    body = f"""
    def kill_one(model):
        if len(model.history_.loss) == 2 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        if len(model.history_.loss) == 2 and {survivor.startswith("is busy")}:
            time.sleep(1)
    MODELS["denoising"]().fit(X, checkpoint={str(path)!r}, on_epoch=kill_one)
"""
    ended = torchrun(body, 2, tmp_path)
    assert ended.returncode != 0
    assert "WorkerLostError: process 0 of 2 lost the others: one of them has ended" in ended.stderr
    assert f"{path} holds the 2 epochs that were completed; the same fit resumes there" in ended.stderr
    seen = []
    resumed = MODELS["denoising"]().fit(
        X, checkpoint=path, on_epoch=lambda model: seen.append(len(model.history_.loss))
    )
    assert seen == [3]
    error = relative_error(resumed.history_.loss, MODELS["denoising"]().fit(X).history_.loss)
    record("losses of a run resumed after a process was killed", error, 1e-9)
    assert error <= 1e-9


def test_a_group_that_is_told_to_end_ends_after_its_last_line(tmp_path):
    ended = torchrun("os.kill(os.getpid(), signal.SIGTERM); print('the last line')", 1, tmp_path)
    assert ended.stdout == "the last line\n"
    assert "exitcode  : 143" in ended.stderr


def test_what_cannot_be_shared_is_refused(tmp_path):
    body = """
    sparsity = aelib.KLSparsity(0.1, 1.0)
    sigmoid = aelib.Dense(code=2, code_activation="sigmoid")
    for build in (
        lambda: aelib.Autoencoder(**COMMON | {"batch_size": 61}),
        lambda: aelib.Autoencoder(**COMMON, penalty=aelib.Rate(0.1)),
        lambda: aelib.Autoencoder(sigmoid, penalty=sparsity, **COMMON),
    ):
        try:
            build().fit(X)
        except ValueError as error:
            print(error)
"""
    ended = torchrun(body, 2, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "batch_size=61 cannot be shared equally by 2 processes; use 60 or 62" in ended.stdout
    assert "Rate depends on the mean or variance over the whole batch" in ended.stdout
    assert "KLSparsity depends on the mean or variance over the whole batch" in ended.stdout


def test_an_error_of_the_users_is_not_taken_for_a_lost_process(tmp_path):
    body = """
    from aelib.torch.engine import Trainer
    def broken(self, rows):
        raise RuntimeError("out of memory")
    Trainer.part = broken
    aelib.Autoencoder(**COMMON).fit(X)
"""
    ended = torchrun(body, 1, tmp_path)
    assert "RuntimeError: out of memory" in ended.stderr
    assert "WorkerLostError" not in ended.stderr


def test_without_torchrun_the_group_says_how_to_start(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with (
        pytest.raises(
            RuntimeError,
            match="RANK is not set: process_group is for a script that was started with torchrun",
        ),
        distributed.process_group(),
    ):
        pass
