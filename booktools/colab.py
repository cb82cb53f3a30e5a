"""Run the twins as Colab would: alone, with what Colab preinstalls and what their first cell installs.

``python -m booktools.colab --lessons 02-losses --backend torch``. Each twin gets an empty folder and a new
virtual environment; its first cell fetches an archive of this working tree in place of GitHub's. The
simulation takes this machine's Python and the pinned versions, which are not Colab's:
.github/workflows/colab.yml runs the twins in Colab's own container.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from booktools.address import ROOT, read_repository
from booktools.environment import execution_environment
from booktools.twins import lesson_paths

BACKENDS = ("torch", "tensorflow")
# What the lessons use of what Colab preinstalls, by the list that Google publishes: pip-freeze.gpu.txt in
# github.com/googlecolab/backend-info. That names pooch too, which only came with another package.
PREINSTALLED = (
    *("ipykernel", "pip", "psutil", "PyYAML", "requests", "tqdm"),
    *("matplotlib", "numpy", "pillow", "scikit-image", "scikit-learn", "scipy"),
    *("keras", "tensorflow-cpu", "torch"),
)


class LessonError(Exception):
    """A twin does not run in Colab: the message names lesson, cell and error."""


def with_requirements(names: tuple[str, ...]) -> dict[str, Distribution]:
    """Return the installed distributions of these names and all that they require, by name."""
    found: dict[str, Distribution] = {}
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            sys.exit(f"{name} is not installed; run: make install")
        for text in found[name].requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def make_environment(folder: Path) -> Path:
    """Make a virtual environment with what Colab preinstalls and nothing else; return its Python.

    The packages are links to those installed here, so this takes no time and no download. They lie beside the
    environment, not in it: pip sees that they are installed, and removes nothing outside its environment.
    """
    packages = folder / "preinstalled"
    packages.mkdir(parents=True)
    for found in with_requirements(PREINSTALLED).values():
        for name in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            link = packages / name
            if not link.exists():  # else a namespace that several share
                link.symlink_to(found.locate_file(name))
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    [site_packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    (site_packages / "preinstalled.pth").write_text(f"{packages}\n", encoding="utf-8")
    return python


def make_archive(folder: Path, root: Path = ROOT) -> Path:
    """Zip the working tree as GitHub zips a branch: in a folder REPOSITORY-BRANCH, without ignored files."""
    address, branch = read_repository(root)
    name = f"{address.rsplit('/', 1)[1]}-{branch}"
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        sys.exit(
            f"{root} is no git working tree, so what GitHub would hold is unknown: {listed.stderr.decode()}"
        )
    archive = folder / "lessons.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(set(listed.stdout.decode().split("\0")) - {""}):
            if (root / path).is_file():
                file.write(root / path, f"{name}/{path}")
    return archive


def fetch_from(twin: NotebookNode, archive: str, root: Path = ROOT) -> None:
    """Let the first cell of `twin` fetch `archive` in place of what it fetches from GitHub."""
    address, branch = read_repository(root)
    fetched = f"{address}/archive/refs/heads/{branch}.zip"
    cell = next(cell for cell in twin.cells if cell.cell_type == "code")
    if fetched not in cell.source:
        raise LessonError(f"its first cell does not fetch {fetched}; run: make notebooks")
    cell.source = cell.source.replace(fetched, archive)


class _Kernels(KernelSpecManager):
    """Finds one kernel only: that of the Python at `python`."""

    python: Path

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [str(self.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name=kernel_name, language="python")


def run(name: str, twin: NotebookNode, backend: str, archive: str) -> None:
    """Run the twin of the lesson `name` from top to bottom, in place; its first cell fetches `archive`.

    Raises
    ------
    LessonError
        If a cell fails.
    """
    with tempfile.TemporaryDirectory(prefix="colab-") as temporary:
        content = Path(temporary) / "content"
        content.mkdir()
        kernels = _Kernels()
        kernels.python = make_environment(Path(temporary))
        manager = AsyncKernelManager(kernel_spec_manager=kernels)
        resources = {"metadata": {"path": str(content)}}
        client = NotebookClient(twin, km=manager, timeout=900, resources=resources)
        environment = execution_environment("reference", backend)
        del environment["PYTHONPATH"]
        environment["PATH"] = os.pathsep.join([str(kernels.python.parent), environment["PATH"]])
        started: list[int] = []
        client.on_cell_start = lambda cell, cell_index: started.append(cell_index)
        try:
            fetch_from(twin, archive)
            client.execute(env=environment)
        except LessonError as error:
            raise LessonError(f"{name}: {error}") from None
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            number = sum(cell.cell_type == "code" for cell in twin.cells[: started[-1] + 1])
            status = manager.provisioner.process.poll()  # None while the kernel lives
            died = "" if status is None else f" (exit status {status})"
            raise LessonError(f"{name}, under {backend}, code cell {number}:\n{error}{died}") from None
        finally:
            if manager.has_kernel:
                run_sync(manager.shutdown_kernel)(now=True)


def main() -> None:
    """Run the twins of all lessons, or of those named, and say how long each took."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    known = [path.stem for path in lesson_paths()]
    parser.add_argument("--lessons", nargs="+", default=known, metavar="NAME", help="such as 02-losses")
    parser.add_argument("--backend", choices=[*BACKENDS, "both"], default="both")
    options = parser.parse_args()
    if unknown := set(options.lessons) - set(known):
        sys.exit(f"no lesson {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    errors = []
    with tempfile.TemporaryDirectory(prefix="archive-") as folder:
        archive = make_archive(Path(folder)).as_uri()
        for backend in BACKENDS if options.backend == "both" else (options.backend,):
            for name in options.lessons:
                start = time.perf_counter()
                print(f"{name:<28}{backend:<12}", end="", flush=True)
                try:
                    run(name, nbformat.read(ROOT / "chapters" / f"{name}.ipynb", 4), backend, archive)
                except LessonError as error:
                    errors.append(str(error))
                    print("FAILED")
                else:
                    print(f"{time.perf_counter() - start:6.0f} s")
    if errors:
        sys.exit("\n".join(["", *errors, f"{len(errors)} did not run as Colab would run them."]))


if __name__ == "__main__":
    main()
