"""What a course needs to know about each lesson: ``course/lessons/NN-name.yml``, read and checked."""

import argparse
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from booktools.address import ROOT
from booktools.lined_yaml import LINE, WrongFileError, check_keys, load
from booktools.twins import lesson_paths

PURPOSES = {
    "understand": "I want to understand what an autoencoder is",
    "generate": "I want to generate images",
    "anomalies": "I want to detect anomalies",
    "features": "I want features for another task",
    "compress": "I want to compress data",
    "restore": "I want to restore damaged images",
    "sequences": "I have signals, not images",
    "tune": "My model does not work well enough",
    "teach-myself-frameworks": "I want to learn PyTorch or TensorFlow",
}
DESCRIPTION = range(60, 161)  # characters: what search engines show


@dataclass(frozen=True)
class Misconception:
    """What students get wrong, a question that brings it out, and what a good answer contains."""

    wrong: str
    ask: str
    answer: str


@dataclass(frozen=True)
class CourseData:
    """What a teacher is told about one lesson."""

    name: str
    description: str
    part: str
    needs: tuple[str, ...]
    objectives: tuple[str, ...]
    misconceptions: tuple[Misconception, ...]
    purposes: tuple[str, ...]


@lru_cache
def read_course_data(name: str, root: Path = ROOT) -> CourseData:
    """Return what a teacher is told about the lesson called `name`.

    Raises
    ------
    FileNotFoundError
        If the lesson has no such file.
    WrongFileError
        If the file does not say what it should.
    """
    path = root / "course" / "lessons" / f"{name}.yml"
    data = load(path)
    if not isinstance(data, dict):
        raise WrongFileError(path, 1, "this is not a mapping of keys to values")
    check_keys(
        path, data, {"description", "part", "needs", "objectives", "misconceptions"}, allowed={"purposes"}
    )

    def wrong(message: str) -> WrongFileError:
        return WrongFileError(path, data[LINE], message)

    if len(data["description"]) not in DESCRIPTION:
        raise wrong(
            f"the description has {len(data['description'])} characters; it needs "
            f"{DESCRIPTION.start} to {DESCRIPTION.stop - 1}"
        )
    for need in data["needs"]:
        if not (root / "chapters" / f"{need}.md").exists() or need >= name:
            raise wrong(f"needs {need!r}, which is no earlier lesson")
    if unknown := set(data.get("purposes", ())) - set(PURPOSES):
        raise wrong(f"no purpose {', '.join(sorted(unknown))}; there are: {', '.join(PURPOSES)}")
    for item in data["misconceptions"]:
        check_keys(path, item, {"wrong", "ask", "answer"})
    for key in ("objectives", "misconceptions"):
        if len(data[key]) < 3:
            raise wrong(f"{len(data[key])} {key}; at least 3 are wanted")
    return CourseData(
        name=name,
        description=data["description"],
        part=data["part"],
        needs=tuple(data["needs"]),
        objectives=tuple(data["objectives"]),
        misconceptions=tuple(
            Misconception(item["wrong"], item["ask"], item["answer"]) for item in data["misconceptions"]
        ),
        purposes=tuple(data.get("purposes", ())),
    )


def read_course(root: Path = ROOT) -> list[CourseData]:
    """Return what a teacher is told about all lessons, in order."""
    return [read_course_data(path.stem, root) for path in lesson_paths(root)]


def main() -> None:
    """Check what is said about every lesson."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", required=True)
    parser.parse_args()
    wrong = []
    for path in lesson_paths():
        try:
            read_course_data(path.stem)
        except (WrongFileError, FileNotFoundError) as error:
            wrong.append(str(error))
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
