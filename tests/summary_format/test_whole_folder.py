"""Folders that are written whole: what a killed writer leaves goes with the next, what a living one writes stays."""

import fcntl
import os
from contextlib import suppress

import pytest

from explainrun.summary_format.storage import whole_folder
from explainrun.summary_format.storage.whole_folder import written_folder

INSIDE = {"index.html", "data"}
LEFT = ".page.explainrun-0123456789abcdef"


def write(target, text="new"):
    with written_folder(target, INSIDE) as made:
        (made / "index.html").write_text(text)
        assert made.parent == target.parent
    return (target / "index.html").read_text()


def left_by_a_writer(tmp_path, name=LEFT, *inside):
    left = tmp_path / name
    left.mkdir()
    for one in inside or ("data",):
        (left / one).mkdir()
    return left


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path):
    left = left_by_a_writer(tmp_path)
    handle = os.open(left, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)  # as a writer has it that lives
    assert write(tmp_path / "page") == "new"
    assert sorted(os.listdir(tmp_path)) == [LEFT, "page"]
    os.close(handle)
    write(tmp_path / "other")
    assert left.exists()  # it is of another folder
    assert write(tmp_path / "page", "newer") == "newer"
    assert sorted(os.listdir(tmp_path)) == ["other", "page"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["while it fills", "old aside", "new in place"])
def test_a_writer_killed_at_a_moment(tmp_path, monkeypatch, moment):
    target = tmp_path / "page"
    write(target, "old")
    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(whole_folder, "remove_tree", die if moment == "new in place" else lambda path: None)
        if moment == "old aside":
            patch.setattr(whole_folder.Path, "rename", die)
        with written_folder(target, INSIDE) as made:
            (made / "index.html").write_text("new")
            if moment == "while it fills":
                raise Killed
    assert len(os.listdir(tmp_path)) == 2  # what is left, and but for one moment the report
    assert write(target, "newest") == "newest"
    assert os.listdir(tmp_path) == ["page"]


def die(*_):
    raise Killed


def test_what_only_looks_like_it_stays(tmp_path):
    left_by_a_writer(tmp_path, LEFT, "data", "notes")  # holds something else
    left_by_a_writer(tmp_path, ".page.0123456789abcdef")
    (tmp_path / ".page.explainrun-1111111111111111").symlink_to(tmp_path / LEFT)
    (tmp_path / ".page.explainrun-2222222222222222").write_text("a file")
    before = set(os.listdir(tmp_path))
    write(tmp_path / "page")
    assert set(os.listdir(tmp_path)) == before | {"page"}


def test_a_folder_that_is_taken_for_a_leftover_before_it_is_locked_is_begun_again(tmp_path, taken_before_locked):
    taken = taken_before_locked(tmp_path, os.rmdir)
    assert write(tmp_path / "page") == "new"
    assert (os.listdir(tmp_path), len(taken)) == (["page"], 1)
