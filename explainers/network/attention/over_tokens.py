"""Whether scores of attention compare tokens, not channels: seen by changing what one token is projected to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from mindspore import Tensor

from ..tensors import as_array
from .operators import ChangedResults, Site

_AT_MOST = 0.8  # of a matrix of scores that one token has a part in: of two tokens 3 in 4
_ROUNDING = 1e-6  # of the largest score


@dataclass(frozen=True)
class Comparison:
    """Scores, and what they are made of.

    Attributes:
        scores: where they are made.
        projections: where their operands are projected from tokens, the keys' first, and which axis has the channels.
        kept: what results at other places were, behind which a pass runs on as it was.
        before: the scores.
    """

    scores: Site
    projections: Sequence[tuple[Site, int]]
    kept: dict[Site, Any]
    before: Tensor


def over_tokens(comparisons: Sequence[Comparison], run: Callable[[ChangedResults], None]) -> list[bool]:
    """Whether each of some scores compares tokens, the queries' with the keys'.

    The last token of what keys are projected to is changed, in all of them in one pass; then the queries' where that
    said nothing. Where tokens are compared, the token's row or column of scores changes; where channels are, all do.

    Args:
        comparisons: in the order in which they run.
        run: makes the pass in which they ran, with other results.
    """
    found = [False] * len(comparisons)
    for operand in range(max((len(one.projections) for one in comparisons), default=0)):
        asked = [number for number, known in enumerate(found) if not known]
        asked = [number for number in asked if operand < len(comparisons[number].projections)]
        if asked:
            shares = _changed_shares([comparisons[number] for number in asked], operand, run)
            for number, share in zip(asked, shares, strict=True):
                found[number] = 0 < share <= _AT_MOST
    return found


def _changed_shares(
    comparisons: Sequence[Comparison], operand: int, run: Callable[[ChangedResults], None]
) -> list[float]:
    """Which share of scores changes with one token of an operand, of the matrix in which most do."""
    after: dict[Site, Tensor] = {}
    changes: dict[Site, Callable[[Any], Any]] = {}
    for one in comparisons:
        site, channels = one.projections[operand]
        changes |= {place: partial(_instead, kept) for place, kept in one.kept.items()}
        changes[site] = partial(_with_another_token, channels)
        changes[one.scores] = partial(_noting, after, one)
    run(ChangedResults(changes))
    return [_share(one.before, after[one.scores]) if one.scores in after else 0.0 for one in comparisons]


def _instead(kept: Any, _result: Any) -> Any:
    return kept


def _noting(after: dict[Site, Tensor], one: Comparison, result: Tensor) -> Tensor:
    after[one.scores] = result
    return one.before


def _with_another_token(channels: int, result: Tensor) -> Tensor:
    """What a projection gives, but for the last token, of which all channels are others."""
    values = as_array(result).copy()
    channels %= values.ndim
    images = 0 if values.ndim > 2 else None  # where tokens of all images are rows, it is the last image's
    place = tuple(slice(None) if axis in (channels, images) else -1 for axis in range(values.ndim))
    noise = np.random.default_rng(20).normal(0, max(float(values.std()), 1e-3), values[place].shape)
    values[place] += noise.astype(np.float32)
    return Tensor(values).astype(result.dtype)


def _share(before: Tensor, after: Tensor) -> float:
    """Which share of a matrix of scores is another one, up to rounding, of the matrix where that is most."""
    first, second = as_array(before), as_array(after)
    changed = np.abs(second - first) > _ROUNDING * np.abs(first).max(initial=0.0)
    return float(changed.mean(axis=(-2, -1)).max(initial=0.0))
