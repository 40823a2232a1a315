"""How a metric ranks maps of planted networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from ..core.metric import Metric, Scores
from .maps import MAPS
from .networks import CLASSES, NETWORKS, PlantedCase, PlantedNetwork

# What a metric is given where it has the argument: what fits images of 12 x 18 pixels.
OPTIONS: Mapping[str, Any] = {"tolerance": 0.5, "k": 9}
ORDER = ("perfect", "random", "reversed")  # best first
_PASS_SIZE = 64


@dataclass(frozen=True)
class PlantedRanking:
    """The scores of a metric on planted networks.

    Attributes:
        metric: the metric's name.
        higher_is_better: which way they go.
        scores: for each map its scores on each network, (networks, questions); NaN where there is none.
    """

    metric: str
    higher_is_better: bool
    scores: Mapping[str, Scores]

    @property
    def means(self) -> dict[str, float]:
        """The mean score of each map; NaN where no question was scored."""
        return {name: mean(scores.reshape(-1)) for name, scores in self.scores.items()}

    @property
    def ranks(self) -> bool:
        """Whether the right map scores better than a random one, and that better than the reversed one."""
        return self._in_order([self.means[name] for name in ORDER])

    @property
    def networks_ranked(self) -> int:
        """On how many of the networks it does so."""
        each = zip(*(self.scores[name] for name in ORDER), strict=True)
        return sum(self._in_order([mean(scores) for scores in of_network]) for of_network in each)

    def _in_order(self, means: Sequence[float]) -> bool:
        falling = means if self.higher_is_better else [-one for one in means]
        return bool(falling[0] > falling[1] > falling[2])


def planted_ranking(
    kind: type[Metric],
    networks: Sequence[type[PlantedNetwork]] = NETWORKS,
    *,
    questions: int = 18,
    seed: int = 0,
    **options: Any,
) -> PlantedRanking:
    """How a metric ranks maps of planted networks.

    Its constructor's arguments ``num_labels``, ``activation_fn``, ``network``, ``layer`` and ``partners`` are filled in
    where it has them, and those of ``OPTIONS``.

    Args:
        kind: its class.
        networks: planted networks, of which each is asked.
        questions: how many questions about each.
        seed: of the images.
        options: for the constructor.
    """
    metric, scores = None, dict[str, list[Scores]]()
    for of_network in networks:
        case = PlantedCase.of(of_network, questions, seed)
        metric = made_for(kind, case.network, **options)
        for name, make in MAPS.items():
            found = metric.evaluate(
                make(case.network), Tensor(case.images), case.labels, mask=case.masks[:, None], pass_size=_PASS_SIZE
            )
            scores.setdefault(name, []).append(found)
    if metric is None:
        raise ValueError("networks must hold at least one planted network")
    return PlantedRanking(metric.name, metric.higher_is_better, {name: np.stack(of) for name, of in scores.items()})


def made_for(kind: type[Metric], network: PlantedNetwork, **options: Any) -> Metric:
    """A metric of a class, for a planted network."""
    filled = {"num_labels": CLASSES, "activation_fn": nn.Sigmoid(), "network": network, **OPTIONS}
    filled["layer"], partners = network.layer, network.images(2 * CLASSES, seed=1)
    filled["partners"] = (partners, np.arange(2 * CLASSES) % CLASSES)
    taken = signature(kind).parameters
    return kind(**{**{name: value for name, value in filled.items() if name in taken}, **options})


def mean(scores: Scores) -> float:
    """The mean of what was scored; NaN where nothing was."""
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
