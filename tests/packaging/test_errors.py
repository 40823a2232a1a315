"""One base for all errors that are ours, with the exit code; and what they were, they still are."""

import contextlib
import importlib
import pkgutil
import subprocess
import sys

import pytest

from explainrun import ExplainrunError, benchmarks, explainers, runner, summary_format
from explainrun.explainers.contract.bundled import NetworkError
from explainrun.explainers.contract.rules import ContractError
from explainrun.explainers.network import NetworkRefusedError, OutOfMemoryError, UnsharedDropoutError
from explainrun.explainers.network.graphs.compiling import GraphRefusedError
from explainrun.runner import NotComputedError, PlanError, RunStopped, SampleError
from explainrun.runner.comparison import BaselineError, NoRunError, NotComparableError, RulesError, UnfinishedRunError
from explainrun.runner.data.pictures import PictureError
from explainrun.runner.plan.fingerprint import UndescribedError
from explainrun.runner.plan.sharding import NotAWorker
from explainrun.runner.problems import DamagedRunError, DatasetChangedError, EngineError
from explainrun.runner.report.write import ReportError
from explainrun.runner.up_to_date_run import RunFailedError
from explainrun.summary_format import BrokenRecordError, FolderInUseError, MergeError
from explainrun.summary_format.errors import NotRegularError, SeveralProblemsError
from explainrun.summary_format.imported_maps.map_store import MapsFileError

# What each is beside an ExplainrunError, and what it ends a command with.
ERRORS = {
    BaselineError: (ValueError, 2),
    BrokenRecordError: (ValueError, 3),
    NotRegularError: (ValueError, 3),
    ContractError: (AssertionError, 2),
    DamagedRunError: (PlanError, 2),
    DatasetChangedError: (PlanError, 2),
    EngineError: (RuntimeError, 3),
    FolderInUseError: (OSError, 3),
    GraphRefusedError: (ValueError, 2),
    MapsFileError: (ValueError, 2),
    MergeError: (ValueError, 2),
    NetworkRefusedError: (ValueError, 2),
    NoRunError: (ValueError, 2),
    NotComparableError: (ValueError, 2),
    NotComputedError: (RuntimeError, 3),
    OutOfMemoryError: (RuntimeError, 3),
    PictureError: (ValueError, 2),
    PlanError: (ValueError, 2),
    ReportError: (ValueError, 2),
    RulesError: (ValueError, 2),
    RunFailedError: (RuntimeError, 2),
    SampleError: (ValueError, 2),
    SeveralProblemsError: (ValueError, 2),
    UndescribedError: (ValueError, 2),
    UnfinishedRunError: (ValueError, 2),
    UnsharedDropoutError: (ValueError, 3),
}

USERS = {NetworkError}  # what a network of the user raises
ENDS = {NotAWorker: 0, RunStopped: 3}  # what ends a process without an error


def errors_of(*packages):
    """Every class of errors that the modules of packages define."""
    for package in packages:
        for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            held = [one for one in vars(importlib.import_module(name)).values() if isinstance(one, type)]
            yield from (one for one in held if issubclass(one, BaseException) and one.__module__ == name)


@pytest.mark.filterwarnings("ignore:explainrun.* is deprecated")
def test_every_error_of_ours_has_the_base():
    found = set(errors_of(summary_format, explainers, benchmarks, runner))
    assert {one for one in found if not issubclass(one, ExplainrunError)} == {*ENDS, *USERS}
    assert found == {*ERRORS, *ENDS, *USERS, ExplainrunError}
    assert len(found) > 20  # a walk that finds no modules would find no errors either


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_bases_and_exit_codes(error):
    base, code = ERRORS[error]
    assert issubclass(error, base)
    assert error.exit_code == code


@pytest.mark.parametrize("end", [NotAWorker(), RunStopped("stopped by a signal")], ids=lambda end: type(end).__name__)
def test_what_ends_a_process_passes_code_that_handles_errors(end):
    with pytest.raises(SystemExit) as caught, contextlib.suppress(Exception):
        raise end
    assert caught.value.exit_code == caught.value.code == ENDS[type(end)]


def test_a_merge_that_only_waits_can_be_run_again():
    assert MergeError(["shard 2/3 is missing"], waiting=True).exit_code == 3
    assert MergeError(["shards of two plans"]).exit_code == 2


def test_the_base_comes_without_mindspore_and_numpy():
    code = "import sys, explainrun; explainrun.ExplainrunError; print(sorted({'mindspore', 'numpy'} & {*sys.modules}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"


def test_commands_come_without_numpy():
    """--help answers at once."""
    code = "import sys, explainrun.runner.cli.main; print(sorted({'mindspore', 'numpy'} & {*sys.modules}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"
