"""Build the site: execute what has changed, warnings as errors, and say where it lies."""

import argparse
import hashlib
import os
import shutil
import sys
from pathlib import Path

from jupyter_book.sphinx import build_sphinx

from booktools.address import ROOT
from booktools.environment import execution_environment

# What a lesson's outputs depend on besides the lesson itself.
_SOURCES = ("aelib/**/*.py", "aelib/*.json", "benchmarks/**/*.py", "benchmarks/results/*", "requirements.txt")


def source_key(root: Path) -> str:
    """Return a hash of everything but the lesson that its outputs depend on: `aelib` above all."""
    paths = {path for pattern in _SOURCES for path in root.glob(pattern) if path.is_file()}
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def cache_path(root: Path, profile: str, backend: str) -> Path:
    """Return where executed lessons are kept; those of other states of the sources are removed."""
    kept = root / "_build" / "executed" / f"{profile}-{backend}" / source_key(root)
    if kept.parent.exists():
        for other in kept.parent.iterdir():
            if other != kept:
                shutil.rmtree(other)
    return kept


def build(root: Path, profile: str, backend: str) -> Path | None:
    """Build the site from the book at `root`; return its folder, or None where anything was wrong.

    Parameters
    ----------
    root : Path
        The folder that holds ``_config.yml``, ``_toc.yml`` and ``chapters``.
    profile : {"reference", "full"}
        The profile under which lessons are executed.
    backend : {"torch", "tensorflow"}
        The framework under which lessons are executed.
    """
    output = root / "_build" / f"{profile}-{backend}"
    os.environ.update(execution_environment(profile, backend))
    status = build_sphinx(
        str(root),
        str(output / "html"),
        path_config=str(root / "_config.yml"),
        noconfig=True,
        confoverrides={
            "external_toc_path": str(root / "_toc.yml"),
            "latex_individualpages": False,
            "nb_execution_cache_path": str(cache_path(root, profile, backend)),
            "nitpicky": True,
        },
        doctreedir=str(output / "doctrees"),
        warningiserror=True,
        keep_going=True,
        quiet=bool(os.environ.get("QUIET")),
    )
    return output / "html" if status == 0 else None


def main() -> None:
    """Build the site."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--profile", choices=["reference", "full"], default="reference")
    parser.add_argument("--backend", choices=["torch", "tensorflow"], default="torch")
    options = parser.parse_args()
    html = build(ROOT, options.profile, options.backend)
    if html is None:
        sys.exit("The site was not built without warnings; they are listed above.")
    print(f"\nThe book is built. Open this file in a browser:\n\n    {html / 'index.html'}\n")


if __name__ == "__main__":
    main()
