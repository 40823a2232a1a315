"""For how many metrics MindInsight has an overall score.

It weighs metrics alike, in hundredths, and shows the weighed sum only where the weights add up to exactly 1. All that
is in floating point, so that for some numbers of metrics its own weights do not.
"""

from __future__ import annotations

import math
from itertools import count


def has_overall_score(metrics: int) -> bool:
    """Whether MindInsight 2.3.1 shows an overall score of so many metrics, from 1 on; as its page computes."""
    total = 0.0
    for weight in _weights(metrics):
        scale = 10.0 ** max(_decimals(total), _decimals(weight))
        total = (total * scale + weight * scale) / scale
    return total == 1


def nearest_with_score(metrics: int) -> tuple[int, int]:
    """The next lower and the next higher number of metrics that have one."""
    lower = next(fewer for fewer in range(metrics - 1, 0, -1) if has_overall_score(fewer))
    return lower, next(more for more in count(metrics + 1) if has_overall_score(more))


def _weights(metrics: int) -> list[float]:
    """What its input fields hold: each the same hundredths, and the last one the rest, rounded."""
    each = math.floor(1 / metrics * 100) / 100
    given = 0.0
    for _ in range(metrics - 1):  # one after the other, as rounding goes there
        given += each
    return [math.floor(weight * 100 + 0.5) / 100 for weight in [each] * (metrics - 1) + [1 - given]]


def _decimals(number: float) -> int:
    return len(repr(number).removesuffix(".0").partition(".")[2])
