"""Notebook twins: chapters/NN-name.ipynb, made from chapters/NN-name.md.

The twin has the lesson's cells in plain Markdown, a first cell that makes ``import aelib`` work everywhere,
and the text that the lesson prints under the reference profile with PyTorch. Made twice, it is the same file.
"""

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_output

from booktools.address import ROOT, read_repository, write_address
from booktools.environment import execution_environment
from booktools.inline import Lesson, UnknownMarkupError
from booktools.markdown import figure_caption, to_plain
from booktools.references import collect_targets, load_bibliography

# Seconds and megabytes are others at every run, and a twin is the same at every run: what a cell with such a
# first line prints is not stored, but this.
MEASURED = {
    "# output not compared: times": "[Times: run the cell to measure them on your machine.]\n",
    "# output not compared: memory": "[Memory: run the cell to measure it on your machine.]\n",
}

SETUP = """\
# @title Set-up: run this cell first {{ display-mode: "form" }}
backend = "as the environment says"  # @param ["as the environment says", "torch", "tensorflow"]
profile = "as the environment says"  # @param ["as the environment says", "reference", "full"]
keep = "nothing"  # @param ["nothing", "my home folder", "Google Drive"]

import importlib.util
import os
import shutil
import sys
import urllib.request

if backend != "as the environment says":
    os.environ["AELIB_BACKEND"] = backend
if profile != "as the environment says":
    os.environ["AELIB_PROFILE"] = profile

# In Colab the lessons' files are fetched; in Binder and in a checkout they are here already.
if not os.path.isfile("../aelib/__init__.py"):
    folder, packages = "{name}-{branch}", {packages}
    archive = "{address}/archive/refs/heads/{branch}.zip"
    if not os.path.isdir(folder):
        try:
            urllib.request.urlretrieve(archive, "lessons.zip")
            shutil.unpack_archive("lessons.zip", "fetched")
        except Exception as error:
            raise RuntimeError(
                f"The lessons could not be fetched from {{archive}} ({{error}}). Open that address in your "
                "browser: if it answers there, wait a minute and run this cell again; if not, the network "
                "is down or the repository has moved."
            ) from None
        os.rename(f"fetched/{{folder}}", folder)
    if importlib.util.find_spec("aelib") is None:
        %pip install -q --no-deps ./{{folder}}
    missing = " ".join(package for package in packages if importlib.util.find_spec(package) is None)
    if missing:
        %pip install -q {{missing}}
    importlib.invalidate_caches()
    missing = [package for package in ("aelib", *packages) if importlib.util.find_spec(package) is None]
    if missing:
        raise RuntimeError(f"pip could not install {{missing}}: see above, and run this cell again.")
    os.chdir(folder + "/{folder}")
if os.path.abspath("..") not in sys.path:
    sys.path.insert(0, os.path.abspath(".."))
if keep != "nothing":
    from booktools.keep import keep_work

    keep_work("{lesson}", keep)"""


def lesson_paths(root: Path = ROOT) -> list[Path]:
    """Return the sources of the lessons, in order."""
    return sorted((root / "chapters").glob("[0-9][0-9]-*.md"))


def make_twin(path: Path) -> NotebookNode:
    """Return the twin of the lesson at `path`, not executed.

    Raises
    ------
    UnknownMarkupError
        If the lesson uses markup that a notebook program would not show.
    """
    root = path.parent.parent
    address, branch = read_repository(root)
    lesson = Lesson(
        path, address, branch, collect_targets(path.parent), load_bibliography(root / "references.bib")
    )
    cells = []
    for cell in jupytext.read(path, fmt="md:myst").cells:
        if cell.cell_type == "markdown":
            cells += [_markdown(part) for part in _split(to_plain(cell.source, lesson)) if part]
        else:
            cells += _code(cell, lesson)
    setup = SETUP.format(
        address=address,
        branch=branch,
        name=address.rsplit("/", 1)[1],
        folder=path.parent.name,
        lesson=path.stem,
        packages=_packages_colab_lacks("".join(cell.source for cell in cells)),
    )
    cells.insert(1, nbformat.v4.new_code_cell(setup, metadata={"tags": ["setup"]}))
    _name_cells(cells)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}}
    )


def _split(text: str) -> list[str]:
    """Split prose before its headings, so that a notebook's outline and cells go together."""
    parts: list[list[str]] = [[]]
    in_code = False
    for line in text.split("\n"):
        in_code ^= line.lstrip().startswith("```")
        if line.startswith(("## ", "### ", "#### ")) and not in_code:
            parts.append([])
        parts[-1].append(line)
    return ["\n".join(part).strip() for part in parts]


def _packages_colab_lacks(text: str) -> str:
    """Return the packages that a lesson needs and Colab does not bring, as Python writes them."""
    packages = ["pooch", "constriction"]
    if "optuna" in text:
        packages.append("optuna")
    return "(" + ", ".join(f'"{package}"' for package in packages) + ")"


