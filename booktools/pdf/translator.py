"""The LaTeX of those parts of a lesson that Sphinx does not write well, with marks of the source."""

from pathlib import Path

from docutils import nodes
from sphinx.writers.latex import LaTeXTranslator

SOURCE_MARK = "%@ "  # begins a comment in the LaTeX that names the file and line of the text below it


class Box(nodes.Admonition, nodes.Element):
    """A theorem, proof, exercise or solution: a title and what follows it; ``kind`` names its environment."""


class References(nodes.Element):
    """The references of one lesson; its children are docutils' citations."""


class BookTranslator(LaTeXTranslator):
    """Sphinx's writer, with marks of the source."""

    def dispatch_visit(self, node: nodes.Node) -> None:
        """Note the source of every block, so that an error in the LaTeX can be traced to the lesson."""
        is_block = isinstance(node.parent, nodes.section | Box | nodes.list_item)
        if is_block and node.line and node.source and not isinstance(node, nodes.title | nodes.Inline):
            source = Path(node.source)
            if source.is_relative_to(self.builder.srcdir):
                source = source.relative_to(self.builder.srcdir)
            # A blank line would begin a paragraph, which makes room above a formula.
            if self.body and not self.body[-1].endswith("\n"):
                self.body.append("\n")
            self.body.append(f"{SOURCE_MARK}{source.as_posix()}:{node.line}\n")
        super().dispatch_visit(node)


def visit_box(self: BookTranslator, node: Box) -> None:
    """Open the environment; its title, the first child, is its argument."""
    self.body.append(f"\n\\begin{{lesson{node['kind']}}}")
    self.no_latex_floats += 1


def depart_box(self: BookTranslator, node: Box) -> None:
    """Close the environment."""
    self.body.append(f"\n\\end{{lesson{node['kind']}}}\n")
    self.no_latex_floats -= 1


def visit_references(self: BookTranslator, node: References) -> None:
    """Open the list."""
    self.body.append("\n\\begin{lessonreferences}\n")


def depart_references(self: BookTranslator, node: References) -> None:
    """Close the list."""
    self.body.append("\\end{lessonreferences}\n")


def visit_reference_entry(self: BookTranslator, node: nodes.citation) -> None:
    """Write the number of a reference, and the target of the citations that link to it."""
    label = node.pop(0)
    self.body.append(f"\\item[{{[{self.encode(label.astext())}]}}]")
    for name in node["ids"]:
        self.body.append(f"\\lessontarget{{cite.{self.curfilestack[-1]}:{name}}}")


def depart_reference_entry(self: BookTranslator, node: nodes.citation) -> None:
    """Nothing follows an entry."""
