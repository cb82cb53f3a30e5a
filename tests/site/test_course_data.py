"""What is said about each lesson: read, refused with file and line, and made into tables and maps."""

import re

import pytest
from bs4 import BeautifulSoup

from booktools import course, teaching
from booktools.address import ROOT
from booktools.effort import hours_needed
from booktools.lined_yaml import WrongFileError

GOOD = """\
description: A sentence that says what the lesson is about, long enough for a search engine.
part: Models
needs: [01-first]
objectives: [a, b, c]
misconceptions:
  - {wrong: a, ask: b, answer: c}
  - {wrong: a, ask: b, answer: c}
  - {wrong: a, ask: b, answer: c}
purposes: [anomalies]
"""


@pytest.fixture
def read(tmp_path):
    (tmp_path / "course" / "lessons").mkdir(parents=True)
    (tmp_path / "chapters").mkdir()
    for name in ("01-first", "02-second", "03-third"):
        (tmp_path / "chapters" / f"{name}.md").write_text(f"# The {name[3:]}\n", encoding="utf-8")

    def read(text, name="02-second"):
        (tmp_path / "course" / "lessons" / f"{name}.yml").write_text(text, encoding="utf-8")
        course.read_course_data.cache_clear()
        return course.read_course_data(name, tmp_path)

    read.root = tmp_path
    return read


def test_a_good_file_is_read(read):
    data = read(GOOD)
    assert data.needs == ("01-first",)
    assert data.misconceptions[2].answer == "c"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[01-first]", "[03-third]", "02-second.yml:1: needs '03-third', which is no earlier lesson"),
        ("[01-first]", "[00-none]", "02-second.yml:1: needs '00-none', which is no earlier lesson"),
        ("[anomalies]", "[fun]", "02-second.yml:1: no purpose fun; there are: understand"),
        ("[a, b, c]", "[a, b]", "02-second.yml:1: 2 objectives; at least 3 are wanted"),
        ("part: Models\n", "", "02-second.yml:1: part is missing here"),
        ("purposes:", "purpose:", "02-second.yml:1: purpose is not known"),
        ("a, ask: b, answer: c}\n  - {", "a}\n  - {", "02-second.yml:6: answer, ask is missing"),
        ("long enough for a search engine", "", "02-second.yml:1: the description has 48 characters"),
    ],
)
def test_mistakes_are_named_with_file_and_line(read, old, new, complaint):
    assert old in GOOD
    with pytest.raises(WrongFileError, match=re.escape(complaint)):
        read(GOOD.replace(old, new, 1))


@pytest.fixture
def book(read):
    first = read(GOOD.replace("[01-first]", "[]").replace("[anomalies]", "[understand]"), "01-first")
    second = read(GOOD)
    third = read(GOOD.replace("[01-first]", "[02-second]"), "03-third")
    return teaching.Book(read.root, [first, second, third], "torch", both_editions=True)


def test_map_has_every_lesson_below_those_it_needs(book):
    boxes = BeautifulSoup(teaching.dependency_map(book), "html.parser").select("a")
    heights = [float(box.rect["y"]) for box in boxes]
    assert [box["href"] for box in boxes] == ["01-first.html", "02-second.html", "03-third.html"]
    assert heights == sorted(set(heights))
    assert boxes[1].get_text().split() == ["02", "The", "second"]


def test_way_to_a_purpose_names_all_that_it_builds_on(book):
    rows = teaching.purpose_map(book).splitlines()
    anomalies = next(row for row in rows if "anomalies" in row)
    goals, before = anomalies.split("|")[2:4]
    assert "02-second" in goals
    assert "03-third" in goals
    assert before.strip() == "{doc}`01 <01-first>`"


def test_start_buttons_lead_to_both_editions(book):
    (book.root / "_config.yml").write_text((ROOT / "_config.yml").read_text(encoding="utf-8"))
    for edition, pages in {
        "torch": ["01-first.html", "../tensorflow/chapters/01-first.html"],
        "tensorflow": ["../../chapters/01-first.html", "01-first.html"],
    }.items():
        here = teaching.Book(book.root, book.course, edition, both_editions=True)
        links = BeautifulSoup(teaching.start_buttons(here), "html.parser").select("a[data-edition]")
        assert [link["href"] for link in links] == pages
        assert [link["data-edition"] for link in links] == ["torch", "tensorflow"]


def test_time_needed_counts_words_formulas_cells_and_exercises(tmp_path):
    (tmp_path / "chapters").mkdir()

    def hours(text):
        (tmp_path / "chapters" / "01-it.md").write_text(text, encoding="utf-8")
        return hours_needed(tmp_path, "01-it")

    words = "word " * 9000  # an hour at 150 a minute
    assert hours(words) == 1
    assert hours(words + "\n$$\nx\n$$\n" * 60) == 2
    assert hours(words + "\n```{code-cell}\nx\n```\n" * 60) == 2
    solution = f"\n:::{{solution-start}} ex\n:::\n{words}\n:::{{solution-end}}\n:::\n"
    assert hours(words + ":::{exercise}\n:::\n" * 12 + solution) == 6


def test_every_lesson_of_the_book_is_described_and_every_purpose_served():
    course.read_course_data.cache_clear()
    lessons = course.read_course()
    assert {purpose for data in lessons for purpose in data.purposes} == set(course.PURPOSES)
    assert all(len(data.objectives) <= 6 for data in lessons), "a list of objectives that fits a slide"
