"""Maps by sample and label, wherever they lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..errors import ExplainrunError

LABEL_BITS, SAMPLE_BITS = 20, 40  # a sample and a label make one number of 64 bits

Integers = npt.NDArray[np.int64]
Maps = npt.NDArray[np.float32]


class MapsFileError(ExplainrunError, ValueError):
    """A file of maps that cannot be taken; the message says why, with a code for each reason."""


class MapStore(ABC):
    """Maps of one origin, one for each of some questions.

    Attributes:
        questions: (Q, 2) the sample id and label of each map; no pair stands twice.
        size: height and width of all maps.
        source: who made them, in words; may be empty.
        digest: checksum of all maps with their questions, whatever order or compression they are stored in.
    """

    questions: Integers
    size: tuple[int, int]
    source: str
    digest: str

    @abstractmethod
    def read(self, places: Integers) -> Maps:
        """Maps (P, H, W) at some places (P,) of ``questions``, each of which is given once.

        Raises:
            MapsFileError: if they are no longer what they were.
            OSError: if they cannot be read.
        """

    def places(self, samples: Integers, labels: Integers) -> Integers:
        """(P,) where the maps of some questions are, by sample ids (P,) and labels (P,); -1 where there is none."""
        keys, order = self._sorted
        wanted = question_keys(samples, labels)
        if not len(keys):
            return np.full(len(wanted), -1)
        at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        found: Integers = np.where(keys[at] == wanted, order[at], -1)
        return found

    @cached_property
    def _sorted(self) -> tuple[Integers, Integers]:
        """The numbers that questions make, ascending, and where each is."""
        keys = question_keys(*self.questions.T)
        order = np.argsort(keys)
        return keys[order], order


def stretches(places: Integers) -> Iterator[tuple[Integers, slice]]:
    """Places (P,) as stretches that lie side by side, so that each is read at once: which of them, and where."""
    order = np.argsort(places)
    for which in np.split(order, np.flatnonzero(np.diff(places[order]) != 1) + 1):
        if len(which):
            yield which, slice(int(places[which[0]]), int(places[which[-1]]) + 1)


def question_keys(samples: Integers, labels: Integers) -> Integers:
    """(P,) one number for each sample id and label, ascending as the pairs do."""
    keys: Integers = (samples.astype(np.int64) << LABEL_BITS) | labels.astype(np.int64)
    return keys
