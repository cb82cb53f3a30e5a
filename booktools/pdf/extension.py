"""The Sphinx extension that makes one printed book of the lessons' pages: parts, boxes, one framework."""

import html
import re
import shutil
import subprocess
from typing import ClassVar

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.transforms.post_transforms.images import ImageConverter
from sphinx_design.shared import is_component
from sphinx_exercise.nodes import exercise_enumerable_node, solution_node
from sphinx_proof.nodes import NODE_TYPES, proof_node

from booktools.pdf import translator
from booktools.pdf.translator import BookTranslator, Box, References

BACKENDS = ("torch", "tensorflow")
TALL_TABLE = (30, 3000)  # rows, characters
LONG_WORD = 30  # characters; shorter ones fit into every line and cell
BREAK = "\u200b"  # a space without width
FIGURE_SCALE = 80  # percent: 10-point text in a figure becomes 8-point text on paper


class LatexTransform(SphinxPostTransform):
    """What the transforms below have in common."""

    formats = ("latex",)

    def document_name(self, node: nodes.Node) -> str:
        """Return the name of the page that `node` comes from."""
        while "docname" not in node.attributes:
            node = node.parent
        return node["docname"]


class ChooseBackend(LatexTransform):
    """Keep what stands in the tabs of the chosen framework, without the tabs; paper has no tabs."""

    default_priority = 1

    def run(self, **kwargs: object) -> None:
        """Choose in the whole book."""
        chosen = self.config.edition
        for tab_set in list(self.document.findall(lambda node: is_component(node, "tab-set"))):
            items = [item for item in tab_set.children if is_component(item, "tab-item")]
            names = [item[0].get("sync_id") for item in items]
            if chosen in names:
                _, content = items[names.index(chosen)].children
                tab_set.replace_self(content.children)
        others = {f"tag_tab-{backend}" for backend in BACKENDS if backend != chosen}
        for cell in list(self.document.findall(nodes.container)):
            if others & set(cell.get("classes", [])):
                cell.parent.remove(cell)


class ArrangeBook(LatexTransform):
    """Make chapters of the pages, parts of the captions above them, and say which number a chapter has."""

    default_priority = 2

    def run(self, **kwargs: object) -> None:
        """Arrange the one document that holds all pages."""
        root = self.config.root_doc
        front = next(node for node in self.document.children if isinstance(node, nodes.section))
        toctrees = self.env.get_doctree(root).findall(addnodes.toctree)
        wrappers = [node for node in front.findall(nodes.compound) if "toctree-wrapper" in node["classes"]]
        first = addnodes.start_of_file(docname=root)
        book = nodes.section("", nodes.title("", "The title stands on the title page"), ids=[])
        self.document.insert(self.document.index(front), book)
        self.document.remove(front)
        first += front
        del self.document["docname"]  # it would be the same link target as the first page
        book += [self._beginning(root), first]
        for toctree, wrapper in zip(toctrees, wrappers, strict=True):
            wrapper.parent.remove(wrapper)
            if caption := toctree.get("caption"):
                book += nodes.raw("", f"\n\\lessonpart{{{caption}}}\n", format="latex")
            for page in wrapper.children:
                book += [self._beginning(page["docname"]), page]

    def _beginning(self, name: str) -> nodes.raw:
        number = self.env.toc_secnumbers.get(name, {}).get("")
        command = f"\\numberedlesson{{{number[0]}}}" if number else "\\unnumberedlesson"
        return nodes.raw("", f"\n{command}\n", format="latex")


class ReferToExercises(LatexTransform):
    """Resolve references to exercises and solutions, with the numbers that the site shows."""

    default_priority = 3

    def run(self, **kwargs: object) -> None:
        """Resolve them in the whole book."""
        registry = getattr(self.env, "sphinx_exercise_registry", {})
        for node in list(self.document.findall(addnodes.pending_xref)):
            entry = registry.get(node["reftarget"])
            if entry is None or node["refdomain"] != "std":
                continue
            text = node.astext() if node["refexplicit"] else exercise_title(self.env, entry["node"])
            reference = nodes.reference(
                "", text, internal=True, refuri=f"%{entry['docname']}#{node['reftarget']}"
            )
            node.replace_self(reference)


