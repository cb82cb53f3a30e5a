"""Do the slides fit? Every deck is opened in headless Chromium, and every slide measured there."""

from pathlib import Path

from playwright.sync_api import Page

from booktools.check_site.browser import start_chromium
from booktools.slides import FEWEST, MOST

WIDTH, HEIGHT = 1280, 800

# The lowest and the rightmost point of what a slide shows, in the slide's own pixels.
MEASURE = """
() => {
  const slide = Reveal.getCurrentSlide();
  const box = slide.getBoundingClientRect(), scale = Reveal.getScale();
  let bottom = 0, right = 0;
  for (const element of slide.querySelectorAll("*")) {
    if (element.closest("mjx-assistive-mml")) continue;
    if (element.parentElement.closest("mjx-container")) continue;  // stretched braces hide what overflows
    const inner = element.getBoundingClientRect();
    if (inner.width === 0 || inner.height === 0) continue;
    bottom = Math.max(bottom, (inner.bottom - box.top) / scale);
    const left = (inner.left - box.left) / scale;
    right = Math.max(right, (inner.right - box.left) / scale, left + element.scrollWidth);
  }
  return [bottom, right];
}
"""

TITLE = "Reveal.getCurrentSlide().querySelector('h1, h2').firstChild.textContent.trim()"


def find_overflows(decks: list[Path], shots: Path | None = None) -> list[str]:
    """Return a line for every slide that is larger than the screen, and every deck of a wrong length.

    Parameters
    ----------
    decks : list of Path
        Pages that `booktools.slides` wrote.
    shots : Path, optional
        A folder for a picture of every slide.

    Raises
    ------
    FileNotFoundError
        If no browser is installed.
    """
    found = []
    with start_chromium() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        for deck in decks:
            found += _overflows_of(page, deck, shots)
    return found


def _overflows_of(page: Page, deck: Path, shots: Path | None) -> list[str]:
    page.goto(deck.resolve().as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady() && window.MathJax.startup")
    page.evaluate("MathJax.startup.promise.then(() => Reveal.layout())")
    count = page.evaluate("Reveal.getTotalSlides()")
    found = [] if FEWEST <= count <= MOST else [f"{deck}: {count} slides; a lesson has {FEWEST} to {MOST}"]
    for index in range(count):
        page.evaluate("index => Reveal.slide(index)", index)
        bottom, right = page.evaluate(MEASURE)
        if bottom > HEIGHT or right > WIDTH:
            title = page.evaluate(
                "Reveal.getCurrentSlide().querySelector('h1, h2').firstChild.textContent.trim()"
            )
            size = f"{right:.0f} by {bottom:.0f} pixels"
            found.append(f"{deck}: slide {index + 1} ({title!r}) needs {size}; there are {WIDTH} by {HEIGHT}")
        if shots:
            shots.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(shots / f"{deck.stem}-{index + 1:02}.png"))
    return found
