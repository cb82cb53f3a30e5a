"""A pytest plugin for nbval: the peak memory of each notebook's kernel, and a limit that none may pass.

``pytest -p booktools.memory --nbval ...`` prints a table at the end, and fails where a notebook takes more
than ``--memory-limit``. A kernel counts together with all processes that it starts.
"""

import threading
import time
from pathlib import Path

import psutil
import pytest

# Binder ends whoever takes more than 2 GiB, which is 2147 MB, with JupyterLab's own server counted in.
LIMIT = 2000
MEGABYTE = 10**6
PROPERTY = "kernel memory in bytes"


class Watch:
    """Samples the resident memory of a process and its children, in a thread, until the process ends.

    Parameters
    ----------
    pid : int
        The kernel's process.
    interval : float
        Seconds between two samples.
    """

    def __init__(self, pid: int, interval: float = 0.2) -> None:
        self.process = psutil.Process(pid)
        self.interval = interval
        self.peak = 0
        threading.Thread(target=self._run, daemon=True).start()

    def sample(self) -> int:
        """Return the peak so far in bytes, this moment included; a page that processes share counts once."""
        family = _family(self.process)
        now = sum(_resident(process, alone=len(family) == 1) for process in family)
        self.peak = max(self.peak, now, _own_peak(self.process.pid))
        return self.peak

    def _run(self) -> None:
        while self.process.is_running():
            self.sample()
            time.sleep(self.interval)


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:  # the kernel has died, as nbval will report
        return []


def _resident(process: psutil.Process, *, alone: bool) -> int:
    try:
        if alone:
            return process.memory_info().rss
        full = process.memory_full_info()  # slower: only where there is something to share
    except psutil.Error:  # it has just ended
        return 0
    return getattr(full, "pss", full.uss)  # only Linux knows the share of each in what they share


def _own_peak(pid: int) -> int:
    """Return the peak that Linux keeps of a process, which falls between no two samples; elsewhere 0."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


_WATCH = pytest.StashKey[Watch]()
_PEAKS = pytest.StashKey[dict[str, int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--memory-limit``."""
    parser.getgroup("nbval").addoption(
        "--memory-limit",
        type=int,
        default=LIMIT,
        metavar="MB",
        help="fail if a notebook's kernel and its children take more (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin the table of peaks, which every report adds to, also those of parallel workers."""
    config.stash[_PEAKS] = {}
    config.pluginmanager.register(_Collector(config.stash[_PEAKS]))


class _Collector:
    def __init__(self, peaks: dict[str, int]) -> None:
        self.peaks = peaks

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.split("::")[0]
        for key, peak in report.user_properties:
            if key == PROPERTY:
                self.peaks[name] = max(peak, self.peaks.get(name, 0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    """Watch a notebook's kernel from its first cell on; every cell's report carries the peak so far."""
    manager = getattr(getattr(item.parent, "kernel", None), "km", None)
    if manager is None:  # not a cell of a notebook
        return (yield)
    if _WATCH not in item.parent.stash:
        item.parent.stash[_WATCH] = Watch(manager.provisioner.pid)
    try:
        return (yield)
    finally:
        item.user_properties.append((PROPERTY, item.parent.stash[_WATCH].sample()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if a notebook has passed the limit."""
    if _above_limit(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print each notebook's peak, and say which are too large."""
    peaks = config.stash[_PEAKS]
    if not peaks:
        return
    terminalreporter.section("peak memory of each notebook's kernel and its children")
    for name, peak in sorted(peaks.items()):
        terminalreporter.line(f"{Path(name).stem:<36}{peak / MEGABYTE:6.0f} MB")
    for name, peak in sorted(_above_limit(config).items()):
        terminalreporter.line(
            f"FAILED: {name} took {peak / MEGABYTE:.0f} MB; the limit is {config.option.memory_limit} MB, "
            "as Binder ends a notebook that takes more. Work on less data at once, or free what is done.",
            red=True,
        )


def _above_limit(config: pytest.Config) -> dict[str, int]:
    limit = config.option.memory_limit * MEGABYTE
    return {name: peak for name, peak in config.stash[_PEAKS].items() if peak > limit}
