"""One writer a folder: refused at once, taken over when its holder is dead."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from explainrun.summary_format import FolderInUseError, FolderLock
from explainrun.summary_format.storage import lock
from explainrun.summary_format.storage.lock_holder import holder_of

HOLDS = """
import sys
from pathlib import Path
from explainrun.summary_format import FolderInUseError, FolderLock
try:
    with FolderLock(Path(sys.argv[1])):
        print("holds", flush=True)
        sys.stdin.read()
except FolderInUseError as error:
    print("refused", error, flush=True)
"""


def start(folder, program=HOLDS):
    """A process that holds the folder until its input ends, or says that it is refused."""
    command = [sys.executable, "-c", program, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_the_second_is_refused_at_once_and_told_of_the_first(tmp_path, monkeypatch, raising):
    folder = tmp_path / "new" / "run"
    first = start(folder)
    assert first.stdout.readline() == "holds\n"
    with monkeypatch.context() as patch:
        patch.setattr(lock.time, "sleep", lambda _: pytest.fail("it waited"))
        who = re.compile(f"^process {first.pid} on ")
        with raising(FolderInUseError, "folder-in-use", folder=str(folder), who=who):
            FolderLock(folder).__enter__()
    first.kill()
    first.communicate()
    with FolderLock(folder):  # the kernel let go of it
        assert json.loads((folder / ".explainrun.lock").read_text())["pid"] == os.getpid()
    assert list(folder.iterdir()) == []


def test_folders_made_for_nothing_go_again(tmp_path):
    with FolderLock(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []


RACES = """
import sys
from pathlib import Path
from explainrun.summary_format import FolderInUseError, FolderLock
for folder in sys.stdin:
    try:
        with FolderLock(Path(folder.strip())):
            print("holds", flush=True)
            next(sys.stdin)
    except FolderInUseError:
        print("refused", flush=True)
        next(sys.stdin)
