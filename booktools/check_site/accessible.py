"""Whether everybody can read a page: by screen reader, with weak eyes, by keyboard, and on paper."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from booktools.check_site.browser import Finding

SERIOUS = ("serious", "critical")
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
PAPER = {"width": 718, "height": 1000}  # A4 less two margins of 10 mm, in CSS pixels
MOST_TAB_KEYS = 40

# What is folded is not checked by axe; so it is unfolded, and the dark run sees the other tabs.
UNFOLD = """dark => {
    document.querySelectorAll('.toggle-hidden > .admonition-title .toggle-button').forEach(b => b.click());
    document.querySelectorAll('article details').forEach(details => { details.open = true; });
    document.querySelectorAll('.sd-tab-set').forEach(set => {
        const labels = set.querySelectorAll(':scope > label');
        labels[dark ? labels.length - 1 : 0]?.click();
    });
}"""
# Formulas and code are thousands of elements, marked up and coloured alike, and axe takes a minute for them:
# it sees the first three formulas, and three tokens of each kind in the code.
REMOVE_ALIKE = """() => {
    [...document.querySelectorAll('mjx-container')].slice(3).forEach(formula => formula.remove());
    const counts = {};
    for (const token of document.querySelectorAll('div.highlight pre span')) {
        counts[token.className] = (counts[token.className] || 0) + 1;
        if (counts[token.className] > 3) token.replaceWith(...token.childNodes);
    }
    document.querySelectorAll('div.highlight pre').forEach(code => code.normalize());
}"""
AXE_OPTIONS = {"resultTypes": ["violations"], "preload": False}
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
# What looks the same with and without the focus. A tab's radio button is invisible; its label shows it.
UNSEEN_FOCUS = """() => {
    const selector = 'a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex="-1"])';
    const look = element => {
        const seen = element.matches('.sd-tab-set > input') ? element.nextElementSibling : element;
        const s = getComputedStyle(seen);
        const outline = s.outlineStyle === 'none' ? '' : s.outlineStyle + s.outlineWidth + s.outlineColor;
        return [outline, s.boxShadow, s.backgroundColor, s.borderColor, s.textDecoration].join();
    };
    const unseen = new Set();
    for (const element of document.querySelectorAll(selector)) {
        if (!element.checkVisibility({visibilityProperty: true}) || element.disabled) continue;
        const before = look(element);
        element.focus({preventScroll: true});
        if (document.activeElement === element && look(element) === before)
            unseen.add(`<${element.tagName.toLowerCase()} class="${element.className}">`);
        element.blur();
    }
    return [...unseen];
}"""
ON_SCREEN = """element => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && box.top >= 0 && box.bottom <= innerHeight && box.left >= 0;
}"""
IS_UNFOLDED = """control => control.matches('summary')
    ? control.parentElement.open : control.getAttribute('aria-expanded') === 'true'"""
PRINTED_CONTROLS = """() => [
    '#pst-primary-sidebar', '#pst-secondary-sidebar', '.bd-header-article', '.prev-next-footer', '.copybtn',
    '.toggle-button', '.headerlink', '#pst-back-to-top',
].filter(selector => [...document.querySelectorAll(selector)].some(
    e => e.checkVisibility({visibilityProperty: true}) && e.getBoundingClientRect().width > 0))"""
FOLDED_ON_PAPER = """() => [...document.querySelectorAll('.toggle-hidden')]
    .map(e => e.querySelector('.admonition-title')?.textContent.trim() || e.id)"""
CUT_ON_PAPER = """() => {
    const cut = new Set();
    const page = document.documentElement.clientWidth;
    for (const element of document.querySelectorAll('article, article *')) {
        // Within a formula only the whole counts: the copy for screen readers lies invisibly across it.
        const isFormula = element.matches('mjx-math');
        const isPart = element.closest('.math') ? !isFormula : element.matches('pre span');
        if (isPart || !element.checkVisibility()) continue;
        const edge = isFormula ? element.closest('div.math, section')?.getBoundingClientRect().right : page;
        const hides = getComputedStyle(element).overflowX !== 'visible' && element.clientWidth;
        const right = element.getBoundingClientRect().right;
        const scrolls = !isFormula && hides && element.scrollWidth > element.clientWidth + 1;
        if (right <= Math.min(edge ?? page, page) + 1 && !scrolls) continue;
        const text = (isFormula ? element.parentElement : element).textContent;
        cut.add(text.trim().replace(/\\s+/g, ' ').slice(0, 60));
    }
    return [...cut].slice(0, 5);
}"""


def check_axe(page: Page, name: str) -> list[Finding]:
    """Find serious and critical violations of the accessibility rules that axe-core knows, light and dark.

    Formulas and code are missing on the page afterwards.
    """
    found = []
    page.evaluate(REMOVE_ALIKE)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.evaluate(UNFOLD, theme == "dark")
        options = AXE_OPTIONS | (COLOURS if theme == "dark" else {})  # nothing else depends on the theme
        answer = Axe().run(page, options=options).response
        for violation in answer["violations"]:
            if violation["impact"] not in SERIOUS:
                continue
            nodes = violation["nodes"]
            first = nodes[0]
            reason = (first["any"] + first["all"] + first["none"])[0]["message"].split("\n")[0]
            where = f"{len(nodes)} times, first {first['target'][0]}: {reason}"
            found.append(Finding(name, f"{violation['id']} ({violation['impact']}, {theme})", where))
    page.emulate_media(color_scheme="light")
    return found


def check_skip_link(page: Page, name: str) -> list[Finding]:
    """Find out whether the first key leads to a link that jumps over the menu to the text."""
    if page.evaluate("document.activeElement === document.body"):
        page.keyboard.press("Tab")
    else:  # the search page puts the focus into its field
        page.focus(".skip-link a")
    link = page.locator(":focus")
    if not page.evaluate("document.activeElement.matches('.skip-link a')"):
        return [Finding(name, "the first Tab leads to no skip link", "")]
    if not link.evaluate(ON_SCREEN):
        return [Finding(name, "the skip link is invisible", ".skip-link a")]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    if not page.evaluate("document.activeElement.closest('main')"):
        return [Finding(name, "the skip link does not lead to the text", "#main-content")]
    return []


def check_search_by_keyboard(page: Page, name: str) -> list[Finding]:
    """Find out whether the Tab key reaches the search, and Enter and Escape open and close it."""
    page.focus(".skip-link a")
    for _ in range(MOST_TAB_KEYS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.search-button__button')"):
            break
    else:
        return [Finding(name, f"{MOST_TAB_KEYS} Tab keys do not reach the search", ".search-button__button")]
    page.keyboard.press("Enter")
    if not page.evaluate("document.activeElement.matches('input[type=search]')"):
        return [Finding(name, "Enter does not open the search", "#pst-search-dialog")]
    page.keyboard.press("Escape")
    if page.query_selector("#pst-search-dialog[open]"):
        return [Finding(name, "Escape does not close the search", "#pst-search-dialog")]
    return []


def check_focus(page: Page, name: str) -> list[Finding]:
    """Find links, buttons and fields that do not show that they have the focus."""
    page.keyboard.press("Tab")  # the browser shows the focus to those who last used the keyboard
    return [Finding(name, "its focus is invisible", where) for where in page.evaluate(UNSEEN_FOCUS)]


def check_tabs_by_keyboard(page: Page, name: str) -> list[Finding]:
    """Find out whether the arrow keys switch tabs."""
    inputs = page.query_selector_all(".sd-tab-set:visible > input")[:2]
    if len(inputs) < 2:
        return []
    inputs[0].evaluate("input => input.click()")
    inputs[0].focus()
    page.keyboard.press("ArrowRight")
    if not inputs[1].is_checked():
        return [Finding(name, "the arrow keys do not switch tabs", ".sd-tab-set")]
    inputs[0].evaluate("input => input.click()")
    return []


def check_folds_by_keyboard(page: Page, name: str) -> list[Finding]:
    """Find foldable boxes that Enter does not fold and unfold."""
    found = []
    for button in page.query_selector_all(".toggle-button, article summary"):
        if not button.is_visible():
            continue
        before = button.evaluate(IS_UNFOLDED)
        button.focus()
        page.keyboard.press("Enter")
        if button.evaluate(IS_UNFOLDED) == before:
            box = button.evaluate("b => b.parentElement.textContent.trim().slice(0, 40)")
            found.append(Finding(name, "Enter does not unfold it", box))
    return found


def check_menu_on_phones(page: Page, name: str) -> list[Finding]:
    """Find out whether, on a telephone, Enter opens the menu and Escape closes it."""
    page.set_viewport_size(PHONE)
    try:
        button = page.query_selector(".primary-toggle")
        if button is None or not button.is_visible():
            return [Finding(name, "there is no button for the menu", ".primary-toggle")]
        button.focus()
        page.keyboard.press("Enter")
        menu = page.query_selector("dialog[open] .bd-links a")
        if menu is None or not menu.is_visible():
            return [Finding(name, "Enter does not open the menu", ".primary-toggle")]
        page.keyboard.press("Escape")
        if page.query_selector("#pst-primary-sidebar-modal[open]"):
            return [Finding(name, "Escape does not close the menu", "#pst-primary-sidebar-modal")]
        return []
    finally:
        page.set_viewport_size(DESKTOP)


def check_keyboard(page: Page, name: str) -> list[Finding]:
    """Run all checks of the keyboard on a page as it was opened."""
    checks = (
        check_skip_link,
        check_search_by_keyboard,
        check_focus,
        check_tabs_by_keyboard,
        check_folds_by_keyboard,
        check_menu_on_phones,
    )
    return [finding for check in checks for finding in check(page, name)]


def check_print(page: Page, name: str) -> list[Finding]:
    """Find controls on the printed page, and contents that are folded or cut there."""
    page.set_viewport_size(PAPER)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    found = [Finding(name, "printed, though of no use on paper", s) for s in page.evaluate(PRINTED_CONTROLS)]
    found += [Finding(name, "folded on paper", where) for where in page.evaluate(FOLDED_ON_PAPER)]
    found += [Finding(name, "cut on paper", where) for where in page.evaluate(CUT_ON_PAPER)]
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    page.set_viewport_size(DESKTOP)
    return found
