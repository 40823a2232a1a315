"""What commands say of an error, and the exit code they end with, which errors of ours carry."""

import errno
from pathlib import Path

import pytest

from explainrun.explainers.network import OutOfMemoryError
from explainrun.runner import NotComputedError, PlanError, RunStopped, SampleError
from explainrun.runner.cli.process.errors import reported_errors, reported_read_errors
from explainrun.runner.plan.sharding import NotAWorker
from explainrun.summary_format import BrokenRecordError, FolderInUseError

BROKEN = BrokenRecordError(Path("runs/a"), 3, 40, "cut short")
KEPT = "; what is committed is kept, run again without --overwrite to resume"
MEMORY = "the device has no memory for a pass of 16 images; set pass_size to 8"


def ended(context, error, capsys):
    with pytest.raises(SystemExit) as caught, context:
        raise error
    told = capsys.readouterr().err
    return caught.value.code, told.removeprefix("explainrun: ").rstrip("\n")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (PlanError(["the dataset is empty"]), 2, "the dataset is empty"),
        (PlanError(["one", "two"]), 2, "2 problems:\n  one\n  two"),
        (FolderInUseError("runs/a is in use"), 3, "runs/a is in use"),
        (SampleError("sample 7: no image"), 2, "sample 7: no image"),
        (NotComputedError("not finite"), 3, "the run failed: not finite"),
        (BROKEN, 3, "the run failed: runs/a: record 3 at byte 40: cut short"),
        (RunStopped("stopped; run again to resume"), 3, "stopped; run again without --overwrite to resume"),
        (OSError(errno.ENOSPC, "full"), 3, f"the run failed: [Errno 28] full{KEPT}"),
        (SystemExit(2), 3, "the run failed: your own code ended it, by exit(2)"),
        (KeyError("a"), 3, "the run failed: KeyError: 'a' (EXPLAINRUN_TRACEBACK=1 shows where)"),
    ],
)
def test_a_command_that_works(error, code, told, capsys):
    assert ended(reported_errors(" without --overwrite"), error, capsys) == (code, told)


def test_memory_that_lacks_is_no_surprise(capsys):
    code, told = ended(reported_errors(), OutOfMemoryError(16), capsys)
    assert code == 3
    assert told.startswith(f"the run failed: {MEMORY}")
    assert "EXPLAINRUN_TRACEBACK" not in told


def test_a_scheduler_that_works_on_nothing_says_nothing(capsys):
    assert ended(reported_errors(), NotAWorker(), capsys) == (0, "")


@pytest.mark.parametrize("error", [BROKEN, OSError("gone"), ValueError("no run"), KeyError("a")])
def test_a_command_that_only_reads_ends_with_2(error, capsys):
    code, told = ended(reported_read_errors(), error, capsys)
    assert code == 2
    assert str(error) in told
