"""Slides of the sample lesson: what stands on them, that nothing comes from elsewhere, and that they fit."""

import re
import shutil

import pytest
from bs4 import BeautifulSoup

from booktools.browser_slides import find_overflows
from booktools.check_site.browser import find_chromium
from booktools.executed import cache_path
from booktools.inline import UnknownMarkupError
from booktools.slides import build_slides, make_deck

needs_browser = pytest.mark.skipif(find_chromium() is None, reason="no Chromium or Chrome is installed")


@pytest.fixture(scope="module")
def deck(built):
    return built.html / "slides" / "01-sample.html"


@pytest.fixture(scope="module")
def slides(deck):
    return BeautifulSoup(deck.read_text(encoding="utf-8"), "html.parser").select(".slides > section")


def test_slides_are_the_tagged_cells_in_order(slides):
    headings = [slide.select_one("h1, h2").get_text() for slide in slides]
    assert headings == ["A sample lesson", "Question", "Experiment", "Experiment", "Exercises"]


def test_first_slide_says_what_can_be_done_afterwards(slides):
    items = [item.get_text() for item in slides[0].select("li")]
    assert items[1] == "explain why projections shrink"
    assert len(items) == 3


def test_code_is_shown_where_it_is_asked_for_only(slides):
    assert [len(slide.select(".input")) for slide in slides] == [0, 0, 1, 0, 0]
    assert slides[2].select_one(".output_stdout").get_text().split() == [
        "0.0000",
        "0.0000",
        "3.0000",
        "4.0000",
    ]


def test_figure_has_its_description_and_caption(slides):
    image = slides[3].select_one("img")
    assert image["alt"].startswith("Four bars")
    assert image["src"].startswith("data:image/png;base64,")
    assert slides[3].select_one(".celltag_caption").get_text().strip() == (
        "Figure 1.2. What the projection loses."
    )


def test_images_and_links_are_those_of_the_site(built, slides):
    image = slides[1].select_one("img")["src"]
    assert (built.html / "slides" / image).resolve().is_file()
    links = [link["href"] for slide in slides for link in slide.select("a[href]")]
    assert "../chapters/01-sample.html" in links
    assert not any(link.endswith((".ipynb", ".md")) for link in links)


def test_everything_a_deck_loads_lies_beside_it(built, deck):
    text = deck.read_text(encoding="utf-8")
    loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)"', text)
    assert len(loaded) >= 6
    for address in loaded:
        if not address.startswith("data:"):
            assert (deck.parent / address).resolve().is_file(), address


def test_lesson_links_to_its_slides(built):
    page = (built.html / "chapters" / "01-sample.html").read_text(encoding="utf-8")
    assert 'href="../slides/01-sample.html"' in page


def test_lesson_without_tags_is_refused_with_its_name(built, tmp_path):
    root = tmp_path / "book"
    shutil.copytree(built.root, root, ignore=shutil.ignore_patterns("_build"))
    lesson = root / "chapters" / "01-sample.md"
    text = lesson.read_text(encoding="utf-8")
    lesson.write_text(text.replace('{"tags": ["slide"]}', "").replace(", slide]", "]"), encoding="utf-8")
    lesson.write_text(lesson.read_text(encoding="utf-8").replace("[slide, slide-code]", "[]"))
    executed = cache_path(built.root, "reference", "torch")
    with pytest.raises(UnknownMarkupError, match=r"01-sample\.md:1: no cell is tagged 'slide'"):
        make_deck(lesson, executed)


def test_lesson_that_was_not_executed_is_refused(built, tmp_path):
    wrong = build_slides(built.root, tmp_path, tmp_path / "nothing", [built.lesson])
    assert wrong == [f"{built.lesson}: not executed in its present state; call make book first"]


@needs_browser
def test_slides_that_fit_are_accepted_and_those_that_do_not_are_named(deck, tmp_path):
    # The sample has few slides, and that is all that is wrong with it.
    assert find_overflows([deck]) == [f"{deck}: 5 slides; a lesson has 12 to 25"]
    copy = tmp_path / "html"
    shutil.copytree(deck.parents[1], copy, ignore=shutil.ignore_patterns("chapters", "_sources"))
    long = copy / "slides" / "01-sample.html"
    text = long.read_text(encoding="utf-8")
    text = text.replace("<pre>0.0000", "<pre>" + 40 * "0.0000\n", 1)
    text = text.replace("Exercises</h2>", 'Exercises</h2><p style="width: 2000px">wide</p>', 1)
    long.write_text(text, encoding="utf-8")
    found = find_overflows([long])
    assert len(found) == 3
    assert "slide 3 ('Experiment')" in found[1]
    assert "slide 5 ('Exercises') needs 20" in found[2]
