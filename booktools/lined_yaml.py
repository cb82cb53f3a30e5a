"""YAML files written by people: every mistake in them is named with its file and line."""

from pathlib import Path

import yaml

LINE = "__line__"


class _LinedLoader(yaml.SafeLoader):
    """Puts into every mapping the line it begins on."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        return super().construct_mapping(node, deep) | {LINE: node.start_mark.line + 1}


class WrongFileError(ValueError):
    """A file of the course does not say what it should; the message names file and line."""

    def __init__(self, path: Path, line: int, message: str):
        super().__init__(f"{path}:{line}: {message}")


def load(path: Path) -> object:
    """Return what the YAML file at `path` says; every mapping has its line under `LINE`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    WrongFileError
        If it is not YAML.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _LinedLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise WrongFileError(path, line, f"this is not YAML: {error.problem}") from error


def check_keys(path: Path, mapping: dict, required: set[str], allowed: set[str] = frozenset()) -> None:
    """Raise WrongFileError if a mapping lacks a required key or has one that is unknown."""
    keys = set(mapping) - {LINE}
    if missing := sorted(required - keys):
        raise WrongFileError(path, mapping[LINE], f"{', '.join(missing)} is missing here")
    if unknown := sorted(keys - required - allowed):
        known = ", ".join(sorted(required | allowed))
        raise WrongFileError(path, mapping[LINE], f"{', '.join(unknown)} is not known; there are: {known}")
