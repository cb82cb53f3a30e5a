"""One way to run Sphinx on a book, for the site and the PDF."""

import os
from pathlib import Path

from jupyter_book.sphinx import build_sphinx

from booktools.environment import execution_environment
from booktools.executed import cache_path


def run_sphinx(root: Path, builder: str, profile: str, backend: str, settings: dict[str, object]) -> bool:
    """Read the book at `root` and write it to ``_build/PROFILE-BACKEND/BUILDER``, warnings as errors.

    Parameters
    ----------
    root : Path
        The folder that holds ``_config.yml``, ``_toc.yml`` and ``chapters``.
    builder : str
        Sphinx's: html, latex.
    profile, backend : str
        Under which lessons are executed.
    settings : dict
        What is set beside ``_config.yml``.

    Returns
    -------
    bool
        Whether all went without a warning.
    """
    output = root / "_build" / f"{profile}-{backend}"
    os.environ.update(execution_environment(profile, backend))
    status = build_sphinx(
        str(root),
        str(output / builder),
        builder=builder,
        path_config=str(root / "_config.yml"),
        noconfig=True,
        confoverrides={
            "external_toc_path": str(root / "_toc.yml"),
            "latex_individualpages": False,
            "nb_execution_cache_path": str(cache_path(root, profile, backend)),
            "nitpicky": True,
            "edition": backend,
            **settings,
        },
        doctreedir=str(output / ("doctrees" if builder == "html" else f"{builder}-doctrees")),
        warningiserror=True,
        keep_going=True,
        quiet=bool(os.environ.get("QUIET")),
    )
    return status == 0
