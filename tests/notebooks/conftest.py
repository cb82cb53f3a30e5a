"""Every test that asks for a `lesson` is run once for each of the book's."""

import sys
from pathlib import Path

import pytest

from booktools.twins import lesson_paths

sys.path.insert(0, str(Path(__file__).parent))

from lesson import Lesson


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "lesson" in metafunc.fixturenames:
        lessons = [Lesson(path) for path in lesson_paths()]
        metafunc.parametrize("lesson", lessons, ids=[lesson.path.stem for lesson in lessons])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("outputs that are not compared, and why")
    for path in lesson_paths():
        for _, reason in Lesson(path).ignored:
            terminalreporter.line(f"{path.stem}: {reason}")
