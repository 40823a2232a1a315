"""What methods have in common that gather gradients on paths from baselines to the image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..core.view import View
from ..network.tensors import FloatArray, IntArray
from .complete_attribution import CompleteAttribution

PASS_KIND = "integrate"
Values = npt.NDArray[np.float64]


class Visited(NamedTuple):
    """Places on paths that one pass differentiated.

    Attributes:
        paths: (M,) which path each is on: of each question one for each baseline, question by question.
        gradients: (M, C, H, W), of what the question asks about.
        logits: (M,) of that.
    """

    paths: IntArray
    gradients: FloatArray
    logits: FloatArray


class PathMethod(CompleteAttribution):
    """One whose paths others may follow.

    Attributes:
        steps: of a path.
        paths: how many a question has.
    """

    steps: int
    paths: int = 1

    @abstractmethod
    def walk(self, view: View) -> Iterator[Visited]:
        """Go along the path of every question: its beginning, and where each step but the last ends, the image.

        A path is visited ``steps`` times, in order, and those of a question end in order. Each visit is a
        differentiated image of a pass of the kind "integrate".
        """


def visited(view: View, paths: IntArray, images: FloatArray, several: int) -> Visited:
    """Places on paths, differentiated in passes.

    Args:
        view: the questions.
        paths: (M,) which path each place is on.
        images: (M, C, H, W) the places.
        several: how many paths a question has.
    """
    questions = paths // several
    found = view.differentiate(questions, images, kind=PASS_KIND)
    return Visited(paths, found.input_gradient, view.asked_values(found.logits, questions))


def falls_from(view: View, starts: Values) -> Values:
    """(Q,) the logit of each question's image less the mean of those where its paths begin, (Q, paths)."""
    falls: Values = view.asked_values(view.logits[view.rows]) - starts.mean(axis=1)
    return falls
