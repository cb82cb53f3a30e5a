"""The repository's address: it stands in ``_config.yml``; only this code reads or changes it."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
_ADDRESS = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+?")


def read_repository(root: Path = ROOT) -> tuple[str, str]:
    """Return the repository's address and its branch, as ``_config.yml`` has them."""
    repository = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]
    return repository["url"], repository["branch"]


def write_address(address: str, root: Path = ROOT) -> None:
    """Put `address` in ``_config.yml``, changing nothing else there.

    Raises
    ------
    ValueError
        If `address` is not a GitHub repository's: Colab opens notebooks from GitHub only.
    """
    address = address.rstrip("/").removesuffix(".git")
    if not _ADDRESS.fullmatch(address):
        raise ValueError(
            f"{address!r} is not a repository's address; give it as https://github.com/NAME/REPOSITORY "
            "(Colab opens notebooks from GitHub only)"
        )
    path = root / "_config.yml"
    old, _ = read_repository(root)
    path.write_text(path.read_text(encoding="utf-8").replace(old, address), encoding="utf-8")
