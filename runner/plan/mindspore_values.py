"""MindSpore's own objects in words that are the same in every process."""

from __future__ import annotations

import re
from typing import Any

_SEEDS = re.compile(r"Seed[01]=\d+")
_ADDRESS = re.compile(r"\bat 0x[0-9a-f]+|object at ")


def without_seeds(text: str) -> str:
    """The text of primitives without the seeds that MindSpore draws for them."""
    return _SEEDS.sub("", text)


def text_of_mindspores(value: Any) -> str | None:
    """What an object of MindSpore, such as a primitive or a type, says of itself; None if that is an address."""
    text = without_seeds(repr(value))
    return None if _ADDRESS.search(text) else text
