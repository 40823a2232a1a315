"""Run a config, or reuse the finished run in its folder if plan, versions and samples are unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..summary_format import BrokenRecordError, Results, RunFolder
from ..summary_format.errors import ExplainrunError
from ..summary_format.exit_codes import EXIT_RESUMABLE
from ..summary_format.plan_diff import CHOSEN, plan_differences
from ..summary_format.plan_record import PlanRecord
from ..summary_format.problem import Problem
from .batches.batch import digests, read
from .config.build import build_runner
from .config.schema import load_config
from .execution.resume import resume_decision
from .execution.run_result import RunResult
from .plan.plan import Plan
from .problems import PlanError, unforeseen_line, wants_tracebacks


class RunFailedError(ExplainrunError, RuntimeError):
    """A config cannot be run, or its run failed; the message says why, for people."""

    def __init__(self, config: Path, why: str, exit_code: int = EXIT_RESUMABLE) -> None:
        super().__init__(Problem.of("run-failed", "the run of {config} failed: {why}", config=config, why=why))
        self.exit_code = exit_code


def current_run(config: Path, overrides: Mapping[str, Any]) -> RunResult:
    """Run a config, or take what its summary folder holds if that is what the run would give.

    An unfinished run of the same plan is resumed. A finished one is taken as it is if its plan, the versions that
    made it and every sample are those of now; if it has other explainers, metrics or samples, what is missing is
    computed. Whatever else the folder holds is replaced.

    Args:
        config: the YAML file.
        overrides: values by dotted key that replace the file's, as ``load_config`` takes them.

    Raises:
        RunFailedError: if it cannot be run or fails. With ``EXPLAINRUN_TRACEBACK`` in the environment errors in users'
            own code come as they are.
        RunStopped: after a signal.
    """
    try:
        loaded, problems = load_config(config, overrides)
        # whether the folder may be overwritten is decided below, so it is none of the config's problems
        runner = build_runner(loaded, problems, config.parent, overwrite=True)
        if _holds_current_run(runner.plan(loaded.limit)):
            with suppress(PlanError):  # damaged, or begun on other samples; what else is wrong comes again below
                return runner.run(limit=loaded.limit)
        return runner.run(limit=loaded.limit, overwrite=True)
    except ExplainrunError as error:
        raise RunFailedError(config, str(error), error.exit_code) from error
    except OSError as error:
        raise RunFailedError(config, str(error)) from error
    except Exception as error:
        if wants_tracebacks():
            raise
        raise RunFailedError(config, unforeseen_line(error)) from error


def _holds_current_run(plan: Plan) -> bool:
    """Whether the folder holds a run to resume or to grow out of, or a finished one that says what a new one would."""
    decision = resume_decision(plan, overwrite=False, resume=True)
    plan, run = decision.plan, decision.run
    if run is None or not run.finished:
        return run is not None or decision.grows is not None
    made = PlanRecord.of((run.state() or {}).get("plan"))
    return not plan_differences(made, plan.described, CHOSEN) and _same_samples(plan, run)


def _same_samples(plan: Plan, run: RunFolder) -> bool:
    """Whether a finished run explained all samples as the dataset gives them now."""
    try:
        explained = Results(run.archive).digests
    except (BrokenRecordError, FileNotFoundError):
        return False
    given = [digests(samples) for samples in read(plan).batches]
    return np.array_equal(explained, np.concatenate(given) if given else [])
