"""Of two writers, the one that was taken over can neither put nor remove anything, even between check and rename."""

import errno
import os
import time

import pytest

from explainrun.summary_format import FolderInUseError, FolderLock, RunFolder, find_runs, remove_runs
from explainrun.summary_format.storage import lock, writer_folder
from explainrun.summary_format.storage.durable import write_new


@pytest.fixture
def enter(monkeypatch):
    """Has a writer take a folder, over from whoever held it a minute ago, on a file system without record locks."""

    def unsupported(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(lock.fcntl, "lockf", unsupported)
    monkeypatch.setattr(lock, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(lock, "BEAT_SECONDS", 1e6)
    entered = []

    def enter(root):
        lock.held_here.clear()  # the next is another process
        if (root / lock.LOCK_FILE).exists():
            os.utime(root / lock.LOCK_FILE, (time.time() - 61,) * 2)
        entered.append(FolderLock(root).__enter__())
        return entered[-1]

    yield enter
    for one in reversed(entered):
        if not one._done.is_set():
            one.__exit__(None, None, None)


@pytest.fixture
def between(monkeypatch):
    """Has something happen between a writer's next check and the rename after it."""

    def between(writer, happens):
        check = writer.own._check

        def checked():
            check()
            monkeypatch.setattr(writer.own, "_check", check)
            happens()

        monkeypatch.setattr(writer.own, "_check", checked)

    return between


def test_a_file_made_before_the_takeover_gets_no_name(tmp_path, enter, between, raising):
    first, path = enter(tmp_path), tmp_path / "picture"
    made = first.own.fresh()
    write_new(made, b"of the first")

    def taken_over():
        enter(tmp_path)
        path.write_bytes(b"of the second")

    between(first, taken_over)
    with raising(FolderInUseError, "lock-lost"):
        first.own.put(made, path)
    assert path.read_bytes() == b"of the second"


def test_a_picture_made_before_the_takeover_gets_no_name(tmp_path, enter, raising):
    first, path = enter(tmp_path), tmp_path / "picture"
    made = first.own.fresh()
    write_new(made, b"of the first")
    enter(tmp_path)
    path.write_bytes(b"of the second")
    with raising(FolderInUseError, "lock-lost"):
        first.own.put(made, path, durable=False)
    assert path.read_bytes() == b"of the second"


def test_the_lock_is_not_read_for_each_picture(tmp_path):
    looks = []
    own = writer_folder.OwnFolder(tmp_path, "0123456789abcdef", lambda: looks.append(1))
    own.make()
    for place in range(5):
        write_new(made := own.fresh(), b"")
        own.put(made, tmp_path / str(place), durable=place == 4)
    assert len(looks) == 2  # when the folder was made, and at what is durable


def test_a_file_made_after_the_takeover_cannot_be_made(tmp_path, enter, raising):
    first, path = enter(tmp_path), tmp_path / "picture"
    enter(tmp_path)
    with pytest.raises(FileNotFoundError):
        write_new(first.own.fresh(), b"of the first")
    with raising(FolderInUseError, "lock-lost"):
        first.own.put(first.own.fresh(), path)


def test_what_the_second_wrote_is_not_removed_by_the_first(tmp_path, enter, between, raising):
    first, path = enter(tmp_path), tmp_path / "segments"
    path.mkdir()

    def taken_over():
        enter(tmp_path)
        (path / "of the second").write_text("")

    between(first, taken_over)
    with raising(FolderInUseError, "lock-lost"):
        first.own.discard(path)
    assert [inside.name for inside in path.iterdir()] == ["of the second"]


def test_a_folder_of_the_first_does_not_appear_behind_the_second(tmp_path, enter, between, raising):
    first = enter(tmp_path)
    between(first, lambda: enter(tmp_path))
    with raising(FolderInUseError, "lock-lost"):
        first.own.make_folder(tmp_path / "heatmap" / "Gradient" / "0")
    assert not (tmp_path / "heatmap").exists()


def test_a_run_of_the_first_does_not_begin_beside_the_second(tmp_path, enter, between, raising):
    first = enter(tmp_path)
    between(first, lambda: RunFolder.create(tmp_path, "CPU", {"of": 2}, enter(tmp_path)))
    with raising(FolderInUseError, "lock-lost"):
        RunFolder.create(tmp_path, "CPU", {"of": 1}, first)
    assert [run.state() for run in find_runs(tmp_path)] == [{"of": 2}]
    assert len(list(tmp_path.glob("_explain_*"))) == 1


def test_a_stalled_sweeper_leaves_the_folder_of_its_successor(tmp_path, enter, between, raising):
    (tmp_path / ".explainrun.0123456789abcdef").mkdir()
    first, second = FolderLock(tmp_path), []
    lock.held_here.clear()
    between(first, lambda: between(first, lambda: second.append(enter(tmp_path))))  # not as it makes its own folder
    with raising(FolderInUseError, "lock-lost"):
        first.__enter__()
    assert [path.name for path in writer_folder.leftovers(tmp_path)] == [second[0].own.path.name]
    second[0].check()


def test_the_first_leaves_the_lock_of_the_second(tmp_path, enter, between):
    first, second = enter(tmp_path), []
    between(first, lambda: second.append(enter(tmp_path)))
    first.__exit__(None, None, None)
    second[0].check()
    second[0].__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []


def test_whatever_error_leaves_a_lost_lock_tells_that_it_was_lost(tmp_path, enter, raising):
    for error in (FileNotFoundError(2, "gone"), ValueError("the dataset ends earlier")):
        first = enter(tmp_path)
        second = enter(tmp_path)
        with raising(FolderInUseError, "lock-lost") as caught:
            first.__exit__(type(error), error, None)
        assert caught.value.__cause__ is error
        second.check()
        second.__exit__(type(error), error, None)  # its own error comes as it is


def test_what_earlier_owners_left_goes_and_nothing_else(tmp_path, enter):
    names = [".explainrun.0123456789abcdef", ".explainrun.mine", ".explainrun.0123456789abcdef.bak", "notes"]
    for name in names:
        (tmp_path / name / "inside").mkdir(parents=True)
    (tmp_path / ".explainrun.fedcba9876543210.clock").write_text("")
    enter(tmp_path).__exit__(None, None, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_folders_that_cannot_be_moved_are_removed_where_they_are(tmp_path, enter, monkeypatch):
    """As those of a container's image."""
    old = RunFolder.create(tmp_path, "CPU")
    old.write_file(old.data / "heatmap" / "a.png", b"picture")
    first = enter(tmp_path)

    def refuse(_path, _aside):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(writer_folder, "move_aside", refuse)
    remove_runs(tmp_path, lock=first)
    assert list(tmp_path.glob("_explain_*")) == []


def test_a_folder_under_way_is_there_with_its_plan_or_not_at_all(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(writer_folder, "replace", refuse)
    with pytest.raises(OSError, match="Input/output"):
        RunFolder.create(tmp_path, "CPU")
    assert list(tmp_path.glob("_explain_*")) == []
