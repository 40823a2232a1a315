"""A disk that runs full in the middle of a run: one message, then the same end once there is room again."""

import errno
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress

import pytest
from click.testing import CliRunner

from explainrun.runner.batches.batch_loop import BatchLoop
from explainrun.runner.cli.main import main
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


@pytest.fixture
def filled(monkeypatch):
    """Has a run's disk be full once it has committed so often."""

    @contextmanager
    def full_after(commits, disk):
        done, commit = [], BatchLoop._commit

        def until_full(self, *work, **options):
            if len(done) == commits:
                self._committer.drain()
                fill(disk)
            done.append(1)
            commit(self, *work, **options)

        with monkeypatch.context() as patch:
            patch.setattr(BatchLoop, "_commit", until_full)
            yield

    return full_after


@pytest.mark.parametrize("commits", [0, *(pytest.param(often, marks=pytest.mark.long) for often in (1, 3, 4)), 5])
def test_goes_on_once_there_is_room(make_runner, whole, small_disk, tmp_path, filled, how_runs_differ, commits):
    disk = small_disk(4)
    with filled(commits, disk), pytest.raises(OSError, match="No space left on device") as raised:
        make_runner("disk/run").run()
    assert raised.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="No space left on device"):  # still full
        make_runner("disk/run").run()
    (disk / "ballast").unlink()
    make_runner("disk/run").run()
    assert how_runs_differ(whole, disk / "run") == []


def test_a_merge_begins_anew_once_there_is_room(make_runner, whole, small_disk, tmp_path, how_runs_differ):
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
    assert how_runs_differ(whole, disk / "merged") == []


def test_the_command_says_it_in_one_line(gated_project, small_disk, filled, tmp_path):
    disk = small_disk(64)
    config = gated_project(tmp_path / "project").folder / "gate.yaml"
    command = ["run", str(config), "--summary-dir", str(disk / "run")]
    with filled(2, disk):
        full = CliRunner().invoke(main, command)
    assert full.exit_code == 3, full.output
    [line] = [line for line in full.stderr.splitlines() if line.startswith("explainrun: ")]
    assert "No space left on device" in line
    assert line.endswith("; what is committed is kept, run again to resume")
    assert "Traceback" not in full.stderr
    (disk / "ballast").unlink()
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 0, again.output
    assert len(Results(disk / "run").samples) == 24
