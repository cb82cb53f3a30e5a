"""What a reader finds on a page of the built site, and in the twin of it."""

import shutil
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from bs4 import BeautifulSoup

from booktools import twins
from booktools.address import read_repository
from booktools.markdown import find_raw


@pytest.fixture(scope="module")
def page(built):
    return BeautifulSoup(
        (built.html / "chapters" / "01-sample.html").read_text(encoding="utf-8"), "html.parser"
    )


def hrefs(page):
    return [unquote(link["href"]) for link in page.select(".article-header-buttons a[href]")]


def test_wings_and_cells_stand_in_synced_tabs(page):
    labels = page.select("article label.sd-tab-label")
    assert [(label.get_text(strip=True), label["data-sync-id"]) for label in labels] == [
        ("PyTorch", "torch"),
        ("TensorFlow", "tensorflow"),
    ] * 4
    assert {label["data-sync-group"] for label in labels} == {"backend"}


def test_tabbed_cells_were_executed(page):
    outputs = [cell.get_text() for cell in page.select(".sd-tab-content .cell_output")]
    assert [text.strip() for text in outputs] == ["shape (4, 2)", "shape (4, 2)", "torch", "tensorflow"]


def test_wings_code_is_shown(page):
    shown = page.select(".sd-tab-content .highlight-python")
    assert any("tf.linalg.matvec" in block.get_text() for block in shown)


def test_launch_buttons_open_the_twin(page):
    address, branch = read_repository()
    name = address.removeprefix("https://github.com/")
    links = hrefs(page)
    twin = "chapters/01-sample.ipynb"
    assert f"https://mybinder.org/v2/gh/{name}/{branch}?urlpath=lab/tree/{twin}" in links
    assert f"https://colab.research.google.com/github/{name}/blob/{branch}/{twin}" in links


def test_jupyterhub_button_explains_itself_until_a_hub_is_named(page):
    assert "plain.html#jupyterhub" in hrefs(page)


def test_download_button_serves_the_twin(built, page):
    assert "../_sources/chapters/01-sample.ipynb" in hrefs(page)
    served = built.html / "_sources" / "chapters" / "01-sample.ipynb"
    assert served.read_bytes() == built.lesson.with_suffix(".ipynb").read_bytes()


def test_every_image_is_described_and_sharp(page):
    images = page.select("article img")
    assert [image["alt"] for image in images] == [
        "Two funnels that meet in a narrow bridge, the code.",
        "Four bars; the first two are zero, the last two are as tall as the point's coordinates.",
    ]
    assert "width: 290px" in images[1]["style"]  # half of the file's own width


def test_solutions_are_folded_and_executed(page):
    solutions = page.select("article .solution")
    assert [len(solution.select(".cell_output")) for solution in solutions] == [3, 1]
    assert all("dropdown" in solution["class"] for solution in solutions)


def test_numbers_are_the_same_on_the_page_and_in_the_twin(page, twin):
    prose = " ".join(cell.source for cell in twin.cells if cell.cell_type == "markdown")
    shown = " ".join(page.select_one("article").get_text().split())
    for number in ("Figure 1.1", "Figure 1.2", "Theorem 1.1", "Exercise 1.1", "Exercise 1.2"):
        assert number in shown
        assert number in prose


def test_citations_are_in_round_brackets(page):
    text = " ".join(page.select_one("article").get_text().split())
    assert "(Ballard, 1987, Rumelhart et al., 1986); Ballard (1987) stacked" in text


def test_citations_link_to_the_list_on_the_same_page(page):
    citations = page.select("article .bibtex-citation a[href]")
    assert citations
    assert all(link["href"].startswith("#id") for link in citations)


def test_set_up_cell_of_the_twin_is_not_on_the_page(page):
    assert "as the environment says" not in page.get_text()


def test_menu_works_on_phones(page):
    # With the search in the navigation bar as well, there is a second toggle, and the menu stays shut.
    assert len(page.select(".primary-toggle")) == 1
    assert len(page.select(".search-button-field")) == 1


def test_nothing_comes_from_elsewhere(built, page):
    elements = page.select("script[src], link[rel=stylesheet][href], img[src]")
    addresses = [e.get("src") or e.get("href") for e in elements]
    assert [address for address in addresses if address.startswith(("http", "//"))] == []
    assert any("mathjax" in address for address in addresses)
    assert (built.html / "mathjax" / "tex-mml-chtml.js").is_file()


@pytest.fixture(scope="module")
def twin(built):
    return nbformat.read(built.lesson.with_suffix(".ipynb"), as_version=4)


def test_twin_is_the_same_when_made_again(built, twin):
    again = twins.make_twin(built.lesson)
    assert twins.sources(again) == twins.sources(twin)
    twins.execute(again, built.lesson.parent)
    assert (
        nbformat.writes(again).strip()
        == built.lesson.with_suffix(".ipynb").read_text(encoding="utf-8").strip()
    )


def test_twin_has_title_set_up_cell_and_nothing_raw(twin):
    assert twin.cells[0].source.startswith("# A sample lesson")
    assert twin.cells[1].source.startswith("# @title Set-up")
    assert twin.cells[1].outputs == []
    assert all(find_raw(cell.source) is None for cell in twin.cells if cell.cell_type == "markdown")
    assert len({cell.id for cell in twin.cells}) == len(twin.cells)


def test_twin_shows_the_wings(twin):
    code = next(cell.source for cell in twin.cells if cell.source.startswith("## Code"))
    assert "**PyTorch** (`code/torch/projection.py`)\n\n```python\ndef project(w, x):" in code
    assert "**TensorFlow** (`code/tensorflow/projection.py`)" in code
    assert '"""A sample of a wing."""' not in code


def test_twin_has_exercises_solutions_and_references(twin):
    sources = [cell.source for cell in twin.cells]
    assert any(source.startswith("### Exercise 1.1: A derivation with $W$") for source in sources)
    assert any(source.startswith("#### Solution to Exercise 1.1") for source in sources)
    assert "Dana H. Ballard" in sources[-1]


def test_twin_describes_its_figures(twin):
    figure = next(cell for cell in twin.cells if cell.source.rstrip().endswith("plt.show()"))
    assert list(figure.outputs[0].data) == ["text/plain"]
    assert figure.outputs[0].data["text/plain"].startswith("[Figure: Four bars; the first two")


def test_set_up_cell_fetches_the_lessons_where_they_are_missing(built, tmp_path, monkeypatch):
    """In Colab, played here: the archive comes from a folder, and pip is not called."""
    source = next(cell.source for cell in twins.make_twin(built.lesson).cells if cell.cell_type == "code")
    source = source.replace("%pip install -q --no-deps ./{folder}", "installed.append(folder)")
    source = source.replace("%pip install -q {missing}", "pass")
    name = "autoencoder-lessons-main"
    shutil.copytree(built.root / "chapters", tmp_path / "github" / name / "chapters")
    shutil.copytree(built.root / "aelib", tmp_path / "github" / name / "aelib")
    archive = shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path / "github")
    content = tmp_path / "content"
    content.mkdir()
    monkeypatch.chdir(content)
    monkeypatch.setattr("urllib.request.urlretrieve", lambda url, target: shutil.copy(archive, target))
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda package: package != "aelib" or bool(installed) or None
    )
    monkeypatch.setattr("sys.path", [])
    installed: list[str] = []
    exec(source, {"installed": installed})
    assert installed == [name]
    assert Path.cwd() == content / name / "chapters"
    exec(source, {"installed": installed})  # a second run changes nothing
    assert Path.cwd() == content / name / "chapters"
