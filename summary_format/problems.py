"""Everything that is wrong with something, told at once."""

from __future__ import annotations

from collections.abc import Sequence


class SeveralProblemsError(ValueError):
    """What is wrong, a line each.

    Attributes:
        problems: one sentence each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        several = f"{len(self.problems)} problems:" if len(self.problems) > 1 else ""
        super().__init__("\n  ".join([several, *self.problems]) if several else self.problems[0])
