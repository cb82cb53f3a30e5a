"""Search for good settings with Optuna: trials are pruned, shared by workers, interrupted and resumed.

Optuna is loaded when a search begins, not before: ``pip install 'aelib[search]'``. As a command:
``python -m aelib.search FILE.py --trials 50``, where the file defines ``build(trial)`` and ``data()``.
"""

import _thread
import argparse
import contextlib
import os
import runpy
import signal
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aelib.base import BaseAutoencoder
from aelib.checks import check_choice, check_integer, check_positive_integer
from aelib.search_storage import Refusal, load_optuna, open_storage
from aelib.search_workers import CtrlC, Interrupted, active, describe_worker, is_lost, reclaim
from aelib.training import DivergenceError

if TYPE_CHECKING:
    import optuna

# Names of Optuna's classes.
SAMPLERS = {"tpe": "TPESampler", "random": "RandomSampler"}
PRUNERS = {"median": "MedianPruner", "halving": "SuccessiveHalvingPruner", "none": "NopPruner"}


def run(
    build: Callable[["optuna.Trial"], BaseAutoencoder],
    x_train: np.ndarray,
    x_validation: np.ndarray,
    *,
    trials: int,
    storage: "str | os.PathLike | optuna.storages.BaseStorage | None" = None,
    name: str = "search",
    sampler: "str | optuna.samplers.BaseSampler" = "tpe",
    pruner: "str | optuna.pruners.BasePruner" = "median",
    seed: int = 0,
    error: Callable[[BaseAutoencoder, np.ndarray], float] | None = None,
) -> "optuna.Study":
    """Fit what `build` makes of each trial, until the study has `trials` finished ones; resumes a study.

    Every trial is trained on `x_train` and judged by its error on `x_validation` after every epoch, for the
    pruner, and at the end, for the sampler. A trial that diverges counts as pruned and keeps the reason under
    "diverged" in its `user_attrs`.

    Ctrl-C ends the search with a warning, and the same call goes on with it, after a hard kill too: a trial
    whose worker died on this machine is marked as failed, and its settings are tried again. With one worker
    and a sampler given by name, a search that was interrupted makes the same trials as one that was not.

    Parameters
    ----------
    build : callable
        Takes an ``optuna.Trial``, asks it for settings (``trial.suggest_int("code", 2, 32)``) and returns an
        estimator that is not fitted. It is called once more at the beginning, to see what it suggests.
    x_train, x_validation : array
        As for the estimator's `fit`.
    trials : int
        Finished trials (complete or pruned) that the study shall have in all, those of earlier runs and of
        other workers included. When several workers finish at once, there may be one more for each.
    storage : path, URL or optuna.storages.BaseStorage, optional
        Where the study is kept. A path: a journal file. A URL is for Optuna:
        ``"sqlite:///study.db"``, ``"postgresql+psycopg2://user:password@host/database"``. Default: the
        journal ``<name>.journal`` in the working folder.
    name : str, default="search"
        Of the study.
    sampler : {"tpe", "random"} or optuna.samplers.BaseSampler, default="tpe"
        Where the next settings come from. The named ones draw each trial from a seed of its own.
    pruner : {"median", "halving", "none"} or optuna.pruners.BasePruner, default="median"
        Which trials are given up early.
    seed : int, default=0
        Of the named samplers.
    error : callable, optional
        ``error(estimator, x_validation)``, lower is better. Default: ``-estimator.score(x_validation)``, the
        reconstruction loss without penalty and corruption. It compares no trials with different losses: give,
        for example, the squared error then.

    Returns
    -------
    optuna.Study
        ``build(study.best_trial).fit(...)`` trains the best one again.

    Raises
    ------
    Refusal
        A ValueError: if `build` leaves nothing to search, if trials cannot be compared with each other or
        with those in the storage, or if the storage's file is no journal.
    ConnectionError
        If the storage does not answer.
    ImportError
        If Optuna is not installed.
    """
    optuna = load_optuna()
    check_positive_integer("trials", trials)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # of a study that nobody asked for
    probe = optuna.create_study(sampler=optuna.samplers.RandomSampler(0)).ask()
    optuna.logging.set_verbosity(verbosity)
    measure = _measure(error, _build(build, probe))
    if all(distribution.single() for distribution in probe.distributions.values()):
        raise Refusal(
            f"the search space has nothing in it: {build.__name__}(trial) left the trial no choice (it asked "
            f"for {list(probe.params) or 'nothing'}); say, for example, code=trial.suggest_int('code', 2, 32)"
        )
    study = optuna.create_study(
        storage=open_storage(f"{name}.journal" if storage is None else storage),
        study_name=name,
        sampler=_sampler(sampler, seed),
        pruner=_pruner(pruner),
        load_if_exists=True,
    )
    for key, value in {"measure": measure, "data": _fingerprint(x_train, x_validation)}.items():
        if study.user_attrs.get(key, value) != value:
            raise Refusal(
                f"the trials of the study {name!r} cannot be compared with new ones: its {key} was "
                f"{study.user_attrs[key]}, now it is {value}; choose another name or storage"
            )
        study.set_user_attr(key, value)
    worker = describe_worker()

    def judge(fitted: BaseAutoencoder) -> float:
        return -fitted.score(x_validation) if error is None else float(error(fitted, x_validation))

    def objective(trial: "optuna.Trial") -> float:
        trial.set_user_attr("worker", worker)
        estimator = _build(build, trial)
        if _measure(error, estimator) != measure:
            raise Refusal(
                f"trial {trial.number} would be judged by {_measure(error, estimator)}, others by {measure}: "
                "these cannot be compared; give one measure for all, run(..., error=...)"
            )

        def report(fitted: BaseAutoencoder) -> None:
            value = judge(fitted)
            with ctrl_c.delayed():
                trial.report(value, len(fitted.history_.loss))
                is_hopeless = trial.should_prune()
            if is_hopeless:
                raise optuna.TrialPruned

        try:
            with ctrl_c.allowed():
                estimator.fit(x_train, validation_data=x_validation, on_epoch=report)
        except DivergenceError as problem:
            trial.set_user_attr("diverged", str(problem))
            raise optuna.TrialPruned from problem
        return judge(estimator)

    def stop_when_done(study: "optuna.Study", _: object) -> None:
        running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        if ctrl_c.pressed or finished(study) + sum(not is_lost(trial) for trial in running) >= trials:
            study.stop()

    with CtrlC() as ctrl_c:
        active.add(worker["run"])
        try:
            reclaim(study)
            if finished(study) < trials:
                study.optimize(objective, callbacks=[stop_when_done])
        except Interrupted:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # until the study is in order
            active.discard(worker["run"])
            reclaim(study)
        finally:
            active.discard(worker["run"])
    if ctrl_c.pressed:
        warnings.warn(
            f"the search was interrupted; the study {name!r} has {finished(study)} of {trials} trials, and "
            "the same call goes on with it",
            stacklevel=2,
        )
    return study


