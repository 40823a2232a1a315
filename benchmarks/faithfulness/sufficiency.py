"""Do images with the same map get the same prediction?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...explainers.arguments import positive_number
from ...explainers.core.view import View
from ...explainers.network.tensors import FloatArray
from ..core.explanation import Explanation
from ..core.metric import Metric, Scores
from ..core.noisy_images import Noise, NoisyImages, maps_of_copies


class Sufficiency(Metric):
    """Of the noisy copies of an image whose maps are like its own, the share that gets the same prediction; in 0..1.

    P(f(x') = f(x) | |s(x') - s(x)| <= threshold |s(x)|), f being the likeliest class and s the map of the question's
    label. Dasgupta, Frost, Moshkovitz: Framework for Evaluating Faithfulness of Local Explanations (2022), definition
    of local sufficiency, for a distribution of inputs x' around x: noise is uniform in plus and minus ``radius`` times
    the image's range, and drawn by each image's own generator. Higher is better. NaN for a map without order, and where
    no copy has a map like it. Costs ``samples`` times the maps, and as many images; explainers share both.

    The paper and Quantus 0.6 compare the images of a dataset, or of a batch, with each other instead. A score then
    depends on what else is asked, which no metric's may here.

    It does not say how many maps are alike: a map that ignores the image, such as the edge of a frame, is like all
    others and scores how often noise leaves the prediction as it is. Choose a radius at which it often does not. On
    planted networks it nearly always does, so that it ranks no map above another there.

    Args:
        num_labels: taken so that it is constructed as other metrics are; any number of classes will do.
        samples: noisy copies of each image.
        radius: of the noise, as a share of the image's range.
        threshold: how far maps that are alike may lie apart, as a share of the length of the image's own.
        name: see ``Metric``.

    Raises:
        ValueError: if samples is below 1, or radius or threshold is not above 0.
    """

    control_sensitive = False

    def __init__(
        self,
        num_labels: int | None = None,
        *,
        samples: int = 10,
        radius: float = 0.1,
        threshold: float = 0.6,
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, name)
        self._noise, self.threshold = Noise.checked(samples, radius), positive_number(threshold, "threshold")
        self.samples, self.radius = self._noise.samples, self._noise.radius
        self.map_recomputations = self.samples

    def score(self, explanation: Explanation) -> Scores:
        if not explanation.explainer.recomputable:
            return np.full(len(explanation.maps), np.nan)
        mine = (id(self), explanation.explainer.name)
        if mine not in explanation.memory:
            for name, found in self._of_peers(explanation).items():
                explanation.memory[id(self), name] = found
        found = explanation.memory.pop(mine)
        if isinstance(found, ValueError):
            raise found
        return np.where(explanation.rankable, found, np.nan)

    def noise(self, view: View, row: int, draw: int, attempt: int = 0) -> FloatArray:
        """The noise (C, H, W) that an image gets."""
        return self._noise.drawn(view, row, draw, attempt)

    def _of_peers(self, explanation: Explanation) -> dict[str, Any]:
        """The scores (Q,) of all explainers that share their passes, or why they refuse noisy images."""
        near, view = self._noisy(explanation), explanation.view
        same = near.logits.argmax(axis=1) == view.logits[near.copies[:, 0]].argmax(axis=1)
        refused: dict[str, ValueError] = {}
        alike = {peer.explainer.name: np.zeros((2, len(view.rows))) for peer in explanation.peers}
        for places, copies, maps in maps_of_copies(explanation.peers, near, refused):
            for peer in explanation.peers:
                if (name := peer.explainer.name) in maps:
                    like = self._like(maps[name], peer.maps[places])
                    np.add.at(alike[name][0], places, like & same[copies])
                    np.add.at(alike[name][1], places, like)
        with np.errstate(invalid="ignore"):
            return {name: refused.get(name, right / all_) for name, (right, all_) in alike.items()}

    def _noisy(self, explanation: Explanation) -> NoisyImages:
        """The copies of a part's images; what is said of them serves all explainers."""
        view, rows = explanation.view, np.unique(explanation.view.rows)
        copies = np.array([(row, draw) for row in rows for draw in range(self.samples)])
        memory = (explanation.whole or explanation).memory
        known = memory.setdefault((id(self), "logits of noisy images"), {})

        def logits() -> FloatArray:
            return np.concatenate([known[row] for row in rows.tolist()])

        near = NoisyImages(self._noise, view, copies=copies, logits=logits)
        lacking = [copy for copy, (row, _) in enumerate(copies.tolist()) if row not in known]
        if lacking:
            explanation.count_passes("noise", len(lacking))
            said = view.network.pooled_logits((near.image(copy) for copy in lacking), "noise")
            new_rows = copies[lacking[:: self.samples], 0].tolist()
            known.update(zip(new_rows, said.reshape(len(new_rows), self.samples, -1), strict=True))
        return near

    def _like(self, maps: FloatArray, own: FloatArray) -> npt.NDArray[np.bool_]:
        """(Q,) which maps (Q, H, W) are like those of the images themselves."""
        with np.errstate(invalid="ignore"):  # of maps that are not finite, none of which is like another
            moved = maps.astype(np.float64) - own
        apart, length = (np.sqrt((of**2).reshape(len(of), -1).sum(axis=1)) for of in (moved, own.astype(np.float64)))
        like: npt.NDArray[np.bool_] = (apart <= self.threshold * length) & np.isfinite(length)
        return like
