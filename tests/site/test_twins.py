"""Twins: plain Markdown, deterministic, nothing raw."""

from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from booktools import twins
from booktools.inline import Lesson, UnknownMarkupError
from booktools.markdown import find_raw, to_plain
from booktools.references import collect_targets, load_bibliography


@pytest.fixture(scope="module")
def lesson():
    chapters = Path(__file__).parent / "book" / "chapters"
    books = load_bibliography(Path(__file__).parents[2] / "references.bib")
    return Lesson(
        chapters / "01-sample.md",
        "https://github.com/someone/course",
        "main",
        collect_targets(chapters),
        books,
    )


@pytest.mark.parametrize(
    ("myst", "plain"),
    [
        ("{ref}`sample-theory`", "Theory: projections"),
        ("{ref}`words <sample-theory>`", "words"),
        ("{doc}`plain`", "[A plain page](plain.md)"),
        ("{doc}`words <plain>`", "[words](plain.md)"),
        ("{numref}`fig-sample-bars`", "Figure 1.2"),
        ("{eq}`eq-sample-decoder`", "(2)"),
        ("{prf:ref}`thm-sample-shrink`", "Theorem 1.1"),
        ("{term}`code`", "code"),
        ("{py:func}`aelib.load_dataset`", "`aelib.load_dataset`"),
        ("{py:meth}`~aelib.Autoencoder.fit`", "`fit`"),
        ("{cite:t}`rumelhart1986`", "Rumelhart et al. ([1986](https://doi.org/10.1038/323533a0))"),
        ("{cite:p}`rumelhart1986`", "([Rumelhart et al., 1986](https://doi.org/10.1038/323533a0))"),
        ("`{ref}` and ``{eq}`x` `` stay", "`{ref}` and ``{eq}`x` `` stay"),
        ("$$\na = b\n$$ (eq-sample-decoder)", "$$\na = b \\tag{2}\n$$"),
        ("```python\nx = '{ref}`a`'\n```", "```python\nx = '{ref}`a`'\n```"),
        (":::{tip}\n:class: dropdown\nTry.\n:::", "> **Tip**\n>\n> Try."),
        ("- item\n\n  ```{note}\n  Nested.\n  ```", "- item\n\n  > **Note**\n  >\n  > Nested."),
        (":::{prf:lemma} Title\nText.\n:::", "**Lemma** (Title). Text."),
        (":::{prf:lemma} Title\n$$\na = b\n$$\n:::", "**Lemma** (Title).\n\n$$\na = b\n$$"),
        ("% a comment\ntext", "text"),
    ],
)
def test_markup_becomes_plain(lesson, myst, plain):
    assert to_plain(myst, lesson) == plain


@pytest.mark.parametrize(
    ("myst", "complaint"),
    [
        ("{unknown}`x`", "unknown role 'unknown'"),
        ("```{unknown}\nx\n```", "unknown directive 'unknown'"),
        (":::{note}\nnever closed", "never closed"),
        ("{ref}`nowhere`", "nothing is labelled 'nowhere'"),
        ("{cite:p}`nobody1999`", "nobody1999"),
        ("```{literalinclude} ../code/torch/projection.py\n:pyobject: missing\n```", "no 'missing'"),
        ("```{literalinclude} ../code/torch/nothing.py\n```", "nothing.py"),
        ("```{literalinclude} ../code/torch/projection.py\n:lines: 1-2\n```", "lines"),
    ],
)
def test_unknown_markup_is_an_error(lesson, myst, complaint):
    with pytest.raises(UnknownMarkupError, match=complaint):
        to_plain(myst, lesson)


def test_errors_name_file_and_line(lesson, tmp_path):
    path = tmp_path / "01-sample.md"
    path.write_text("# Title\n\nFine.\n\nSee {ref}`nowhere`, {cite:t}`nobody1999`.\n", encoding="utf-8")
    broken = replace(lesson, path=path)
    for text in ("{ref}`nowhere`", "{cite:t}`nobody1999`"):
        with pytest.raises(UnknownMarkupError, match=r"01-sample\.md:5: "):
            to_plain(text, broken)


@pytest.mark.parametrize("raw", ["see {ref}`x`", "```{note}\nx\n```", ":::{note}", "(label)=", "a\n:::"])
def test_raw_markup_is_found(raw):
    assert find_raw(raw)


def test_messages_on_stderr_are_refused(tmp_path):
    (tmp_path / "aelib").mkdir()
    warning = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("import sys; print('careful', file=sys.stderr)")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    with pytest.raises(RuntimeError, match="careful"):
        twins.execute(warning, tmp_path)
