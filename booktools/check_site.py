"""Look at every page of a built site in headless Chromium: what it fetches, who can read it, how fast it is.

    python -m booktools.check_site _build/reference-torch/html [--only accessible]

The site is served on 127.0.0.1 with texts compressed (gzip); no other host can be reached.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from booktools import accessible, offline_reading, sound, speed
from booktools.browser import Finding, Site, Window, open_site
from booktools.sound import Source

KINDS = ("offline", "accessible", "fast", "sound")


def check_sound(pages: dict[str, Source], name: str) -> list[Finding]:
    """Run the checks that need no browser on one page."""
    page = pages[name]
    found = sound.check_links(pages, name) + sound.check_ids(page)
    if not page.forwards:
        found += sound.check_head(page)
    return found
