"""Files that are written whole: what a killed writer leaves goes with the next one, what a living one writes stays."""

import fcntl
import os
from contextlib import suppress

import pytest

from explainrun.summary_format.storage import durable, whole_file
from explainrun.summary_format.storage.whole_file import remove_leftovers, write_whole


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path):
    target, left = tmp_path / "kept.json", tmp_path / ".kept.json.explainrun-0123456789abcdef"
    with open(left, "w") as writing:  # as a writer has it that stands still before it renames
        fcntl.flock(writing, fcntl.LOCK_EX)
        write_whole(target, b"new")
        remove_leftovers(target)
        assert sorted(os.listdir(tmp_path)) == [left.name, "kept.json"]
    write_whole(tmp_path / "other.json", b"")
    assert left.exists()  # it is of another file
    write_whole(target, b"newer")
    assert (sorted(os.listdir(tmp_path)), target.read_bytes()) == (["kept.json", "other.json"], b"newer")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "unlink"])
def test_a_writer_killed_at_a_call(tmp_path, monkeypatch, call):
    """Its file goes at the latest when the same is written again, or found to be as it should."""
    target = tmp_path / "kept.json"
    write_whole(target, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(whole_file, "remove", lambda path: None)  # the dead clean nothing up
        patch.setattr(durable.os, call, lambda *_: (_ for _ in ()).throw(Killed))
        with suppress(Killed):
            write_whole(target, b"new")
    remove_leftovers(target)
    assert (os.listdir(tmp_path), target.read_bytes()) == (["kept.json"], b"new" if call == "unlink" else b"old")


def test_what_only_looks_like_it_stays(tmp_path):
    names = [
        ".kept.json.explainrun-0123456789abcde", ".kept.json.explainrun-0123456789abcdef.md",
        ".kept.json.explainrun-0123456789abcdeg", "kept.json.explainrun-0123456789abcdef", ".kept.json.01234567",
    ]  # fmt: skip
    for name in names:
        (tmp_path / name).write_text("mine")
    folder, link = (
        tmp_path / ".kept.json.explainrun-0000000000000000",
        tmp_path / ".kept.json.explainrun-1111111111111111",
    )
    folder.mkdir()
    link.symlink_to(tmp_path / names[0])
    os.mkfifo(tmp_path / ".kept.json.explainrun-2222222222222222")
    before = set(os.listdir(tmp_path))
    write_whole(tmp_path / "kept.json", b"new")
    assert set(os.listdir(tmp_path)) == before | {"kept.json"}


def test_a_file_that_is_taken_for_a_leftover_before_it_is_locked_is_begun_again(tmp_path, taken_before_locked):
    taken = taken_before_locked(tmp_path, os.unlink)
    write_whole(tmp_path / "kept.json", b"new")
    assert (os.listdir(tmp_path), len(taken)) == (["kept.json"], 1)


def test_nothing_stays_where_it_cannot_be_written_and_a_link_stays_one(tmp_path, monkeypatch):
    target = tmp_path / ("\U0001f600" * 60)  # 240 bytes
    (tmp_path / "link").symlink_to(target)
    write_whole(tmp_path / "link", b"old")
    assert ((tmp_path / "link").is_symlink(), target.read_bytes()) == (True, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable.os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(target, b"new")
    assert (sorted(os.listdir(tmp_path)), target.read_bytes()) == (["link", target.name], b"old")


def test_without_locks_files_are_written_and_none_is_removed(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(whole_file.fcntl, "flock", none)
    left = tmp_path / ".kept.json.explainrun-0123456789abcdef"
    left.write_text("half")
    write_whole(tmp_path / "kept.json", b"new")
    assert sorted(os.listdir(tmp_path)) == [left.name, "kept.json"]
