"""The site's Sphinx extension: tabs of executed cells, twins for download, and what every page must have."""

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx_design.shared import create_component
from sphinxcontrib.bibtex.plugin import register_plugin
from sphinxcontrib.bibtex.style.referencing import BracketStyle
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle

from booktools.offline import add_mathjax

LOGGER = logging.getLogger(__name__)
TABS = {"tag_tab-torch": ("PyTorch", "torch"), "tag_tab-tensorflow": ("TensorFlow", "tensorflow")}
PLACEHOLDER_HUB = "//jupyterhub.example.org"
PAGE_LIMIT = 1_500_000  # bytes, with its images


def _round_brackets() -> BracketStyle:
    return BracketStyle(left="(", right=")")


@dataclass
class RoundAuthorYear(AuthorYearReferenceStyle):
    """Citations as "(Baldi and Hornik, 1989)" and "Baldi and Hornik (1989)"."""

    bracket_textual: BracketStyle = field(default_factory=_round_brackets)
    bracket_parenthetical: BracketStyle = field(default_factory=_round_brackets)


class GroupTabCells(SphinxPostTransform):
    """Show neighbouring code cells tagged ``tab-torch`` and ``tab-tensorflow`` as one synced tab-set.

    A code cell inside a tab directive would not be executed; so the cells stand one after the other in the
    source, are executed, and are only moved into tabs here.
    """

    default_priority = 190  # before sphinx-design turns tab-sets into HTML, at 200
    formats = ("html",)

    def run(self, **kwargs: object) -> None:
        """Group the cells of one page."""
        for cell in list(self.document.findall(_is_tab_cell)):
            if cell.parent is None or not _is_tab_cell(cell):
                continue
            position = cell.parent.index(cell)
            group = [cell]
            for sibling in cell.parent.children[position + 1 :]:
                if not _is_tab_cell(sibling) or _tab(sibling) in map(_tab, group):
                    break
                group.append(sibling)
            if len(group) == len(TABS):
                parent = cell.parent
                del parent[position : position + len(group)]
                parent.insert(position, _tab_set(group))
            elif cell.parent.get("design_component") != "tab-content":
                LOGGER.warning("a cell tagged %s has no partner beside it", _tab(cell), location=cell)


def _is_tab_cell(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and bool(set(TABS) & set(node.get("classes", [])))


def _tab(cell: nodes.container) -> str:
    return next(name for name in TABS if name in cell["classes"])


def _tab_set(cells: list[nodes.container]) -> nodes.container:
    tab_set = create_component("tab-set", classes=["sd-tab-set"])
    for cell in cells:
        title, sync = TABS[_tab(cell)]
        label = nodes.rubric(title, "", nodes.Text(title), classes=["sd-tab-label"])
        label["sync_id"], label["sync_group"] = sync, "backend"
        content = create_component("tab-content", classes=["sd-tab-content"], children=[cell])
        tab_set += create_component("tab-item", classes=["sd-tab-item"], children=[label, content])
    return tab_set


def check_alternative_texts(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Warn, which fails the build, of every image without a description for those who cannot see it."""
    for image in doctree.findall(nodes.image):
        if len(image.get("alt", "").split()) < 3:
            LOGGER.warning(
                "this image has no alternative text that describes it", location=(docname, image.line)
            )


def explain_missing_hub(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document
) -> None:
    """Let the JupyterHub button explain itself as long as no hub is named in the configuration."""
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("text") == "JupyterHub" and PLACEHOLDER_HUB in button["url"]:
                button["url"] = context["pathto"](app.config.root_doc) + "#jupyterhub"


def serve_twins(app: Sphinx, exception: Exception | None) -> None:
    """Let the download buttons serve the twins instead of notebooks full of MyST markup."""
    if exception or app.builder.name != "html":
        return
    for notebook in Path(app.outdir, "_sources").rglob("*.ipynb"):
        twin = Path(app.srcdir, notebook.relative_to(Path(app.outdir, "_sources")))
        if twin.exists():
            shutil.copyfile(twin, notebook)
        else:
            LOGGER.warning("%s:1: the lesson has no twin; run make notebooks", twin.with_suffix(".md"))


def serve_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Let the site serve MathJax itself."""
    if not exception and app.builder.name == "html":
        add_mathjax(Path(app.outdir))


def load_images_late(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Let a browser fetch an image when the reader comes near it."""
    if "body" in context:
        context["body"] = context["body"].replace("<img ", '<img loading="lazy" ')


def leave_out_thebe(app: Sphinx, config: Config) -> None:
    """Leave out Thebe, which Jupyter Book always adds: it is not used, and writes an error to the console."""
    for event in ("env-before-read-docs", "doctree-resolved"):
        app.events.listeners[event] = [
            listener
            for listener in app.events.listeners[event]
            if not listener.handler.__module__.startswith("sphinx_thebe")
        ]


def mend_roles_and_ids(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Mend what extensions write: lists of references without items, ids given more than once."""
    if "body" in context:
        body = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
        body = re.sub(r' id="(?:exercise|solution|proof)-content"', "", body)
        context["body"] = body.replace('class="proof admonition" id="proof"', 'class="proof admonition"')


def show_icons_by_fonts(app: Sphinx, exception: Exception | None) -> None:
    """Empty the theme's program for icons: it weighs more than all else, and the fonts show them already."""
    program = Path(app.outdir, "_static", "scripts", "fontawesome.js")
    if not exception and program.exists():
        program.write_text("// The icons are shown by the fonts of the style sheets.\n", encoding="utf-8")


def check_page_weights(app: Sphinx, exception: Exception | None) -> None:
    """Warn, which fails the build, of every page that is too heavy for a telephone."""
    if exception or app.builder.name != "html":
        return
    for page in Path(app.outdir, "chapters").glob("*.html"):
        images = set(re.findall(r'<img[^>]+src="\.\./(_images/[^"]+)"', page.read_text(encoding="utf-8")))
        weight = page.stat().st_size + sum(Path(app.outdir, image).stat().st_size for image in images)
        if weight > PAGE_LIMIT:
            LOGGER.warning("%s weighs %.2f MB with its images; the limit is 1.5", page.name, weight / 1e6)


def setup(app: Sphinx) -> dict:
    """Register the extension with Sphinx."""
    register_plugin("sphinxcontrib.bibtex.style.referencing", "author_year_round", RoundAuthorYear)
    app.add_post_transform(GroupTabCells)
    app.connect("doctree-resolved", check_alternative_texts)
    app.connect("html-page-context", explain_missing_hub, priority=900)  # after the theme made its buttons
    app.connect("html-page-context", load_images_late)
    app.connect("config-inited", leave_out_thebe)
    app.connect("html-page-context", mend_roles_and_ids)
    app.connect("build-finished", show_icons_by_fonts)
    app.connect("build-finished", serve_twins)
    app.connect("build-finished", serve_mathjax)
    app.connect("build-finished", check_page_weights)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
