"""Directives for the part on teaching: tables and maps made from what is said about each lesson."""

import html
import math
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import networkx as nx
import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from booktools.address import read_repository
from booktools.course import PURPOSES, CourseData, read_course
from booktools.editions import FOLDERS, NAMES
from booktools.effort import hours_needed, read_title

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y = 104, 62, 8, 36  # of the map of lessons, in pixels
MOST_BOXES = 6  # side by side


@dataclass(frozen=True)
class Book:
    """What the directives are told: where the book is, its lessons, and which edition is built."""

    root: Path
    course: list[CourseData]
    edition: str
    both_editions: bool


def overview_table(book: Book) -> str:
    """Return a table of all lessons: what each needs, and how long it takes."""
    rows = ["| Lesson | Builds directly on | Hours |", "|---|---|---|"]
    for data in book.course:
        needs = ", ".join(_link(need, need[:2]) for need in data.needs) or "nothing"
        rows.append(f"| {_link(data.name)} | {needs} | {hours_needed(book.root, data.name):g} |")
    return "\n".join(rows)


def objectives(book: Book) -> str:
    """Return, for every lesson, what a student can do after it."""
    parts = []
    for data in book.course:
        items = "\n".join(f"- {objective}" for objective in data.objectives)
        parts.append(f"**{_link(data.name)}** After this lesson, a student can\n\n{items}")
    return "\n\n".join(parts)


def misconceptions(book: Book) -> str:
    """Return, for every lesson, what students get wrong, what to ask them, and what to listen for."""
    parts = []
    for data in book.course:
        parts.append(f"## {read_title(book.root, data.name)}\n\n{_link(data.name, 'The lesson')}.")
        for item in data.misconceptions:
            parts += [f"**{item.wrong.strip()}**", f"*Ask:* {item.ask.strip()}"]
            parts.append(f"*Listen for:* {item.answer.strip()}")
    return "\n\n".join(parts)


def purpose_map(book: Book) -> str:
    """Return the way through the lessons for each purpose that a reader may have."""
    graph = _graph(book.course)
    rows = ["| What brings you here | Read these | They build on |", "|---|---|---|"]
    for purpose, words in PURPOSES.items():
        goals = [data.name for data in book.course if purpose in data.purposes]
        if not goals:
            continue
        before = set().union(*(nx.ancestors(graph, goal) for goal in goals)) - set(goals)
        numbered = [_link(name, f"{name[:2]} {read_title(book.root, name)}") for name in goals]
        way = ", ".join(_link(name, name[:2]) for name in sorted(before)) or "nothing"
        rows.append(f"| {words} | {'; '.join(numbered)} | {way} |")
    return "\n".join(rows)


def hub_links(book: Book) -> str:
    """Return nbgitpuller's link to each lesson, for the JupyterHub named in the configuration."""
    config = yaml.safe_load((book.root / "_config.yml").read_text(encoding="utf-8"))
    repository, branch = read_repository(book.root)
    hub = config["launch_buttons"]["jupyterhub_url"].rstrip("/")
    rows = ["| Lesson | Link |", "|---|---|"]
    for data in book.course:
        path = f"lab/tree/{repository.rsplit('/', 1)[1]}/chapters/{data.name}.ipynb"
        query = urlencode({"repo": repository, "branch": branch, "urlpath": path})
        rows.append(f"| {_link(data.name)} | `{hub}/hub/user-redirect/git-pull?{query}` |")
    return "\n".join(rows)


def start_buttons(book: Book) -> str:
    """Return the ways to begin: for each framework, where to read and where to run the first lesson."""
    config = yaml.safe_load((book.root / "_config.yml").read_text(encoding="utf-8"))["launch_buttons"]
    repository, branch = read_repository(book.root)
    name, first = repository.removeprefix("https://github.com/"), book.course[0].name
    twin = f"chapters/{first}.ipynb"
    run = {
        "Run in Colab": f"{config['colab_url']}/github/{name}/blob/{branch}/{twin}",
        "Run in Binder": f"{config['binderhub_url']}/v2/gh/{name}/{branch}?urlpath=lab/tree/{twin}",
    }
    cards = []
    for other, framework in NAMES.items():
        page = f"{first}.html"
        if book.both_editions and other != book.edition:
            page = f"{'../' * (1 + FOLDERS[book.edition].count('/'))}{FOLDERS[other]}chapters/{page}"
        read = f'<a href="{page}" data-edition="{other}">Read here</a>'
        links = "".join(f'<a href="{url}">{words}</a>' for words, url in run.items())
        cards.append(f'<div class="start-card"><strong>{framework}</strong>{read}{links}</div>')
    return f'<div class="start">{"".join(cards)}</div>'


