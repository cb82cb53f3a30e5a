"""Orders and the wings' common shape."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

import aelib
from aelib.settings import BACKENDS
from aelib.training import epoch_order

PACKAGE = Path(aelib.__file__).parent
WING_FILES = ("networks.py", "losses.py", "random.py", "engine.py")


def test_order_visits_every_sample_once_and_differs_between_epochs():
    a, b = epoch_order(0, 0, 50, shuffle=True), epoch_order(0, 1, 50, shuffle=True)
    assert sorted(a) == list(range(50))
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(epoch_order(0, 0, 50, shuffle=True), a)
    np.testing.assert_array_equal(epoch_order(0, 3, 5, shuffle=False), np.arange(5))


def public_names(path: Path) -> dict[str, list[str]]:
    """Return the public functions, classes and methods of a file with their parameters, in order."""
    names = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            names[node.name] = [argument.arg for argument in node.args.args + node.args.kwonlyargs]
        if isinstance(node, ast.ClassDef):
            names[node.name] = ["class"]
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    names[f"{node.name}.{method.name}"] = [a.arg for a in method.args.args]
    return names


def imported_modules(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            modules.add(node.module)
    return modules


# What one framework needs and the other brings: stated here, so that nothing else can differ.
ONLY_TORCH = {"networks.py": {"softplus"}, "engine.py": {"fast_arithmetic", "Trainer.set_rate"}}
ONLY_TORCH_FILES = {"cuda_graphs.py", "distributed.py"}
ONLY_TENSORFLOW = {
    "networks.py": {"RecurrentLayer.gru_step", "RecurrentLayer.lstm_step"},
    "engine.py": {"AdamOptimizer", "AdamOptimizer.step", "SGDOptimizer", "SGDOptimizer.step"},
}


def translate(name: str) -> str:
    """Return TensorFlow's name of PyTorch's `forward`."""
    return name.removesuffix("forward") + "call" if name.endswith(".forward") else name


def test_the_wings_have_the_same_files():
    torch, tensorflow = ({path.name for path in (PACKAGE / wing).glob("*.py")} for wing in BACKENDS)
    assert torch - tensorflow == ONLY_TORCH_FILES
    assert tensorflow - torch == set()
    assert torch - ONLY_TORCH_FILES == {*WING_FILES, "__init__.py"}


@pytest.mark.parametrize("file", WING_FILES)
def test_the_wings_mirror_each_other(file):
    torch = public_names(PACKAGE / "torch" / file)
    tensorflow = public_names(PACKAGE / "tensorflow" / file)
    torch = {translate(k): v for k, v in torch.items() if k not in ONLY_TORCH.get(file, set())}
    tensorflow = {k: v for k, v in tensorflow.items() if k not in ONLY_TENSORFLOW.get(file, set())}
    assert list(torch) == list(tensorflow)
    engine_step = (
        "Trainer.step"  # the rate is an argument of TensorFlow's step, an attribute of PyTorch's optimiser
    )
    for name in torch.keys() - {engine_step}:
        assert torch[name] == tensorflow[name], name


def test_no_wing_imports_the_other_and_the_ground_floor_imports_none():
    for path in PACKAGE.rglob("*.py"):
        roots = {module.split(".")[0] for module in imported_modules(path) if module}
        wing = path.parent.name
        if wing == "torch":
            assert not roots & {"tensorflow", "keras"}, path
            assert not any(module.startswith("aelib.tensorflow") for module in imported_modules(path))
        elif wing == "tensorflow":
            assert "torch" not in roots, path
            assert not any(module.startswith("aelib.torch") for module in imported_modules(path))
        else:
            assert not roots & {"torch", "tensorflow", "keras"}, path


def test_only_four_modules_know_that_there_are_two_wings():
    know = {
        path.name
        for path in PACKAGE.glob("*.py")
        if "load_wing" in path.read_text() or "BACKENDS" in path.read_text()
    }
    assert know <= {"settings.py", "base.py", "storage.py", "equivalence.py"}


# What a student reads to understand the models is kept apart from what measures, reads, writes, draws and
# searches, and from what runs a training on other machines than one's own.
TOOLS = (
    *("checkpoint", "compression", "downloads", "export", "files", "latent_plane", "metrics", "own_data"),
    *("plot", "search", "search_storage", "search_workers", "storage", "cuda_graphs", "distributed"),
)


@pytest.mark.parametrize(("part", "limit"), [("models", 3000), ("tools", 1700)])
def test_aelib_stays_small(part, limit, record):
    lines = 0
    for path in PACKAGE.rglob("*.py"):
        if (path.stem in TOOLS) != (part == "tools"):
            continue
        tree = ast.parse(path.read_text())
        docstrings = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                text = node.body[0]
                docstrings |= set(range(text.lineno, text.end_lineno + 1))
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if number not in docstrings and line.strip() and not line.strip().startswith("#"):
                lines += 1
    record(f"lines of code in aelib, {part}", lines, limit)
    assert lines < limit


def test_every_public_function_has_hints_and_a_docstring():
    for name in aelib.__all__:
        thing = getattr(aelib, name)
        if inspect.ismodule(thing):
            continue
        assert inspect.getdoc(thing), name
        signature = inspect.signature(thing.__init__ if inspect.isclass(thing) else thing)
        for parameter in signature.parameters.values():
            if parameter.name not in ("self", "args", "kwargs"):
                assert parameter.annotation is not parameter.empty, f"{name}({parameter.name})"
