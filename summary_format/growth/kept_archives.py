"""The archives that lie beside a run that grows: what it takes from, and what it hides once it is finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..archive.growth_record import GrowthRecord
from ..archive.results import Results
from ..archive.results_file import write_archive_at
from ..archive.segments import Segments
from ..errors import BrokenRecordError
from ..plan_record import PlanRecord
from ..storage.durable import copy
from ..storage.run_folder import RunFolder
from .earlier import EarlierArchive
from .plan_growth import Surplus

_PATTERN = "[0-9]*.h5"


@dataclass(frozen=True)
class Hidden:
    """An archive that lies beside a finished run.

    Attributes:
        path: of the archive.
        surplus: what it has that the run lacks.
    """

    path: Path
    surplus: Surplus


def archive_paths(run: RunFolder) -> list[Path]:
    """The archives that lie beside a run, the newest first."""
    there = () if run.earlier.is_symlink() else run.earlier.glob(_PATTERN)  # what a link leads to is not the run's
    found = [path for path in there if path.stem.isdecimal()]
    return sorted(found, key=lambda path: int(path.stem), reverse=True)


def opened_archives(run: RunFolder) -> list[EarlierArchive]:
    """The same, each read and checked.

    Raises:
        BrokenRecordError: if one is damaged.
        ValueError: if one is of a newer version.
        OSError: if one cannot be read.
    """
    runs = {path: RunFolder(run.root, int(path.stem), path) for path in archive_paths(run)}  # as names of pictures go
    return [EarlierArchive(path, earlier) for path, earlier in runs.items()]


def archives_of(
    run: RunFolder, plan: PlanRecord, check: Callable[[], None] = lambda: None, *, checked: bool = False
) -> list[EarlierArchive]:
    """What a run that grows out of another one may take from: its archive, and those that lie beside it.

    Args:
        run: the earlier one; of an unfinished one the complete batches are joined to an archive, in the folder of the
            writer that holds the lock.
        plan: of it.
        check: called now and then; raises to stop this.
        checked: whether the archive of the finished run was checked just before.

    Raises:
        BrokenRecordError: if an archive or a segment is damaged.
        ValueError: if an archive is of a newer version.
        OSError: if one cannot be read or written.
    """
    if run.finished:
        return [EarlierArchive(run.archive, run, check=not checked), *opened_archives(run)]
    segments = Segments.of(run, plan)
    if not segments.complete():
        return opened_archives(run)
    joined = run.partial()
    write_archive_at(joined, segments, plan, check)
    return [EarlierArchive(joined, run), *opened_archives(run)]


def put_beside(archives: Sequence[EarlierArchive], folder: Path) -> None:
    """Put archives into the folder that lies beside a run which grows out of theirs, as links where that is possible.

    Raises:
        OSError: if the disk refuses.
    """
    for archive in archives:
        copy(archive.path, folder / _name_of(archive))


def _name_of(archive: EarlierArchive) -> str:
    """Under which an archive lies beside a run that grows out of it."""
    return f"{archive.run.timestamp}.h5"


def hidden_in(path: Path, results: Results) -> Hidden:
    """What an archive beside a finished run holds that the run lacks.

    Raises:
        BrokenRecordError: if it is damaged.
        ValueError: if it is of a newer version.
        OSError: if it cannot be read.
    """
    held = Results(path)
    return Hidden(path, _surplus(held.plan_record, len(held.samples), results))


def _surplus(plan: PlanRecord, samples: int, results: Results) -> Surplus:
    """What an archive of a plan and so many samples holds that a run lacks."""
    return Surplus.of(plan, results.plan_record, samples - len(results.samples))


def drop_shown(run: RunFolder, results: Results, known: Sequence[EarlierArchive] = ()) -> None:
    """Remove the archives beside a finished run that hold no more than it does; one that cannot be read stays.

    Args:
        run: which.
        results: what it came to.
        known: the archives that it took from, which are not read again.

    Raises:
        FolderInUseError: if the lock is lost.
        OSError: if one cannot be removed.
    """
    surpluses = {_name_of(one): _surplus(one.plan, len(one.ids), results) for one in known}
    for path in archive_paths(run):
        try:
            surplus = surpluses[path.name] if path.name in surpluses else hidden_in(path, results).surplus
        except (BrokenRecordError, ValueError):
            continue
        if not surplus:
            run.discard(path)
    if run.earlier.is_dir() and not archive_paths(run):
        run.discard(run.earlier)


def prune_archives(run: RunFolder) -> int:
    """Remove all archives beside a finished run; gives how many there were.

    Raises:
        FolderInUseError: if the lock is lost.
        OSError: if they cannot be removed.
    """
    there = len(archive_paths(run))
    run.discard(run.earlier)
    return there


def growth_record(
    run: RunFolder, plan: PlanRecord, archives: Sequence[EarlierArchive], costs: Mapping[str, Mapping[str, float]]
) -> GrowthRecord:
    """What a run that grows out of another one says of that.

    Args:
        run: the earlier one.
        plan: of it.
        archives: that are taken from.
        costs: what it took.
    """
    return GrowthRecord(
        began=run.timestamp,
        finished=run.finished,
        samples=next((len(one.ids) for one in archives if one.run.timestamp == run.timestamp), 0),
        explainers=tuple(plan.explainers),
        metrics=tuple(plan.metrics),
        uncertainty=bool(plan.dropout_samples),
        hierarchical_occlusion=plan.searching,
        nearest_samples=bool(plan.neighbours),
        ends=tuple(sorted({len(one.ids) for one in archives})),
        costs={what: dict(by_kind) for what, by_kind in costs.items()},
    )
