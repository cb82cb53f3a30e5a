"""Both editions as one site: the switch keeps the page and is remembered; tabs follow; a bundle is whole."""

import shutil
import subprocess
import zipfile

import pytest
from bs4 import BeautifulSoup

from booktools.address import read_repository
from booktools.check_site.browser import find_chromium, serve, start_chromium
from booktools.editions import site_address
from booktools.publish import assemble, write_bundle

needs_browser = pytest.mark.skipif(find_chromium() is None, reason="no Chromium or Chrome is installed")
LESSON = "chapters/01-sample.html"


@pytest.fixture(scope="module")
def site(built, tmp_path_factory):
    root = tmp_path_factory.mktemp("editions") / "book"
    shutil.copytree(built.root, root)
    book = type(built)(root)
    for edition in ("torch", "tensorflow"):
        good, said = book.build(edition, "both")
        assert good, said
    return assemble(root, "reference")


def switch(site, page):
    html = BeautifulSoup((site / page).read_text(encoding="utf-8"), "html.parser")
    return html.select(".edition-switch a")


@pytest.mark.parametrize("page", [LESSON, "search.html", "tensorflow/" + LESSON, "tensorflow/genindex.html"])
def test_switch_leads_to_the_same_page_of_the_other_edition(site, page):
    current, other = sorted(switch(site, page), key=lambda link: not link.has_attr("aria-current"))
    here = (site / page).resolve()
    assert (here.parent / current["href"]).resolve() == here
    there = (here.parent / other["href"]).resolve()
    assert there != here
    assert there.is_file()
    assert there.name == here.name


def test_single_edition_has_no_switch(built):
    assert switch(built.html, LESSON) == []


def test_page_says_what_ran_and_how_long(site):
    for folder, framework in {"": "PyTorch", "tensorflow/": "TensorFlow"}.items():
        page = (site / (folder + LESSON)).read_text(encoding="utf-8")
        ran = BeautifulSoup(page, "html.parser").select_one(".what-ran").get_text()
        assert ran.startswith(f"This page shows a run of {framework}; all its cells took ")


def test_page_has_its_description_and_its_place_in_the_sitemap(site):
    page = BeautifulSoup((site / LESSON).read_text(encoding="utf-8"), "html.parser")
    assert page.select_one("meta[name=description]")["content"].startswith("A small lesson that uses every")
    yours = site_address("https://github.com/you/course", "tensorflow")
    assert yours == "https://you.github.io/course/tensorflow/"
    address = site_address(read_repository()[0], "tensorflow")
    sitemap = (site / "tensorflow" / "sitemap.xml").read_text(encoding="utf-8")
    assert f"<loc>{address}{LESSON}</loc>" in sitemap


def test_missing_edition_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"full-torch.html is missing; call make site PROFILE=full"):
        assemble(tmp_path, "full")


@pytest.fixture(scope="module")
def browser():
    with start_chromium() as browser:
        yield browser


@pytest.fixture
def page(site, browser):
    with serve(site) as address:
        page = browser.new_page(base_url=address)
        yield page
        page.close()


def shown_tabs(page):
    names = page.locator("input:checked + .sd-tab-label").all_text_contents()
    return {name.strip() for name in names}


@needs_browser
def test_choice_stays_on_the_page_moves_the_tabs_and_is_remembered(page):
    page.goto(LESSON + "#sample-code")
    assert shown_tabs(page) == {"PyTorch"}
    page.click(".edition-switch a[data-edition=tensorflow]")
    page.wait_for_url("**/tensorflow/chapters/01-sample.html#sample-code")
    assert shown_tabs(page) == {"TensorFlow"}
    page.goto("chapters/plain.html")
    page.wait_for_url("**/tensorflow/chapters/plain.html")
    page.click(".edition-switch a[data-edition=torch]")
    page.wait_for_url(lambda url: "tensorflow" not in url)
    page.goto(LESSON)
    assert shown_tabs(page) == {"PyTorch"}


@needs_browser
def test_bar_with_the_switch_fits_on_a_telephone(page):
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(LESSON)
    bar = page.locator(".header-article-items__end").bounding_box()
    assert bar["x"] + bar["width"] <= 360


@needs_browser
def test_quiz_answers_a_click_and_counts_first_tries(page):
    page.goto(LESSON)
    for question in page.query_selector_all(".quiz-question"):
        question.query_selector(".quiz-choice").click()
        assert question.query_selector(".quiz-answer").inner_text().startswith(("✓ Right.", "✗ Not right."))
    score = page.inner_text(".quiz-score")
    page.click(".quiz-question:first-of-type .quiz-choice:last-child")
    assert score.endswith("of 5 right at the first try.")
    assert page.inner_text(".quiz-score") == score


def test_bundle_holds_site_repository_and_data(site, tmp_path):
    root, data = tmp_path / "repository", tmp_path / "data"
    for path in (root / "aelib" / "code.py", root / "untracked.txt", data / "mnist" / "images.gz"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run(["git", "-C", str(root), "add", "aelib"], check=True)
    write_bundle(tmp_path / "bundle.zip", root, site, data, None)
    names = set(zipfile.ZipFile(tmp_path / "bundle.zip").namelist())
    assert {"README.txt", f"site/{LESSON}", f"site/tensorflow/{LESSON}", "site/index.html"} <= names
    assert {"lessons/aelib/code.py", "data/mnist/images.gz"} <= names
    assert "lessons/untracked.txt" not in names
