"""What students hand in that is no honest answer: nothing hangs, no points are gained, teachers are told."""

import csv
import sys
from pathlib import Path

import pytest
from graded_course import Course, find
from nbgrader.api import Gradebook

from booktools import assignments
from booktools.assignments import SourceError, make_notebook, make_release
from booktools.grades import export_grades
from booktools.grading import CourseError, autograde

SOURCE = '''\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A small assignment

```{code-cell} ipython3
:tags: [answer, id-first]

def double(x):
    """Return twice x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION
```

```{code-cell} ipython3
:tags: [tests, id-first, points-2]

assert double(1) == 2
### BEGIN HIDDEN TESTS
assert double(21) == 42, "the second half of the hidden message"
draws = np.random.default_rng(3).normal(size=5)
assert np.allclose(double(draws), draws + draws), "arrays are doubled too"
### END HIDDEN TESTS
```

```{code-cell} ipython3
:tags: [answer, id-second]

def triple(x):
    """Return three times x."""
    ### BEGIN SOLUTION
    return 3 * x
    ### END SOLUTION
```

```{code-cell} ipython3
:tags: [tests, id-second, points-3]

assert triple(1) == 3
### BEGIN HIDDEN TESTS
assert triple(5) == 15, "five is not tripled"
### END HIDDEN TESTS
```
'''


@pytest.fixture
def course(tmp_path: Path) -> Course:
    source = tmp_path / "1-small.md"
    source.write_text(SOURCE, encoding="utf-8")
    return Course(tmp_path / "course", source.stem, source)


def answer(name, source):
    """Return a change that puts other code into an answer."""

    def change(notebook):
        find(notebook, name).source = source

    return change


def delete(*names):
    """Return a change that deletes cells."""

    def change(notebook):
        for name in names:
            notebook.cells.remove(find(notebook, name))

    return change


def no_points_asked(notebook):
    """Empty an answer, and make of its tests a cell that nothing can fail."""
    find(notebook, "second").source = "pass"
    tests = find(notebook, "second-tests")
    tests.source = "pass"
    tests.metadata.nbgrader |= {"locked": False, "solution": True, "points": 100}
    find(notebook, "first").metadata.nbgrader = "nothing of the kind"


def other_seed(notebook):
    find(
        notebook, "first"
    ).source += "\n\nimport random\n\nrandom.seed(7)\nnp.random.seed(7)\ntorch.manual_seed(7)"
    find(
        notebook, "second"
    ).source += "\n\nnp.random.default_rng = lambda seed=None: np.random.Generator(np.random.PCG64(9))"


def as_from_colab(notebook):
    notebook.nbformat_minor = 0
    for number, cell in enumerate(notebook.cells):
        del cell["id"]
        cell.metadata["id"] = f"colab{number}"


LOOP = "import time\n\n\ndef double(x):\n    while True:\n        time.sleep(0.1)"
STUBBORN = (
    "import time\n\n\ndef double(x):\n    while True:\n        try:\n            time.sleep(60)\n"
    "        except BaseException:\n            pass"
)
FILE = "submitted/{0}/1-small/1-small.ipynb"
HANDED_IN = {
    "colab": as_from_colab,
    "dies": answer("second", "import os\n\nos._exit(1)"),
    "loops": answer("first", LOOP),
    "misspells": answer("first", "def double(x):\n    return (2 * x"),
    "pries": answer("first", "def double(x):\n    return 2 * x\n\n\nprint(open('1-small.ipynb').read())"),
    "reseeds": other_seed,
    "stubborn": answer("second", STUBBORN.replace("double", "triple")),
    "tampers": no_points_asked,
    "without-all": delete("helpers", "second", "second-tests"),
    "without-tests": delete("first-tests", "second-tests"),
    "without-tests-wrong": lambda notebook: (
        answer("first", "def double(x):\n    return 2")(notebook),
        delete("first-tests")(notebook),
    ),
}
MARKS = {
    "colab": (2, 3),
    "loops": (0, 3),
    "misspells": (0, 3),
    "reseeds": (2, 3),
    "stubborn": (2, 0),
    "tampers": (2, 0),
    "without-all": (2, 0),
    "without-tests": (2, 3),
    "without-tests-wrong": (0, 3),
}
PROBLEMS = {
    "dies": "1-small.ipynb: nbgrader gave up: nbclient.exceptions.DeadKernelError: Kernel died",
    "loops": "1-small.ipynb, cell 5 (first-tests): CellTimeoutError: stopped after 5 s",
    "misspells": "1-small.ipynb, cell 4 (first), line 2: SyntaxError: ",
    "pries": "1-small.ipynb, cell 4, line 5: '.ipynb' reaches for the tests, so it was not run",
    "stubborn": "1-small.ipynb, cell 7 (second-tests): CellTimeoutError: stopped after 5 s",
    "without-all": "1-small.ipynb: the cell 'helpers' was deleted, and put back",
    "without-tests": "1-small.ipynb: the cell 'first-tests' was deleted, and put back",
    "without-tests-wrong": "1-small.ipynb: the cell 'first-tests' was deleted, and put back",
    "broken": "1-small.ipynb: not a notebook: ",
    "other-name": "1-small.ipynb: no such file; was it handed in under another name?",
    "other-folder": "2-small.ipynb: there is no assignment '2-small'; rename the folder",
}


