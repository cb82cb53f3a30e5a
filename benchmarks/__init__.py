"""Long measurements that a lesson cannot run itself: their programs, and in ``results/`` their records."""

import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
from pathlib import Path

RESULTS = Path(__file__).parent / "results"

# Distribution names; whichever are installed are named in a record.
_DISTRIBUTIONS = (
    "numpy",
    "torch",
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "pytorch-lightning",
    "pythae",
)


def describe_run() -> dict:
    """Return what every record states: the date, the machine and the versions.

    Returns
    -------
    dict
        ``date`` (ISO, UTC), ``machine`` (processor, cores this process may use, system) and
        ``versions`` (Python, aelib and each installed framework).
    """
    import aelib

    versions = {"python": platform.python_version(), "aelib": aelib.__version__}
    for name in _DISTRIBUTIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": {"processor": _processor(), "cores": _usable_cores(), "system": platform.system()},
        "versions": versions,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # platform.processor() is empty on most Linux systems
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in one step, so that an interrupted run leaves the old record whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def write_record(path: Path, record: dict) -> None:
    """Write `record` to `path` as JSON, in one step."""
    write_text(path, json.dumps(record, indent=2, allow_nan=False) + "\n")
