"""Slides: one deck of reveal.js per lesson, made from the lesson's own cells and outputs.

Cells tagged ``slide`` begin a slide, those tagged ``slide-more`` go on with it, ``slide-code`` shows a cell's
code as well. The first slide has the lesson's title and objectives, the last one its exercises.
"""

import argparse
import re
import shutil
import sys
from pathlib import Path

import jupytext
from jupyter_cache import get_cache
from nbconvert.exporters import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from traitlets.config import Config

from booktools.address import ROOT, read_repository
from booktools.course import read_course_data
from booktools.executed import cache_path
from booktools.inline import Lesson, UnknownMarkupError
from booktools.markdown import figure_caption, image_address, to_plain
from booktools.offline import add_reveal
from booktools.references import collect_targets, load_bibliography
from booktools.twins import lesson_paths, merge_streams

FEWEST, MOST = 12, 25  # slides of a lesson
TEMPLATE = Path(__file__).parent / "slides_template"
_HEADING = re.compile(r"^(#{1,4}) +(.*)$", re.MULTILINE)
_EXERCISE = re.compile(r"^:{3,}\{exercise\} *(.*)$", re.MULTILINE)
_TWIN_LINK = re.compile(r"\]\(([\w-]+)\.(?:ipynb|md)\)")


def make_deck(path: Path, executed: Path) -> NotebookNode:
    """Return the deck of the lesson at `path` as a notebook whose cells carry reveal.js's marks.

    Parameters
    ----------
    path : Path
        The lesson's source.
    executed : Path
        The cache of executed lessons that a build of the site left behind.

    Raises
    ------
    UnknownMarkupError
        If no cell of the lesson is tagged ``slide``, or its markup cannot be shown.
    KeyError
        If `executed` does not hold the lesson in its present state.
    """
    root = path.parent.parent
    notebook = jupytext.read(path, fmt="md:myst")
    lesson = Lesson(
        path, *read_repository(root), collect_targets(path.parent), load_bibliography(root / "references.bib")
    )
    outputs = _executed_outputs(notebook, path, executed)
    title = _HEADING.search("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown"))
    cells = [_slide(_title_slide(title[2], lesson))]
    heading, code_cells = title[2], 0
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code":
            shown = _code(cell, outputs[code_cells], lesson)
            code_cells += 1
        else:
            shown = [new_markdown_cell(_links_to_pages(to_plain(cell.source, lesson), lesson))]
        if "slide-more" in tags:
            cells += shown
        elif "slide" in tags:
            cells += _titled(shown, heading)
        if cell.cell_type == "markdown" and (found := _HEADING.findall(cell.source)):
            heading = found[-1][1]
    if len(cells) == 1:
        raise UnknownMarkupError(
            f"{path}:1: no cell is tagged 'slide', so the lesson has no slides; "
            'tag code cells, or put prose between +++ {"tags": ["slide"]} and +++'
        )
    exercises = _EXERCISE.findall(path.read_text(encoding="utf-8"))
    page = f"../chapters/{path.stem}.html"
    cells.append(_slide(_exercises_slide([to_plain(name, lesson) for name in exercises], page)))
    metadata = {"title": title[2], "language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    return new_notebook(cells=cells, metadata=metadata)


def _executed_outputs(notebook: NotebookNode, path: Path, executed: Path) -> list[list[NotebookNode]]:
    cache = get_cache(str(executed))
    sources = _code_sources(notebook)
    for record in cache.list_cache_records():
        if Path(record.uri).name == path.name:
            found = cache.get_cache_bundle(record.pk).nb
            if _code_sources(found) == sources:  # not by the cache's own key: it changes with the tags
                return [cell.outputs for cell in found.cells if cell.cell_type == "code"]
    raise KeyError(f"{path}: not executed in its present state; call make book first")


def _code_sources(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def _slide(source: str) -> NotebookNode:
    return new_markdown_cell(source, metadata={"slideshow": {"slide_type": "slide"}})


def _titled(cells: list[NotebookNode], heading: str) -> list[NotebookNode]:
    """Begin a slide with its heading: its own, or the nearest one before it."""
    first = cells[0]
    if first.cell_type == "markdown" and first.source.startswith("#"):
        own, _, rest = first.source.partition("\n")
        return [_slide(f"## {own.lstrip('# ')}"), new_markdown_cell(rest.strip()), *cells[1:]]
    return [_slide(f"## {heading}"), *cells]


def _code(cell: NotebookNode, outputs: list[NotebookNode], lesson: Lesson) -> list[NotebookNode]:
    """Return a cell's outputs, its code if that is wanted, and its figure's caption."""
    shown = cell.metadata.get("mystnb", {})
    alt = shown.get("image", {}).get("alt", "")
    for output in outputs:
        for kind in output.get("data", {}):
            if kind.startswith("image/"):
                output.metadata[kind] = {"alt": alt}  # without a size: a slide has its own
    source = cell.source if "slide-code" in cell.metadata.get("tags", []) else ""
    cells = [new_code_cell(source, outputs=merge_streams(outputs))]
    if "figure" in shown:
        caption = to_plain(shown["figure"]["caption"], lesson)
        text = figure_caption(shown["figure"].get("name"), _links_to_pages(caption, lesson), lesson)
        cells.append(new_markdown_cell(text, metadata={"tags": ["caption"]}))
    return cells


def _links_to_pages(text: str, lesson: Lesson) -> str:
    """Let links to twins lead to the pages, and images in the repository to those of the site."""
    text = re.sub(rf"\({image_address(lesson)}/(?:[^/()]+/)*([^/()]+)\)", r"(../_images/\1)", text)
    return _TWIN_LINK.sub(r"](../chapters/\1.html)", text)


def _title_slide(title: str, lesson: Lesson) -> str:
    objectives = read_course_data(lesson.path.stem, lesson.path.parent.parent).objectives
    items = "\n".join(f"- {_links_to_pages(to_plain(objective, lesson), lesson)}" for objective in objectives)
    return f"# {title}\n\nAfter this lesson you can\n\n{items}"


def _exercises_slide(exercises: list[str], page: str) -> str:
    items = "\n".join(f"- {name}" for name in exercises)
    return f"## Exercises\n\n{items}\n\nThey stand, with a quiz, at the end of [the lesson]({page})."


def write_deck(deck: NotebookNode, path: Path) -> None:
    """Write a deck as a page that needs only the files beside it."""
    config = Config()
    config.TemplateExporter.extra_template_basedirs = [str(TEMPLATE.parent)]
    config.TemplateExporter.exclude_input_prompt = True
    config.HTMLExporter.exclude_anchor_links = True
    exporter = SlidesExporter(config=config, template_name=TEMPLATE.name)
    html, _ = exporter.from_notebook_node(deck)
    path.write_text(html, encoding="utf-8")


def build_slides(root: Path, html: Path, executed: Path, paths: list[Path]) -> list[str]:
    """Write the decks of the lessons at `paths` to a site's folder ``slides``; return what went wrong."""
    folder = html / "slides"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("slides.css", "slides.js"):
        shutil.copyfile(TEMPLATE / name, folder / name)
    add_reveal(html)
    wrong = []
    for path in paths:
        try:
            deck = make_deck(path, executed)
        except (UnknownMarkupError, KeyError, FileNotFoundError) as error:
            wrong.append(str(error.args[0]))
            continue
        write_deck(deck, folder / f"{path.stem}.html")
    return wrong


def main() -> None:
    """Make the slides of all lessons, or of those named, from the lessons that were last executed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("lessons", nargs="*", help="names such as 02-losses; all if none is given")
    parser.add_argument("--profile", choices=["reference", "full"], default="reference")
    parser.add_argument("--backend", choices=["torch", "tensorflow"], default="torch")
    parser.add_argument("--executed", type=Path, help="the cache of executed lessons, if not the build's own")
    parser.add_argument("--check", action="store_true", help="look in a browser whether every slide fits")
    parser.add_argument("--shots", type=Path, help="with --check: write a picture of every slide here")
    options = parser.parse_args()
    html = ROOT / "_build" / f"{options.profile}-{options.backend}" / "html"
    executed = options.executed or cache_path(ROOT, options.profile, options.backend)
    known = {path.stem: path for path in lesson_paths()}
    if unknown := set(options.lessons) - set(known):
        sys.exit(f"no lesson {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    paths = [known[name] for name in options.lessons or known]
    wrong = build_slides(ROOT, html, executed, paths)
    if options.check:
        from booktools.browser_slides import find_overflows  # needs a browser, which building does not

        decks = [html / "slides" / f"{path.stem}.html" for path in paths]
        wrong += find_overflows([deck for deck in decks if deck.exists()], options.shots)
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(paths)} decks: {html / 'slides'}")


if __name__ == "__main__":
    main()
