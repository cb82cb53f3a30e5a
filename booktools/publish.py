"""Both editions as one site, and a bundle for rooms without a network: site, lessons, data."""

import argparse
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from booktools.address import ROOT
from booktools.editions import FOLDERS

README = """\
Autoencoder lessons, to be used without a network.

site/index.html   the book: open it in a browser
lessons/          the repository: notebooks in lessons/chapters, the library in lessons/aelib
data/             the data sets that were at hand: set AELIB_DATA_DIR to this folder for the full profile
wheels/           if present, the packages for the machine on which this bundle was made:
                  python -m venv .venv
                  .venv/bin/pip install --no-index --find-links wheels -r lessons/requirements.txt
"""


def assemble(root: Path, profile: str) -> Path:
    """Put both built editions together in ``_build/site-PROFILE`` and return that folder.

    Raises
    ------
    FileNotFoundError
        If an edition has not been built.
    """
    site = root / "_build" / f"site-{profile}"
    shutil.rmtree(site, ignore_errors=True)
    for edition, folder in FOLDERS.items():
        html = root / "_build" / f"{profile}-{edition}" / "html"
        if not html.exists():
            raise FileNotFoundError(f"{html} is missing; call make site PROFILE={profile}")
        shutil.copytree(html, site / folder, dirs_exist_ok=True)
    (site / ".nojekyll").touch()  # or GitHub Pages leaves out folders that begin with an underscore
    return site


def repository_files(root: Path) -> list[Path]:
    """Return the files of the repository that git knows, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return [root / name for name in listed if name and (root / name).is_file()]


def write_bundle(target: Path, root: Path, site: Path, data: Path | None, wheels: Path | None) -> None:
    """Write the zip archive `target` of the site, the repository, and the data and packages at hand."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", README)
        _add(archive, "site", site, _files(site))
        _add(archive, "lessons", root, repository_files(root))
        if data:
            _add(archive, "data", data, _files(data))
        if wheels:
            _add(archive, "wheels", wheels, _files(wheels))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _add(archive: zipfile.ZipFile, name: str, folder: Path, paths: Iterable[Path]) -> None:
    for path in paths:
        archive.write(path, f"{name}/{path.relative_to(folder).as_posix()}")


def main() -> None:
    """Build both editions and put them together; with --bundle, write them to an archive as well."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--profile", choices=["reference", "full"], default="full")
    parser.add_argument("--bundle", action="store_true", help="write an archive for rooms without a network")
    parser.add_argument("--wheels", action="store_true", help="with --bundle: the packages too (gigabytes)")
    options = parser.parse_args()
    for edition in FOLDERS:
        command = [sys.executable, "-m", "booktools.build", "--profile", options.profile]
        built = subprocess.run([*command, "--backend", edition, "--both-editions"], cwd=ROOT, check=False)
        if built.returncode != 0:
            sys.exit(built.returncode)
    site = assemble(ROOT, options.profile)
    print(f"\nBoth editions: {site / 'index.html'}")
    if not options.bundle:
        return
    data = os.environ.get("AELIB_DATA_DIR")
    if not data:
        print("AELIB_DATA_DIR is not set: the bundle holds no data, so that only the reference profile runs")
    wheels = None
    if options.wheels:
        wheels = ROOT / "_build" / "wheels"
        download = [sys.executable, "-m", "pip", "download", "--quiet", "-r", "requirements.txt", "-d"]
        subprocess.run([*download, str(wheels)], cwd=ROOT, check=True)
    target = ROOT / "_build" / f"autoencoder-lessons-{options.profile}.zip"
    write_bundle(target, ROOT, site, Path(data) if data else None, wheels)
    print(f"The bundle, {target.stat().st_size / 1e6:.0f} MB: {target}")


if __name__ == "__main__":
    main()
