"""The base of all errors that are ours; problems reported together; and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from .exit_codes import EXIT_BAD_INPUT, EXIT_RESUMABLE


class ExplainrunError(Exception):
    """Every error that Explainrun defines; never raised itself.

    Each is a Python error too, such as a ValueError. ``RunStopped`` and ``NotAWorker`` are not errors: each is a
    SystemExit, which code that handles errors lets pass.

    Attributes:
        exit_code: what a command or script that fails with it should end with: 2 where the same would happen again,
            3 where it can be run again as it is.
    """

    exit_code: int = EXIT_BAD_INPUT


class SeveralProblemsError(ExplainrunError, ValueError):
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


class BrokenRecordError(ExplainrunError, ValueError):
    """A record that cannot be read. The records before it are sound.

    A run that meets one computes it again when resumed, hence its exit code; commands that only read end with 2.

    Attributes:
        path: the file.
        index: number of the record in the file, from 0.
        offset: byte at which the record starts.
        reason: what is wrong with it.
    """

    exit_code = EXIT_RESUMABLE

    def __init__(self, path: Path, index: int, offset: int, reason: str) -> None:
        super().__init__(f"{path}: record {index} at byte {offset}: {reason}")
        self.path, self.index, self.offset, self.reason = path, index, offset, reason
