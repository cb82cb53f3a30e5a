"""The search: trials are counted, compared, pruned, shared, killed and resumed."""

import builtins
import contextlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import aelib
from aelib import search, search_storage, search_workers

if importlib.util.find_spec("optuna") is None:
    pytest.skip("needs aelib[search]", allow_module_level=True)
import optuna
import psutil

from benchmarks import search as benchmark
from benchmarks import search_digits

COMPLETE, PRUNED, FAIL, RUNNING = (
    getattr(optuna.trial.TrialState, state) for state in ("COMPLETE", "PRUNED", "FAIL", "RUNNING")
)
X = np.random.default_rng(0).random((60, 8))
FILE = """
import time
import numpy as np
import aelib

class Quick(aelib.Autoencoder):  # learns without a framework, which takes long to import
    def fit(self, X, y=None, *, validation_data=None, on_epoch=None):
        self.history_ = aelib.History()
        for epoch in range(self.epochs):
            time.sleep({pause})
            self.history_.loss.append(1 / (epoch + 1))
            on_epoch(self)
        return self

    def score(self, X):
        return -abs(np.log(self.learning_rate / 0.01)) - self.history_.loss[-1] - 1 / self.architecture.code

def build(trial):
    code = trial.suggest_int("code", 1, 6)
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    return Quick(aelib.Dense(code=code), learning_rate=rate, epochs=4)

def data():
    return np.zeros((4, 8)), np.ones((4, 8))
"""


@pytest.fixture(autouse=True)
def quiet():
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(verbosity)


def build(trial, **settings):
    architecture = aelib.Dense(code=trial.suggest_int("code", 1, 6))
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    return aelib.Autoencoder(
        architecture,
        **({"learning_rate": rate, "epochs": 3, "random_state": 0, "backend": "torch"} | settings),
    )


def run(build=build, trials=6, storage=None, **settings):
    storage = optuna.storages.InMemoryStorage() if storage is None else storage
    return search.run(build, X[:40], X[40:], trials=trials, storage=storage, **settings)


def summary(study):
    """Return what a search has found, trial by trial, less those that did not finish."""
    return [
        (trial.state.name, trial.params, trial.value, trial.intermediate_values)
        for trial in study.trials
        if trial.state in (COMPLETE, PRUNED)
    ]


def load(path, name="settings"):
    return optuna.load_study(study_name=name, storage=search_storage.open_storage(path))


def count(study, state):
    return sum(trial.state == state for trial in study.trials)


