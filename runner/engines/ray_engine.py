"""Ray works on the shards of a run: the driver hands them out, shows how far they are, and merges them."""

from __future__ import annotations

import logging
import os
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ...summary_format import FolderLock, find_runs, merge
from ...summary_format.exit_codes import EXIT_BAD_INPUT, EXIT_RESUMABLE
from ...summary_format.inspection.progress import committed_samples
from ...summary_format.problem import Problem
from ..batches.progress import RunProgress
from ..execution.run_result import RunResult
from ..execution.signals import RunStopped, Stopping
from ..plan.engine_options import EngineOptions, check_listening
from ..plan.plan import Plan
from ..plan.sharding import Shard, with_place
from ..plan.versions import versions
from ..problems import EngineError, PlanError, first_line
from .shard_worker import work

_ATTEMPTS, _POLL_SECONDS = 3, 1.0
_log = logging.getLogger("explainrun")


def run_on_ray(plan: Plan, make: Callable[[], Any], options: EngineOptions, ray: Any = None, **how: bool) -> RunResult:
    """Have Ray work on all shards of a plan, and merge them in its summary folder.

    Args:
        plan: of all samples; nothing is computed here.
        make: makes the plan's runner in a worker; can be pickled.
        options: how many shards, where, and what each is given.
        ray: the package, or what stands for it.
        how: ``overwrite`` and ``resume``, as ``execute`` takes them.

    Raises:
        PlanError: if Ray is not installed, or a worker finds wrong what would be wrong again; all are stopped then.
        EngineError: if there is no cluster, it is lost, or shards failed three times, once the others are finished.
        RunStopped: after a signal, once all workers have stopped; else as merging and any run.
    """
    root = plan.summary_dir.absolute()
    folders = {shard: Path(shard.folder(with_place(str(root)))) for shard in options.all_shards}
    try:
        ray = ray or import_module("ray")
    except ImportError as error:
        words = "the engine 'ray' needs Ray; pip install 'explainrun[ray]'"
        raise PlanError([Problem.of("ray-missing", words)]) from error
    # The outer one keeps Ray's own handler of SIGTERM from staying.
    with Stopping() as early, _connected(ray, options), Stopping() as stopping, FolderLock(root) as lock:
        early.check()
        order: dict[str, Any] = {"runner": pickle.dumps(make), "limit": plan.limit, "mark": str(lock.own.path), **how}
        order |= {"cores": options.resources["CPU"], "versions": versions(), "directory": os.getcwd()}
        # A process for each, so that its threads are on its own cores; it is we who try again, and count how often.
        task = ray.remote(max_calls=1, max_retries=0, scheduling_strategy="SPREAD", **options.ray_options)(work)
        with RunProgress(plan.sample_count) as bar:
            _Driver(ray, plan, folders, order, task).work(stopping, bar)
    try:
        return RunResult.of(merge(root, folders.values(), overwrite=how["overwrite"]), root)
    except KeyboardInterrupt:
        raise RunStopped("stopped while shards were merged; run again to resume") from None


@contextmanager
def _connected(ray: Any, options: EngineOptions) -> Iterator[None]:
    """Ray with the cluster that the script has, the one at an address, or else one of this host, which ends with it."""
    address, ours = options.address or os.environ.get("RAY_ADDRESS") or "local", not ray.is_initialized()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else what Ray starts sends reports to its makers
    cpus = {"num_cpus": len(os.sched_getaffinity(0))} if address == "local" else {}
    try:
        if ours:
            check_listening(address)
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **cpus)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    except Exception as error:
        words = "no Ray cluster answers at {address}: {said}"
        raise EngineError(Problem.of("no-ray-cluster", words, address=address, said=first_line(error))) from error
    try:
        options.check_room(nodes, may_grow=not (ours and cpus))
        yield
    except ray.exceptions.RayError as error:
        words = "Ray failed: {said}; what is committed is kept, run again to resume"
        raise EngineError(Problem.of("ray-failed", words, said=first_line(error))) from error
    finally:
        if ours:
            ray.shutdown()


