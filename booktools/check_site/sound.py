"""What can be said of a built site without a browser: links, anchors, ids, titles, descriptions."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from bs4 import BeautifulSoup

from booktools.check_site.browser import Finding

LESSON = re.compile(r"(^|/)chapters/\d\d-[^/]+\.html$")
NOT_PAGES = ("_static/", "_sources/", "_images/", "_downloads/", "mathjax/")
FILE_NAME = re.compile(r"\S+\.(png|svg|jpe?g|gif|webp)$", re.IGNORECASE)
ADDRESSES = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src", "iframe": "src"}


@dataclass
class Source:
    """The HTML of one page."""

    folder: Path
    name: str

    @cached_property
    def html(self) -> BeautifulSoup:
        """The parsed page."""
        return BeautifulSoup((self.folder / self.name).read_text(encoding="utf-8"), "html.parser")

    @cached_property
    def anchors(self) -> set[str]:
        """What links can lead to."""
        named = {element["name"] for element in self.html.select("a[name]")}
        return named | {element["id"] for element in self.html.select("[id]")}

    @property
    def site_path(self) -> str:
        """Where on its host the site will be published, as the page's own address says."""
        link = self.html.select_one("link[rel=canonical]")
        return urlsplit(link["href"]).path.removesuffix(self.name) if link else "/"

    @property
    def forwards(self) -> bool:
        """Whether the page only sends the reader on to another."""
        return self.html.select_one("meta[http-equiv=refresh i]") is not None

    @property
    def is_slides(self) -> bool:
        """Whether the page is a deck of slides."""
        return self.html.select_one(".reveal .slides") is not None

    @property
    def has_mathematics(self) -> bool:
        """Whether there are formulas to be shown."""
        return self.html.select_one("span.math, div.math") is not None


def read_site(folder: Path) -> dict[str, Source]:
    """Return all pages of the site, by their names relative to `folder`."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    return {
        name: Source(folder, name)
        for name in names
        if not any(f"/{part}" in f"/{name}" for part in NOT_PAGES)
    }


def check_links(pages: dict[str, Source], name: str) -> list[Finding]:
    """Find links of one page that lead to a missing file or a missing anchor of this site."""
    found = []
    for tag, attribute in ADDRESSES.items():
        for element in pages[name].html.select(f"{tag}[{attribute}]"):
            problem = _problem_of(pages, name, element[attribute])
            if problem:
                found.append(Finding(name, problem, element[attribute]))
    return sorted(set(found))


def _problem_of(pages: dict[str, Source], name: str, link: str) -> str:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    address, anchor = urldefrag(link)
    folder, path = pages[name].folder, unquote(urlsplit(address).path)
    if path.startswith("/"):
        target = folder / path.removeprefix(pages[name].site_path).lstrip("/")
    else:
        target = (folder / name).parent / path if path else folder / name
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return "leads to a file that is not there"
    page = pages.get(target.resolve().relative_to(folder.resolve()).as_posix())
    # On slides "#/3" is reveal.js's name of the fourth slide.
    if anchor and not anchor.startswith("/") and page and unquote(anchor) not in page.anchors:
        return "leads to an anchor that is not there"
    return ""


def check_ids(page: Source) -> list[Finding]:
    """Find ids that stand on the page more than once."""
    counts = Counter(element["id"] for element in page.html.select("[id]"))
    return [
        Finding(page.name, "the same id is given more than once", f"{identifier} ({count} times)")
        for identifier, count in sorted(counts.items())
        if count > 1
    ]


def check_head(page: Source) -> list[Finding]:
    """Find a missing title, language or, on lessons, description."""
    found = []
    if not (page.html.title and page.html.title.get_text(strip=True)):
        found.append(Finding(page.name, "has no title", "<title>"))
    if page.html.select_one("html[lang]") is None:
        found.append(Finding(page.name, "does not say its language", "<html lang>"))
    description = page.html.select_one("meta[name=description]")
    if LESSON.search(page.name) and not (description and description.get("content", "").strip()):
        found.append(Finding(page.name, "has no description", "<meta name=description>"))
    return found


def check_alternative_texts(page: Source) -> list[Finding]:
    """Find images without a description for those who cannot see them."""
    found = []
    for image in page.html.select("img"):
        text = image.get("alt", "").strip()
        if not text or FILE_NAME.match(text):
            found.append(
                Finding(page.name, f"alternative text {text!r} describes nothing", image.get("src", ""))
            )
    return found


def check_lazy_images(page: Source) -> list[Finding]:
    """Find images, but for the first of the page, that are loaded before they are needed."""
    images = page.html.select("article img")
    return [
        Finding(page.name, "image is not loaded lazily", image.get("src", ""))
        for image in images[1:]
        if image.get("loading") != "lazy" and not image.get("src", "").startswith("data:")
    ]


def check_source(pages: dict[str, Source], name: str) -> list[Finding]:
    """Run the checks of links, ids and head on one page."""
    page = pages[name]
    found = check_links(pages, name) + check_ids(page)
    return found if page.forwards else found + check_head(page)
