"""The surroundings in which lessons are executed: for the site, for the twins, for nbval."""

import os
from pathlib import Path

from booktools.address import ROOT

KERNEL_SETTINGS = """\
c = get_config()
c.InlineBackend.figure_formats = {"retina"}  # sharp: drawn at twice the resolution
c.HistoryManager.enabled = False
c.IPKernelApp.log_level = 40  # errors only
"""


def execution_environment(profile: str, backend: str) -> dict[str, str]:
    """Return this process's environment, set for executing lessons quietly and reproducibly."""
    environment = os.environ | {
        "AELIB_PROFILE": profile,
        "AELIB_BACKEND": backend,
        "AELIB_DEVICE": os.environ.get("AELIB_DEVICE", "cpu" if profile == "reference" else "auto"),
        # Progress bars and TensorFlow's messages would be stored as outputs.
        "TQDM_DISABLE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "IPYTHONDIR": _ipython_folder(),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
        "NO_COLOR": "1",
        # Lessons may re-run a row of a benchmark, which is not installed.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    if folder := os.environ.get("AELIB_DATA_DIR"):
        # Lessons run in their own folder, where a relative path would mean something else.
        environment["AELIB_DATA_DIR"] = str(Path(folder).expanduser().resolve())
    return environment


def _ipython_folder() -> str:
    """Write the kernels' settings and return their folder: the user's own ones must not reach a lesson."""
    folder = ROOT / "_build" / "ipython"
    settings = folder / "profile_default" / "ipython_kernel_config.py"
    if not settings.exists() or settings.read_text(encoding="utf-8") != KERNEL_SETTINGS:
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(KERNEL_SETTINGS, encoding="utf-8")
    return str(folder)