def test_bad_submissions(course, tmp_path, monkeypatch, capsys):
    for student, change in HANDED_IN.items():
        course.hand_in(student, change)
    for student, folder, file in (
        ("broken", "1-small", "1-small.ipynb"),
        ("other-name", "1-small", "my work.ipynb"),
        ("other-folder", "2-small", "2-small.ipynb"),
    ):
        path = course.folder / "submitted" / student / folder / file
        path.parent.mkdir(parents=True)
        path.write_text('{"cells": [', encoding="utf-8")

    reports = {report.student: report for report in autograde(course.folder, timeout=5)}

    marks = {student: tuple(tasks.values()) for student, tasks in course.marks().items() if student in MARKS}
    assert marks == MARKS
    assert {student for student, report in reports.items() if report.score is not None} == set(MARKS)
    for student, problem in PROBLEMS.items():
        first = reports[student].problems[0]
        assert first.startswith(f"submitted/{student}/"), first
        assert problem in first
    assert {student for student, report in reports.items() if report.problems} == set(PROBLEMS)
    assert not course.path("feedback", "pries", ".html").exists()
    assert "nbgrader autograde 1-small --student pries" in reports["pries"].problems[1]
    assert str(reports["loops"]).startswith("1-small  loops: 3 of 5 points\n    submitted/loops/")
    assert str(reports["broken"]).startswith("1-small  broken: not graded\n")

    with Gradebook(f"sqlite:///{course.folder / 'gradebook.db'}") as gradebook:
        gradebook.update_or_create_student(
            "loops", first_name="Ada", last_name="King", email="ada@example.org", lms_user_id="17"
        )
    graded = sorted([*MARKS, "dies"])
    exported = {student: f"{sum(MARKS[student])}" if student in MARKS else "" for student in graded}
    file = tmp_path / "grades.csv"
    said = export_grades(course.folder, file, "moodle")
    assert said == f"{file}: {len(graded)} students, 1 assignments, 1 grades left empty"
    head, *rows = csv.reader(file.open(encoding="utf-8"))
    assert head == ["First name", "Last name", "ID number", "Email address", "Assignment: 1-small (Real)"]
    assert {row[2]: row[4] for row in rows} == exported
    assert ["Ada", "King", "loops", "ada@example.org", "3"] in rows

    monkeypatch.setattr(assignments, "COURSE", course.folder)
    monkeypatch.setattr(sys, "argv", ["assignments", "--grades", str(file), "--format", "canvas"])
    assignments.main()
    assert "left empty" in capsys.readouterr().out
    head, possible, *rows = csv.reader(file.open(encoding="utf-8"))
    assert head == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "1-small"]
    assert possible == ["    Points Possible", "", "", "", "", "5"]
    assert {row[3]: row[5] for row in rows} == exported
    assert ["King, Ada", "17", "", "loops", "", "3"] in rows


SOLUTION = "    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("[answer, id-first]", "[answers, id-first]", 14, "unknown tag 'answers'"),
        ("[answer, id-first]", "[answer]", 14, "tags are [answer, id-NAME]"),
        ("id-first, points-2", "id-first", 24, "[tests, id-NAME, points-N]"),
        ("id-first, points-2", "id-frist, points-2", 24, "must follow the answer with that id"),
        ("[answer, id-second]", "[answer, id-first]", 35, "another answer has the id 'first'"),
        ("[tests, id-second, points-3]", "[]", 45, "no line that begins with ###"),
        (SOLUTION, "    return 2 * x\n", 14, "must have ### BEGIN SOLUTION"),
        ("    ### END SOLUTION", "", 14, "and ### END SOLUTION, it has"),
        ("    return 2 * x", "    return (2 * x", 14, "line 4 of this cell: '(' was never closed"),
        ("assert double(1) == 2\n", "# nothing\n", 24, "need an example before them"),
    ],
)
def test_bad_source(tmp_path, old, new, line, words):
    assert old in SOURCE
    path = tmp_path / "1-small.md"
    path.write_text(SOURCE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SourceError) as error:
        make_notebook(path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert words in str(error.value)


def test_answer_without_tests(tmp_path):
    path = tmp_path / "1-small.md"
    path.write_text(
        SOURCE[: SOURCE.index("```{code-cell} ipython3\n:tags: [tests, id-second")], encoding="utf-8"
    )
    with pytest.raises(SourceError, match=r"1-small.md:35: the answer 'second' has no cell of tests"):
        make_notebook(path)


def test_commands_before_their_time(tmp_path, monkeypatch):
    monkeypatch.setattr(assignments, "COURSE", tmp_path)
    for options, words in (
        (["--grades", "grades.csv"], "no gradebook; call make assignments first"),
        (["--autograde"], "no course here; call make assignments first"),
    ):
        monkeypatch.setattr(sys, "argv", ["assignments", *options])
        with pytest.raises(SystemExit, match=words):
            assignments.main()
    with pytest.raises(SourceError, match="no assignment here"):
        make_release(tmp_path / "course", tmp_path)


def test_nothing_handed_in_and_cells_added_too_late(course, tmp_path):
    with pytest.raises(CourseError, match="submitted: nothing was handed in"):
        autograde(course.folder)
    course.hand_in("early", start="release")
    assert [report.score for report in autograde(course.folder)] == [0]
    late = tmp_path / "late" / "1-small.md"
    late.parent.mkdir()
    late.write_text(SOURCE.replace("second", "third"), encoding="utf-8")
    with pytest.raises(
        CourseError, match=r"1-small: nbgrader cannot make the release: .*submissions.*a new name"
    ):
        make_release(course.folder, late.parent)
    assert course.read("source") == course.solution
    assert course.read("release") == course.release
