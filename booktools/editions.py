"""The site's two editions: what every page says about itself, and the way to the same page of the other one.

The PyTorch edition stands at the site's root, the TensorFlow edition in its folder ``tensorflow``.
"""

import html
from pathlib import Path
from urllib.parse import urlparse

from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

from booktools.course import read_course_data
from booktools.lined_yaml import WrongFileError

LOGGER = logging.getLogger(__name__)
NAMES = {"torch": "PyTorch", "tensorflow": "TensorFlow"}
FOLDERS = {"torch": "", "tensorflow": "tensorflow/"}


def site_address(repository: str, edition: str) -> str:
    """Return the address that GitHub Pages gives to an edition of the site of a repository."""
    owner, name = urlparse(repository).path.strip("/").split("/")
    return f"https://{owner}.github.io/{name}/{FOLDERS[edition]}"


def is_lesson(page: str) -> bool:
    """Return whether a page is a lesson: ``chapters/NN-name``."""
    return page.removeprefix("chapters/")[:2].isdigit()


def add_edition_links(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Let the template link each page to the same page of the other edition, where both are published."""
    if not app.config.both_editions:
        return
    edition = app.config.edition
    to_root = "../" * (page.count("/") + FOLDERS[edition].count("/"))
    context["edition_links"] = [
        {
            "edition": other,
            "name": NAMES[other],
            "url": f"{to_root}{FOLDERS[other]}{page}.html",
            "current": other == edition,
        }
        for other in NAMES
    ]


def add_description(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Give a lesson's page the description that search engines and previews show."""
    if doctree is None or not is_lesson(page):
        return
    try:
        description = read_course_data(Path(page).name, Path(app.srcdir)).description
    except (WrongFileError, FileNotFoundError) as error:
        LOGGER.warning("no description of this lesson: %s", error, location=page)
        return
    content = html.escape(description.strip())
    context["metatags"] = f'{context.get("metatags", "")}<meta name="description" content="{content}" />\n'


def add_slides_button(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Link each lesson to its slides."""
    if doctree is not None and is_lesson(page):
        context["header_buttons"].append(
            {
                "type": "link",
                "url": f"../slides/{Path(page).name}.html",
                "tooltip": "Slides of this lesson",
                "icon": "fas fa-display",
                "label": "slides-button",
            }
        )


def say_how_long_it_took(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Add to a lesson's first output, which names versions, device and data, the time that all cells took."""
    seconds = NbMetadataCollector.get_doc_data(app.env)[page].get("exec_data", {}).get("runtime")
    outputs = (node for node in doctree.findall(nodes.container) if "cell_output" in node["classes"])
    first = next(outputs, None)
    if seconds is None or first is None:
        return
    text = f"This page shows a run of {NAMES[app.config.edition]}; all its cells took {seconds:.0f} seconds."
    first.parent.insert(first.parent.index(first) + 1, nodes.paragraph("", text, classes=["what-ran"]))


def setup(app: Sphinx) -> dict:
    """Register the extension with Sphinx."""
    app.add_config_value("edition", "torch", "env", [str])
    app.add_config_value("both_editions", False, "env", [bool])
    app.connect("config-inited", _mark_edition)
    app.connect("html-page-context", add_edition_links)
    app.connect("html-page-context", add_description)
    app.connect("html-page-context", add_slides_button, priority=800)  # the theme's list exists by then
    app.connect("doctree-resolved", say_how_long_it_took)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _mark_edition(app: Sphinx, config: Config) -> None:
    # Before every other script, so that each of them knows which edition it stands in.
    script = f"document.documentElement.dataset.edition = '{config.edition}';"
    app.add_js_file(None, body=script, priority=90)
