"""Which of many masks take their next step together, in passes that are as full as they can be."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from ..network.tensors import IntArray


def turns(masks: int, steps: int, together: int) -> Iterator[IntArray]:
    """The masks of each pass, until each of them has taken all its steps.

    Those that have waited longest go first. So all passes but the last are full where there are at least as many masks
    as a pass holds, and of fewer each pass holds all.

    Args:
        masks: how many there are.
        steps: that each takes.
        together: how many a pass holds.
    """
    waiting, left = deque(range(masks)), np.full(masks, steps)
    while waiting:
        chosen = [waiting.popleft() for _ in range(min(together, len(waiting)))]
        yield np.array(chosen)
        left[chosen] -= 1
        waiting.extend(mask for mask in chosen if left[mask])
