"""What passes maps need that a metric has made again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...explainers.core.view import View
from ...explainers.network import pass_kind
from ..core.explanation import Explanation


def count_map_passes(explanations: Sequence[Explanation], changed: View) -> None:
    """Report what passes the maps of some changed images need.

    Args:
        explanations: of the explainers whose maps are made, together.
        changed: the questions about changed images.
    """
    count_passes, images, questions = explanations[0].count_passes, len(np.unique(changed.rows)), len(changed.rows)
    made = {one for explanation in explanations for one in explanation.explainer.needs.passes}
    for rule in sorted(rule for _, rule in made):
        count_passes(pass_kind(rule), questions)
    if any(explanation.explainer.needs.outputs for explanation in explanations):
        count_passes("activate", images)
    for explanation in explanations:
        for kind, needed in explanation.explainer.images_needed_for(changed).items():
            count_passes(kind, needed)
