"""What is read off a network's logits beside probabilities: functions that stand where an activation does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...explainers.arguments import one_of
from ...explainers.network.tensors import Activation, FloatArray

PROBABILITY = "probability"


def logits_as_they_are(logits: Any) -> FloatArray:
    """The logits (N, classes) themselves."""
    found: FloatArray = logits
    return found


def top_class(logits: Any) -> FloatArray:
    """(N, classes) 1 for the class of the largest logit, the first of equal ones, 0 for others."""
    found = np.zeros(logits.shape, np.float32)
    found[np.arange(len(logits)), logits.argmax(axis=1)] = 1.0
    return found


OF_LOGITS: Mapping[str, Callable[[Any], FloatArray]] = {"logit": logits_as_they_are, "accuracy": top_class}


def read_by(answer: Any, activation_fn: Activation, known: tuple[str, ...] = (PROBABILITY, "logit")) -> Activation:
    """What gives the answer of that name from logits: the activation for "probability", else one of ``OF_LOGITS``.

    Raises:
        ValueError: if it is not among those that a metric knows.
    """
    chosen = one_of(answer, known, "answer")
    return activation_fn if chosen == PROBABILITY else OF_LOGITS[chosen]
