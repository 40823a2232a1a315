"""What a worker does: one shard, from its first sample or from wherever an earlier worker came to."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

from ...summary_format.errors import ExplainrunError
from ...summary_format.exit_codes import EXIT_RESUMABLE
from ...summary_format.problem import Problem
from ..execution.signals import RunStopped
from ..plan.own_cores import own_cores
from ..plan.versions import check_versions
from ..problems import PlanError, problem_of

WAIT_SECONDS = 60.0  # for a folder that another run holds, such as a worker that has lost its driver
_log = logging.getLogger("explainrun")


def work(order: Mapping[str, Any]) -> dict[str, Any]:
    """Run a shard.

    Args:
        order: in plain values, which other versions can read: ``runner``, what makes it, pickled; ``shard`` (number,
            count), its ``folder`` and the runs there ``before`` the driver started; ``limit``, ``overwrite``,
            ``resume``; ``cores``, how many to have alone; the driver's ``versions``, working ``directory``, and
            ``mark``, a folder that every worker must see.

    Returns:
        ``code``, the exit code of a process that does it; ``samples`` of the shard; ``host``; ``problems`` and
        ``warnings``, texts; ``in_use``, if another run holds the folder.
    """
    answer: dict[str, Any] = {"code": EXIT_RESUMABLE, "host": socket.gethostname(), "problems": []}
    warned = BufferingHandler(1000)
    _log.addHandler(warned)
    try:
        check_versions(order["versions"])
        with own_cores(order["cores"]):
            answer |= _run(order)
    except (RunStopped, KeyboardInterrupt):
        pass  # which the exit code says
    except ExplainrunError as error:
        answer |= {"code": error.exit_code, "problems": list(error.problems)}
    except (SystemExit, Exception) as error:  # what a user's code does
        answer |= {"problems": [problem_of(error)]}
    finally:
        _log.removeHandler(warned)
    return {**answer, "warnings": [one.getMessage() for one in warned.buffer if one.levelno >= logging.WARNING]}


def _run(order: Mapping[str, Any]) -> dict[str, Any]:
    if not Path(order["mark"]).is_dir():
        words = "the worker does not see {folder} as the driver has it; put summary_dir where all nodes share it"
        raise PlanError([Problem.of("summary-dir-not-shared", words, folder=Path(order["mark"]).parent)])
    with suppress(OSError):  # so that relative paths in a user's code lead where they do in the driver
        os.chdir(order["directory"])
    from ...summary_format import FolderInUseError, find_runs  # noqa: PLC0415
    from ..execution.engine import execute  # noqa: PLC0415 - MindSpore, whose threads shall find the worker's cores alone

    runner, folder, until = pickle.loads(order["runner"])(), Path(order["folder"]), time.monotonic() + WAIT_SECONDS
    plan = replace(runner.plan(order["limit"], order["shard"]), summary_dir=folder)
    while True:
        begun = not {run.data.name for run in find_runs(folder)} <= set(order["before"])  # by an earlier worker
        overwrite, resume = order["overwrite"] and not begun, order["resume"] or begun
        try:
            return {"code": 0, "samples": execute(plan, overwrite=overwrite, resume=resume).samples}
        except FolderInUseError as error:
            if time.monotonic() > until:
                return {"problems": list(error.problems), "in_use": True}
            time.sleep(1)