def exercise_title(env: object, node: nodes.Element) -> str:
    """Return "Exercise 2.1" or "Solution to Exercise 2.1"."""
    label = node.get("target_label", node["label"])
    entry = env.sphinx_exercise_registry[label]
    number = ".".join(map(str, env.toc_fignumbers[entry["docname"]]["exercise"][label]))
    return ("Solution to " if "target_label" in node else "") + f"Exercise {number}"


class PrintStills(LatexTransform):
    """Print the still picture of what a reader can move on the site."""

    default_priority = 3  # before MyST-NB chooses what each output shows

    def run(self, **kwargs: object) -> None:
        """Look at every output that is made for a browser alone."""
        for bundle in list(self.document.findall(_is_for_browsers)):
            page = next(bundle.findall(nodes.raw)).astext()
            if match := _STILL.search(page):
                words = html.unescape(match["alt"]) + " On the site a point can be moved over it."
                picture = nodes.image(uri=match["uri"], alt=words, width="9cm", align="center")
                picture["candidates"] = {"?": ""}  # Sphinx's mark of a picture that is not a file yet
                bundle.replace_self([picture, nodes.paragraph("", "", nodes.emphasis("", words))])


_STILL = re.compile(r'<img src="(?P<uri>data:image/png;base64,[^"]+)" alt="(?P<alt>[^"]*)"')


def _is_for_browsers(node: nodes.Node) -> bool:
    if not isinstance(node, nodes.container) or node.get("nb_element") != "mime_bundle":
        return False
    return {child["mime_type"] for child in node.children} == {"text/html", "text/plain"}


class MakeBoxes(LatexTransform):
    """Turn theorems, proofs, exercises and solutions into boxes with a full title."""

    default_priority = 15  # before sphinx-exercise resolves its titles

    def run(self, **kwargs: object) -> None:
        """Turn all of them."""
        for node in list(self.document.findall(solution_node)):
            self._replace(node, "solution", exercise_title(self.env, node), [])
        for node in list(self.document.findall(exercise_enumerable_node)):
            subtitle = node[0].children[1:]
            own = subtitle[0].children if subtitle else []
            self._replace(node, "exercise", exercise_title(self.env, node), own)
        for node in list(self.document.findall(proof_node)):
            self._replace_proof(node)
        for node in list(self.document.findall(lambda node: isinstance(node, tuple(NODE_TYPES.values())))):
            numbers = self.env.toc_fignumbers[self.document_name(node)][node["countertype"]]
            number = ".".join(map(str, numbers[node["ids"][0]]))
            self._replace(node, "theorem", f"{node['realtype'].title()} {number}", node[0].children)

    def _replace(self, node: nodes.Element, kind: str, title: str, own_title: list[nodes.Node]) -> None:
        box = Box(kind=kind)
        box.source, box.line = node.source, node.line
        heading = nodes.title("", title)
        if own_title:
            has_brackets = own_title[0].astext().lstrip().startswith("(")  # sphinx-proof writes them itself
            heading += [nodes.Text(" " if has_brackets else " ("), *own_title]
            heading += nodes.Text("" if has_brackets else ")")
        box += heading
        box += nodes.target(ids=node["ids"])
        for child in node.children[1:]:
            # A section without a title would only disturb the levels of the headings.
            box += child.children if isinstance(child, nodes.section) else [child]
        node.replace_self(box)

    def _replace_proof(self, node: proof_node) -> None:
        admonition = node[0]
        first, last = admonition[0], admonition[-1]
        opening = next(first.findall(nodes.Text))  # "Proof. ", written by sphinx-proof
        opening.parent.replace(opening, nodes.Text(opening.removeprefix("Proof.").lstrip()))
        first.insert(0, [nodes.emphasis("", "Proof."), nodes.Text(" ")])
        end = last if isinstance(last, nodes.paragraph) else admonition
        end += nodes.raw("", "\\lessonqed{}", format="latex")
        box = Box(kind="proof")
        box.source, box.line = node.source, node.line
        box += admonition.children
        node.replace_self(box)


