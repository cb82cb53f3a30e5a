"""Serve a built site as a host would, and open its pages in headless Chromium."""

import gzip
import mimetypes
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# Below the requests, so that the browser's cache still works.
BLOCK_OTHER_HOSTS = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
STILL = "*, ::before, ::after { transition: none !important; animation: none !important; }"
PATIENCE = 30_000  # milliseconds
COMPRESSED = ("text/", "application/json", "application/javascript", "image/svg+xml")

# Formulas are set after the page is loaded, a few at a time (_static/formulas.js).
FORMULAS_ARE_SET = """() => {
    if (!window.MathJax?.startup?.promise) return true;
    const formulas = [...document.querySelectorAll('span.math, div.math')];
    return formulas.every(formula => formula.querySelector('mjx-container'));
}"""
LOAD_ALL_IMAGES = """async () => {
    await Promise.all([...document.images].map(image => {
        image.loading = 'eager';
        return image.complete || new Promise(done => { image.onload = image.onerror = done; });
    }));
}"""


@dataclass(frozen=True, order=True)
class Finding:
    """Something wrong with a page."""

    page: str
    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.page}: {self.what}: {self.where}"


def find_chromium() -> str | None:
    """Return where Chromium lies on this machine, or None."""
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


@lru_cache(maxsize=512)
def _compress(path: Path, changed: int) -> bytes:
    return gzip.compress(path.read_bytes(), 6)


class _Host(SimpleHTTPRequestHandler):
    """Serves texts compressed and 404.html for what is missing, as the usual hosts of static pages do."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: object, path: str, **settings: object) -> None:
        self.published_path = path
        super().__init__(*arguments, **settings)

    def do_GET(self) -> None:
        """Answer with a file of the site."""
        path = Path(self.translate_path("/" + self.path.removeprefix(self.published_path)))
        if path.is_dir():
            path /= "index.html"
        found = path.is_file()
        if not found:
            path = Path(self.directory, "404.html")
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        packed = kind.startswith(COMPRESSED) and path.is_file()
        if packed:
            content = _compress(path, path.stat().st_mtime_ns)
        else:
            content = path.read_bytes() if path.is_file() else b"There is no such page."
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "max-age=600")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(content)

    def handle(self) -> None:
        """Answer, and do not mind windows that are closed meanwhile."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # a browser opens many connections at once


@contextmanager
def serve(folder: Path, path: str = "/") -> Iterator[str]:
    """Serve `folder` on 127.0.0.1 under `path` while the block runs; give its address."""
    host = partial(_Host, directory=str(folder), path=path)
    server = _Server(("127.0.0.1", 0), host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{path}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Window:
    """One window of the browser, and what went wrong in it since the page was opened.

    Attributes
    ----------
    page : Page
        Playwright's page, used again for every page of the site.
    address : str
        Where the site is served.
    name : str
        The page that is open, relative to the site.
    wrong : list of Finding
        Requests to other hosts, failed requests, and errors of scripts.
    """

    page: Page
    address: str
    name: str = ""
    wrong: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self._look_at_address(request.url))
        self.page.on("response", lambda response: self._look_at_status(response.url, response.status))
        self.page.on("console", lambda message: self._look_at_message(message.type, message.text))
        self.page.on("pageerror", lambda error: self._note("a script failed", str(error)))

    def _note(self, what: str, where: str) -> None:
        self.wrong.append(Finding(self.name, what, where))

    def _look_at_address(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:", "about:")):
            self._note("asks another host", url)

    def _look_at_status(self, url: str, status: int) -> None:
        if status >= 400:
            self._note(f"answered with {status}", url.removeprefix(self.address))

    def _look_at_message(self, kind: str, text: str) -> None:
        # What could not be loaded is noted above, with its address.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self._note("error in the console", text)

    def open(self, name: str) -> Page:
        """Open a page of the site and wait until its mathematics is set."""
        self.name = name
        self.wrong.clear()
        self.page.goto(self.address + name, wait_until="load")
        self.page.add_style_tag(content=STILL)
        with suppress(PlaywrightTimeoutError):  # what is not set then is found by its check
            self.page.wait_for_function(FORMULAS_ARE_SET, timeout=PATIENCE)
        return self.page


@dataclass
class Site:
    """A served site and a browser to look at it."""

    folder: Path
    address: str
    browser: Browser

    @contextmanager
    def window(self, width: int = 1280, height: int = 900) -> Iterator[Window]:
        """Open a window with an empty cache; closed when the block ends."""
        context = self.browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(PATIENCE)
        try:
            yield Window(context.new_page(), self.address)
        finally:
            context.close()


@contextmanager
def start_chromium(*arguments: str) -> Iterator[Browser]:
    """Start a headless browser.

    Raises
    ------
    FileNotFoundError
        Where no Chromium is installed.
    """
    chromium = find_chromium()
    if chromium is None:
        raise FileNotFoundError(
            f"no browser: install Chromium (looked for {', '.join(CHROMIUM)} on the path)"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_site(folder: Path, path: str = "/") -> Iterator[Site]:
    """Serve `folder` under `path` and start the browser that can reach nothing else.

    Raises
    ------
    FileNotFoundError
        Where no Chromium is installed.
    """
    with serve(folder, path) as address, start_chromium(BLOCK_OTHER_HOSTS) as browser:
        yield Site(folder, address, browser)