"""


def test_two_at_the_same_moment_a_hundred_times(tmp_path):
    """Two processes are given the same new folder, and then a line to let it go."""
    both = [start(tmp_path, RACES) for _ in range(2)]
    for attempt in range(100):
        for line in (f"{tmp_path / str(attempt)}\n", "\n"):
            for process in both:
                process.stdin.write(line)
                process.stdin.flush()
            if line.strip():
                said = sorted(process.stdout.readline() for process in both)
        assert said == ["holds\n", "refused\n"], attempt
    assert [process.communicate() and process.returncode for process in both] == [0, 0]


def test_two_runs_of_one_process(tmp_path, raising):
    with FolderLock(tmp_path):
        with raising(FolderInUseError, "folder-in-use", who="this process, in another run"):
            FolderLock(tmp_path).__enter__()
        found = []
        other = threading.Thread(target=lambda: found.append(start(tmp_path).communicate()[0]))
        other.start()
        other.join()
        assert found[0].startswith("refused")  # the attempt within has not let go of the first
    with FolderLock(tmp_path):
        pass


def written_elsewhere(folder, age):
    path = folder / ".explainrun.lock"
    path.write_text(json.dumps({"host": "another-host", "pid": 7}))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_holder_on_another_host_is_believed_alive_for_a_while(tmp_path, raising):
    written_elsewhere(tmp_path, age=10)
    with raising(
        FolderInUseError, "folder-in-use", who=re.compile(r"^process 7 on another-host, alive 1\d s .* [45]\d s$")
    ):
        FolderLock(tmp_path).__enter__()
    path = written_elsewhere(tmp_path, age=lock.STALE_SECONDS + 1)
    with FolderLock(tmp_path):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert not path.exists()


def test_a_lock_that_says_nothing_is_taken(tmp_path):
    for content in (b"", b"\x00" * 40, b"[1]", b"{"):
        (tmp_path / ".explainrun.lock").write_bytes(content)
        with FolderLock(tmp_path):
            pass


def test_where_no_record_locks_are_the_age_tells(tmp_path, monkeypatch, raising):
    def unsupported(*_):
        raise OSError(lock.errno.ENOLCK, "no locks available")

    monkeypatch.setattr(lock.fcntl, "lockf", unsupported)
    path = tmp_path / ".explainrun.lock"
    path.write_text(json.dumps({"host": lock.socket.gethostname(), "pid": 7}))
    with raising(FolderInUseError, "folder-in-use", who=re.compile("^process 7 on")):
        FolderLock(tmp_path).__enter__()
    os.utime(path, (time.time() - lock.STALE_SECONDS - 1,) * 2)
    with FolderLock(tmp_path):
        pass


def test_the_heart_beats_and_a_lost_lock_is_noticed(tmp_path, monkeypatch, raising):
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.05)
    path = tmp_path / ".explainrun.lock"
    with FolderLock(tmp_path) as held:
        began = time.time()
        os.utime(path, (0, 0))
        while path.stat().st_mtime < 1:
            time.sleep(0.01)
        assert began - 1 < path.stat().st_mtime < time.time() + 1
        held.check()
        path.unlink()
        path.write_text("another's")
        held._beating.join()
        with raising(FolderInUseError, "lock-lost", folder=str(tmp_path)):
            held.check()
    assert path.read_text() == "another's"  # not ours to remove


def test_a_stopped_process_is_refused_its_own_lock_no_longer(tmp_path):
    first = start(tmp_path)
    assert first.stdout.readline() == "holds\n"
    first.send_signal(signal.SIGSTOP)  # alive, though silent: on one host the kernel knows
    os.utime(tmp_path / ".explainrun.lock", (0, 0))
    with pytest.raises(FolderInUseError):
        FolderLock(tmp_path).__enter__()
    first.kill()
    first.communicate()


def test_a_takeover_is_noticed_where_no_record_locks_are(tmp_path, monkeypatch, raising):
    def unsupported(*_):
        raise OSError(lock.errno.ENOLCK, "no locks available")

    monkeypatch.setattr(lock.fcntl, "lockf", unsupported)
    monkeypatch.setattr(lock, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.05)
    first = FolderLock(tmp_path)
    first.__enter__()
    first._done.set()  # its heart stops, as on a host that hangs
    first._beating.join()
    os.utime(first.path, (0, 0))
    lock.held_here.clear()  # the second is another process
    second = FolderLock(tmp_path)
    second.__enter__()
    first._done.clear()
    first._beat()
    with raising(FolderInUseError, "lock-lost"):
        first.check()
    first.__exit__(None, None, None)
    assert second.path.exists()
    second.check()
    second.__exit__(None, None, None)
    assert not second.path.exists()


def test_the_lock_file_is_looked_at_with_each_check(tmp_path, monkeypatch, raising):
    monkeypatch.setattr(lock, "BEAT_SECONDS", 1e6)
    with FolderLock(tmp_path) as held:
        content = held.path.read_bytes()
        for other in (content.replace(held._token.encode(), b"0" * 16), b"", b"[]"):
            held.path.write_bytes(other)
            with raising(FolderInUseError, "lock-lost"):
                held.check()
            held.path.write_bytes(content)
            held.check()


def test_a_lock_file_that_another_host_removed_is_a_lost_lock(tmp_path, monkeypatch, raising):
    def stale(_):
        raise OSError(lock.errno.ESTALE, "Stale file handle")

    with FolderLock(tmp_path) as held, monkeypatch.context() as patch:
        patch.setattr(lock, "fresh_content_of", stale)
        with raising(FolderInUseError, "lock-lost"):
            held.check()


def test_a_lock_that_cannot_be_read_is_not_taken_for_lost(tmp_path, monkeypatch):
    def broken(_):
        raise OSError(lock.errno.EIO, "Input/output error")

    with FolderLock(tmp_path) as held, monkeypatch.context() as patch:
        patch.setattr(lock, "fresh_content_of", broken)
        with pytest.raises(OSError, match="Input/output error"):
            held.check()


def test_a_heart_beats_on_after_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    faults, utime = [5, 5, 5], os.utime

    def failing(*arguments):
        if faults:
            raise OSError(faults.pop(), "Input/output error")
        utime(*arguments)

    with FolderLock(tmp_path) as held:
        monkeypatch.setattr(os, "utime", failing)
        utime(held.path, (0, 0))
        while held.path.stat().st_mtime < 1:
            time.sleep(0.01)
        held.check()


@pytest.mark.parametrize("ahead", [1, 59, 3600, 10**9])
def test_a_lock_from_the_future_blocks_for_a_minute(tmp_path, ahead, raising):
    path = written_elsewhere(tmp_path, age=-ahead)
    looked_at = path.stat().st_mtime
    assert holder_of(tmp_path).alive
    assert path.stat().st_mtime == looked_at  # by one that looks only, nothing is written
    with raising(FolderInUseError, "folder-in-use", who=re.compile(r"^process 7 on another-host, .* \d+ s ahead")):
        FolderLock(tmp_path).__enter__()
    with raising(FolderInUseError, "folder-in-use", who=re.compile("alive 0 s .* (60|59) s$")):
        FolderLock(tmp_path).__enter__()
    os.utime(path, (path.stat().st_mtime - 60,) * 2)  # a minute later
    with FolderLock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_the_clock_of_this_host_does_not_count(tmp_path, monkeypatch, ahead, raising):
    now = time.time
    path = written_elsewhere(tmp_path, age=10)
    monkeypatch.setattr(time, "time", lambda: now() + ahead)
    with raising(FolderInUseError, "folder-in-use", who=re.compile(r"alive 1\d s .* [45]\d s$")):
        FolderLock(tmp_path).__enter__()
    os.utime(path, (now() - lock.STALE_SECONDS - 1,) * 2)
    with FolderLock(tmp_path):
        pass


def test_no_file_is_made_to_read_the_clock_where_the_kernel_knows(tmp_path, monkeypatch):
    (tmp_path / ".explainrun.lock").write_text(json.dumps({"host": lock.socket.gethostname(), "pid": 7}))
    monkeypatch.setattr(lock.OwnFolder, "now", lambda _: pytest.fail("asked"))
    with FolderLock(tmp_path):
        pass