def _markdown(source: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(source)


def _code(cell: NotebookNode, lesson: Lesson) -> list[NotebookNode]:
    """Return a code cell with its tags, the name of its framework above it, its figure's caption below it."""
    tags = cell.metadata.get("tags", [])
    metadata = {"tags": tags} if tags else {}
    if {"hide-input", "remove-input"} & set(tags):
        metadata["jupyter"] = {"source_hidden": True}
    shown = cell.metadata.get("mystnb", {})
    if alt := shown.get("image", {}).get("alt"):
        metadata["alt"] = alt
    cells = [nbformat.v4.new_code_cell(cell.source, metadata=metadata)]
    for tag, framework in (("tab-torch", "PyTorch"), ("tab-tensorflow", "TensorFlow")):
        if tag in tags:
            cells.insert(0, _markdown(f"**{framework}**"))
    if "figure" in shown:
        caption = to_plain(shown["figure"]["caption"], lesson)
        cells.append(_markdown(figure_caption(shown["figure"].get("name"), caption, lesson)))
    return cells


def _name_cells(cells: list[NotebookNode]) -> None:
    """Give each cell an id made from its content, and from how often that occurred before."""
    seen: dict[str, int] = {}
    for cell in cells:
        key = f"{cell.cell_type}:{cell.source}"
        seen[key] = seen.get(key, 0) + 1
        cell.id = hashlib.sha256(f"{key}:{seen[key]}".encode()).hexdigest()[:12]


def execute(twin: NotebookNode, folder: Path) -> None:
    """Execute `twin` in place, in `folder`, and keep only what it prints.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    RuntimeError
        If a cell writes to stderr: warnings have no place in a lesson.
    """
    client = NotebookClient(
        twin, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=execution_environment("reference", "torch"))
    count = 0
    for cell in twin.cells:
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.metadata.pop("execution", None)  # the time of day
            cell.outputs = [_text_output(output, cell) for output in merge_streams(cell.outputs)]
            instead = MEASURED.get(cell.source.partition("\n")[0])
            if instead:
                cell.outputs = [new_output("stream", name="stdout", text=instead)]
    twin.metadata.language_info = {"name": "python"}


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Return outputs with what was printed in several pieces as one."""
    merged: list[NotebookNode] = []
    for output in outputs:
        follows = merged and merged[-1].output_type == output.output_type == "stream"
        if follows and merged[-1].name == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def _text_output(output: NotebookNode, cell: NotebookNode) -> NotebookNode:
    if output.output_type == "stream":
        if output.name == "stderr":
            raise RuntimeError(
                f"this cell writes to stderr:\n{cell.source}\n--- what it wrote:\n{output.text}"
            )
        return output
    is_figure = any(kind.startswith("image/") for kind in output.data)
    output.data = {kind: data for kind, data in output.data.items() if not kind.startswith("image/")}
    output.metadata = {}
    if is_figure:  # tests/notebooks/nbval.cfg takes this for the same as matplotlib's own words
        words = cell.metadata.get("alt", "a figure")
        output.data["text/plain"] = f"[Figure: {words} Run the cell to draw it.]"
    if "execution_count" in output:
        output.execution_count = cell.execution_count
    return output


def sources(twin: NotebookNode) -> list[tuple]:
    """Return what of a twin comes from its lesson: everything but outputs and execution counts."""
    return [(cell.cell_type, cell.id, cell.source, dict(cell.metadata)) for cell in twin.cells]


def write(twin: NotebookNode, path: Path) -> None:
    """Write `twin` to `path`."""
    nbformat.validate(twin)
    text = nbformat.writes(twin)
    path.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")


def readdress(path: Path) -> None:
    """Put the present address in the twin of the lesson at `path`, keeping its outputs."""
    old = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    new = make_twin(path)
    if [cell.cell_type for cell in old.cells] != [cell.cell_type for cell in new.cells]:
        raise RuntimeError(f"the twin of {path.name} is out of date; run make notebooks first")
    for before, after in zip(old.cells, new.cells, strict=True):
        if before.cell_type == "code":
            after.outputs, after.execution_count = before.outputs, before.execution_count
    write(new, path.with_suffix(".ipynb"))


def main() -> None:
    """Make the twins of all lessons or of those named; or give all twins another address."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("lessons", nargs="*", help="names such as 02-losses; all if none is given")
    parser.add_argument("--fork", metavar="URL", help="the address of your copy; nothing is executed")
    parser.add_argument("--hub", metavar="URL", help="with --fork: the address of your JupyterHub")
    parser.add_argument("--branch", help="with --fork: the branch that buttons and twins open")
    options = parser.parse_args()
    if options.fork:
        try:
            write_address(options.fork, options.hub, branch=options.branch)
        except ValueError as error:
            sys.exit(str(error))
        for path in lesson_paths():
            if path.with_suffix(".ipynb").exists():
                readdress(path)
        print(f"every launch button and twin now points at {read_repository()[0]}")
        return
    known = {path.stem: path for path in lesson_paths()}
    unknown = set(options.lessons) - set(known)
    if unknown:
        sys.exit(f"no lesson {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    os.chdir(ROOT)
    for path in (known[name] for name in options.lessons or known):
        print(f"{path.stem}: ", end="", flush=True)
        start = time.perf_counter()
        try:
            twin = make_twin(path)
            execute(twin, path.parent)
        except (UnknownMarkupError, CellExecutionError, RuntimeError) as error:
            sys.exit(f"not written\n{error}")
        write(twin, path.with_suffix(".ipynb"))
        print(f"executed in {time.perf_counter() - start:.0f} s and written")


if __name__ == "__main__":
    main()
