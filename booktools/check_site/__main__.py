"""Look at every page of a built site in headless Chromium: what it fetches, who can read it, how fast it is.

    python -m booktools.check_site _build/reference-torch/html [--only accessible]

The site is served on 127.0.0.1 with its texts compressed (gzip), and no other host can be reached.
"""

import argparse
import sys
import time
from pathlib import Path

from booktools.check_site.accessible import check_axe, check_keyboard, check_print
from booktools.check_site.browser import Finding, Window, open_site
from booktools.check_site.reading import check_reading, check_search
from booktools.check_site.sound import Source, check_alternative_texts, check_source, read_site
from booktools.check_site.speed import TABLE_HEAD, THROTTLE, check_speed

KINDS = ("offline", "accessible", "fast", "sound")


def look_at_page(window: Window, source: Source, kinds: tuple[str, ...]) -> list[Finding]:
    """Open one page and run the checks of the given kinds, the speed's excepted."""
    found = []
    if not source.forwards and set(kinds) & {"offline", "accessible", "sound"}:
        page = window.open(source.name)
        if "accessible" in kinds:
            found += check_alternative_texts(source)
            if not source.is_slides:
                found += check_keyboard(page, source.name)
        if "offline" in kinds:
            found += check_reading(window, source)
        if "sound" in kinds and not source.is_slides:
            found += check_print(page, source.name)
        if "accessible" in kinds:
            found += check_axe(page, source.name)  # last: it takes much of the page away
    return found


def look_at_site(folder: Path, kinds: tuple[str, ...] = KINDS) -> list[Finding]:
    """Check all pages, print what was measured, and return what was found.

    Parameters
    ----------
    folder : Path
        The folder of the built site.
    kinds : tuple of str
        Which checks to run: some of ``KINDS``.
    """
    pages = read_site(folder)
    found = []
    path = next((page.site_path for page in pages.values() if page.site_path != "/"), "/")
    with open_site(folder, path) as site, site.window() as window:
        if "fast" in kinds:
            print(THROTTLE, TABLE_HEAD, sep="\n")
        for name, source in pages.items():
            new = check_source(pages, name) if "sound" in kinds else []
            new += look_at_page(window, source, kinds)
            if "fast" in kinds and not source.forwards:
                slow, measured = check_speed(site, source)
                new += slow
                print(measured)
            found += _tell(new)
        if "offline" in kinds:
            found += _tell(check_search(window, pages))
    return found


def _tell(found: list[Finding]) -> list[Finding]:
    for finding in found:
        print(finding)
    sys.stdout.flush()
    return found


def main() -> None:
    """Check a built site; the exit status says whether anything is wrong."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="the folder of the built site, with its index.html")
    parser.add_argument("--only", choices=KINDS, action="append", help="run these checks only")
    options = parser.parse_args()
    if not (options.folder / "index.html").is_file():
        sys.exit(f"{options.folder} holds no index.html; run make book and name the html folder it prints")
    start = time.perf_counter()
    try:
        found = look_at_site(options.folder, tuple(options.only or KINDS))
    except FileNotFoundError as error:
        sys.exit(str(error))
    print(f"{len(found)} findings in {time.perf_counter() - start:.0f} seconds")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
