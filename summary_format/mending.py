"""What a run that goes on has to make anew, though it was committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from .disk import remove
from .frames import BrokenRecordError, read_frames
from .sample_records import recorded
from .segments import Segments


def mend(segments: Segments, check: Callable[[], None] = lambda: None) -> list[str]:
    """Remove the segments that are damaged or have lost pictures, so that their part of a batch is made anew; with
    damaged samples the whole batch.

    Every segment is read through, one record in memory at a time: damage that nobody sees now would be met only when
    all is joined.

    Args:
        segments: of the run.
        check: called before each is read; raises where nobody shall wait any longer.

    Returns:
        What was wrong with each that is removed.

    Raises:
        OSError: if one cannot be read or removed.
    """
    damaged = dict(_damaged(segments, check))
    for path in damaged:
        remove(path)
    bereft = dict(_bereft(segments))
    for path in bereft:
        remove(path)
    return [*damaged.values(), *bereft.values()]


def _damaged(segments: Segments, check: Callable[[], None]) -> Iterator[tuple[Path, str]]:
    for path in sorted(segments.run.segments.glob("*")):
        check()
        try:
            for _ in read_frames(path):
                pass
        except BrokenRecordError as error:
            yield path, str(error)


def _bereft(segments: Segments) -> Iterator[tuple[Path, str]]:
    """Segments whose pictures are not all there; or whose samples, without which nobody knows their pictures."""
    for batch, paths in sorted(_by_batch(segments.run.segments).items()):
        if not segments.has_samples(batch):
            yield from ((path, f"{path} is without the samples that it is about") for path in paths)
            continue
        for path, names in _pictures(segments, batch).items():
            lost = [name for name in names if not (segments.run.root / name).is_file()]
            if lost:
                yield path, f"{path} belongs to {len(lost)} pictures that are missing, such as {lost[0]}"


def _by_batch(folder: Path) -> dict[int, list[Path]]:
    found: dict[int, list[Path]] = {}
    for path in sorted(folder.glob("*")):
        number = path.name.partition(".")[0]
        if number.isdecimal():
            found.setdefault(int(number), []).append(path)
    return found


def _pictures(segments: Segments, batch: int) -> dict[Path, list[str]]:
    """By segment of a batch, the pictures that were drawn with it."""
    run, samples = segments.run, segments.samples(batch)
    originals = [run.image_path(int(samples.ids[row])) for row in recorded(samples)]
    pictures = {segments.samples_path(batch): originals}
    missing = segments.missing(batch)
    for name in segments.explainers:
        if name in missing:
            continue
        asked = samples.questions[segments.explained(batch, name).computed].tolist()
        pictures[segments.explained_path(batch, name)] = [run.heatmap_path(name, *each) for each in asked]
    return pictures
