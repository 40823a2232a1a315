"""Everything that is wrong with something, reported at once; and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path


class SeveralProblemsError(ValueError):
    """What is wrong, a line each.

    Attributes:
        problems: one sentence each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        several = f"{len(self.problems)} problems:" if len(self.problems) > 1 else ""
        super().__init__("\n  ".join([several, *self.problems]) if several else self.problems[0])


def nearest(name: str, known: Iterable[str]) -> str:
    """Words that end an error on a mistyped name: the nearest known names, or all of them if none is near."""
    known = list(known)
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"known: {', '.join(known)}" if known else "there are none"


class BrokenRecordError(ValueError):
    """A record that cannot be read. The records before it are sound.

    Attributes:
        path: the file.
        index: number of the record in the file, from 0.
        offset: byte at which the record starts.
        reason: what is wrong with it.
    """

    def __init__(self, path: Path, index: int, offset: int, reason: str) -> None:
        super().__init__(f"{path}: record {index} at byte {offset}: {reason}")
        self.path, self.index, self.offset, self.reason = path, index, offset, reason
