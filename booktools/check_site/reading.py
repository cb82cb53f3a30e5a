"""Whether a page shows all it has, and asks no other host: formulas, images, tabs, quiz, search, slides."""

import re
from collections.abc import Iterable

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from booktools.check_site.browser import LOAD_ALL_IMAGES, Finding, Window
from booktools.check_site.sound import Source

SEARCH_PATIENCE = 15_000  # milliseconds
SLIDES_PATIENCE = 5_000

MATHEMATICS = """() => {
    const raw = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode;
        if (text.parentElement.closest('pre, code, script, style, mjx-container, textarea')) continue;
        if (/\\\\[(\\[]|\\$\\$/.test(text.data)) raw.push(text.data.trim().slice(0, 60));
    }
    // MathJax shows a command that it does not know in red.
    const errors = [...document.querySelectorAll('mjx-merror, mjx-mtext[style*="color: red"]')];
    return {
        shown: document.querySelectorAll('mjx-container').length,
        errors: errors.map(e => e.dataset.mjxError || e.textContent.slice(0, 60)),
        raw,
    };
}"""
BROKEN_IMAGES = """() => [...document.images].filter(image => image.naturalWidth === 0)
    .map(image => image.getAttribute('src'))"""
# Choose every tab, each time asking whether it and its partners in other tab-sets are shown.
TABS = """() => {
    const wrong = [];
    const shows = label => {
        const style = getComputedStyle(label.nextElementSibling);
        return style.display !== 'none' && document.getElementById(label.htmlFor).checked;
    };
    for (const set of document.querySelectorAll('.sd-tab-set')) {
        const labels = [...set.querySelectorAll(':scope > label')];
        for (const label of [...labels.slice(1), labels[0]]) {
            label.click();
            const {syncGroup, syncId} = label.dataset;
            const partners = !syncId ? [label] : document.querySelectorAll(
                `label[data-sync-group="${syncGroup}"][data-sync-id="${syncId}"]`);
            if (![...partners].every(shows)) wrong.push(label.textContent.trim() + ' of ' + label.htmlFor);
        }
    }
    return wrong;
}"""
QUIZ = """() => [...document.querySelectorAll('.quiz-question')].filter(question => {
    const choices = [...question.querySelectorAll('.quiz-choice')];
    const answer = question.querySelector('.quiz-answer');
    return !choices.length || !choices.every(choice => {
        if (answer) answer.textContent = '';
        choice.click();
        return answer?.textContent.trim();
    });
}).map(question => question.querySelector('legend')?.textContent.trim().slice(0, 60) || 'a question')"""


def _each(name: str, what: str, places: Iterable[str]) -> list[Finding]:
    return [Finding(name, what, place) for place in places]


def check_mathematics(page: Page, source: Source) -> list[Finding]:
    """Find formulas that are not shown as formulas."""
    seen = page.evaluate(MATHEMATICS)
    found = _each(source.name, "formula with an error", seen["errors"])
    found += _each(source.name, "formula shown as source", seen["raw"])
    if source.has_mathematics and not seen["shown"]:
        found.append(Finding(source.name, "shows no formula", "the source has some"))
    return found


def check_images(page: Page, source: Source) -> list[Finding]:
    """Find images that do not show."""
    page.evaluate(LOAD_ALL_IMAGES)
    return _each(source.name, "image does not show", page.evaluate(BROKEN_IMAGES))


def check_tabs(page: Page, source: Source) -> list[Finding]:
    """Find tabs that do not switch, or whose synced partners do not follow."""
    return _each(source.name, "tab does not switch", page.evaluate(TABS))


def check_quiz(page: Page, source: Source) -> list[Finding]:
    """Find quiz questions that leave a choice unanswered."""
    return _each(source.name, "question does not answer every choice", page.evaluate(QUIZ))


def check_slides(page: Page, source: Source) -> list[Finding]:
    """Find slides that do not open."""
    if not source.is_slides:
        return []
    try:
        page.wait_for_selector(".reveal.ready", timeout=SLIDES_PATIENCE)
    except PlaywrightTimeoutError:
        return [Finding(source.name, "slides do not open", ".reveal is not ready")]
    return []


def check_reading(window: Window, source: Source) -> list[Finding]:
    """Run all checks of this module on the page that is open in `window`."""
    page = window.page
    found = check_slides(page, source)
    for check in (check_mathematics, check_images, check_tabs, check_quiz):
        found += check(page, source)
    return list(dict.fromkeys(window.wrong + found))


def check_search(window: Window, pages: dict[str, Source]) -> list[Finding]:
    """Search for a word of a lesson's title and find out whether the lesson is among the results."""
    lessons = [page for name, page in pages.items() if "chapters/" in name and page.html.h1]
    if "search.html" not in pages or not lessons:
        return []
    lesson = lessons[0]
    word = max(re.findall(r"[a-z]+", lesson.html.h1.get_text().lower()), key=len)
    page = window.open(f"search.html?q={word}")
    try:
        page.wait_for_selector("#search-results li a", timeout=SEARCH_PATIENCE)
        page.wait_for_function("!document.querySelector('#search-progress')?.textContent.endsWith('...')")
    except PlaywrightTimeoutError:
        return [*window.wrong, Finding("search.html", "search finds nothing", word)]
    links = page.eval_on_selector_all("#search-results li a", "links => links.map(link => link.href)")
    if not any(link.split("?")[0].split("#")[0].endswith(lesson.name) for link in links):
        return [*window.wrong, Finding("search.html", f"search does not find {lesson.name}", word)]
    return list(window.wrong)
