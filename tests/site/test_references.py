"""The bibliography: each work once, each with an address, each cited, and each citation in it."""

import re
from pathlib import Path

import pytest
from pybtex.database import parse_file

ROOT = Path(__file__).parents[2]
WORKS = parse_file(ROOT / "references.bib").entries


def plain(title):
    return re.sub(r"[^a-z0-9]", "", title.lower())


def test_no_work_stands_twice():
    seen = {}
    for key, work in WORKS.items():
        what = (plain(work.fields["title"]), work.fields["year"])
        assert what not in seen, f"{key} and {seen[what]} are the same work"
        seen[what] = key
    addresses = [work.fields["doi"].lower() for work in WORKS.values() if "doi" in work.fields]
    assert len(addresses) == len(set(addresses))


@pytest.mark.parametrize("key", WORKS)
def test_a_work_can_be_found(key):
    fields = WORKS[key].fields
    assert "doi" in fields or fields["url"].startswith("http")
    assert not fields.get("doi", "").startswith("http"), "a doi is written without https://doi.org/"
    if "doi" not in fields:
        assert not fields["url"].startswith("https://arxiv.org/abs/"), "its doi is 10.48550/arXiv.NUMBER"


def test_every_work_is_cited():
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "chapters").glob("*.md"))
    text += "".join(path.read_text(encoding="utf-8") for path in (ROOT / "aelib").rglob("*.py"))
    cited = {
        key.strip() for keys in re.findall(r"cite(?::\w+)?[}:]`([^`]+)`", text) for key in keys.split(",")
    }
    assert set(WORKS) - cited == set()
    assert cited - set(WORKS) == set()
