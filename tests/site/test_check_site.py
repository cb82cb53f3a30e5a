"""The checker of the built site: content with the sample, and not with any fault planted in a copy of it."""

import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from booktools.address import ROOT
from booktools.check_site import __main__ as check_site
from booktools.check_site import accessible, reading, sound, speed
from booktools.check_site.browser import find_chromium, open_site
from booktools.check_site.sound import Source, read_site

LESSON = "chapters/01-sample.html"
THEME_PROGRAM = "<script[^>]+pydata-sphinx-theme.js[^>]*>"
NUMBERS = itertools.count(10)
ARTICLE = '<article class="bd-article">'

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def folder(built, tmp_path_factory):
    return Path(shutil.copytree(built.html, tmp_path_factory.mktemp("site") / "html"))


@pytest.fixture(scope="module")
def site(folder):
    with open_site(folder, Source(folder, LESSON).site_path) as site:
        yield site


@pytest.fixture(scope="module")
def window(site):
    with site.window() as window:
        yield window


@pytest.fixture
def plant(folder):
    """Return a function that writes the lesson's page with something replaced."""
    written = []

    def write(old: str, new: str) -> Source:
        html = (folder / LESSON).read_text(encoding="utf-8")
        assert re.search(old, html), f"{old!r} is not on the page"
        # A name of its own: the browser keeps what it fetched under the others.
        written.append(f"chapters/{next(NUMBERS)}-planted.html")
        (folder / written[-1]).write_text(re.sub(old, lambda match: new, html, count=1), encoding="utf-8")
        return Source(folder, written[-1])

    yield write
    for name in written:
        (folder / name).unlink()


def said(findings):
    return [finding.what for finding in findings]


def test_sample_is_served_where_it_will_be_published(folder):
    assert Source(folder, LESSON).site_path == "/autoencoder-lessons/"


def test_sample_has_nothing_wrong(site, window, folder):
    pages = read_site(folder)
    assert {LESSON, "404.html", "search.html", "genindex.html", "slides/01-sample.html"} <= set(pages)
    found = reading.check_search(window, pages)
    for name, source in pages.items():
        found += sound.check_source(pages, name)
        found += check_site.look_at_page(window, source, check_site.KINDS)
    assert [str(finding) for finding in found] == []


def test_sample_is_light_and_narrow(site, folder):
    found, measured = speed.check_speed(site, Source(folder, LESSON))
    assert [what for what in said(found) if what != "too slow"] == []  # other tests run beside this one
    assert 0.05e6 < measured.weight < 1e6 < measured.weight + 10 * measured.one_off
    assert measured.seconds > 0.3


READING_FAULTS = [
    (
        ARTICLE,
        f'{ARTICLE}<img src="https://example.org/a.png" alt="an image from elsewhere">',
        "asks another host",
    ),
    (ARTICLE, f"{ARTICLE}<script>console.error('oh no')</script>", "error in the console"),
    (ARTICLE, f"{ARTICLE}<script>throw new Error('oh no')</script>", "a script failed"),
    (ARTICLE, f'{ARTICLE}<script src="../_static/missing.js"></script>', "answered with 404"),
    (r"\\hat x = W z", r"\left( W z", "formula with an error"),
    (r"\\hat x = W z", r"\unheardof W z", "formula with an error"),
    ("<script[^>]+tex-mml-chtml.js", "<script src='../_static/doctools.js'", "shows no formula"),
    (ARTICLE, f"{ARTICLE}<p>A formula: \\(x\\)</p>", "formula shown as source"),
    (ARTICLE, f'{ARTICLE}<img src="data:image/png;base64,AAAA" alt="a broken image">', "image does not show"),
    ("<script[^>]+design-tabs.js[^>]*>", "<script>", "tab does not switch"),
    ('class="quiz-choice"', 'class="quiz-choice" disabled', "question does not answer every choice"),
]


@pytest.mark.parametrize(("old", "new", "what"), READING_FAULTS, ids=[fault[2] for fault in READING_FAULTS])
def test_fault_of_reading_is_found(window, plant, old, new, what):
    source = plant(old, new)
    window.open(source.name)
    assert what in said(reading.check_reading(window, source))


def test_dead_slides_are_found(window, folder, monkeypatch):
    name = "slides/99-planted.html"
    html = (folder / "slides" / "01-sample.html").read_text(encoding="utf-8")
    (folder / name).write_text(html.replace("dist/reveal.js", "dist/gone.js"), encoding="utf-8")
    source = Source(folder, name)
    monkeypatch.setattr(reading, "SLIDES_PATIENCE", 500)
    found = reading.check_slides(window.open(name), source)
    (folder / name).unlink()
    assert said(found) == ["slides do not open"]


def test_dead_search_is_found(site, folder, monkeypatch):
    monkeypatch.setattr(reading, "SEARCH_PATIENCE", 1_000)
    with site.window() as window:
        window.page.route("**/searchindex.js", lambda route: route.fulfill(body=""))
        assert "search finds nothing" in said(reading.check_search(window, read_site(folder)))


def test_violations_of_accessibility_are_found(window, plant):
    faint = '<p style="color: #999; background: #fff">faint</p>'
    dark = "<style>html[data-theme=dark] main p { color: #444 !important }</style>"
    source = plant(ARTICLE, f"{ARTICLE}{faint}{dark}<button></button>")
    found = accessible.check_axe(window.open(source.name), source.name)
    assert said(found) == [
        "button-name (critical, light)",
        "color-contrast (serious, light)",
        "color-contrast (serious, dark)",
    ]
    assert found[1].where.startswith("1 times, first article > p")


