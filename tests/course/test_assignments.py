"""The course's assignments, released, graded and commented by nbgrader on a real gradebook."""

import html
import re

import pytest
from graded_course import Course, find
from wrong_answers import WRONG_ANSWERS

from booktools.assignments import SOURCES, assignment_paths, make_release
from booktools.grading import autograde

NAMES = [path.stem for path in assignment_paths()]


def test_each_part_of_the_book_has_an_assignment():
    assert NAMES == ["1-foundations", "2-models", "3-uses", "4-practice"]
    assert set(NAMES) == set(WRONG_ANSWERS)
    assert min(len(answers) for answers in WRONG_ANSWERS.values()) >= 3


def test_release_is_complete_and_holds_neither_solutions_nor_hidden_tests(tmp_path):
    releases = make_release(tmp_path)
    first = [path.read_bytes() for path in releases]
    assert [path.stem for path in releases] == NAMES
    for name in NAMES:
        course = Course(tmp_path, name)
        assert 5 <= len(course.points()) <= 8
        assert sum(course.points().values()) == 20
        lines = course.hidden_lines()
        assert len(lines) > 60
        for path in (tmp_path / "release" / name).rglob("*"):
            raw = path.read_text(encoding="utf-8")
            text = raw.replace('\\"', '"')  # as JSON writes it
            assert not [line for line in lines if line in text]
            assert not [word for word in ("HIDDEN", " SOLUTION", '"tags"') if word in raw]
        assert not [cell for cell in course.release.cells if cell.get("outputs")]
        answers = [cell for cell in course.release.cells if cell.metadata.get("nbgrader", {}).get("solution")]
        assert all("YOUR CODE HERE" in cell.source for cell in answers)
    assert [path.read_bytes() for path in make_release(tmp_path)] == first, "made twice, it is not the same"


@pytest.mark.parametrize("name", NAMES)
def test_marks_and_feedback(name, tmp_path):
    course = Course(tmp_path / "course", name, SOURCES / f"{name}.md")
    wrong = WRONG_ANSWERS[name]
    for framework in ("torch", "tensorflow"):
        course.hand_in(f"solution-{framework}", framework=framework)
    course.hand_in("untouched", start="release")
    for student, answer in wrong.items():

        def plant(notebook, answer=answer):
            cell = find(notebook, answer.task)
            assert cell.source.count(answer.right) == 1
            cell.source = cell.source.replace(answer.right, answer.wrong)

        course.hand_in(student, plant, answer.framework)

    reports = autograde(course.folder)

    full = course.points()
    expected = {f"solution-{framework}": full for framework in ("torch", "tensorflow")}
    expected["untouched"] = dict.fromkeys(full, 0)
    expected |= {student: full | {answer.task: 0} for student, answer in wrong.items()}
    assert course.marks() == expected
    assert {report.student: report.score for report in reports} == {
        student: sum(marks.values()) for student, marks in expected.items()
    }
    assert [report.problems for report in reports] == [[]] * len(reports)

    lines = course.hidden_lines()
    own = {line.strip() for cell in course.solution.cells for line in cell.source.splitlines()}
    for student, answer in wrong.items():
        page = _text(course, student)
        assert answer.message in page, f"{student}: {page[page.index('Error') - 300 :][:600]}"
        assert not [line for line in lines & own if line in page and "assert" in line]
        assert "HIDDEN" not in page
        assert "check_" not in page
    untouched = _text(course, "untouched")
    assert not [line for line in lines if line in untouched]
    assert "NotImplementedError" in untouched


def _text(course: Course, student: str) -> str:
    page = course.path("feedback", student, ".html").read_text(encoding="utf-8")
    return html.unescape(re.sub(r"<[^>]+>", "", page[page.index("<body") :]))