class Command:
    """A search in a process of its own."""

    def __init__(self, folder, *arguments, pause=0.0, trials=8):
        self.file = folder / "settings.py"
        self.file.write_text(FILE.format(pause=pause))
        self.arguments = [
            sys.executable,
            "-m",
            "aelib.search",
            str(self.file),
            "--trials",
            str(trials),
            *arguments,
        ]
        self.folder = folder

    def start(self):
        environment = os.environ | {"PYTHONPATH": os.getcwd(), "TQDM_DISABLE": "1"}
        return subprocess.Popen(
            self.arguments,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell lets what it runs in the background ignore Ctrl-C, and that would be inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def run(self):
        process = self.start()
        output, _ = process.communicate(timeout=120)
        return process.returncode, output


def wait_for(condition, process=None, seconds=90):
    """Wait until `condition()`, which may fail as long as the storage is not there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(Exception):
            if condition():
                return
        assert process is None or process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def test_a_search_finds_trials_and_the_best_can_be_fitted_again():
    study = run(trials=12)
    assert count(study, COMPLETE) + count(study, PRUNED) == 12
    best = build(study.best_trial).fit(X[:40])
    assert -best.score(X[40:]) == pytest.approx(study.best_value, rel=1e-12)


def test_the_measure_leaves_penalty_and_corruption_out():
    def penalised(trial):
        return build(trial, penalty=aelib.L2(10.0), corruption=aelib.GaussianNoise(0.5))

    trial = run(penalised, trials=1).trials[0]
    model = penalised(trial).fit(X[:40], validation_data=X[40:])
    assert trial.value == pytest.approx(-model.score(X[40:]), rel=1e-12)
    assert model.history_.val_loss[-1] > 1.5 * trial.value
    assert list(trial.intermediate_values) == [1, 2, 3]
    assert trial.intermediate_values[3] == trial.value


def test_same_seed_same_trials_another_seed_others():
    first, again, other = run(trials=14), run(trials=14), run(trials=14, seed=1)
    assert summary(first) == summary(again)
    assert summary(first) != summary(other)
    assert len({tuple(trial.params.items()) for trial in first.trials}) == 14


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_search_in_parts_makes_the_same_trials(sampler, tmp_path):
    whole = run(trials=16, sampler=sampler)
    for trials in (3, 3, 12, 16):
        parts = run(trials=trials, sampler=sampler, storage=tmp_path / "parts.journal")
        assert len(summary(parts)) == trials
    assert summary(parts) == summary(whole)


def test_journal_is_the_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    search.run(build, X[:40], X[40:], trials=2, name="mine")
    assert len(load("mine.journal", "mine").trials) == 2


def test_hopeless_trials_are_given_up():
    def growing(trial):
        rate = trial.suggest_categorical("rate", [1e-2, 1e-9])
        return aelib.Autoencoder(aelib.Dense(code=4), learning_rate=rate, epochs=6, random_state=0)

    study = run(growing, trials=20, sampler="random", pruner=optuna.pruners.MedianPruner(n_startup_trials=4))
    pruned = [trial for trial in study.trials if trial.state == PRUNED]
    assert pruned
    assert all(trial.params["rate"] == 1e-9 for trial in pruned)
    assert max(len(trial.intermediate_values) for trial in pruned) < 6
    assert count(run(growing, trials=20, sampler="random", pruner="none"), PRUNED) == 0


def test_divergence_is_a_pruned_trial_with_its_reason():
    def wild(trial):
        return build(trial, learning_rate=trial.suggest_categorical("step", [1e-3, 1e300]), optimizer="sgd")

    with np.errstate(all="ignore"):
        study = run(wild, trials=8, sampler="random", pruner="none")
    wild_trials = [trial for trial in study.trials if trial.params["step"] == 1e300]
    assert wild_trials
    for trial in study.trials:
        assert trial.state == (PRUNED if trial in wild_trials else COMPLETE)
        assert ("diverged in epoch" in trial.user_attrs.get("diverged", "")) == (trial in wild_trials)


@pytest.mark.parametrize(
    "empty",
    [
        lambda trial: aelib.Autoencoder(),
        lambda trial: aelib.Autoencoder(aelib.Dense(code=trial.suggest_categorical("code", [4]))),
        lambda trial: aelib.Autoencoder(aelib.Dense(code=trial.suggest_int("code", 4, 4))),
    ],
)
def test_an_empty_space_is_refused_before_anything_is_stored(empty, tmp_path):
    path = tmp_path / "empty.journal"
    with pytest.raises(ValueError, match=r"search space has nothing in it.*suggest_int"):
        run(empty, storage=path)
    assert not path.exists()


def test_build_must_return_an_estimator():
    with pytest.raises(TypeError, match="must return an estimator of aelib, got 3"):
        run(lambda trial: 3)


def test_losses_are_not_compared_with_each_other():
    def mixed(trial):
        return build(trial, loss=trial.suggest_categorical("loss", ["squared_error", "binary_cross_entropy"]))

    with pytest.raises(ValueError, match="cannot be compared; give one measure"):
        run(mixed, trials=20)

    def squared_error(model, x):
        return aelib.metrics.squared_error(x, model.reconstruct(x))

    assert len(summary(run(mixed, trials=4, error=squared_error))) == 4


def test_a_study_of_other_data_is_not_continued(tmp_path):
    run(trials=1, storage=tmp_path / "a.journal")
    with pytest.raises(ValueError, match="cannot be compared with new ones: its data"):
        search.run(build, X[:30], X[40:], trials=2, storage=tmp_path / "a.journal")


def test_an_error_in_a_trial_is_not_swallowed(tmp_path):
    def broken(trial):
        if trial.number == 2:
            raise ZeroDivisionError
        return build(trial)

    with pytest.raises(ZeroDivisionError):
        run(broken, trials=4, storage=tmp_path / "a.journal")
    study = run(trials=4, storage=tmp_path / "a.journal")
    assert len(summary(study)) == 4
    assert summary(study) == summary(run(trials=4))


# Storage ------------------------------------------------------------------------------------------------


def test_a_storage_that_does_not_answer_is_named_within_seconds():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        port = taken.getsockname()[1]
        start = time.monotonic()
        with pytest.raises(
            ConnectionError, match=rf"127.0.0.1:{port}/db does not answer .*check the address"
        ) as info:
            run(storage=f"postgresql+psycopg2://user:secret@127.0.0.1:{port}/db")
    assert time.monotonic() - start < search_storage.PATIENCE + 2
    assert "secret" not in str(info.value)


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("sqlite:///{}/nowhere/a.db", ConnectionError, "nowhere/a.db does not answer .*folder that exists"),
        ("nonsense://host/db", ConnectionError, "nonsense://host/db does not answer"),
        ("{}/nowhere/a.journal", FileNotFoundError, "there is no folder .*nowhere"),
    ],
)
def test_a_storage_that_cannot_be(address, error, message, tmp_path):
    with pytest.raises(error, match=message):
        run(storage=address.format(tmp_path))


def test_a_file_that_is_no_journal_is_left_alone(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2")
    with pytest.raises(ValueError, match=r"table\.csv is no journal"):
        run(storage=path)
    assert path.read_text() == "a,b\n1,2"


def test_a_half_written_line_and_a_forgotten_lock_do_no_harm(tmp_path, monkeypatch):
    path = tmp_path / "a.journal"
    run(trials=2, storage=path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":4,"worker_id":"x')
    lock_class = optuna.storages.journal.JournalFileOpenLock
    monkeypatch.setattr(
        optuna.storages.journal, "JournalFileOpenLock", lambda path, grace_period: lock_class(path, 1)
    )
    (tmp_path / "a.journal.lock").touch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna finds a second short
        study = run(trials=4, storage=path)
    assert summary(study) == summary(run(trials=4))
    assert path.read_bytes().startswith(whole)


def test_without_optuna_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def no_optuna(name, *arguments, **settings):
        if name == "optuna":
            raise ModuleNotFoundError("No module named 'optuna'", name="optuna")
        return real(name, *arguments, **settings)

    monkeypatch.setattr(builtins, "__import__", no_optuna)
    with pytest.raises(ImportError, match=r"needs optuna: pip install 'aelib\[search\]'"):
        search.run(build, X[:40], X[40:], trials=1)


# Interrupted, killed, shared ----------------------------------------------------------------------------


def interrupt_at(trial_number, epoch):
    """Return a measure that presses Ctrl-C once, in the middle of a trial."""
    seen = []

    def score(model, x):
        seen.append(model)
        if (
            len({id(m) for m in seen}) == trial_number + 1
            and len(model.history_.loss) == epoch
            and score.armed
        ):
            score.armed = False
            signal.raise_signal(signal.SIGINT)
        return -model.score(x)

    score.armed = True
    return score


def test_ctrl_c_leaves_a_study_that_goes_on(tmp_path):
    path = tmp_path / "a.journal"
    handler = signal.getsignal(signal.SIGINT)
    score = interrupt_at(5, 2)
    with pytest.warns(UserWarning, match="interrupted; the study 'search' has 5 of 12 trials"):
        study = run(trials=12, storage=path, error=score)
    assert signal.getsignal(signal.SIGINT) is handler
    assert (len(summary(study)), count(study, RUNNING), count(study, FAIL)) == (5, 0, 1)
    study = run(trials=12, storage=path, error=score)
    assert count(study, FAIL) == 1
    assert summary(study) == summary(run(trials=12, error=score))  # nothing lost, nothing changed


def test_ctrl_c_between_trials_waits_until_the_next_one_is_written_down(tmp_path, monkeypatch):
    path = tmp_path / "a.journal"
    ask = optuna.Study.ask

    def press(study):
        if len(study.trials) == 3:
            signal.raise_signal(signal.SIGINT)
        return ask(study)

    monkeypatch.setattr(optuna.Study, "ask", press)
    with pytest.warns(UserWarning, match="interrupted"):
        study = run(trials=6, storage=path)
    # The trial that was asked for is given up before it is trained, and its settings are queued.
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3 + ["FAIL", "WAITING"]
    monkeypatch.setattr(optuna.Study, "ask", ask)
    assert summary(run(trials=6, storage=path)) == summary(run(trials=6))


def test_trials_of_living_workers_are_left_alone(tmp_path):
    path = tmp_path / "a.journal"
    study = run(trials=1, storage=path)
    living = study.ask()
    living.set_user_attr("worker", study.trials[0].user_attrs["worker"] | {"run": "busy"})
    elsewhere = study.ask()
    elsewhere.set_user_attr("worker", study.trials[0].user_attrs["worker"] | {"host": "another"})
    search_workers.active.add("busy")
    try:
        study = run(trials=3, storage=path)
        assert [study.trials[n].state for n in (1, 2)] == [RUNNING, RUNNING]
    finally:
        search_workers.active.remove("busy")
    study = run(trials=4, storage=path)
    assert [study.trials[n].state for n in (1, 2)] == [FAIL, RUNNING]


def test_a_command_killed_hard_is_resumed_with_nothing_lost(tmp_path):
    command = Command(tmp_path, pause=0.1, trials=8)
    process = command.start()
    journal = tmp_path / "settings.journal"
    wait_for(lambda: len(load(journal).trials[4].intermediate_values) >= 2, process)
    process.kill()
    process.communicate()
    killed = load(journal)
    kept = summary(killed)
    assert len(kept) >= 4
    assert count(killed, RUNNING) == 1
    lost = next(trial for trial in killed.trials if trial.state == RUNNING)

    code, output = Command(tmp_path, trials=8).run()
    assert code == 0, output
    assert "8 of 8 trials are finished" in output
    study = load(journal)
    assert (len(summary(study)), count(study, FAIL), count(study, RUNNING)) == (8, 1, 0)
    assert summary(study)[: len(kept)] == kept
    again = [trial for trial in study.trials if trial.user_attrs.get("again") == lost.number]
    assert [trial.params for trial in again] == [lost.params]

    (tmp_path / "whole").mkdir()
    code, output = Command(tmp_path / "whole", trials=8).run()
    assert summary(load(tmp_path / "whole" / "settings.journal")) == summary(study)


def test_two_processes_share_one_sqlite_file(tmp_path):
    storage = f"sqlite:///{tmp_path}/shared.db"
    command = Command(tmp_path, "--storage", storage, pause=0.02, trials=12)
    processes = [command.start() for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert all("trials are finished" in output for output in outputs), outputs
    study = load(storage)
    assert 12 <= len(summary(study)) <= 13
    assert count(study, FAIL) == count(study, RUNNING) == 0
    assert len({trial.user_attrs["worker"]["pid"] for trial in study.trials}) == 2
    assert len({tuple(trial.params.items()) for trial in study.trials}) == len(study.trials)


def test_ctrl_c_reaches_all_workers_of_a_command(tmp_path):
    command = Command(tmp_path, "--workers", "2", pause=0.1, trials=10_000)
    process = command.start()
    journal = tmp_path / "settings.journal"
    wait_for(lambda: len(summary(load(journal))) >= 3, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    study = load(journal)
    assert count(study, RUNNING) == 0
    done = len(summary(study))
    assert 3 <= done < 10_000
    code, output = Command(tmp_path, trials=done + 2).run()
    assert code == 0, output
    assert len(summary(load(journal))) == done + 2


def test_workers_end_with_the_command_that_started_them(tmp_path):
    process = Command(tmp_path, "--workers", "2", pause=0.1, trials=10_000).start()
    journal = tmp_path / "settings.journal"
    wait_for(lambda: len(summary(load(journal))) >= 2, process)
    workers = {trial.user_attrs["worker"]["pid"] for trial in load(journal).trials[:2]}
    process.kill()
    process.wait()
    wait_for(lambda: not any(psutil.pid_exists(worker) for worker in workers), seconds=20)
    assert count(load(journal), RUNNING) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py", "--trials", "2"], "there is no file nowhere.py"),
        (["settings.py:other", "--trials", "2"], r"settings.py must define other\(trial\) and data\(\)"),
        (["settings.py", "--trials", "2", "--storage", "a/b.journal"], "there is no folder a"),
    ],
)
def test_command_says_what_is_wrong(arguments, message, tmp_path, monkeypatch, capsys):
    (tmp_path / "settings.py").write_text(FILE.format(pause=0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with contextlib.suppress(SystemExit):
        assert search.main(arguments) == 1
    assert re.search(message, capsys.readouterr().err)


def test_a_search_in_a_thread_works():
    studies = []
    thread = threading.Thread(target=lambda: studies.append(run(trials=2)))
    thread.start()
    thread.join()
    assert len(summary(studies[0])) == 2


# The benchmark ------------------------------------------------------------------------------------------


def test_the_benchmark_compares_at_equal_budget(monkeypatch):
    monkeypatch.setattr(search_digits, "EPOCHS", 2)
    record = benchmark.compare(trials=3, seeds=2, draws=10)
    searches = record["searches"]
    assert set(searches) == {"random", "TPE", "TPE, pruned", "grid", "grid, shifted"}
    for name, rows in searches.items():
        assert len(rows) == (1 if name == "grid" else 2)
        assert all(row["epochs"] >= 6 for row in rows)
        assert all((row["epochs"], row["finished"]) == (6, 3) for row in rows if name != "TPE, pruned")
    assert searches["random"][0]["trials"][0]["params"] == searches["TPE"][0]["trials"][0]["params"]
    for row in searches["random"]:
        values = [trial["value"] for trial in row["trials"]]
        assert row["best"] == min(values)
        assert row["best_test"] != row["best"]
        assert row["trials"][0]["curve"][-1] == pytest.approx(values[0], rel=1e-4)
    assert searches["grid, shifted"][0]["grid"] != searches["grid, shifted"][1]["grid"]


def test_grids_have_two_values_half_a_range_apart():
    plain, shifted = benchmark.grid({}), benchmark.grid({"rate": 0.5, "code": 0.25})
    assert plain["rate"] == pytest.approx([10**-3.25, 10**-1.75])
    assert shifted["rate"] == pytest.approx(plain["rate"][::-1])
    assert plain["code"] == [10, 24]
    assert shifted["code"] == [17, 2]
    assert plain["activation"] == ["relu", "tanh"]


def test_optimism_of_equal_trials_is_the_expected_smallest_mean():
    rng = np.random.default_rng(0)
    costs = rng.standard_normal((8, 500))
    gap = benchmark.optimism(costs, 10, 4000, rng)
    smallest = -rng.standard_normal((20000, 8)).min(axis=1).mean()
    assert gap == pytest.approx(smallest / np.sqrt(10), rel=0.1)
    ahead = costs + np.arange(8)[:, None] * 10
    assert abs(benchmark.optimism(ahead, 10, 4000, rng)) < 0.02
