"""What a run is: which framework computes, on which device, on how much data.

Every setting is looked up when it is needed: first what `configure` was told, then the
environment variable, then the default. Nothing falls back silently: a value that cannot be had is an
error that names the values that can.
"""

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from aelib.checks import check_choice

BACKENDS = ("torch", "tensorflow")
PROFILES = ("reference", "full")
DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("float32", "float64", "mixed_bfloat16")

# The profile decides the default data set and precision.
PROFILE_DATASET = {"reference": "digits", "full": "mnist"}
PROFILE_DTYPE = {"reference": "float64", "full": "float32"}

_KNOWN = {"backend": BACKENDS, "profile": PROFILES, "device": DEVICES}
_DEFAULT = {"backend": "torch", "profile": "reference", "device": "auto"}
_configured: dict[str, str] = {}


def configure(
    *,
    backend: str | None = None,
    profile: str | None = None,
    device: str | None = None,
    data_dir: str | os.PathLike | None = None,
) -> None:
    """Choose settings for the rest of this process; they win over the environment.

    Parameters
    ----------
    backend : {"torch", "tensorflow"}, optional
        The framework that computes. Environment variable: ``AELIB_BACKEND``. Default: "torch".
    profile : {"reference", "full"}, optional
        "reference": small data shipped with scikit-learn, float64; "full": MNIST, float32.
        Environment variable: ``AELIB_PROFILE``. Default: "reference".
    device : {"auto", "cpu", "cuda"}, optional
        "auto" takes a GPU where there is one. Environment variable: ``AELIB_DEVICE``.
    data_dir : path, optional
        Where downloaded data sets are kept, as ``<data_dir>/<dataset>/<file>``.
        Environment variable: ``AELIB_DATA_DIR``. Default: the user's cache folder.

    Raises
    ------
    ValueError
        If a value is not one of the known ones.
    """
    asked = {"backend": backend, "profile": profile, "device": device}
    for name, value in asked.items():
        if value is not None:
            check_choice(name, value, _KNOWN[name])
    _configured.update({name: value for name, value in asked.items() if value is not None})
    if data_dir is not None:
        _configured["data_dir"] = os.fspath(data_dir)


def _look_up(name: str) -> str:
    if name in _configured:
        return _configured[name]
    variable = f"AELIB_{name.upper()}"
    value = os.environ.get(variable) or _DEFAULT[name]
    check_choice(f"{name} in the environment variable {variable}:", value, _KNOWN[name])
    return value


def get_backend() -> str:
    """Return the backend in force: "torch" or "tensorflow"."""
    return _look_up("backend")


def get_profile() -> str:
    """Return the profile in force: "reference" or "full"."""
    return _look_up("profile")


def get_data_dir() -> Path:
    """Return the folder that holds the data sets, one subfolder each."""
    configured = _configured.get("data_dir") or os.environ.get("AELIB_DATA_DIR")
    if configured:
        return Path(configured).expanduser()
    import pooch  # here, because it costs more than all the rest of `import aelib`

    return Path(pooch.os_cache("aelib"))


def resolve_backend(backend: str | None) -> str:
    """Return `backend`, or the one in force where it is None."""
    if backend is None:
        return get_backend()
    check_choice("backend", backend, BACKENDS)
    return backend


def resolve_dtype(dtype: str | np.dtype | type | None) -> str:
    """Return the name of the floating-point type: `dtype`, or the profile's where it is None."""
    if dtype is None:
        return PROFILE_DTYPE[get_profile()]
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    check_choice("dtype", name, DTYPES)
    return name


def array_dtype(dtype: str) -> str:
    """Return the type of arrays and weights; "mixed_bfloat16" keeps them in float32."""
    return "float32" if dtype == "mixed_bfloat16" else dtype


def resolve_device(device: str | None, backend: str) -> str:
    """Return "cpu" or "cuda" for `backend`; "auto" (or None, as the settings say) takes a GPU if any.

    Raises
    ------
    RuntimeError
        If "cuda" is asked for and the framework sees no GPU.
    """
    asked = _look_up("device") if device is None else device
    check_choice("device", asked, DEVICES)
    if asked == "cpu":
        return "cpu"
    found = load_wing(backend).engine.cuda_is_available()
    if asked == "cuda" and not found:
        raise RuntimeError(
            f"device 'cuda' was asked for, but {backend} sees no GPU here; "
            "use device='cpu' or 'auto', or install a CUDA build of the framework and its driver"
        )
    return "cuda" if found else "cpu"


def load_wing(backend: str) -> ModuleType:
    """Import ``aelib.torch`` or ``aelib.tensorflow`` and return it.

    Raises
    ------
    ImportError
        If the framework is not installed; the message names the extra that brings it.
    """
    if importlib.util.find_spec(backend) is None:
        raise ImportError(
            f"the backend {backend!r} is not installed; install it with "
            f"pip install 'aelib[{backend}]', or choose the other one with "
            "aelib.configure(backend=...) or AELIB_BACKEND"
        )
    if backend == "tensorflow":
        _import_triton_on_cuda()
    wing = importlib.import_module(f"aelib.{backend}")
    if backend == "torch":
        _import_triton_on_cuda()
    return wing


def _import_triton_on_cuda() -> None:
    """Import Triton before TensorFlow comes: both carry LLVM, and on CUDA the other order aborts."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and importlib.util.find_spec("triton") is not None:
        importlib.import_module("triton")


def banner() -> None:
    """Print what this run is: backend, version, device, profile, precision and data."""
    from aelib import __version__

    backend = get_backend()
    profile = get_profile()
    wing = load_wing(backend)
    print(f"aelib    {__version__}")
    print(f"backend  {wing.engine.framework_version()}, device {resolve_device(None, backend)}")
    print(f"profile  {profile}: data {PROFILE_DATASET[profile]}, {PROFILE_DTYPE[profile]}")
