"""environment.yml by the rules of repo2docker, which builds Binder's image from it, and the pins it names."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from booktools.address import ROOT

# How repo2docker reads the Python version: buildpacks/conda/__init__.py of jupyterhub/repo2docker.
PYTHON = re.compile(r"python\s*=+\s*([\d\.]*)")
CPU_INDEX = "--extra-index-url=https://download.pytorch.org/whl/cpu"
GPU_ONLY = re.compile(r"nvidia|triton|cuda|cupy|cudnn", re.IGNORECASE)


def read_environment(root: Path) -> tuple[str, list[str]]:
    """Return the Python version and pip's lines of ``environment.yml``, as repo2docker finds them."""
    text = (root / "environment.yml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    assert isinstance(content, dict), "repo2docker wants a dictionary"
    dependencies = content["dependencies"]
    assert "pip" in dependencies, "without it conda warns, and takes any pip"
    pythons = [found[1] for found in map(PYTHON.match, filter(_is_text, dependencies)) if found]
    assert len(pythons) == 1, f"repo2docker would not find the Python in {dependencies}; write python=3.11"
    [pip] = [dependency["pip"] for dependency in dependencies if isinstance(dependency, dict)]
    assert all(map(_is_text, pip)), f"pip's lines are text, these are not: {pip}"
    return pythons[0], pip


def read_pins(text: str, python: str) -> dict[str, Version]:
    """Return the versions that ``name==version`` lines pin for this Python on Binder's machines."""
    place = default_environment() | {
        **{"python_version": python, "python_full_version": f"{python}.14", "implementation_name": "cpython"},
        **{"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
        **{"platform_machine": "x86_64", "platform_python_implementation": "CPython"},
    }
    pins: dict[str, Version] = {}
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if not line or line.startswith("-"):
            continue
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate(place):
            continue
        name = canonicalize_name(requirement.name)
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), f"not one pinned version: {line}"
        assert name not in pins, f"pinned twice: {name}"
        pins[name] = Version(str(requirement.specifier).removeprefix("=="))
    return pins


def unmet(project: dict, pins: dict[str, Version]) -> list[str]:
    """Return what the project or one of its extras requires and the pins do not give."""
    groups = {"aelib": project["dependencies"], **project["optional-dependencies"]}
    found = []
    for group, texts in groups.items():
        for text in texts:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate():
                continue
            pin = pins.get(canonicalize_name(requirement.name))
            if pin is None or pin not in requirement.specifier:
                found.append(f"{group}: {text} (pinned: {pin})")
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str)


@pytest.fixture(scope="module")
def environment() -> tuple[str, list[str]]:
    return read_environment(ROOT)


@pytest.fixture(scope="module")
def requirements(environment) -> dict[str, Version]:
    return read_pins((ROOT / "requirements.txt").read_text(encoding="utf-8"), environment[0])


@pytest.fixture(scope="module")
def everything(environment, requirements) -> dict[str, Version]:
    """Return all that the image holds: what requirements.txt pins, and what only JupyterLab needs."""
    own = read_pins("\n".join(environment[1]), environment[0])
    both = own.keys() & requirements.keys()
    assert not both, f"environment.yml repeats what requirements.txt pins: {both}"
    return requirements | own


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_repo2docker_takes_this_file():
    found = [
        name for name in ("environment.yml", "binder", ".binder", "Dockerfile") if (ROOT / name).exists()
    ]
    assert found == ["environment.yml"], "repo2docker would take another file first"


def test_requirements_are_named(environment):
    """With an environment.yml, repo2docker does not look at requirements.txt of its own accord."""
    _, pip = environment
    files = [line.removeprefix("-r ") for line in pip if line.startswith("-r")]
    assert files == ["requirements.txt"]
    assert "-e ." in pip, "aelib itself"


def test_python_is_one_that_project_and_pins_support(environment, requirements, project):
    python, _ = environment
    assert re.fullmatch(r"3\.\d+", python), "a minor version, so that security releases come in"
    assert f"{python}.0" in SpecifierSet(project["requires-python"])
    refused = []
    for name in requirements:
        try:
            supported = importlib.metadata.metadata(name)["Requires-Python"] or ""
        except importlib.metadata.PackageNotFoundError:  # for another platform than this one
            continue
        if f"{python}.14" not in SpecifierSet(supported):
            refused.append(f"{name} wants Python {supported}")
    assert refused == []


def test_the_cpu_build_is_taken(environment, requirements):
    _, pip = environment
    assert CPU_INDEX in pip
    assert requirements["torch"].local is None, "with +cpu here, macOS and GPU machines would find no torch"
    cpu_build = Version(f"{requirements['torch']}+cpu")
    assert cpu_build in SpecifierSet(f"=={requirements['torch']}")
    assert cpu_build > requirements["torch"], "of two that match, pip takes the later"
    assert "tensorflow-cpu" in requirements
    assert "tensorflow" not in requirements


def test_nothing_needs_a_gpu(environment, everything):
    assert [name for name in everything if GPU_ONLY.search(name)] == []
    assert [line for line in environment[1] if GPU_ONLY.search(line)] == []


def test_every_extra_is_met(everything, project):
    assert unmet(project, everything) == []


@pytest.mark.parametrize(
    ("name", "what_for"),
    [
        ("jupyterlab", "launch buttons open lab/tree/..."),
        ("jupyterlab-myst", "JupyterLab shows the MyST sources"),
        ("jupytext", "JupyterLab opens the sources as notebooks"),
        ("nbgitpuller", "the links in the part Teaching"),
        ("ipykernel", "notebooks run"),
        ("psutil", "the memory of a kernel is shown and tested"),
    ],
)
def test_what_launch_buttons_open_is_there(everything, name, what_for):
    assert name in everything, what_for


def test_launch_buttons_open_jupyterlab():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert config["launch_buttons"]["notebook_interface"] == "jupyterlab"


def test_one_command_is_documented_for_a_gpu():
    comment = [
        line for line in (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines() if "GPU" in line
    ]
    assert len(comment) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("numpy>=2", "not one pinned version: numpy>=2"),
        ("numpy==2.*", "not one pinned version"),
        ("numpy==2.0\nNumPy==2.1", "pinned twice: numpy"),
    ],
)
def test_loose_and_double_pins_are_found(text, complaint):
    with pytest.raises(AssertionError, match=complaint):
        read_pins(text, "3.11")


def test_unmet_extras_are_found():
    project = {"dependencies": ["numpy>=2.1"], "optional-dependencies": {"torch": ["torch>=2.11,<3"]}}
    assert unmet(project, {"numpy": Version("2.1"), "torch": Version("2.13.0")}) == []
    assert unmet(project, {"numpy": Version("2.0")}) == [
        "aelib: numpy>=2.1 (pinned: 2.0)",
        "torch: torch>=2.11,<3 (pinned: None)",
    ]


def test_repo2dockers_rules_are_applied(tmp_path):
    (tmp_path / "environment.yml").write_text(
        "dependencies: [python=3.12, pip, {pip: [-r requirements.txt]}]", encoding="utf-8"
    )
    assert read_environment(tmp_path) == ("3.12", ["-r requirements.txt"])
    (tmp_path / "environment.yml").write_text(
        "dependencies: [python>=3.12, pip, {pip: []}]", encoding="utf-8"
    )
    with pytest.raises(AssertionError, match="repo2docker would not find the Python"):
        read_environment(tmp_path)
