"""A book for a running course: no solution in lessons, twins and pages, and the rest as it was."""

import nbformat
import pytest

from booktools.without_solutions import copy_without_solutions, remove_solutions


@pytest.fixture(scope="module")
def shortened(built, tmp_path_factory):
    target = tmp_path_factory.mktemp("without") / "book"
    copy_without_solutions(built.root, target)
    return target


def test_lesson_and_twin_keep_exercises_and_lose_solutions(built, shortened):
    for name in ("01-sample.md", "01-sample.ipynb"):
        before = (built.root / "chapters" / name).read_text(encoding="utf-8")
        after = (shortened / "chapters" / name).read_text(encoding="utf-8")
        for text in ("Differentiate, as in", '"least"'):
            assert text in before.replace("\\", "")
            assert text not in after.replace("\\", "")
        assert "Show that" in after
        assert "Further reading" in after


def test_twin_keeps_the_outputs_of_what_is_left(shortened):
    twin = nbformat.read(shortened / "chapters" / "01-sample.ipynb", as_version=4)
    code = [cell for cell in twin.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any("3.0000" in output.get("text", "") for cell in code for output in cell.outputs)


def test_assignments_with_solutions_are_not_copied(built, tmp_path):
    folder = built.root / "course" / "assignments"
    folder.mkdir()
    (folder / "1.md").write_text("solution", encoding="utf-8")
    copy_without_solutions(built.root, tmp_path)
    folder.joinpath("1.md").unlink()
    folder.rmdir()
    assert (tmp_path / "course" / "quizzes").is_dir()
    assert not (tmp_path / "course" / "assignments").exists()


def test_solution_that_does_not_end_is_refused(built):
    text = built.lesson.read_text(encoding="utf-8")
    cut = text.rindex(":::{solution-end}")
    with pytest.raises(ValueError, match="a solution is not marked as"):
        remove_solutions(text[:cut])


def test_missing_and_outdated_twins_are_named(built, tmp_path):
    copy_without_solutions(built.root, tmp_path / "once")
    (tmp_path / "once" / "chapters" / "01-sample.ipynb").unlink()
    with pytest.raises(FileNotFoundError, match=r"01-sample\.md has no twin"):
        copy_without_solutions(tmp_path / "once", tmp_path / "twice")
    twin = built.lesson.with_suffix(".ipynb")
    text = twin.read_text(encoding="utf-8")
    try:
        twin.write_text(text.replace("np.arange(1.0, 5.0)", "np.arange(2.0, 6.0)"), encoding="utf-8")
        notebook = nbformat.read(twin, as_version=4)
        for cell in notebook.cells:
            cell.id = cell.id[::-1]
        nbformat.write(notebook, twin)
        with pytest.raises(ValueError, match=r"01-sample\.ipynb is out of date"):
            copy_without_solutions(built.root, tmp_path / "thrice")
    finally:
        twin.write_text(text, encoding="utf-8")
