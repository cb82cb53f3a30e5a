"""Settings come from `configure`, then the environment, then the default; imports stay light."""

import os
import subprocess
import sys

import pytest

import aelib
from aelib import settings


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.setattr(settings, "_configured", {})
    for name in ("BACKEND", "PROFILE", "DEVICE", "DATA_DIR"):
        monkeypatch.delenv(f"AELIB_{name}", raising=False)


def python(code: str, **environment: str) -> str:
    """Run code in a new interpreter and return what it prints."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_defaults():
    assert (settings.get_backend(), settings.get_profile()) == ("torch", "reference")
    assert settings.resolve_dtype(None) == "float64"
    assert settings.get_data_dir().name == "aelib"


def test_the_environment_is_read_when_it_is_needed(monkeypatch, tmp_path):
    monkeypatch.setenv("AELIB_BACKEND", "tensorflow")
    monkeypatch.setenv("AELIB_PROFILE", "full")
    monkeypatch.setenv("AELIB_DATA_DIR", str(tmp_path))
    assert (settings.get_backend(), settings.get_profile()) == ("tensorflow", "full")
    assert settings.resolve_dtype(None) == "float32"
    assert settings.get_data_dir() == tmp_path


def test_configure_wins(monkeypatch):
    monkeypatch.setenv("AELIB_BACKEND", "tensorflow")
    aelib.configure(backend="torch", data_dir="~/somewhere")
    assert settings.get_backend() == "torch"
    assert "~" not in str(settings.get_data_dir())


@pytest.mark.parametrize("name", ["backend", "profile", "device"])
def test_unknown_values_are_refused_with_the_known_ones(name, monkeypatch):
    known = settings._KNOWN[name]
    with pytest.raises(ValueError, match=f"unknown {name} 'nothing'.*{known[-1]}"):
        aelib.configure(**{name: "nothing"})
    monkeypatch.setenv(f"AELIB_{name.upper()}", "nothing")
    with pytest.raises(ValueError, match=f"AELIB_{name.upper()}.*'nothing'.*{known[-1]}"):
        settings._look_up(name)


def test_a_refused_configure_changes_nothing():
    with pytest.raises(ValueError, match="unknown profile"):
        aelib.configure(backend="tensorflow", profile="tiny")
    assert settings.get_backend() == "torch"


@pytest.mark.parametrize("backend", settings.BACKENDS)
def test_a_backend_that_is_not_installed(backend, monkeypatch):
    monkeypatch.setattr(settings.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=rf"pip install 'aelib\[{backend}\]'"):
        settings.load_wing(backend)


def test_triton_is_imported_before_tensorflow_on_cuda(monkeypatch):
    imported = []

    class FakeTorch:
        class cuda:
            is_available = staticmethod(lambda: True)

    monkeypatch.setitem(sys.modules, "torch", FakeTorch)
    monkeypatch.setattr(settings.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(settings.importlib, "import_module", lambda name: imported.append(name))
    settings.load_wing("tensorflow")
    assert imported == ["triton", "aelib.tensorflow"]
    settings.load_wing("torch")
    assert imported[2:] == ["aelib.torch", "triton"]


def test_import_loads_no_framework_and_costs_little(record):
    code = (
        "import time, sys, sklearn.base; start = time.perf_counter(); import aelib;"
        "print(time.perf_counter() - start, *({'torch', 'tensorflow', 'keras'} & sys.modules.keys()))"
    )
    seconds, *loaded = min((python(code).split() for _ in range(3)), key=lambda words: float(words[0]))
    record("import aelib beyond sklearn.base, seconds", float(seconds), 0.3)
    assert loaded == []
    assert float(seconds) <= 0.3


@pytest.mark.parametrize(("backend", "other"), [("torch", "tensorflow"), ("tensorflow", "torch")])
def test_using_one_backend_never_loads_the_other(backend, other):
    code = (
        "import sys, numpy, aelib;"
        "aelib.Autoencoder(aelib.Dense(code=1), epochs=1).fit(numpy.eye(4)).transform(numpy.eye(4));"
        f"print({other!r} in sys.modules, {backend!r} in sys.modules)"
    )
    assert python(code, AELIB_BACKEND=backend).split() == ["False", "True"]


def test_banner(capsys):
    aelib.banner()
    printed = capsys.readouterr().out
    for part in ("PyTorch", "reference", "digits", "float64", aelib.__version__):
        assert part in printed
