"""What is asked of a metric that is checked, as a run asks it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import numpy as np
from mindspore import nn

from ...explainers import Explainer, InputXGradient
from ...explainers.contract.asking import SEED, viewed
from ...explainers.contract.construction import PASS, Checked
from ...explainers.core.together import attribute_together
from ...explainers.core.view import View
from ...explainers.network import SHIFT_TRIAL, UNIFORM, WEIGHT_ORDER
from ...explainers.network.tensors import FloatArray, IntArray
from ..core.covered_images import Covering
from ..core.explanation import Explanation, Masks
from ..core.metric import Metric


class Spoiled(InputXGradient):
    """A method whose every map holds a number that is not finite.

    Args:
        network: see ``Explainer``.
        number: it.
    """

    def __init__(self, network: nn.Cell, number: float) -> None:
        super().__init__(network)
        self.number = number

    def attribute(self, view: View) -> FloatArray:
        maps = super().attribute(view).copy()
        maps[:, 1, 2] = self.number
        return maps


@dataclass(frozen=True)
class Scored:
    """What a metric gave, and what it took.

    Attributes:
        scores: whatever it gave.
        needed: the passes that it says it needs, by kind.
        made: those that were made.
    """

    scores: Any
    needed: Mapping[str, int]
    made: Mapping[str, int]


def scored(metric: Metric, explanation: Explanation) -> Scored:
    """Have a metric score maps, and count passes."""
    needed = Counter[str]()

    def count_passes(kind: str, images: int) -> None:
        needed[kind] += -(-images // PASS)

    explanation.count_passes = count_passes
    explanation.view.network.passes.drained()
    covering = metric.covering(explanation.view.size)
    if covering is not None:
        needed["perturb"] += _covered_passes(covering, explanation)
    scores, made = metric.score(explanation), explanation.view.network.passes.made
    needed += Counter({kind: made[kind] for kind in (WEIGHT_ORDER, SHIFT_TRIAL, UNIFORM)})  # once for each network
    return Scored(scores, +needed, +made)


def checked_explanation(
    metric: Metric,
    checked: Checked,
    explainer: Explainer,
    chosen: IntArray | None = None,
    *,
    masked: bool | None = None,
) -> Explanation:
    """Maps as a run gives them to a metric.

    Args:
        metric: that asks for more maps, and for masks.
        checked: the images and questions.
        explainer: whose maps.
        chosen: which of the questions, in which order; by default all.
        masked: whether masks are given; by default where the metric asks for them.
    """
    rows, labels = checked.questions if chosen is None else (of[chosen] for of in checked.questions)
    present, rows = np.unique(rows, return_inverse=True)
    images, ids = checked.images[present].copy(), 3 + 7 * present
    asked = viewed(explainer, images, (rows, labels), ids)
    known = set(zip(rows.tolist(), labels.tolist(), strict=True))
    extra = sorted(set(metric.extra_questions(asked)) - known)
    if extra:
        more_rows, more_labels = np.array(extra).T
        asked = viewed(explainer, images, (np.append(rows, more_rows), np.append(labels, more_labels)), ids)
    found, _ = attribute_together([explainer], asked)
    maps, view = found[explainer.name].maps, asked.subset(slice(0, len(rows)))
    masks = _masks(view) if (metric.needs_boxes if masked is None else masked) else None
    covering = metric.covering(view.size)
    coverings = [] if covering is None else [covering]
    return Explanation(
        explainer, view, maps[: len(rows)], masks, coverings, dict(zip(extra, maps[len(rows) :], strict=True))
    )


class _Absent:
    """Stands where a network or an explainer does."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"it asks the network or the explainer for {name!r}")


def without_network(explanation: Explanation) -> Explanation:
    """The same maps, with nothing in the place of the network and the explainer."""
    view, absent = explanation.view, cast(Any, _Absent())
    alone = View(absent, view.images, view.rows, view.labels, sample_ids=view.sample_ids, seed=SEED, logits=view.logits)
    return Explanation(absent, alone, explanation.maps, explanation.masks)


def _masks(view: View) -> Masks:
    """A box for each label, to one side."""
    height, width = view.size
    masks = np.zeros((len(view.rows), height, width), np.bool_)
    for question, label in enumerate(view.labels):
        left = int(label) * width // 5 % width
        masks[question, height // 4 : height // 4 + max(height // 2, 1), left : left + max(width // 3, 1)] = True
    return masks


def _covered_passes(covering: Covering, explanation: Explanation) -> int:
    """Passes of what a metric says that it needs; one more for each image that holds one value throughout."""
    images, uniform = explanation.images_needed([covering])
    return -(-images // PASS) + len(uniform)
