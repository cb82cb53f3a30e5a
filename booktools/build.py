"""Build the site: execute what has changed, warnings as errors, and say where it lies."""

import argparse
import sys
from pathlib import Path
from urllib.parse import urlparse

from jupyter_book.sphinx import build_sphinx

from booktools.address import ROOT, read_repository
from booktools.editions import site_address
from booktools.executed import cache_path
from booktools.slides import build_slides
from booktools.sphinx_run import run_sphinx
from booktools.twins import lesson_paths
from booktools.without_solutions import copy_without_solutions


def build(root: Path, profile: str, backend: str, both_editions: bool = False) -> Path | None:
    """Build the site from the book at `root`; return its folder, or None where anything was wrong.

    Parameters
    ----------
    root : Path
        The folder that holds ``_config.yml``, ``_toc.yml`` and ``chapters``.
    profile : {"reference", "full"}
        The profile under which lessons are executed.
    backend : {"torch", "tensorflow"}
        The framework under which lessons are executed.
    both_editions : bool
        Whether pages link to the same page of the other edition, which is then published beside this one.
    """
    address = site_address(read_repository(root)[0], backend)
    settings = {
        "both_editions": both_editions,
        "html_baseurl": address,
        "notfound_urls_prefix": urlparse(address).path,
    }
    if not run_sphinx(root, "html", profile, backend, settings):
        return None
    html = root / "_build" / f"{profile}-{backend}" / "html"
    wrong = build_slides(root, html, cache_path(root, profile, backend), lesson_paths(root))
    print("".join(f"WARNING: {message}\n" for message in wrong), file=sys.stderr, end="")
    return None if wrong else html


def check_links(root: Path) -> bool:
    """Ask for every address outside the book; return whether all answered. Nothing is executed."""
    output = root / "_build" / "links"
    status = build_sphinx(
        str(root),
        str(output),
        builder="linkcheck",
        path_config=str(root / "_config.yml"),
        noconfig=True,
        confoverrides={
            "external_toc_path": str(root / "_toc.yml"),
            "latex_individualpages": False,
            "nb_execution_mode": "off",
        },
        doctreedir=str(output / "doctrees"),
    )
    return status == 0


def main() -> None:
    """Build the site."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--profile", choices=["reference", "full"], default="reference")
    parser.add_argument("--backend", choices=["torch", "tensorflow"], default="torch")
    parser.add_argument("--both-editions", action="store_true", help="link every page to the other edition")
    parser.add_argument("--links", action="store_true", help="check the links to elsewhere instead")
    parser.add_argument("--without-solutions", action="store_true", help="for a running course")
    options = parser.parse_args()
    if options.links:
        sys.exit(not check_links(ROOT))
    root = copy_without_solutions(ROOT) if options.without_solutions else ROOT
    html = build(root, options.profile, options.backend, options.both_editions)
    if html is None:
        sys.exit("The site was not built without warnings; they are listed above.")
    print(f"\nThe book is built. Open this file in a browser:\n\n    {html / 'index.html'}\n")


if __name__ == "__main__":
    main()
