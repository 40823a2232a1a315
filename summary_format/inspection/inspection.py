"""What a summary folder holds: finished or how far, what it takes, what has no numbers, what is broken.

Looks and reads, and never writes: no lock is taken, and a folder that cannot be written to will do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..archive.costs import Costs, added_up
from ..archive.growth_record import GrowthRecord
from ..archive.picture_checksums import KnownPictures
from ..archive.results import Results
from ..growth.kept_archives import Hidden, archive_paths, hidden_in
from ..plan_record import PlanRecord
from ..plural import plural
from ..storage.lock_holder import Holder, holder_of
from ..storage.run_folder import RunFolder, find_runs
from ..storage.sizes import Sizes, measured
from ..untrusted.regular_files import read_regular
from .committed_work import NotComputed, committed
from .integrity import ANEW, PRUNED, Fault, Records, checked_records, fault_of, manifest_faults
from .progress import Progress

FINISHED, UNFINISHED, DAMAGED, NO_RUN = "finished", "unfinished", "damaged", "no run"
_DATA_FOLDER = re.compile(r"_explain_(\d+)")
_FILES = ("plan.json", "segments", "results.h5", "manifest.json")
_ATTEMPTS = 3  # at a run that ends or is replaced while one looks


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a summary folder holds.

    Attributes:
        folder: that was looked at.
        run: the newest run there; None where there is none.
        others: earlier runs there, oldest first.
        finished: whether the run came to its end.
        writer: who writes to the folder, or did when it died; None where no process holds it.
        plan: what the run does; None where that cannot be read.
        ended: seconds since the epoch at which it was finished.
        samples: how many it has read, of an unfinished run those that every part is through with.
        questions: how many it asks of the samples that the network has seen.
        progress: how far it is, of an unfinished run.
        costs: what all committed work took.
        curve_bytes: what the curves of metrics take in the archive; None where the run is not finished.
        not_computed: what has no numbers; None where that cannot be read.
        pictures: how many pictures were looked at; None where none were to be.
        verified: whether their checksums were known; runs of earlier versions kept none.
        unsupported: why this version cannot look into the run; None if it can.
        records: what the event file holds.
        sizes: what its files take.
        grown_from: the run that it grew out of; None where it began with nothing.
        hidden: what archives beside a finished run hold that the run lacks.
        faults: what is broken, or why there is no run to look at.
    """

    folder: Path
    run: RunFolder | None = None
    others: tuple[RunFolder, ...] = ()
    finished: bool = False
    writer: Holder | None = None
    plan: PlanRecord | None = None
    ended: float | None = None
    samples: int | None = None
    questions: int | None = None
    progress: Progress | None = None
    costs: Costs = field(default_factory=dict)
    curve_bytes: int | None = None
    not_computed: NotComputed | None = None
    pictures: int | None = None
    verified: bool = False
    unsupported: str | None = None
    records: Records | None = None
    sizes: Sizes | None = None
    grown_from: GrowthRecord | None = None
    hidden: tuple[Hidden, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def running(self) -> bool:
        """Whether a process writes to the folder now."""
        return self.writer is not None and self.writer.alive

    @property
    def state(self) -> str:
        """``FINISHED``, ``UNFINISHED``, ``DAMAGED`` or ``NO_RUN``; a run that is just beginning is unfinished."""
        if self.run is None:
            return UNFINISHED if self.running else NO_RUN
        if self.unsupported is not None:
            return UNFINISHED
        return DAMAGED if self.faults else FINISHED if self.finished else UNFINISHED

    @property
    def seconds(self) -> float:
        """What the committed work took."""
        return sum(self.costs.get("seconds", {}).values())


def inspect_run(folder: str | Path, *, through: bool = True) -> Inspection:
    """Look at the newest run in a summary folder.

    Args:
        folder: a summary folder, or the data folder of one of its runs, which is then looked at.
        through: read every file through, for its checksums; else maps, records and pictures are not verified.
            The archive of a finished run is, in either case.

    Returns:
        What is there. It reports whatever is wrong; this raises nothing.
    """
    folder, found = Path(folder), Inspection(folder=Path(folder))
    for _ in range(_ATTEMPTS):
        try:
            before = _standing(folder)
            found = _inspected(folder, through=through)
            if _standing(folder) == before:
                break
        except OSError as error:
            return Inspection(folder=folder, faults=(_unseen(folder, str(error)),))
        except Exception as error:  # a folder may hold anything
            return Inspection(folder=folder, faults=(_unseen(folder, f"{type(error).__name__}: {error}"),))
    return found


def holds_run(folder: Path) -> bool:
    """Whether there is a run in a folder, or one that begins."""
    with suppress(OSError, RuntimeError):  # a loop of links is the latter
        run, _ = _chosen(folder)
        writer = _writer(folder)
        return run is not None or (writer is not None and writer.alive)
    return False


def runs_below(folder: Path) -> list[Path]:
    """The folders in a folder that hold runs, if any do, and with them those that may, since they cannot be read."""
    with suppress(OSError):
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
        runs = [path for path in inside if holds_run(path)]
        return runs and [path for path in inside if path in runs or not os.access(path, os.R_OK | os.X_OK)]
    return []


def _unseen(folder: Path, why: str) -> Fault:
    return Fault(str(folder), f"it cannot be looked at ({why})", "name a summary folder that can be read")


def _standing(folder: Path) -> list[tuple[str, bool]]:
    """By which a run is known to be the one that it was."""
    run, others = _chosen(folder)
    return [(one.event_file.name, one.finished) for one in (*others, *([run] if run else []))]


def _chosen(folder: Path) -> tuple[RunFolder | None, tuple[RunFolder, ...]]:
    """The run to look at, and the others beside it.

    Raises:
        OSError: if the folder is none, or cannot be read.
    """
    os.listdir(folder)  # raises, where globbing finds nothing
    place = folder.resolve()
    inside = _DATA_FOLDER.fullmatch(place.name) is not None
    runs = _runs(folder.parent if folder.name == place.name else place.parent) if inside else _runs(folder)
    mine = [run for run in runs if not inside or run.data.name == place.name]
    return (mine[-1], tuple(run for run in runs if run is not mine[-1])) if mine else (None, ())


def _runs(root: Path) -> list[RunFolder]:
    """The runs in a folder, oldest first, with those of which neither plan nor event file can be read."""
    runs = find_runs(root)
    known = {run.data.name for run in runs}
    for path in root.iterdir():
        match = _DATA_FOLDER.fullmatch(path.name)
        if match and path.name not in known and any((path / name).exists() for name in _FILES):
            runs.append(RunFolder(root, int(match[1]), root / f"events.summary.{match[1]}.unknown_explain"))
    return sorted(runs, key=lambda run: run.timestamp)


def _writer(root: Path) -> Holder | None:
    with suppress(OSError):
        return holder_of(root)
    return None


def _inspected(folder: Path, *, through: bool) -> Inspection:
    run, others = _chosen(folder)
    if run is None:
        writer = _writer(folder)
        nothing = Fault(str(folder), "it holds no run", "name a summary folder")
        return Inspection(folder=folder, writer=writer, faults=() if writer and writer.alive else (nothing,))
    begun = Inspection(
        folder=folder, run=run, others=others, finished=run.finished, writer=_writer(run.root), sizes=measured(run)
    )
    return (_finished if begun.finished else _unfinished)(begun, run, through=through)


def _plan(run: RunFolder) -> tuple[PlanRecord | None, tuple[Fault, ...]]:
    """What a run's plan file says, or what is wrong with it."""
    path = run.data / "plan.json"
    try:
        state = run.state()
        if state is not None:
            return PlanRecord.of(state.get("plan")), ()
        read_regular(path)
        raise ValueError("it is not the plan of a run")
    except (OSError, ValueError) as error:
        return None, (fault_of(run, path, error, ANEW),)


def _unfinished(begun: Inspection, run: RunFolder, *, through: bool) -> Inspection:
    plan, faults = _plan(run)
    if (why := run.why_not_resumed()) is not None:
        return replace(begun, plan=plan, unsupported=why)
    records = checked_records(run, finished=False) if through else None
    if plan is None:
        return replace(begun, records=records, faults=(*faults, *(records.faults if records else ())))
    found, grown = committed(run, plan, through=through), _grown_from(run)
    progress = Progress.of(found, plan.own_samples)
    return replace(
        begun,
        plan=plan,
        grown_from=grown,
        samples=progress.samples,
        questions=found.questions,
        progress=progress,
        costs=found.costs if grown is None else added_up([grown.costs, found.costs]),
        not_computed=found.not_computed,
        pictures=found.pictures if through else None,
        verified=through,
        records=records,
        faults=(*found.faults, *(records.faults if records else ())),
    )


def _finished(begun: Inspection, run: RunFolder, *, through: bool) -> Inspection:
    plan, faults = _plan(run)
    begun = replace(begun, plan=plan, ended=_time_written(run.manifest), grown_from=_grown_from(run))
    faults, known = (*faults, *manifest_faults(run)), None
    try:
        results = Results(run.archive)
        begun, known = _with_results(begun, results), KnownPictures(results)
        begun, broken = _with_hidden(begun, run, results)
        faults = (*faults, *broken)
    except Exception as error:  # a sound checksum may stand over an archive of another version
        faults = (*faults, fault_of(run, run.archive, error, ANEW))
    if through:
        records = checked_records(run, finished=True, known=known)
        verified = known is not None and known.kept
        begun = replace(begun, records=records, pictures=records.pictures, verified=verified)
    return replace(begun, faults=(*faults, *_record_faults(begun, run)))


def _grown_from(run: RunFolder) -> GrowthRecord | None:
    with suppress(ValueError):  # it says something else, which a start refuses
        return GrowthRecord.of(run.state())
    return None


def _with_hidden(begun: Inspection, run: RunFolder, results: Results) -> tuple[Inspection, list[Fault]]:
    """With what lies beside a finished run; and which of that is broken."""
    hidden, faults = list[Hidden](), list[Fault]()
    for path in archive_paths(run):
        try:
            hidden.append(hidden_in(path, results))
        except Exception as error:  # whatever a foreign file makes of a reader
            faults.append(fault_of(run, path, error, PRUNED))
    return replace(begun, hidden=tuple(hidden)), faults


def _with_results(begun: Inspection, results: Results) -> Inspection:
    """With what an archive says; columns of numbers are in memory, never maps."""
    lacking, questions = NotComputed(), results.questions
    lacking.count_samples(results.computed, results.digests, questions, results.labels_out_of_range)
    for explainer in results.explainers:
        lacking.count_maps(explainer, results.computed_maps(explainer))
        for metric in results.metrics:
            lacking.count_scores(explainer, metric, results.scores(explainer, metric))
    return replace(
        begun,
        plan=results.plan_record,
        samples=len(results.samples),
        questions=len(questions),
        costs=results.costs,
        curve_bytes=results.curve_bytes,
        not_computed=lacking,
    )


def _record_faults(found: Inspection, run: RunFolder) -> Iterator[Fault]:
    """What is wrong with the event file of a finished run, also beside its archive."""
    if found.records is None:
        return
    yield from found.records.faults
    if found.not_computed is None or found.plan is None or found.samples is None or found.records.faults:
        return
    lacking = found.not_computed
    ought = found.samples - lacking.broken - lacking.outputs - lacking.unlabelled
    if found.records.samples != ought:
        yield Fault(run.event_file.name, f"it holds {plural(found.records.samples, 'sample')} of {ought}", ANEW)
    if found.plan.metrics and found.plan.explainers and not found.records.scores:
        yield Fault(run.event_file.name, "it does not hold the scores", ANEW)


def _time_written(path: Path) -> float | None:
    with suppress(OSError):
        return path.stat().st_mtime
    return None
