"""The repository's address: it stands in ``_config.yml``; only this code reads or changes it."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
_REPOSITORY = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+?")


def read_repository(root: Path = ROOT) -> tuple[str, str]:
    """Return the repository's address and its branch, as ``_config.yml`` has them."""
    repository = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]
    return repository["url"], repository["branch"]


def write_address(address: str, hub: str | None = None, root: Path = ROOT, branch: str | None = None) -> None:
    """Put `address`, and a JupyterHub's and a branch if given, in ``_config.yml``; change nothing else there.

    Raises
    ------
    ValueError
        If `address` is not a GitHub repository's (Colab opens no other), `hub` is not an https address, or
        `branch` holds signs that no simple branch name has.
    """
    address = address.rstrip("/").removesuffix(".git")
    if not _REPOSITORY.fullmatch(address):
        raise ValueError(
            f"{address!r} is not a repository's address; give it as https://github.com/NAME/REPOSITORY "
            "(Colab opens notebooks from GitHub only)"
        )
    if hub and not hub.startswith("https://"):
        raise ValueError(f"{hub!r} is not a JupyterHub's address; it begins with https://")
    if branch and not re.fullmatch(r"[A-Za-z0-9][\w.-]*", branch):
        raise ValueError(f"{branch!r} cannot be used as a branch; use letters, digits, -, _ and . only")
    path = root / "_config.yml"
    text = path.read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    text = text.replace(config["repository"]["url"], address)
    if hub:
        text = text.replace(config["launch_buttons"]["jupyterhub_url"], hub.rstrip("/"))
    if branch:
        text = text.replace(f"branch: {config['repository']['branch']}", f"branch: {branch}")
    path.write_text(text, encoding="utf-8")
