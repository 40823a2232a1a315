"""The base of all errors that are ours; problems reported together; and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from .exit_codes import EXIT_BAD_INPUT, EXIT_RESUMABLE
from .problem import Problem

_PLACES = 3  # in a hint


class ExplainrunError(Exception):
    """Every error that Explainrun defines; never raised itself.

    Each is a Python error too, such as a ValueError. ``RunStopped`` and ``NotAWorker`` are not errors: each is a
    SystemExit, which code that handles errors lets pass.

    Attributes:
        exit_code: what a command or script that fails with it should end with: 2 where the same would happen again,
            3 where it can be run again as it is.
    """

    exit_code: int = EXIT_BAD_INPUT

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong, a sentence each, with its code and what it names."""
        return (Problem.from_error(self),)

    @property
    def codes(self) -> tuple[str, ...]:
        """The code of each problem, by which a script recognises its kind; docs/problems.md lists them."""
        return tuple(problem.code for problem in self.problems)


class SeveralProblemsError(ExplainrunError, ValueError):
    """What is wrong, a line each.

    Args:
        problems: one sentence each; plain texts get the code "other".
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self._problems = tuple(map(Problem.from_text, problems))
        several = f"{len(self._problems)} problems:" if len(self._problems) > 1 else ""
        super().__init__("\n  ".join([several, *self._problems]) if several else self._problems[0])

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self._problems


def nearest(name: str, known: Iterable[str]) -> str:
    """Words that end an error on a mistyped name: the nearest known names, or all of them if none is near."""
    known = list(known)
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"known: {', '.join(known)}" if known else "there are none"


def nearest_or_place(name: str, known: Iterable[str], elsewhere: Mapping[str, Iterable[str]]) -> str:
    """The same of a name that may belong to another place, which is then named.

    Args:
        name: what is not known here.
        known: what is.
        elsewhere: names by the place that they belong to.
    """
    places = [place for place, names in elsewhere.items() if name in names]
    return f"it belongs to {' or '.join(places[:_PLACES])}" if places else nearest(name, known)


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
        said = Problem.of(
            "record-broken",
            "{path}: record {index} at byte {offset}: {reason}",
            path=path,
            index=index,
            offset=offset,
            reason=reason,
        )
        super().__init__(said)
        self.path, self.index, self.offset, self.reason = path, index, offset, reason


class NotRegularError(BrokenRecordError):
    """A pipe, device, socket or folder, or a file that is too large, where a file of ours belongs."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, 0, 0, reason)
        self.args = (Problem.of("not-a-regular-file", "{path}: {reason}", path=path, reason=reason),)