class LetLongCodeBreak(LatexTransform):
    """Let addresses and other long words of code in the text break after a sign; LaTeX would not."""

    default_priority = 20

    def run(self, **kwargs: object) -> None:
        """Mark the places in all of them."""
        for literal in self.document.findall(nodes.literal):
            for text in list(literal.findall(nodes.Text)):
                if any(len(word) > LONG_WORD for word in text.split()):
                    text.parent.replace(text, nodes.Text(re.sub(r"(?<=[/?&=%._-])(?=\w)", BREAK, text)))


class BreakLongTables(LatexTransform):
    """Let a table that may be higher than a page go on over the next one; its columns then need widths."""

    default_priority = 20

    def run(self, **kwargs: object) -> None:
        """Look at all tables."""
        for table in self.document.findall(nodes.table):
            rows = list(table.findall(nodes.row))
            if len(rows) <= TALL_TABLE[0] and len(table.astext()) <= TALL_TABLE[1]:
                continue
            table["classes"] += ["longtable", "colwidths-given"]
            for number, column in enumerate(table.findall(nodes.colspec)):
                longest = max(len(row[number].astext()) for row in rows)
                column["colwidth"] = min(max(longest, 10), 60)


class KeepReferencesInPlace(LatexTransform):
    """Let every lesson end with its own references, which Sphinx would gather at the end of the book."""

    default_priority = 740  # before Sphinx's BibliographyTransform

    def run(self, **kwargs: object) -> None:
        """Wrap each run of citations."""
        for container in {
            id(entry.parent): entry.parent for entry in self.document.findall(nodes.citation)
        }.values():
            entries = [Entry("", *entry.children, ids=entry["ids"]) for entry in container.children]
            container.replace_self(References("", *entries))


class Entry(nodes.General, nodes.Element):
    """One reference: its label, its text."""


class SvgConverter(ImageConverter):
    """Turn SVG images into PDF, which stays sharp in print."""

    conversion_rules: ClassVar = [("image/svg+xml", "application/pdf")]

    def is_available(self) -> bool:
        """Return whether the program is there; without it there is no use in going on."""
        if shutil.which("rsvg-convert") is None:
            raise ExtensionError("rsvg-convert is missing: sudo apt-get install librsvg2-bin")
        return True

    def convert(self, _from: str, _to: str) -> bool:
        """Convert one image."""
        done = subprocess.run(
            ["rsvg-convert", "--format=pdf", "--output", _to, _from],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ExtensionError(f"{_from} is not an SVG image that can be printed: {done.stderr.strip()}")
        return True

    def handle(self, node: nodes.image) -> None:
        """Convert an image, and give it the scale of the other figures unless it has a width."""
        super().handle(node)
        if "width" not in node:
            node.setdefault("scale", FIGURE_SCALE)


def setup(app: Sphinx) -> dict:
    """Register the extension with Sphinx."""
    app.set_translator("latex", BookTranslator, override=True)
    app.add_node(Box, latex=(translator.visit_box, translator.depart_box))
    app.add_node(References, latex=(translator.visit_references, translator.depart_references))
    app.add_node(Entry, latex=(translator.visit_reference_entry, translator.depart_reference_entry))
    for transform in (
        ChooseBackend,
        ArrangeBook,
        ReferToExercises,
        PrintStills,
        MakeBoxes,
        LetLongCodeBreak,
        BreakLongTables,
        KeepReferencesInPlace,
        SvgConverter,
    ):
        app.add_post_transform(transform)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
