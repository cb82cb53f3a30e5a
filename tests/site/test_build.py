"""When the build executes, when it does not, and what makes it fail."""

import re

from booktools.executed import cache_path, source_key


def executions(said: str) -> int:
    return len(re.findall(r"Executed notebook in", said))


def test_lessons_are_executed_when_something_changed_only(fresh_book):
    good, said = fresh_book.build()
    assert good, said
    assert executions(said) == 1

    good, said = fresh_book.build()
    assert good, said
    assert executions(said) == 0

    (fresh_book.root / "aelib" / "__init__.py").write_text("changed = True\n", encoding="utf-8")
    good, said = fresh_book.build()
    assert good, said
    assert executions(said) == 1


def test_cache_is_keyed_by_profile_backend_and_sources(fresh_book):
    root = fresh_book.root
    choices = [("reference", "torch"), ("full", "torch"), ("reference", "tensorflow")]
    assert len({cache_path(root, *choice) for choice in choices}) == 3
    before = source_key(root)
    (root / "benchmarks" / "results").mkdir(parents=True)
    (root / "benchmarks" / "results" / "record.json").write_text("{}", encoding="utf-8")
    assert source_key(root) != before


def test_other_caches_are_removed(fresh_book):
    old = cache_path(fresh_book.root, "reference", "torch")
    old.mkdir(parents=True)
    (fresh_book.root / "aelib" / "new.py").write_text("", encoding="utf-8")
    cache_path(fresh_book.root, "reference", "torch")
    assert not old.exists()


# What stands in the sample, what replaces it, and what the build must then complain of.
FAULTS = [
    ("assert np.linalg.norm(projected) <=", "assert np.linalg.norm(projected) >", "AssertionError"),
    ("    alt: Four bars", "    align: center\n    class: Four", "no alternative text"),
    ("{ref}`sample-theory`", "{ref}`nowhere`", "nowhere"),
    ("{cite:t}`ballard1987`", "{cite:t}`nobody1999`", r"01-sample.md:36: WARNING: could not find bibtex key"),
    ("images/bottleneck.svg", "images/missing.svg", r"01-sample.md:23: WARNING: image file not readable"),
    (":tags: [tab-torch]\n\nprint", ":tags: [other]\n\nprint", "no partner"),
]


def test_every_fault_is_a_warning_and_warnings_fail_the_build(fresh_book):
    text = fresh_book.lesson.read_text(encoding="utf-8")
    for sound, broken, _ in FAULTS:
        assert sound in text
        text = text.replace(sound, broken)
    fresh_book.lesson.write_text(text, encoding="utf-8")
    fresh_book.lesson.with_suffix(".ipynb").unlink(missing_ok=True)
    good, said = fresh_book.build()
    assert not good
    missing = "01-sample.md:1: the lesson has no twin"
    assert [message for *_, message in (*FAULTS, (missing,)) if message not in said] == []
