"""What a run that is resumed has to compute again, though it was committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..archive.picture_checksums import Picture, pictures_of
from ..archive.segments import Array, Segments
from ..errors import BrokenRecordError
from ..event_file.frames import read_frames
from ..plural import plural


def mend(segments: Segments, check: Callable[[], None] = lambda: None) -> list[str]:
    """Remove the segments that are damaged or whose pictures are not those that were drawn with them, so that their
    part of a batch is computed again; with damaged samples the whole batch.

    Every segment is read through, one record in memory at a time, and every picture: damage that is not seen now would
    be met only when all is joined, or by whoever looks at the picture. Parts of unfinished segments are read too.

    Args:
        segments: of the run.
        check: called before each is read; raises to end the wait.

    Returns:
        What was wrong with each that is removed.

    Raises:
        FolderInUseError: if the lock is lost.
        OSError: if one cannot be read or removed.
    """
    for name in {part.segment for part in segments.parts.all()}:
        if (segments.run.segments / name).is_file():  # which has been put in their place
            segments.parts.discard(name)
    damaged = dict(_damaged(segments, check))
    for path in damaged:
        segments.run.discard(path)
    without_pictures = dict(_with_missing_pictures(segments, check))
    for path in without_pictures:
        segments.run.discard(path)
    broken_parts = dict(_broken_parts(segments, check))
    for path in broken_parts:
        segments.run.discard(path)
    return [*damaged.values(), *without_pictures.values(), *broken_parts.values()]


def _damaged(segments: Segments, check: Callable[[], None]) -> Iterator[tuple[Path, str]]:
    for path in sorted(segments.run.segments.glob("*")):
        check()
        try:
            for _ in read_frames(path):
                pass
        except BrokenRecordError as error:
            yield path, str(error)


def _with_missing_pictures(segments: Segments, check: Callable[[], None]) -> Iterator[tuple[Path, str]]:
    """Segments whose pictures are not all there, as they were drawn; or whose samples are not, which say of what."""
    for batch, paths in sorted(_by_batch(segments.run.segments).items()):
        if not segments.has_samples(batch):
            yield from ((path, f"{path} is without the samples that it is about") for path in paths)
            continue
        for path, pictures in _pictures(segments, batch):
            check()
            wrong = [(picture.path, how) for picture in pictures if (how := picture.wrong(segments.run.root))]
            if wrong:
                kinds = " or ".join(sorted({how for _, how in wrong}))
                which = f"{plural(len(wrong), 'picture')} that {'is' if len(wrong) == 1 else 'are'} {kinds}"
                yield path, f"{path} belongs to {which}, such as {wrong[0][0]}"


def _broken_parts(segments: Segments, check: Callable[[], None]) -> Iterator[tuple[Path, str]]:
    """Parts of unfinished segments that are damaged, or are not about the samples of their batch."""
    for name in segments.parts.all():
        check()
        path = segments.parts.path(name)
        try:
            asked = segments.parts.read(name).arrays["questions"]
        except BrokenRecordError as error:
            yield path, str(error)
            continue
        number = name.segment.partition(".")[0]
        batch = int(number) if number.isdecimal() else -1
        if not segments.has_samples(batch):
            yield path, f"{path} is without the samples that it is about"
            continue
        samples = segments.samples(batch)
        own = samples.questions[np.isin(samples.questions[:, 0], samples.ids[name.first : name.last])]
        beside = name.what == "maps" and not _shared(asked, own)  # of the questions that metrics add, made alone
        if not beside and not np.array_equal(asked[: len(own)], own):
            yield path, f"{path} is about other questions than those of its batch"


def _shared(first: Array, second: Array) -> bool:
    """Whether a question stands in both of two tables (Q, 2)."""
    return not set(map(tuple, first.tolist())).isdisjoint(map(tuple, second.tolist()))


def _by_batch(folder: Path) -> dict[int, list[Path]]:
    found: dict[int, list[Path]] = {}
    for path in sorted(folder.glob("*")):
        number = path.name.partition(".")[0]
        if number.isdecimal():
            found.setdefault(int(number), []).append(path)
    return found


def _pictures(segments: Segments, batch: int) -> Iterator[tuple[Path, Iterator[Picture]]]:
    """The segments of a batch, each with the pictures that were drawn with it."""
    run, samples, missing = segments.run, segments.samples(batch), segments.missing(batch)
    yield segments.samples_path(batch), pictures_of(run, "", samples, samples)
    for name in segments.explainers:
        if name not in missing:
            yield segments.explained_path(batch, name), pictures_of(run, name, samples, segments.explained(batch, name))