def _link(name: str, words: str = "") -> str:
    return f"{{doc}}`{words} <{name}>`" if words else f"{{doc}}`{name}`"


def _graph(course: list[CourseData]) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(data.name for data in course)
    graph.add_edges_from((need, data.name) for data in course for need in data.needs)
    return graph


def dependency_map(book: Book) -> str:
    """Return a drawing of which lesson builds on which, as SVG whose boxes are links.

    Lessons stand below those they need; lessons in one row may be taught in any order.
    """
    graph = _graph(book.course)
    rows = [part for row in nx.topological_generations(graph) for part in _split(sorted(row))]
    width = max(map(len, rows)) * (BOX_WIDTH + GAP_X)
    height = len(rows) * (BOX_HEIGHT + GAP_Y)
    places = {}
    for number, row in enumerate(rows):
        left = (width - len(row) * (BOX_WIDTH + GAP_X) + GAP_X) / 2
        for index, name in enumerate(row):
            places[name] = (left + index * (BOX_WIDTH + GAP_X), number * (BOX_HEIGHT + GAP_Y) + 4)
    edges = "".join(_edge(places[start], places[end]) for start, end in graph.edges)
    boxes = "".join(_box(name, read_title(book.root, name), *places[name]) for name in places)
    return (
        f'<div class="lesson-map" role="region" aria-label="Map of the lessons" tabindex="0">'
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="group" '
        f'aria-label="Every lesson stands below the lessons it builds on; the table says the same in words.">'
        f"{edges}{boxes}</svg></div>"
    )


def _split(row: list[str]) -> list[list[str]]:
    """Split a row that is too long for the page into several, of nearly the same length."""
    length = math.ceil(len(row) / math.ceil(len(row) / MOST_BOXES))
    return [row[start : start + length] for start in range(0, len(row), length)]


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    x0, y0 = start[0] + BOX_WIDTH / 2, start[1] + BOX_HEIGHT
    x1, y1 = end[0] + BOX_WIDTH / 2, end[1]
    middle = (y0 + y1) / 2
    return f'<path d="M{x0:.0f} {y0:.0f} C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {y1:.0f}"/>'


def _box(name: str, title: str, x: float, y: float) -> str:
    lines = [name[:2], *textwrap.wrap(title.partition(":")[0], 15)]
    first = y + BOX_HEIGHT / 2 + 5 - 8 * (len(lines) - 1)
    centre = f"{x + BOX_WIDTH / 2:.0f}"
    words = "".join(
        f'<tspan x="{centre}" y="{first + 16 * number:.0f}">{html.escape(line)} </tspan>'
        for number, line in enumerate(lines)
    )
    size = f'width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5"'
    return f'<a href="{name}.html"><rect x="{x:.0f}" y="{y:.0f}" {size}/><text>{words}</text></a>'


def _directive(make: Callable[[Book], str], raw: bool = False) -> type[SphinxDirective]:
    """Return a directive without arguments that shows what `make` returns for the course."""

    class FromCourse(SphinxDirective):
        def run(self) -> list[nodes.Node]:
            root = Path(self.env.srcdir)
            course = read_course(root)
            for data in course:
                self.env.note_dependency(str(root / "course" / "lessons" / f"{data.name}.yml"))
            text = make(Book(root, course, self.config.edition, self.config.both_editions))
            if raw:
                return [nodes.raw("", text, format="html")]
            return self._parsed(text.splitlines())

        def _parsed(self, lines: Iterable[str]) -> list[nodes.Node]:
            container = nodes.Element()
            source, line = self.get_source_info()
            content = StringList(list(lines), source=source)
            self.state.nested_parse(content, line, container, match_titles=True)
            return container.children

    return FromCourse


def setup(app: Sphinx) -> dict:
    """Register the extension with Sphinx."""
    app.add_directive("course-overview", _directive(overview_table))
    app.add_directive("course-objectives", _directive(objectives))
    app.add_directive("course-misconceptions", _directive(misconceptions))
    app.add_directive("purpose-map", _directive(purpose_map))
    app.add_directive("hub-links", _directive(hub_links))
    app.add_directive("start-buttons", _directive(start_buttons, raw=True))
    app.add_directive("dependency-map", _directive(dependency_map, raw=True))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
