"""A disk that runs full in the middle of a run: one message, then the same end once there is room again."""

import errno
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from explainrun.runner.execution.batch_loop import Work
from explainrun.summary_format import Results, merge


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of some megabytes."""
    if not (sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount")):
        pytest.skip("a small file system can be mounted by root on Linux only")
    folder, mounted = tmp_path / "disk", []

    def mount(megabytes):
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}M", "none", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no file system may be mounted here")
        mounted.append(folder)
        return folder

    yield mount
    for each in mounted:
        subprocess.run(["umount", str(each)], check=True)


def fill(disk):
    """Leave no byte free, and no file to be made."""
    with (disk / "ballast").open("ab", buffering=0) as ballast:
        for size in (1 << 16, 1 << 12):
            with suppress(OSError):
                while ballast.write(b"\1" * size):
                    pass
    assert shutil.disk_usage(disk).free == 0


@pytest.mark.parametrize("commits", [0, 1, 3, 4, 5])
def test_goes_on_once_there_is_room(make_runner, small_disk, tmp_path, monkeypatch, how_runs_differ, commits):
    make_runner("whole").run()
    disk, done, commit = small_disk(4), [], Work._commit

    def until_full(self, *arguments):
        if len(done) == commits:
            self._committer.drain()
            fill(disk)
        done.append(1)
        commit(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Work, "_commit", until_full)
        with pytest.raises(OSError, match="No space left on device") as raised:
            make_runner("disk/run").run()
    assert raised.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="No space left on device"):  # still full
        make_runner("disk/run").run()
    (disk / "ballast").unlink()
    make_runner("disk/run").run()
    assert how_runs_differ(tmp_path / "whole", disk / "run") == []


def test_a_merge_begins_anew_once_there_is_room(make_runner, small_disk, tmp_path, how_runs_differ):
    make_runner("whole").run()
    shards = [make_runner("parts/{shard}").run(shard=(number, 2)).summary_dir for number in (1, 2)]
    disk = small_disk(4)
    fill(disk)
    with pytest.raises(OSError, match="No space left on device"):
        merge(disk / "merged", shards)
    with (disk / "ballast").open("rb+") as ballast:
        ballast.truncate(4 * 2**20 - 24 * 1024)  # room for some of it
    with pytest.raises(OSError, match="No space left on device"):
        merge(disk / "merged", shards)
    (disk / "ballast").unlink()
    merge(disk / "merged", shards)
    assert how_runs_differ(tmp_path / "whole", disk / "merged") == []


def test_the_command_says_it_in_one_line(repository, small_disk):
    disk = small_disk(64)
    command = [sys.executable, "-m", "explainrun", "run", str(repository / "configs/quickstart.yaml"), "--limit", "6"]
    command += ["--summary-dir", str(disk / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(disk.glob("run/_explain_*/segments/*")):
        time.sleep(0.01)
    fill(disk)
    _, told = process.communicate()
    assert process.returncode == 3, told
    [line] = [line for line in told.splitlines() if line.startswith("explainrun: ")]
    assert "No space left on device" in line
    assert line.endswith("; what is committed is kept, run again to resume")
    assert "Traceback" not in told
    (disk / "ballast").unlink()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert len(Results(disk / "run").samples) == 6
