"""From the lessons to LaTeX, and from there to one PDF."""

import shutil
from pathlib import Path

from jupyter_book.config import get_final_config

from booktools.editions import NAMES
from booktools.pdf.latex import LatexError, check_programs, typeset
from booktools.sphinx_run import run_sphinx

LOOKS = Path(__file__).parent
CODE_FRAME = (
    "pre_border-width=0pt, pre_border-left-width=1.5pt, pre_border-radius=0pt, pre_padding=3pt,"
    "pre_padding-left=6pt, pre_border-TeXcolor={HTML}{1F4E79}, pre_background-TeXcolor={HTML}{F5F6F8}"
)


def latex_elements(profile: str, backend: str, site: str, rights: str) -> dict[str, str]:
    """Return what is told to Sphinx's LaTeX template."""
    edition = f"{NAMES[backend]} edition, results of the {profile} profile"
    return {
        "papersize": "a4paper",
        "pointsize": "10pt",
        "extraclassoptions": "openany,oneside",
        "pxunit": "0.58bp",  # a figure of 6.4 inches, 640 pixels, becomes 13 cm wide
        "passoptionstopackages": (
            r"\PassOptionsToPackage{pdflang=en-GB,pdfpagemode=UseOutlines,pdfdisplaydoctitle=true,"
            r"bookmarksnumbered=true,bookmarksopen=true,bookmarksopenlevel=0}{hyperref}"
        ),
        "fontpkg": r"\usepackage{lessonfonts}",
        "fncychap": "",
        "fvset": r"\fvset{fontsize=\lessoncode}",
        "figure_align": "H",  # figures stand where the text speaks of them
        "sphinxsetup": f"hmargin={{2.2cm,2.2cm}}, vmargin={{2.3cm,2.3cm}}, {CODE_FRAME}",
        "preamble": r"\usepackage{lessonbook}",
        "printindex": r"\footnotesize\raggedright\printindex",
        "maketitle": rf"\lessonbooktitle{{{edition}}}{{{site}}}{{{rights}}}",
    }


def write_latex(root: Path, profile: str, backend: str) -> Path | None:
    """Execute what has changed and write the book's LaTeX; return its file, or None after a warning."""
    output = root / "_build" / f"{profile}-{backend}" / "latex"
    config, _ = get_final_config(
        user_yaml=root / "_config.yml", cli_config={"latex_individualpages": False}, sourcedir=root
    )
    extensions = [name for name in config["extensions"] if name != "sphinx_jupyterbook_latex"]
    shutil.rmtree(output, ignore_errors=True)
    settings = {
        "extensions": [*extensions, "booktools.pdf.extension"],
        "latex_elements": latex_elements(
            profile, backend, config["html_theme_options"]["repository_url"], config["copyright"]
        ),
        "latex_additional_files": [str(LOOKS / name) for name in ("lessonbook.sty", "lessonfonts.sty")],
        "latex_use_xindy": False,
        "latex_domain_indices": False,
        "project": config["html_title"],
        # The site's map of pages is not asked for here.
        "suppress_warnings": [*config["suppress_warnings"], "sitemap"],
        "nb_mime_priority_overrides": [("latex", "image/svg+xml", 15)],
    }
    good = run_sphinx(root, "latex", profile, backend, settings)
    return next(output.glob("*.tex")) if good else None


def make_pdf(root: Path, profile: str, backend: str) -> Path:
    """Set the book at `root` as one PDF; return its path.

    Parameters
    ----------
    root : Path
        The folder that holds ``_config.yml``, ``_toc.yml`` and ``chapters``.
    profile : {"reference", "full"}
        The profile under which lessons are executed.
    backend : {"torch", "tensorflow"}
        The framework under which lessons are executed, and whose code is printed.

    Raises
    ------
    LatexError
        If a program is missing, a page gives a warning, or the result would not be readable.
    """
    check_programs()
    tex = write_latex(root, profile, backend)
    if tex is None:
        raise LatexError("The pages were not read without warnings; they are listed above.")
    pdf = root / "_build" / f"{profile}-{backend}" / f"autoencoder-lessons-{backend}.pdf"
    shutil.copyfile(typeset(tex), pdf)
    return pdf