def finished(study: "optuna.Study") -> int:
    """Return the number of the study's trials that are complete or pruned."""
    states = load_optuna().trial.TrialState
    return len(study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED)))


def _build(build: Callable, trial: "optuna.Trial") -> BaseAutoencoder:
    estimator = build(trial)
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(f"{build.__name__}(trial) must return an estimator of aelib, got {estimator!r}")
    return estimator


def _measure(error: Callable | None, estimator: BaseAutoencoder) -> str:
    """Return what trials are judged by, in words."""
    if error is not None:
        return getattr(error, "__name__", type(error).__name__)
    loss = getattr(estimator, "loss", None) or getattr(estimator, "likelihood", None)
    return f"{type(estimator).__name__}.score with {loss}"


def _fingerprint(*arrays: np.ndarray) -> str:
    """Return shapes and a checksum of some rows, which is quick for large files too."""
    shapes = " and ".join("x".join(map(str, np.shape(x))) for x in arrays)
    rows = b"".join(np.ascontiguousarray(x[:: max(1, len(x) // 1000)]).tobytes() for x in arrays)
    return f"{shapes}, checksum {zlib.crc32(rows):08x}"


def _sampler(sampler: "str | optuna.samplers.BaseSampler", seed: int) -> "optuna.samplers.BaseSampler":
    """Return a sampler whose draws depend on the seed, the trial's place and earlier trials only.

    A sampler of Optuna's has one stream of random numbers. It would begin anew when a search is resumed, and
    be the same in every worker. Here each trial has a stream of its own.
    """
    optuna = load_optuna()
    if isinstance(sampler, optuna.samplers.BaseSampler):
        return sampler
    check_choice("sampler", sampler, tuple(SAMPLERS))
    check_integer("seed", seed, at_least=0)

    class OneStreamPerTrial(getattr(optuna.samplers, SAMPLERS[sampler])):
        def before_trial(self, study, trial):
            super().before_trial(study, trial)
            earlier = study.get_trials(deepcopy=False)[: trial.number]
            self._place = sum(other.state != optuna.trial.TrialState.FAIL for other in earlier)
            self._begin("")

        def _begin(self, parameter):
            entropy = np.random.SeedSequence([seed, self._place, zlib.crc32(parameter.encode())])
            super().__init__(seed=int(entropy.generate_state(1)[0]))

        def sample_independent(self, study, trial, param_name, param_distribution):
            self._begin(param_name)
            return super().sample_independent(study, trial, param_name, param_distribution)

    return OneStreamPerTrial()


def _pruner(pruner: "str | optuna.pruners.BasePruner") -> "optuna.pruners.BasePruner":
    pruners = load_optuna().pruners
    if isinstance(pruner, pruners.BasePruner):
        return pruner
    check_choice("pruner", pruner, tuple(PRUNERS))
    return getattr(pruners, PRUNERS[pruner])()


# The command --------------------------------------------------------------------------------------------


def _workers(arguments: list[str], count: int) -> int:
    """Run `count` processes of this command; they are interrupted when this one is, or ends."""
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count))}
    command = [sys.executable, "-m", "aelib.search", *arguments, "--workers", "1", "--child"]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, env=threads | os.environ, start_new_session=True)
        for _ in range(count)
    ]
    try:
        codes = [child.wait() for child in children]
    except KeyboardInterrupt:
        for child in children:
            child.stdin.close()
        codes = [child.wait() for child in children]
    return min(codes, key=abs)  # 0 if one of them has seen the study complete


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m aelib.search",
        description="Search for good settings. Ctrl-C stops it; the same command goes on.",
    )
    add = parser.add_argument
    add(
        "file",
        metavar="FILE.py[:function]",
        help="defines build(trial), or the function named, and data(), which returns x_train and "
        "x_validation; also error(estimator, x_validation), if another measure is wanted",
    )
    add("--trials", type=int, required=True, help="finished trials that there shall be in all")
    add("--storage", help="a journal file or a database's URL; default: NAME.journal")
    add("--name", help="of the study; default: the file's name")
    add("--sampler", choices=SAMPLERS, default="tpe")
    add("--pruner", choices=PRUNERS, default="median")
    add("--seed", type=int, default=0)
    add("--workers", type=int, default=1, help="processes on this machine")
    add("--child", action="store_true", help=argparse.SUPPRESS)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Search as the command line says; return 0, 130 after Ctrl-C, or 1 where the search was refused."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    settings = vars(parser.parse_args(arguments))
    file, _, function = settings.pop("file").rpartition(":")
    if function.endswith(".py"):
        file, function = f"{file}:{function}".lstrip(":"), "build"
    if not Path(file).is_file():
        parser.error(f"there is no file {file}")
    workers, child = settings.pop("workers"), settings.pop("child")
    if workers > 1:
        return _workers(arguments, workers)
    if child:  # the pipe closes when the parent is interrupted or ends
        watch = threading.Thread(target=lambda: (os.read(0, 1), _thread.interrupt_main()), daemon=True)
        watch.start()
    try:
        sys.path.insert(0, str(Path(file).resolve().parent))
        defined = runpy.run_path(file, run_name="search")
        if not {function, "data"} <= defined.keys():
            parser.error(f"{file} must define {function}(trial) and data()")
        settings["name"] = settings["name"] or Path(file).stem
        study = run(defined[function], *defined["data"](), error=defined.get("error"), **settings)
    except KeyboardInterrupt:
        return 130
    except (Refusal, ConnectionError, FileNotFoundError, ImportError) as problem:
        print(f"aelib.search: {problem}", file=sys.stderr)
        return 1
    count = finished(study)
    print(f"{count} of {settings['trials']} trials are finished in the study {study.study_name!r}")
    with contextlib.suppress(ValueError):  # none is complete
        print(f"best: trial {study.best_trial.number}, error {study.best_value:.6g}, {study.best_params}")
    return 0 if count >= settings["trials"] else 130


if __name__ == "__main__":
    sys.exit(main())
