"""How heavy a page is, how soon it can be used, and whether it fits a telephone."""

from contextlib import suppress
from dataclasses import dataclass
from math import inf

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from booktools.check_site.browser import LOAD_ALL_IMAGES, Finding, Site
from booktools.check_site.sound import Source, check_lazy_images

MEGABIT = 1_000_000 / 8
DOWN, ROUND_TRIP = 10, 40  # Mbit/s and ms; the settings of Lighthouse for computers
PHONE = (360, 740)
WEIGHT_LIMIT = 1_500_000  # bytes
TIME_LIMIT = 2.0  # seconds
TRIES = 3  # whatever else the machine does can only add to a time, so the best counts
ONE_OFF = ("/mathjax/", "/searchindex.js")
THROTTLE = (
    f"Times: {DOWN} Mbit/s, {ROUND_TRIP} ms for each request, processor not slowed, empty cache; "
    f"window of {PHONE[0]} x {PHONE[1]} pixels. One-off: MathJax and the search index."
)
WATCH = """
    window.longTasks = [];
    const watcher = new PerformanceObserver(list => longTasks.push(...list.getEntries()));
    watcher.observe({type: 'longtask', buffered: true});
"""
# Interactive: something is painted, the scripts have attached their handlers, and from now on the page
# answers within 200 ms, which Interaction to Next Paint calls good.
INTERACTIVE = """() => {
    const paint = performance.getEntriesByName('first-contentful-paint')[0];
    const ready = performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd;
    const blocked = longTasks.filter(task => task.duration > 200).map(task => task.startTime + task.duration);
    return Math.max(paint ? paint.startTime : ready, ready, ...blocked) / 1000;
}"""
TOO_WIDE = """() => {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return null;
    let widest = root, right = 0;
    for (const element of document.querySelectorAll('body *')) {
        const box = element.getBoundingClientRect();
        if (box.width && box.right > right) { widest = element; right = box.right; }
    }
    const name = `<${widest.tagName.toLowerCase()} class="${widest.className}">`;
    return `${root.scrollWidth} pixels wide, by ${name}`;
}"""


@dataclass
class Measured:
    """Bytes that came over the network, and the seconds until the page could be used."""

    name: str
    weight: int
    one_off: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.name:<52} {self.weight / 1e6:6.2f} {self.one_off / 1e6:8.2f} {self.seconds:8.2f}"


TABLE_HEAD = f"{'page':<52} {'MB':>6} {'one-off':>8} {'seconds':>8}"


def _open_cold(site: Site, name: str) -> tuple[Measured, list[Finding]]:
    with site.window(*PHONE) as window:
        page = window.page
        session = page.context.new_cdp_session(page)
        addresses: dict[str, str] = {}
        weights = {True: 0, False: 0}

        def weigh(event: dict) -> None:
            one_off = any(part in addresses.get(event["requestId"], "") for part in ONE_OFF)
            weights[one_off] += event["encodedDataLength"]

        session.on(
            "Network.responseReceived", lambda e: addresses.update({e["requestId"]: e["response"]["url"]})
        )
        session.on("Network.loadingFinished", weigh)
        session.send("Network.enable")
        session.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": ROUND_TRIP,
                "downloadThroughput": DOWN * MEGABIT,
                "uploadThroughput": DOWN * MEGABIT,
            },
        )
        page.add_init_script(WATCH)
        window.open(name)
        page.wait_for_timeout(200)  # what the page does after its formulas are set
        seconds = page.evaluate(INTERACTIVE)
        found = check_width(page, name)
        page.evaluate(LOAD_ALL_IMAGES)
        page.wait_for_timeout(50)
        return Measured(name, weights[False], weights[True], seconds), found


def check_width(page: Page, name: str) -> list[Finding]:
    """Find a page that scrolls sideways on a telephone."""
    too_wide = page.evaluate(TOO_WIDE)
    return [Finding(name, f"scrolls sideways at {PHONE[0]} pixels", too_wide)] if too_wide else []


def check_speed(site: Site, source: Source) -> tuple[list[Finding], Measured]:
    """Open a page with an empty cache on a throttled line, and find what makes it slow."""
    tries = []
    for _ in range(TRIES):
        with suppress(PlaywrightTimeoutError):
            tries.append(_open_cold(site, source.name))
            if tries[-1][0].seconds <= TIME_LIMIT:
                break
    if not tries:
        return [Finding(source.name, "does not load", f"tried {TRIES} times")], Measured(
            source.name, 0, 0, inf
        )
    measured, found = min(tries, key=lambda one: one[0].seconds)
    if measured.weight > WEIGHT_LIMIT:
        weight = f"{measured.weight / 1e6:.2f} MB, limit {WEIGHT_LIMIT / 1e6}"
        found.append(Finding(source.name, "too heavy", weight))
    if measured.seconds > TIME_LIMIT:
        found.append(Finding(source.name, "too slow", f"{measured.seconds:.2f} s, limit {TIME_LIMIT}"))
    return found + check_lazy_images(source), measured
