"""The workers of a search: which ones are alive, what becomes of the trials of dead ones, and Ctrl-C."""

import contextlib
import os
import platform
import signal
import threading
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from aelib.search_storage import load_optuna

if TYPE_CHECKING:
    import optuna

SAME_START = 60  # seconds by which two readings of the time when a process began may differ
UNSIGNED = timedelta(minutes=1)  # a running trial that is older and names no worker has lost it

active: set[str] = set()  # the runs of this process


class Interrupted(BaseException):
    """Ctrl-C during a search; `fit` would make an ordinary end of a KeyboardInterrupt."""


def describe_worker() -> dict[str, Any]:
    """Return what a trial keeps of the process that runs it."""
    import psutil

    began = psutil.Process().create_time()
    return {"host": platform.node(), "pid": os.getpid(), "started": began, "run": uuid.uuid4().hex}


def is_lost(trial: "optuna.trial.FrozenTrial") -> bool:
    """Tell whether a running trial's worker is known to be dead."""
    import psutil

    worker = trial.user_attrs.get("worker")
    if worker is None:
        return datetime.now() - trial.datetime_start > UNSIGNED
    if worker["host"] != platform.node():
        return False  # nobody can tell from here; a database notices by the heartbeat
    if worker["pid"] == os.getpid():
        return worker["run"] not in active
    try:
        process = psutil.Process(worker["pid"])
        is_other = abs(process.create_time() - worker["started"]) > SAME_START
        return is_other or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def reclaim(study: "optuna.Study") -> None:
    """Mark trials whose worker is dead as failed, and queue their settings once more."""
    states = load_optuna().trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        if not is_lost(trial):
            continue
        try:
            study.tell(trial.number, state=states.FAIL)
        except (ValueError, RuntimeError):
            continue  # another worker was faster
        if trial.params:
            study.enqueue_trial(trial.params, user_attrs={"again": trial.number})


class CtrlC:
    """Ends a trial with `Interrupted` where that is allowed, and waits for such a place otherwise.

    That is while a model is trained. While Optuna reads or writes the study, an exception out of nowhere
    could leave its locks closed. A second Ctrl-C does not wait. Outside the main thread nothing is changed.
    """

    pressed = _allowed = False

    def __enter__(self) -> Self:
        self._is_main = threading.current_thread() is threading.main_thread()
        if self._is_main:
            self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_main:
            signal.signal(signal.SIGINT, self._before or signal.default_int_handler)

    def _press(self, number: int, frame: object) -> None:
        again, self.pressed = self.pressed, True
        if again or self._allowed:
            raise Interrupted

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """Permit an end from here on."""
        self._allowed = True
        try:
            if self.pressed:
                raise Interrupted
            yield
        finally:
            self._allowed = False

    @contextlib.contextmanager
    def delayed(self) -> Iterator[None]:
        """Take the permission back for a while."""
        self._allowed = False
        try:
            yield
        finally:
            self._allowed = True
        if self.pressed:
            raise Interrupted
