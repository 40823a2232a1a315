"""Metrics that the old package reaches through one class and a ``metric`` argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import signature
from typing import Any, ClassVar

from mindspore import nn

from ...explainers.core.construction import Configuration
from ...explainers.core.view import View
from ...explainers.network import Network
from ...explainers.network.tensors import FloatArray
from ...summary_format.errors import nearest
from .covered_images import Covering
from .explanation import Explanation
from .metric import Curves, Metric, Scores


class MetricFamily(Metric):
    """Stands in for the member that ``metric`` names, under that member's name.

    Args:
        num_labels: how many classes the network has; None where the member works with any number.
        metric: name of the member.
        options: what the member takes beside num_labels.

    Raises:
        ValueError: if there is no such member, or the member refuses an option.
    """

    members: ClassVar[Mapping[str, type[Metric]]]

    def __init__(self, num_labels: int | None, metric: str, **options: Any) -> None:
        if metric not in self.members:
            raise ValueError(f"{type(self).__name__} has no metric {metric!r}; {nearest(metric, self.members)}")
        known = signature(self.members[metric]).parameters
        for option in options:
            if option not in known:
                raise ValueError(f"{metric} has no option {option!r}; {nearest(option, set(known) - {'num_labels'})}")
        self.member = self.members[metric](num_labels, **options)
        super().__init__(num_labels, self.member.name)
        self.needs_boxes, self.higher_is_better = self.member.needs_boxes, self.member.higher_is_better
        self.needs_network = self.member.needs_network
        self.control_sensitive, self.map_recomputations = self.member.control_sensitive, self.member.map_recomputations
        self.recomputed_together = self.member.recomputed_together

    def configuration(self) -> Configuration:
        return self.member.configuration()

    def score(self, explanation: Explanation) -> Scores:
        return self.member.score(explanation)

    @property
    def kept_curves(self) -> tuple[str, ...]:
        return self.member.kept_curves

    def scores_and_curves(self, explanation: Explanation) -> tuple[Scores, Curves]:
        return self.member.scores_and_curves(explanation)

    def recomputations_on(self, network: nn.Cell) -> int:
        return self.member.recomputations_on(network)

    def check_network(self, network: nn.Cell) -> None:
        self.member.check_network(network)

    def try_on(self, network: Network, image: FloatArray) -> None:
        self.member.try_on(network, image)

    def extra_questions(self, view: View) -> Iterable[tuple[int, int]]:
        return self.member.extra_questions(view)

    def check_images(self, shape: tuple[int, ...]) -> None:
        self.member.check_images(shape)

    def covering(self, size: tuple[int, int]) -> Covering | None:
        return self.member.covering(size)