class _Driver:
    """Hands shards out until each is finished or given up; ``order`` is what all workers are given."""

    def __init__(self, ray: Any, plan: Plan, folders: Mapping[Shard, Path], order: dict[str, Any], task: Any) -> None:
        self._ray, self._plan, self._folders, self._order, self._task = ray, plan, folders, order, task
        self._before = {shard: [run.data.name for run in find_runs(folder)] for shard, folder in folders.items()}
        self._at_work, self._samples, self._failures = dict[Any, Shard](), dict[Shard, float](), Counter[Shard]()
        self._given_up, self._said = list[str](), set[str]()
        self._stopped_by: BaseException | None = None

    def work(self, stopping: Stopping, bar: RunProgress) -> None:
        """Come to the end of all shards; raises as ``run_on_ray``."""
        shown = 0.0
        for shard in self._folders:
            self._hand_out(shard)
        while self._at_work:
            try:
                stopping.check()
            except RunStopped as stopped:
                self._stop(stopped)
            for task in self._ray.wait(list(self._at_work), timeout=_POLL_SECONDS)[0]:
                self._settle(self._at_work.pop(task), self._answer(task))
            bar.doing(f"{len(self._samples)} of {len(self._folders)} shards finished")
            now = sum(map(self._done, self._folders))
            bar.advance(now - shown)
            shown = now
        if self._stopped_by is not None:
            raise self._stopped_by
        if self._given_up:
            words = "{shards:lines}; the others are finished, and what is committed is kept: run again to resume"
            raise EngineError(Problem.of("shards-given-up", words, shards=self._given_up))

    def _hand_out(self, shard: Shard) -> None:
        own = {"shard": (shard.number, shard.count), "folder": str(self._folders[shard])}
        self._at_work[self._task.remote({**self._order, **own, "before": self._before[shard]})] = shard

    def _stop(self, why: BaseException) -> None:
        """Have all workers stop once their work at hand is committed."""
        if self._stopped_by is None:
            self._stopped_by = why
            for task in self._at_work:
                self._ray.cancel(task)

    def _answer(self, task: Any) -> dict[str, Any]:
        try:
            return dict(self._ray.get(task))
        except self._ray.exceptions.RayError as error:  # its process or node died, or it was cancelled before it began
            said = first_line(getattr(error, "cause", None) or error)
            return {"code": EXIT_RESUMABLE, "host": "?", "problems": [said], "warnings": []}

    def _settle(self, shard: Shard, answer: Mapping[str, Any]) -> None:
        """Make of what a worker says what there is to do next."""
        self._warn_once(answer["warnings"])
        where, why = f"shard {shard}, on {answer['host']}", "; ".join(answer["problems"]) or "stopped by a signal"
        if answer["code"] == 0:
            self._samples[shard] = answer["samples"]
        elif answer["code"] == EXIT_BAD_INPUT:
            self._stop(PlanError([Problem.from_text(problem).at(where) for problem in answer["problems"]]))
        elif self._stopped_by is None:
            self._failures[shard] += not answer.get("in_use")
            if self._failures[shard] == _ATTEMPTS:
                self._given_up.append(f"{where}: {why}, which was its failure number {_ATTEMPTS}")
            else:
                self._warn_once([f"{where}: {why}; trying again"])
                self._hand_out(shard)

    def _done(self, shard: Shard) -> float:
        total, plan = self._plan.sample_count, self._plan
        own = None if total is None else shard.size(total)
        return self._samples.get(shard) or committed_samples(self._folders[shard], plan.parts, plan.batch_size, own)

    def _warn_once(self, warnings: list[str]) -> None:
        for warning in dict.fromkeys(warnings).keys() - self._said:
            _log.warning("%s", warning)
            self._said.add(warning)
