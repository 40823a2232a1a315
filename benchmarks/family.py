"""Metrics that the old package reaches through one class and a ``metric`` argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..explainers.network import FloatArray
from ..explainers.registry import nearest
from ..explainers.view import View
from .metric import Masks, Metric, Scores


class MetricFamily(Metric):
    """Stands in for the member that ``metric`` names, under that member's name.

    Args:
        num_labels: how many classes the network has.
        metric: name of the member.
        options: what the member takes beside num_labels.

    Raises:
        ValueError: if there is no such member, or the member refuses an option.
    """

    members: ClassVar[Mapping[str, type[Metric]]]

    def __init__(self, num_labels: int, metric: str, **options: Any) -> None:
        if metric not in self.members:
            raise ValueError(f"{type(self).__name__} has no metric {metric!r}; {nearest(metric, self.members)}")
        self.member = self.members[metric](num_labels, **options)
        super().__init__(num_labels, self.member.name)
        self.needs_boxes = self.member.needs_boxes

    def score(self, view: View, maps: FloatArray, masks: Masks | None = None) -> Scores:
        return self.member.score(view, maps, masks)
