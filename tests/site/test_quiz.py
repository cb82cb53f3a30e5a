"""Quizzes: what is read and refused, what stands in the page, and what a click says."""

import base64
import json
import re

import pytest
from bs4 import BeautifulSoup

from booktools.lined_yaml import WrongFileError
from booktools.quiz import quiz, read_quiz
from booktools.quiz_export import to_gift

CHOICE = """    - {verdict}: "{text}"
      because: one two three four five six
"""


@pytest.fixture
def quiz_file(tmp_path):
    path = tmp_path / "course" / "quizzes" / "01-it.yml"
    path.parent.mkdir(parents=True)

    def write(choices, questions=5):
        question = "- question: Which {number}?\n  choices:\n" + "".join(
            CHOICE.format(verdict=verdict, text=text) for verdict, text in choices
        )
        path.write_text(
            "".join(question.replace("{number}", str(number)) for number in range(questions)),
            encoding="utf-8",
        )
        return tmp_path

    return write


GOOD = [("right", "`x` is *small*"), ("wrong", "x < y & z"), ("wrong", "neither")]


def test_choices_are_shuffled_the_same_way_each_time(quiz_file):
    root = quiz_file(GOOD)
    first, second = read_quiz("01-it", root), read_quiz("01-it", root)
    assert first == second
    orders = {tuple(choice.text for choice in question.choices) for question in first}
    assert len(orders) > 1, "every question has its choices in the same order"


@pytest.mark.parametrize(
    ("choices", "complaint"),
    [
        ([("wrong", "a"), ("wrong", "b"), ("wrong", "c")], "01-it.yml:1: this question has 0 right answers"),
        ([("right", "a"), ("right", "b"), ("wrong", "c")], "01-it.yml:1: this question has 2 right answers"),
        ([("right", "a"), ("wrong", "b")], "01-it.yml:1: this question has 2 choices"),
        ([("right", "a"), ("wrong", "b"), ("wrong", "b")], "01-it.yml:1: two of its choices are the same"),
        ([("right", "a"), ("wrong", "$b$"), ("wrong", "c")], "01-it.yml:5: write Unicode mathematics"),
        ([("right", "a"), ("maybe", "b"), ("wrong", "c")], "01-it.yml:5: wrong is missing"),
    ],
)
def test_mistakes_are_named_with_file_and_line(quiz_file, choices, complaint):
    root = quiz_file(choices)
    with pytest.raises(WrongFileError, match=re.escape(complaint)):
        read_quiz("01-it", root)


def test_an_explanation_that_explains_nothing_is_refused(quiz_file):
    root = quiz_file(GOOD)
    path = root / "course" / "quizzes" / "01-it.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("one two three four five six", "just so", 1))
    with pytest.raises(WrongFileError, match=r"01-it\.yml:3: 'just so' explains too little"):
        read_quiz("01-it", root)


def test_what_yaml_takes_for_a_truth_value_is_refused(quiz_file):
    root = quiz_file(GOOD)
    path = root / "course" / "quizzes" / "01-it.yml"
    path.write_text(path.read_text(encoding="utf-8").replace('"neither"', "no", 1), encoding="utf-8")
    with pytest.raises(WrongFileError, match=r"01-it\.yml:7: False is no text for YAML"):
        read_quiz("01-it", root)


def test_too_few_questions_and_broken_files_are_refused(quiz_file):
    root = quiz_file(GOOD, questions=4)
    with pytest.raises(WrongFileError, match="at least 5 questions"):
        read_quiz("01-it", root)
    (root / "course" / "quizzes" / "01-it.yml").write_text("- question: [\n", encoding="utf-8")
    with pytest.raises(WrongFileError, match=r"01-it\.yml:2: this is not YAML"):
        read_quiz("01-it", root)
    with pytest.raises(FileNotFoundError, match="02-missing"):
        read_quiz("02-missing", root)


@pytest.fixture
def fragment(quiz_file, monkeypatch):
    root = quiz_file(GOOD)
    (root / "chapters").mkdir()
    monkeypatch.chdir(root / "chapters")
    return quiz("01-it")


def test_page_has_no_answer_in_plain_text(fragment):
    page = fragment.to_html()
    visible = re.sub(r'data-answer="[^"]*"', "", page.partition("<script>")[0])
    assert "one two three" not in visible
    assert "true" not in visible
    verdicts = [
        json.loads(base64.b64decode(button["data-answer"]))[0]
        for button in BeautifulSoup(page, "html.parser").select("button.quiz-choice")
    ]
    assert sorted(verdicts) == [False] * 10 + [True] * 5


def test_signs_and_markup_are_shown_as_meant(fragment):
    buttons = BeautifulSoup(fragment.to_html(), "html.parser").select("button.quiz-choice")
    texts = {button.get_text() for button in buttons}
    assert texts == {"x is small", "x < y & z", "neither"}
    assert next(button for button in buttons if button.code).code.get_text() == "x"
    assert next(button for button in buttons if button.em).em.get_text() == "small"


def test_made_twice_it_is_the_same(fragment):
    assert fragment.to_html() == quiz("01-it").to_html()


def test_print_has_questions_without_answers(fragment):
    printed = fragment._repr_mimebundle_()["text/markdown"]
    assert printed.count("**") == 10
    assert "(a)" in printed
    assert "one two" not in printed


def test_gift_has_one_right_answer_for_each_question_and_every_explanation(fragment):
    gift = to_gift("Losses: A = B?", fragment.questions)
    assert gift.startswith("$CATEGORY: $course$/top/Losses: A = B?\n")
    assert gift.count("::Losses\\: A \\= B?") == 5
    assert len(re.findall(r"^\t=", gift, re.MULTILINE)) == 5
    assert len(re.findall(r"^\t~", gift, re.MULTILINE)) == 10
    assert gift.count("#one two three four five six") == 15
