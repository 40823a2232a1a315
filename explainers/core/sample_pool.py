"""A pool: the first samples of a run's dataset, which methods and metrics compare images with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arguments import whole_number
from ..network.tensors import FloatArray, IntArray

_WORD = "pool"


@dataclass(frozen=True)
class SamplePool:
    """Stands, as an argument of an explainer or a metric, for the first samples of the dataset of the run.

    They are the same in all shards, whatever the run's limit, and as the run grows; samples that are left out as broken
    are not among them. A dataset that has fewer gives all that it has. The run's plan holds a checksum of them, so a
    dataset that begins otherwise makes another plan. ``view.pooled`` gives them; a direct call, which knows no dataset,
    has none.

    Attributes:
        size: how many samples.

    Raises:
        ValueError: if size is not a whole number from 1.
    """

    size: int = 20

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", whole_number(self.size, _WORD))

    @classmethod
    def of(cls, given: Any) -> SamplePool | None:
        """The pool that an argument stands for; None where it is something else.

        Keep it under the argument's own name: a plan then says which samples it is.

        Args:
            given: a pool, "pool" for one of 20 samples, or {"pool": K}, as configs write it.

        Raises:
            ValueError: if K is not a whole number from 1.
        """
        if isinstance(given, cls):
            return given
        if isinstance(given, str) and given == _WORD:
            return cls()
        if isinstance(given, Mapping) and list(given) == [_WORD]:
            return cls(given[_WORD])
        return None


@dataclass(frozen=True)
class PooledSamples:
    """The samples of a pool.

    Attributes:
        ids: (M,) positions in the dataset, ascending.
        images: (M, C, H, W), as the network takes them.
        truth: (M, K) their true labels, padded with -1.
        digests: (M,) checksums of what the dataset gave, by which a sample is known again.
    """

    ids: IntArray
    images: FloatArray
    truth: IntArray
    digests: npt.NDArray[np.uint32]

    def first(self, size: int) -> PooledSamples:
        """The first so many of them."""
        return PooledSamples(*(getattr(self, field.name)[:size] for field in fields(self)))
