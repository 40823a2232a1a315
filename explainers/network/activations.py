"""Does an activation make probabilities of logits, image by image?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...summary_format.problem import Problem
from .outputs import NetworkRefusedError
from .tensors import FloatArray

_ROUNDING = 1e-4  # of probabilities
_SUM_ROUNDING = 1e-2  # of a row of probabilities, which may have been made in float16

Activated = Callable[[FloatArray], FloatArray]


def check_activation(activated: Activated, classes: int, *, doubled: bool = False) -> None:
    """Make sure that an activation makes of each row of logits, whatever stands beside it, probabilities of its own.

    Whether they lie in 0..1 is not looked at, nor is one that gives another shape.

    Args:
        activated: gives probabilities (N, classes) for logits (N, classes).
        classes: how many there are.
        doubled: whether the logits (-z, z) were made of one logit z.

    Raises:
        NetworkRefusedError: if it does not.
    """
    rows = np.random.default_rng(7).normal(0, 2, (4, classes)).astype(np.float32)
    found = activated(rows)
    if found.shape != rows.shape or not np.isfinite(found).all():
        return
    if _apart(activated(rows), found):
        words = "activation_fn gives other probabilities for the same logits each time; take one that draws nothing"
        raise NetworkRefusedError(Problem.of("activation-random", words))
    beside = np.concatenate([rows[:1], -rows[1:]])
    if _apart(activated(beside)[0], found[0]):
        words = (
            "activation_fn gives an image other probabilities beside others, as softmax over the first axis does; "
            "take one over classes, such as nn.Softmax()"
        )
        raise NetworkRefusedError(Problem.of("activation-mixes-images", words))
    if not (_apart(found, found[:1]) or _apart(activated(8 * rows), found[:1])):
        words = "activation_fn gives {value:.4g} whatever the logits are{why}"
        why = "; softmax of one logit always does, take nn.Sigmoid()" if classes == 1 else ""
        raise NetworkRefusedError(Problem.of("activation-constant", words, value=float(found[0, 0]), why=why))
    if doubled and _apart(activated(rows * [0, 1])[:, 1], found[:, 1]):
        words = (
            "the network gives one logit z for two classes, whose logits are (-z, z), and activation_fn mixes them, as "
            "softmax does; take nn.Sigmoid()"
        )
        raise NetworkRefusedError(Problem.of("activation-mixes-classes", words))


def check_no_probabilities(logits: FloatArray, probabilities: FloatArray) -> None:
    """Make sure that logits (N, classes) are none of what a softmax gives, unless the activation leaves them.

    Raises:
        NetworkRefusedError: if they are, or are the logarithms of that and the activation makes no softmax of them.
    """
    if logits.shape != probabilities.shape or logits.shape[1] < 2 or not np.isfinite(logits).all():
        return
    if len(np.unique(logits, axis=0)) < 2:  # a single row may be so by chance
        return
    if logits.min() >= 0 and _sums_to_1(logits) and _apart(logits, probabilities):
        words = (
            "the network gives probabilities, which sum up to 1 for each image, and activation_fn makes {lowest:.4g} "
            "to {highest:.4g} of them; leave the network's softmax out, or give nn.Identity() as activation_fn"
        )
        bounds = {"lowest": float(probabilities.min()), "highest": float(probabilities.max())}
        raise NetworkRefusedError(Problem.of("network-gives-probabilities", words, **bounds))
    if logits.max() <= 0 and _sums_to_1(np.exp(logits)) and not _sums_to_1(probabilities):
        words = (
            "the network gives logarithms of probabilities, and activation_fn makes no probabilities that sum up to 1 "
            "of them; give nn.Softmax() as activation_fn"
        )
        raise NetworkRefusedError(Problem.of("network-gives-logarithms", words))


def _sums_to_1(rows: FloatArray) -> bool:
    return bool(np.abs(rows.sum(axis=1) - 1).max() <= _SUM_ROUNDING)


def _apart(first: FloatArray, second: FloatArray) -> bool:
    return not np.abs(first - second).max() <= _ROUNDING
