"""Everything that is wrong with something, told at once, and what was meant by a mistyped name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


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
