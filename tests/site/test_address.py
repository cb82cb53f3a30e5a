"""The repository's address stands in one place, and a teacher's copy launches itself."""

import subprocess

import nbformat
import pytest
import yaml

from booktools import twins
from booktools.address import ROOT, read_repository, write_address

COPY = "https://github.com/a-teacher/my-course"


def last_code(twin):
    return [cell for cell in twin.cells if cell.cell_type == "code"][-1]


def test_address_stands_in_the_configuration_alone():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    address = read_repository()[0].removeprefix("https://").encode()
    holders = [
        name
        for name in listed
        if name
        and not name.endswith(".ipynb")
        and (ROOT / name).is_file()
        and address in (ROOT / name).read_bytes()
    ]
    assert holders == ["_config.yml"]


def test_fork_changes_the_address_and_nothing_else(fresh_book):
    before = (fresh_book.root / "_config.yml").read_text(encoding="utf-8")
    old = read_repository(fresh_book.root)[0]
    write_address(COPY + ".git", "https://hub.university.edu/", fresh_book.root)
    after = (fresh_book.root / "_config.yml").read_text(encoding="utf-8")
    assert after == before.replace(old, COPY).replace(
        "https://jupyterhub.example.org", "https://hub.university.edu"
    )
    assert yaml.safe_load(after)["launch_buttons"]["jupyterhub_url"] == "https://hub.university.edu"


def test_fork_readdresses_the_twins_without_executing_them(fresh_book):
    old = read_repository(fresh_book.root)[0]
    twin = twins.make_twin(fresh_book.lesson)
    last_code(twin).outputs = [nbformat.v4.new_output("stream", text="kept\n")]
    path = fresh_book.lesson.with_suffix(".ipynb")
    twins.write(twin, path)
    write_address(COPY, root=fresh_book.root)
    twins.readdress(fresh_book.lesson)
    text = path.read_text(encoding="utf-8")
    assert old not in text
    assert f"{COPY}/archive/refs/heads/main.zip" in text
    assert last_code(nbformat.read(path, as_version=4)).outputs[0].text == "kept\n"


@pytest.mark.parametrize(
    "address", ["https://gitlab.com/a/b", "github.com/a/b", "https://github.com/only-a-name", ""]
)
def test_fork_refuses_what_is_no_repository(fresh_book, address):
    with pytest.raises(ValueError, match="NAME/REPOSITORY"):
        write_address(address, root=fresh_book.root)


def test_named_hub_gets_a_button(fresh_book):
    write_address(COPY, "https://hub.university.edu", fresh_book.root)
    lesson = fresh_book.lesson
    front_matter = lesson.read_text(encoding="utf-8").split("(sample)=")[0]
    lesson.write_text(front_matter + "# A lesson without code\n", encoding="utf-8")
    lesson.with_suffix(".ipynb").write_text("{}", encoding="utf-8")
    fresh_book.build()  # which complains that a lesson without cells has no slides
    page = (fresh_book.html / "chapters" / "01-sample.html").read_text(encoding="utf-8")
    assert (
        "https://hub.university.edu/hub/user-redirect/git-pull?repo=https%3A//github.com/a-teacher/my-course"
        in page
    )
    assert "urlpath=lab/tree/my-course/chapters/01-sample.ipynb" in page
