"""Set the book as one PDF."""

import argparse
import sys

from booktools.address import ROOT
from booktools.editions import NAMES
from booktools.pdf.book import make_pdf
from booktools.pdf.latex import LatexError
from booktools.without_solutions import copy_without_solutions


def main() -> None:
    """Set the book as one PDF."""
    parser = argparse.ArgumentParser(prog="python -m booktools.pdf", description=main.__doc__)
    parser.add_argument("--profile", choices=["reference", "full"], default="reference")
    parser.add_argument("--backend", choices=list(NAMES), default="torch")
    parser.add_argument("--without-solutions", action="store_true", help="for a running course")
    options = parser.parse_args()
    root = copy_without_solutions(ROOT) if options.without_solutions else ROOT
    try:
        pdf = make_pdf(root, options.profile, options.backend)
    except LatexError as error:
        sys.exit(str(error))
    print(f"\nThe book is set:\n\n    {pdf}\n")


if __name__ == "__main__":
    main()