KEYBOARD_FAULTS = [
    ("check_skip_link", '<div id="pst-skip-link".*?</div>', "", "the first Tab leads to no skip link"),
    (
        "check_skip_link",
        "</head>",
        "<style>.skip-link { transform: translateY(-200px) !important }</style></head>",
        "the skip link is invisible",
    ),
    ("check_skip_link", 'id="main-content"', "", "the skip link does not lead to the text"),
    ("check_search_by_keyboard", "search-button__button", "", "40 Tab keys do not reach the search"),
    ("check_search_by_keyboard", THEME_PROGRAM, "<script>", "Enter does not open the search"),
    (
        "check_focus",
        ARTICLE,
        f'{ARTICLE}<a href="#" class="unseen">here</a><style>.unseen {{ all: unset !important }}</style>',
        "its focus is invisible",
    ),
    (
        "check_tabs_by_keyboard",
        'id="sd-tab-item-1"',
        'id="sd-tab-item-1" disabled',
        "the arrow keys do not switch tabs",
    ),
    (
        "check_folds_by_keyboard",
        ARTICLE,
        f'{ARTICLE}<button class="toggle-button">dead</button>',
        "Enter does not unfold it",
    ),
    ("check_menu_on_phones", "primary-toggle", "", "there is no button for the menu"),
    ("check_menu_on_phones", THEME_PROGRAM, "<script>", "Enter does not open the menu"),
]


@pytest.mark.parametrize(
    ("check", "old", "new", "what"), KEYBOARD_FAULTS, ids=[fault[3] for fault in KEYBOARD_FAULTS]
)
def test_fault_of_the_keyboard_is_found(window, plant, check, old, new, what):
    source = plant(old, new)
    found = getattr(accessible, check)(window.open(source.name), source.name)
    assert said(found) == [what]


PRINT_FAULTS = [
    (
        "</head>",
        "<style>.headerlink { display: inline !important; visibility: visible !important }</style></head>",
        "printed, though of no use on paper",
    ),
    (ARTICLE, f'{ARTICLE}<div class="toggle-hidden">never unfolded</div>', "folded on paper"),
    (
        ARTICLE,
        f'{ARTICLE}<div style="overflow: auto"><p style="width: 1500px">wide</p></div>',
        "cut on paper",
    ),
]


@pytest.mark.parametrize(("old", "new", "what"), PRINT_FAULTS, ids=[fault[2] for fault in PRINT_FAULTS])
def test_fault_of_the_printed_page_is_found(window, plant, old, new, what):
    source = plant(old, new)
    assert what in said(accessible.check_print(window.open(source.name), source.name))


@pytest.mark.parametrize(
    ("style", "findings"),
    [("", []), ("font-size: 95% !important", ["cut on paper"])],
    ids=["fitted", "full size"],
)
def test_a_wide_formula_is_set_smaller_on_paper(window, plant, style, findings):
    formula = " + ".join(["\\frac{x}{y}"] * 40)
    source = plant(
        ARTICLE,
        f"{ARTICLE}<style>@media print {{ #wide mjx-container.MathJax {{ {style} }} }}</style>"
        f'<div class="math" id="wide">\\[{formula}\\]</div>',
    )
    assert said(accessible.check_print(window.open(source.name), source.name)) == findings


def test_heavy_wide_and_slow_page_is_found(site, folder, plant, monkeypatch):
    monkeypatch.setattr(speed, "TRIES", 2)
    (folder / "heavy.bin").write_bytes(bytes(1_600_000))
    script = (
        "<script>fetch('../heavy.bin'); const end = Date.now() + 2500; while (Date.now() < end);</script>"
    )
    source = plant(ARTICLE, f'{ARTICLE}<div style="width: 500px">wide</div>{script}')
    assert set(said(speed.check_speed(site, source)[0])) == {
        "scrolls sideways at 360 pixels",
        "too heavy",
        "too slow",
    }


SOURCE_FAULTS = [
    (ARTICLE, f'{ARTICLE}<a href="nowhere.html">to nowhere</a>', "leads to a file that is not there"),
    (ARTICLE, f'{ARTICLE}<a href="#nowhere">to nowhere</a>', "leads to an anchor that is not there"),
    (ARTICLE, f'{ARTICLE}<i id="twice"></i><i id="twice"></i>', "the same id is given more than once"),
    ("<title>.*?</title>", "", "has no title"),
    ('lang="en"', "", "does not say its language"),
    ('<meta name="description"[^>]*>', "", "has no description"),
]


@pytest.mark.parametrize(("old", "new", "what"), SOURCE_FAULTS, ids=[fault[2] for fault in SOURCE_FAULTS])
def test_fault_of_the_source_is_found(folder, plant, old, new, what):
    source = plant(old, new)
    assert said(sound.check_source(read_site(folder), source.name)) == [what]


@pytest.mark.parametrize("text", ["", "bars.png"])
def test_image_without_description_is_found(plant, text):
    source = plant('alt="Two funnels[^"]*"', f'alt="{text}"')
    assert said(sound.check_alternative_texts(source)) == [f"alternative text {text!r} describes nothing"]


def test_image_loaded_too_early_is_found(plant):
    source = plant(r'<img loading="lazy" alt="Four bars', '<img alt="Four bars')
    assert said(sound.check_lazy_images(source)) == ["image is not loaded lazily"]


def test_command_says_what_it_measured_and_found(tmp_path):
    (tmp_path / "index.html").write_text("<html lang='en'><body>Nothing</body></html>", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "booktools.check_site",
        str(tmp_path),
        "--only",
        "fast",
        "--only",
        "sound",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert re.search(r"^index\.html +0\.00 +0\.00 +\d", done.stdout, re.MULTILINE)
    assert "index.html: has no title: <title>\n1 findings" in done.stdout


def test_command_needs_a_built_site(tmp_path):
    command = [sys.executable, "-m", "booktools.check_site", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "holds no index.html; run make book" in done.stderr
