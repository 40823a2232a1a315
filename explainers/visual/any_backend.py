"""matplotlib, whatever backend ``MPLBACKEND`` names: a notebook's may lie in a package that is not installed here.

matplotlib alone cannot even be imported then. Pictures that are written need no backend, so it is loaded without; where
it knows the one that is named, that is set as it would have set it. Import this late: matplotlib is slow.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

_VARIABLE = "MPLBACKEND"


def _loaded() -> Any:
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    named = os.environ.pop(_VARIABLE, None)
    try:
        found = import_module("matplotlib")
    finally:
        if named is not None:
            os.environ[_VARIABLE] = named
    if named:
        with suppress(ValueError):
            found.rcParams["backend"] = named
    return found


matplotlib = _loaded()
