"""Curves of the network's answer while pixels, patches or superpixels are removed in the order of a map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...explainers.arguments import one_of, whole_number, yes_or_no
from ...explainers.network.tensors import Activation, checked_activation
from ...explainers.perturbation.superpixels import SegmentationFunction
from ..core.covered_images import Covering, Curve, CurvePoints
from ..core.explanation import Explanation
from ..core.groups import checked_groups
from ..core.metric import CurveMetric, Curves
from ..core.removal import checked_removal

ORDERS = ("morf", "lerf")  # the most relevant first, or the least


class FlippingCurve(CurveMetric):
    """What the metrics share that read such curves.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        steps: how many pieces are removed one after the other; by default the whole part of sqrt(H W) of pixels, and
            one patch or superpixel at a time. Never more than there are.
        baseline: value of removed pixels, as the network takes them, where removal is "value".
        removal: "value", "mean" of each channel, "blur" or "noisy_linear"; see ``checked_removal``.
        groups: what is removed together: "pixels" (each alone), "patches" or "superpixels", ordered by the mean of the
            map over each.
        patch_size: side of patches in pixels; by default an eighth of the image's short side.
        segmentation: of superpixels: "slic", "quickshift", "felzenszwalb" or a function, as in ``LIME``.
        segmentation_options: for it, by name.
        curves: whether a run keeps its curves beside the scores; see ``CurveMetric``.
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called, or the segmentation is of another type.
        ValueError: if num_labels, steps or patch_size is below 1, the baseline is not finite or without effect, or
            there are no such groups, removal, segmentation or options.
    """

    def __init__(  # noqa: PLR0913 - all but two are options with defaults, to be given by name
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        steps: int | None = None,
        baseline: float = 0.0,
        removal: str = "value",
        groups: str = "pixels",
        patch_size: int | None = None,
        segmentation: str | SegmentationFunction = "slic",
        segmentation_options: Mapping[str, Any] | None = None,
        curves: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, name)
        self.activation_fn = checked_activation(activation_fn)
        self.steps = None if steps is None else whole_number(steps, "steps")
        self._removal = checked_removal(removal, baseline)
        self._groups = checked_groups(groups, patch_size, segmentation, segmentation_options, self.name)
        self.keeps_curves = yes_or_no(curves, "curves")

    @property
    def read_curves(self) -> tuple[Curve, ...]:
        """The curves that it reads."""
        return (Curve(groups=self._groups, removal=self._removal, steps=self.steps),)

    def covering(self, size: tuple[int, int]) -> Covering:
        return Covering((), self.activation_fn, self.read_curves)

    @property
    def curve_names(self) -> tuple[str, ...]:
        return tuple("lerf" if curve.least_first else "morf" for curve in self.read_curves)

    def curves(self, explanation: Explanation) -> Curves:
        """The answer over the share that is removed; None where what is removed has no order."""
        covering = self.covering(explanation.view.size)
        found = zip(*(explanation.curve(curve, covering) for curve in self.read_curves), strict=True)
        return [None if of_question[0] is None else of_question for of_question in found]


class PixelFlipping(FlippingCurve):
    """Area over the perturbation curve: how far the label's probability falls on average while the image is removed.

    AOPC = 1/(L+1) sum over k = 0..L of f(x) - f(x_k), where x_k lacks the k first pieces in the map's order. Samek et
    al.: Evaluating the Visualization of What a Deep Neural Network Has Learned (2017); pixels one by one are those of
    Bach et al.: On Pixel-Wise Explanations (2015), section on pixel-flipping. The probability falls between -1 and 1;
    higher is better with order "morf", lower with "lerf". NaN for a map without order.

    It does not say whether a low score is the map's fault: images with pixels removed are unlike those that the network
    was trained on, and another ``removal`` may rank maps otherwise; a network that is sure loses more. ``SRG`` is less
    sensitive to that.

    Args:
        num_labels: see ``FlippingCurve``.
        activation_fn: see ``FlippingCurve``.
        steps: see ``FlippingCurve``.
        baseline: see ``FlippingCurve``.
        removal: see ``FlippingCurve``.
        groups: see ``FlippingCurve``.
        patch_size: see ``FlippingCurve``.
        segmentation: see ``FlippingCurve``.
        segmentation_options: see ``FlippingCurve``.
        order: "morf", the most relevant first, or "lerf", the least relevant first.
        curves: see ``FlippingCurve``.
        name: see ``Metric``.

    Raises:
        TypeError: as ``FlippingCurve``.
        ValueError: as ``FlippingCurve``, or if there is no such order.
    """

    def __init__(  # noqa: PLR0913 - all but two are options with defaults, to be given by name
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        steps: int | None = None,
        baseline: float = 0.0,
        removal: str = "value",
        groups: str = "pixels",
        patch_size: int | None = None,
        segmentation: str | SegmentationFunction = "slic",
        segmentation_options: Mapping[str, Any] | None = None,
        order: str = "morf",
        curves: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(
            num_labels,
            activation_fn,
            steps=steps,
            baseline=baseline,
            removal=removal,
            groups=groups,
            patch_size=patch_size,
            segmentation=segmentation,
            segmentation_options=segmentation_options,
            curves=curves,
            name=name,
        )
        self.order = one_of(order, ORDERS, "order")
        self.higher_is_better = self.order == "morf"

    @property
    def read_curves(self) -> tuple[Curve, ...]:
        return (Curve(groups=self._groups, removal=self._removal, steps=self.steps, least_first=self.order == "lerf"),)

    def of_curves(self, *curves: CurvePoints) -> float:
        answers = curves[0].heights
        return float((answers[0] - answers).mean())


class SRG(FlippingCurve):
    """Symmetric relevance gain: the area under the curve of the least relevant first, minus that of the most relevant.

    SRG = A(LeRF) - A(MoRF), the areas of ``PixelFlipping``'s curves over the share that is removed, by trapezoids.
    Blücher, Vielhaben, Strodthoff: Decoupling Pixel Flipping and Occlusion Strategy for Consistent XAI Benchmarks
    (2024). In -1..1, higher is better; about 0 for a map that is unrelated to the network, and the negative of a map
    scores exactly the negative. NaN for a map without order. Beside ``PixelFlipping`` in both orders it costs nothing.

    It does not say where an order is right or wrong, nor anything about the map's values: every map that orders pixels
    alike scores alike.

    Args:
        num_labels: see ``FlippingCurve``.
        activation_fn: see ``FlippingCurve``.
        steps: see ``FlippingCurve``.
        baseline: see ``FlippingCurve``.
        removal: see ``FlippingCurve``.
        groups: see ``FlippingCurve``.
        patch_size: see ``FlippingCurve``.
        segmentation: see ``FlippingCurve``.
        segmentation_options: see ``FlippingCurve``.
        curves: see ``FlippingCurve``.
        name: see ``Metric``.

    Raises:
        TypeError: as ``FlippingCurve``.
        ValueError: as ``FlippingCurve``.
    """

    @property
    def read_curves(self) -> tuple[Curve, ...]:
        return tuple(
            Curve(groups=self._groups, removal=self._removal, steps=self.steps, least_first=least)
            for least in (True, False)
        )

    def of_curves(self, *curves: CurvePoints) -> float:
        least_first, most_first = curves
        return least_first.area - most_first.area


class Selectivity(FlippingCurve):
    """Area under the label's probability while patches are removed, the most relevant first; lower is better.

    Montavon, Samek, Müller: Methods for Interpreting and Understanding Deep Neural Networks (2018), section 7.2
    (explanation selectivity), over the share of patches that is removed, by trapezoids; in 0..1. NaN for a map whose
    patches have no order.

    It does not say how much of a small area is the network's low confidence in the label, and is sensitive to what
    stands where patches are removed.

    Args:
        num_labels: see ``FlippingCurve``.
        activation_fn: see ``FlippingCurve``.
        steps: see ``FlippingCurve``.
        baseline: see ``FlippingCurve``.
        removal: see ``FlippingCurve``.
        patch_size: see ``FlippingCurve``.
        curves: see ``FlippingCurve``.
        name: see ``Metric``.

    Raises:
        TypeError: as ``FlippingCurve``.
        ValueError: as ``FlippingCurve``.
    """

    higher_is_better = False

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        steps: int | None = None,
        baseline: float = 0.0,
        removal: str = "value",
        patch_size: int | None = None,
        curves: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(
            num_labels,
            activation_fn,
            steps=steps,
            baseline=baseline,
            removal=removal,
            groups="patches",
            patch_size=patch_size,
            curves=curves,
            name=name,
        )

    def of_curves(self, *curves: CurvePoints) -> float:
        return curves[0].area


class IROF(FlippingCurve):
    """Iterative removal of features: the area over the curve while superpixels are removed, the most relevant first.

    IROF = 1 - area under f(x_k) / f(x) over the share k / K of the superpixels that is removed, by trapezoids. Rieger,
    Hansen: IROF: a low resource evaluation metric for explanation methods (2020). At most 1, below 0 where removing
    raises the probability; higher is better. NaN where f(x) is 0, or the map's superpixels have no order, such as where
    an image is one of them.

    It does not say anything about what lies inside a superpixel, and depends on how images are segmented.

    Args:
        num_labels: see ``FlippingCurve``.
        activation_fn: see ``FlippingCurve``.
        steps: see ``FlippingCurve``.
        baseline: see ``FlippingCurve``.
        removal: see ``FlippingCurve``; by default the mean, as in the paper.
        segmentation: see ``FlippingCurve``.
        segmentation_options: see ``FlippingCurve``; the paper's are ``{n_segments: 300}``.
        curves: see ``FlippingCurve``.
        name: see ``Metric``.

    Raises:
        TypeError: as ``FlippingCurve``.
        ValueError: as ``FlippingCurve``.
    """

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        steps: int | None = None,
        baseline: float = 0.0,
        removal: str = "mean",
        segmentation: str | SegmentationFunction = "slic",
        segmentation_options: Mapping[str, Any] | None = None,
        curves: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(
            num_labels,
            activation_fn,
            steps=steps,
            baseline=baseline,
            removal=removal,
            groups="superpixels",
            segmentation=segmentation,
            segmentation_options=segmentation_options,
            curves=curves,
            name=name,
        )

    def of_curves(self, *curves: CurvePoints) -> float:
        whole = curves[0].heights[0]
        return 1.0 - curves[0].area / float(whole) if whole else float("nan")
