"""A bar on standard error where somebody watches: in a terminal or a notebook."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from tqdm.auto import tqdm

from ..visual.notebook import in_notebook


def progress_bar(total: int | None, unit: str) -> tqdm[Any]:
    """A bar of so many units, None if it is unknown how many; disabled where no one watches."""
    silent = not (_in_terminal() or in_notebook())
    return tqdm(total=total, unit=unit, file=sys.stderr, disable=silent, dynamic_ncols=True)


def _in_terminal() -> bool:
    with suppress(AttributeError, ValueError):  # standard error is None where it was closed at start, or is closed now
        return bool(sys.stderr.isatty())
    return False
