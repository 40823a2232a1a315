"""What ``compare`` returns: its findings, which print as a table."""

from __future__ import annotations

from dataclasses import dataclass

from .formats.findings import Findings
from .formats.table import as_table


@dataclass(frozen=True)
class Comparison(Findings):
    """What comparing a candidate with a baseline found; prints as the table of ``explainrun compare``."""

    def __str__(self) -> str:
        return as_table(self)
