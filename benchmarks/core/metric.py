"""The contract of a metric, and the direct call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ...explainers.arguments import plain_text, whole_number
from ...explainers.core.call_options import CallOptions, asked_labels
from ...explainers.core.construction import Configured
from ...explainers.core.explainer import Explainer, direct_maps, image_array
from ...explainers.core.measured_size import PassSize
from ...explainers.core.together import attribute_together
from ...explainers.core.view import View
from ...explainers.network import DEFAULT_PASS_SIZE, Jit, Network, Output
from ...explainers.network.tensors import FloatArray
from ...summary_format.deprecated_names import Renamed, take_over
from .covered_images import Covering, CurvePoints
from .explanation import Explanation

Scores = npt.NDArray[np.float64]
Curves = Sequence[tuple[CurvePoints, ...] | None]  # of each question, None where there are none


class Metric(Configured, ABC):
    """Scores maps, one number per question; NaN where a question cannot be scored.

    A subclass says what it needs and writes ``score``; means, counts and per-label figures are made of its numbers.

    Args:
        num_labels: how many classes the network has, for a metric that depends on it; None where any number will do.
        name: under which it appears in tables and records; the class name by default.

    Attributes:
        higher_is_better: which way scores go.
        needs_boxes: whether it asks where labels are.
        needs_network: whether it asks the network or the explainer anything. One that goes by the maps, the images and
            where labels are alone says False: maps that are there can then be scored without loading a network.
        map_recomputations: how often it has every map made again, as far as that is known without the network.
        recomputed_together: metrics with an equal one look at the same maps, which are made again once for all of them;
            None for one that shares with none.
        control_sensitive: whether beating control maps says anything; not where a map that ignores the image scores
            best.

    Raises:
        ValueError: if num_labels is below 1.
    """

    higher_is_better: bool = True
    needs_boxes: bool = False
    needs_network: bool = True
    map_recomputations: int = 0
    recomputed_together: Hashable = None
    control_sensitive: bool = True
    maps_again: Any = Renamed("map_recomputations")
    controlled: Any = Renamed("control_sensitive")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        take_over(cls, maps_again="map_recomputations", controlled="control_sensitive")

    def __init__(self, num_labels: int | None = None, name: str | None = None) -> None:
        self.num_labels = None if num_labels is None else whole_number(num_labels, "num_labels")
        self.name = (name is not None and plain_text(name, "name")) or type(self).__name__

    @abstractmethod
    def score(self, explanation: Explanation) -> Scores:
        """Scores (Q,) of an explainer's maps, one for each question of ``explanation.view``."""

    @property
    def kept_curves(self) -> tuple[str, ...]:
        """Names of the curves that a run keeps beside its scores; see ``CurveMetric``."""
        return ()

    def scores_and_curves(self, explanation: Explanation) -> tuple[Scores, Curves]:
        """What ``score`` gives, and the curves that a run keeps; no curves where it keeps none."""
        return self.score(explanation), ()

    def recomputations_on(self, network: nn.Cell) -> int:
        """How often it has every map of a network made again."""
        return self.map_recomputations

    def check_network(self, network: nn.Cell) -> None:
        """Refuse a network of whose maps it can say nothing; asked before the first pass.

        Raises:
            ValueError: if it cannot.
        """

    def try_on(self, network: Network, image: FloatArray) -> None:
        """The same where it takes passes to see; asked once, of an image (C, H, W), before any map is made.

        Raises:
            ValueError: if it cannot.
        """

    def extra_questions(self, view: View) -> Iterable[tuple[int, int]]:
        """The (image, label) pairs whose maps it needs beside those that the view asks for, if any.

        Maps of all metrics and explainers are made together with those that are asked for.
        """
        return ()

    def covering(self, size: tuple[int, int]) -> Covering | None:
        """The covered images that it is going to ask ``explanation.probabilities`` about, on images (H, W); if any.

        The images of all metrics of a run share full passes, and one that several ask about runs once. So a metric
        needs as many images through the network as its covering has, for each question whose map has an order, less
        those that another metric needs as well, the untouched one and the one covered throughout (asked once per run).
        """
        return None

    def check_images(self, shape: tuple[int, ...]) -> None:
        """Refuse images that it cannot score; asked before the first pass. By default those that it cannot cover.

        Args:
            shape: (C, H, W) of each image.

        Raises:
            ValueError: if it cannot.
        """
        if (covering := self.covering((shape[1], shape[2]))) is not None:
            covering.check(shape)

    def evaluate(
        self,
        explainer: Explainer,
        inputs: Tensor,
        targets: Any,
        saliency: Tensor | npt.NDArray[Any] | None = None,
        mask: Tensor | npt.NDArray[Any] | None = None,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> Scores:
        """Score an explainer on images.

        Args:
            explainer: what to score.
            inputs: (N, C, H, W), as the network takes them.
            targets: as for the explainer: an int, (N,) or (N, L).
            saliency: its maps (N, 1, H, W) or (N, L, H, W), where they are there already.
            mask: where the targets are, shaped as the maps, true or above 0 inside; localization needs it.
            output: which part of what the network returns is its logits, as an explainer's direct call takes it.
            jit: as an explainer's direct call takes it.
            pass_size: as an explainer's direct call takes it.

        Returns:
            Scores (N,), or (N, L) for targets (N, L); NaN where a question cannot be scored.

        Raises:
            TypeError: if something is of another type.
            ValueError: if shapes do not fit, a target is out of range, or the mask is needed and missing.
        """
        explanation = self.explained(
            explainer, inputs, targets, saliency, mask, output=output, jit=jit, pass_size=pass_size
        )
        scores = self.score(explanation)
        return scores.reshape((len(inputs), -1) if np.ndim(targets) == 2 else -1)

    def explained(
        self,
        explainer: Explainer,
        inputs: Tensor,
        targets: Any,
        saliency: Tensor | npt.NDArray[Any] | None = None,
        mask: Tensor | npt.NDArray[Any] | None = None,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> Explanation:
        """What ``evaluate`` scores: an explainer's maps of images, one for each label of each; takes the same."""
        if not isinstance(explainer, Explainer):
            raise TypeError(f"explainer must be an Explainer, got {type(explainer).__name__}")
        if mask is None and self.needs_boxes:
            raise ValueError(f"{self.name} needs a mask of where the targets are, of shape (N, 1, H, W)")
        options, images = CallOptions(output, jit, pass_size), image_array(inputs)
        labels = asked_labels(targets, len(images))
        if self.num_labels is not None and labels.max() >= self.num_labels:
            raise ValueError(f"targets must lie in 0..{self.num_labels - 1}, got {labels.max()}")
        self.check_images(images.shape[1:])
        explainer = explainer.for_images(images)
        self.check_network(explainer.network)
        shape = (*labels.shape, *images.shape[2:])
        rows = np.repeat(np.arange(len(images)), labels.shape[1])
        view = View(options.network(explainer.network, images), images, rows, labels.reshape(-1), needs=explainer.needs)
        self.try_on(view.network, images[0])
        maps = (
            direct_maps(explainer, images, labels, options) if saliency is None else shaped(saliency, shape, "saliency")
        )
        masks = None if mask is None else shaped(mask, shape, "mask") > 0
        maps = maps.astype(np.float32, copy=False)
        return Explanation(explainer, view, maps, masks, extra=self._extra_maps(explainer, view))

    def _extra_maps(self, explainer: Explainer, view: View) -> Mapping[tuple[int, int], FloatArray]:
        """The maps (H, W) of ``extra_questions`` that a view does not ask for, by image and label.

        Raises:
            ValueError: if the explainer refuses.
        """
        asked = set(zip(view.rows.tolist(), view.labels.tolist(), strict=True))
        extra = sorted(set(self.extra_questions(view)) - asked)
        if not extra:
            return {}
        rows, labels = np.array(extra).T
        found, refused = attribute_together([explainer], view.asking(rows, labels))
        if refused:
            raise refused[explainer.name]
        return dict(zip(extra, found[explainer.name].maps, strict=True))


class CurveMetric(Metric):
    """A metric that makes its scores of curves, such as the area under one. A run keeps these on demand.

    A subclass takes ``curves`` in its constructor, keeps it as ``keeps_curves``, and writes ``curves`` and
    ``of_curves``.

    Attributes:
        keeps_curves: whether a run keeps its curves beside its scores.
    """

    keeps_curves: bool = False

    @property
    @abstractmethod
    def curve_names(self) -> tuple[str, ...]:
        """What its curves are called, in the order of ``curves``."""

    @abstractmethod
    def curves(self, explanation: Explanation) -> Curves:
        """Its curves for each question; None where there are none, as for a map without order."""

    @abstractmethod
    def of_curves(self, *curves: CurvePoints) -> float:
        """The score of a question by its curves."""

    @property
    def kept_curves(self) -> tuple[str, ...]:
        return self.curve_names if self.keeps_curves else ()

    def score(self, explanation: Explanation) -> Scores:
        return self.scores_of(self.curves(explanation))

    def scores_and_curves(self, explanation: Explanation) -> tuple[Scores, Curves]:
        curves = self.curves(explanation)
        return self.scores_of(curves), curves if self.keeps_curves else ()

    def scores_of(self, curves: Curves) -> Scores:
        """The scores (Q,) of questions by their curves."""
        return np.array([np.nan if one is None else self.of_curves(*one) for one in curves], np.float64)


def shaped(values: Any, shape: tuple[int, ...], name: str) -> npt.NDArray[Any]:
    """Values of shape (N, L, H, W), given as a Tensor or array, as (N * L, H, W).

    Raises:
        ValueError: if they have another shape.
    """
    array = values.asnumpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return array.reshape(-1, *shape[2:])
