"""Each lesson follows the book's pattern, and its twin is what its source says."""

import ast
import re

from lesson import KINDS, SECTIONS, Lesson, tags

from booktools.markdown import find_raw
from booktools.quiz import read_quiz
from booktools.slides import FEWEST, MOST
from booktools.twins import MEASURED, make_twin, sources

# What may differ from run to run: DESIGN's list.
REASONS = re.compile(r"version|time|memory|rounding|message")


def test_twin_is_up_to_date(lesson: Lesson):
    assert sources(lesson.twin) == sources(make_twin(lesson.path)), "run make notebooks"


def test_twin_was_executed(lesson: Lesson):
    counts = [cell.execution_count for cell in lesson.twin.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_twin_shows_no_raw_myst(lesson: Lesson):
    for cell in lesson.twin.cells:
        if cell.cell_type == "markdown":
            assert find_raw(cell.source) is None


def test_twin_stores_neither_times_nor_memory(lesson: Lesson):
    for cell in lesson.twin.cells:
        for first_line, instead in MEASURED.items():
            if cell.source.startswith(first_line):
                assert [output.text for output in cell.outputs] == [instead]


def test_twin_stores_no_images(lesson: Lesson):
    for cell in lesson.twin.cells:
        for output in cell.get("outputs", []):
            assert not any(kind.startswith("image/") for kind in output.get("data", {}))


def test_at_least_ten_results_are_compared(lesson: Lesson):
    assert len(lesson.results) >= 10, lesson.results


def test_outputs_are_ignored_for_a_good_reason_only(lesson: Lesson):
    for cell, reason in lesson.ignored:
        assert reason, f"say why in the first line, as '# output not compared: ...':\n{cell.source}"
        assert REASONS.search(reason), f"{reason!r} is none of: {REASONS.pattern}"


def test_first_cell_shows_the_banner(lesson: Lesson):
    first = lesson.code[0]
    assert first.source.rstrip().endswith("aelib.banner()")
    assert "nbval-ignore-output" in tags(first)


def test_sections_follow_the_pattern(lesson: Lesson):
    kinds = [heading.partition(":")[0] for heading in lesson.sections]
    assert tuple(dict.fromkeys(kinds)) == SECTIONS


def test_there_are_four_kinds_of_exercises(lesson: Lesson):
    texts = lesson.exercises.values()
    assert len(texts) >= 4
    assert all(text.startswith(tuple(f"*{kind}.*" for kind in KINDS)) for text in texts), list(texts)
    assert {text.split(".")[0].strip("*") for text in texts} == set(KINDS)


def test_every_exercise_has_an_executed_solution(lesson: Lesson):
    assert set(lesson.solutions) == set(lesson.exercises)
    assert [label for label, cells in lesson.solutions.items() if not cells] == []


def test_quiz_is_that_of_the_lesson(lesson: Lesson):
    shown = [cell.source for cell in lesson.code if "quiz(" in cell.source]
    assert shown == [f'from booktools.quiz import quiz\n\nquiz("{lesson.path.stem}")']
    assert len(read_quiz(lesson.path.stem)) >= 5


def test_deck_has_twelve_to_twenty_five_slides(lesson: Lesson):
    tagged = sum("slide" in tags(cell) for cell in lesson.cells)
    assert FEWEST <= tagged + 2 <= MOST  # with its first and its last slide


def test_claims_are_asserted(lesson: Lesson):
    checks = [cell for cell in lesson.code if "check" in tags(cell)]
    assert checks
    for cell in checks:
        nodes = list(ast.walk(ast.parse(cell.source)))
        assert any(isinstance(node, ast.Assert) for node in nodes) or "assert_" in cell.source, cell.source


def test_figures_are_described(lesson: Lesson):
    for cell in lesson.twin.cells:
        outputs = cell.get("outputs", [])
        if any(output.get("data", {}).get("text/plain", "").startswith("[Figure:") for output in outputs):
            assert cell.source.rstrip().endswith("plt.show()"), cell.source
            alt = cell.metadata.get("alt", "")
            assert len(alt.split()) >= 5, f"alt text {alt!r} of the figure drawn by\n{cell.source}"


def test_tab_cells_come_in_pairs(lesson: Lesson):
    found = [
        next((tag for tag in tags(cell) if tag.startswith("tab-")), None)
        if cell.cell_type == "code"
        else None
        for cell in lesson.cells
    ]
    assert [tag for tag in found if tag] == ["tab-torch", "tab-tensorflow"] * found.count("tab-torch")
    assert all(found[i + 1] == "tab-tensorflow" for i, tag in enumerate(found) if tag == "tab-torch")


def test_lesson_is_in_the_table_of_contents_and_on_the_map(lesson: Lesson):
    root = lesson.path.parent.parent
    assert f"file: chapters/{lesson.path.stem}\n" in (root / "_toc.yml").read_text(encoding="utf-8")
    assert f"{{doc}}`{lesson.path.stem}`" in (root / "chapters" / "intro.md").read_text(encoding="utf-8")
