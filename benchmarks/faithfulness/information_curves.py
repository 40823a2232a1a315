"""Performance information curves: the network's answer over how much information a partly blurred image holds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...explainers.arguments import yes_or_no
from ...explainers.network.tensors import Activation, FloatArray, checked_activation
from ..core.answers import read_by
from ..core.covered_images import Covering, Curve, CurvePoints
from ..core.explanation import Explanation
from ..core.metric import CurveMetric, Curves
from ..core.removal import checked_removal
from .road import rising_shares

_SHARES = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.13, 0.21, 0.34, 0.5, 0.75)
_RGB = 3


class _InformationCurve(CurveMetric):
    """What ``SIC`` and ``AIC`` share.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        shares: of the pixels that are revealed, the most salient first, rising, in 0..1; nothing and all are added.
        baseline: value of hidden pixels, as the network takes them, where removal is "value".
        removal: what stands where pixels are hidden: "blur", "value", "mean" or "noisy_linear".
        curves: whether a run keeps the curves beside the scores; see ``CurveMetric``.
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if num_labels is below 1, a share does not lie in 0..1 or above the one before, the baseline is not
            finite or without effect, or there is no such removal.
    """

    answer: ClassVar[str]

    def __init__(
        self,
        num_labels: int,
        activation_fn: Activation,
        *,
        shares: Sequence[float] = _SHARES,
        baseline: float = 0.0,
        removal: str = "blur",
        curves: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(num_labels, name)
        self.shares, self.keeps_curves = rising_shares(shares), yes_or_no(curves, "curves")
        self._removal = checked_removal(removal, baseline)
        self.read_by = read_by(self.answer, checked_activation(activation_fn), (self.answer,))

    def covering(self, size: tuple[int, int]) -> Covering:
        return Covering((), self.read_by, (self._curve,))

    @property
    def curve_names(self) -> tuple[str, ...]:
        return ("information",)

    def curves(self, explanation: Explanation) -> Curves:
        """The highest answer so far over information, from the hidden image, 0, to the whole one, 1."""
        points = explanation.curve(self._curve, self.covering(explanation.view.size))
        return [
            None if one is None else self._over_information(_file_sizes(explanation, place, self._curve), one.heights)
            for place, one in enumerate(points)
        ]

    def of_curves(self, *curves: CurvePoints) -> float:
        across, up = curves[0]
        return float((np.diff(across) * (up[1:] + up[:-1]) / 2.0).sum())

    @property
    def _curve(self) -> Curve:
        """From nothing revealed to all: what is not revealed is removed, the least salient first."""
        hidden = sorted({1.0, 0.0, *(1.0 - share for share in self.shares)}, reverse=True)
        return Curve(removal=self._removal, least_first=True, shares=tuple(hidden))

    def _over_information(
        self, sizes: npt.NDArray[np.float64], answers: npt.NDArray[np.float64]
    ) -> tuple[CurvePoints] | None:
        """The curve of one question, by the files' sizes; None where it has none."""
        scaled = self.scaled(answers)
        if scaled is None or sizes[-1] == sizes[0]:
            return None
        information = ((sizes - sizes[0]) / (sizes[-1] - sizes[0])).clip(0.0, 1.0)
        heights = np.maximum.accumulate(scaled)
        order = np.lexsort((heights, information))
        return (CurvePoints(information[order], heights[order]),)

    @abstractmethod
    def scaled(self, answers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
        """Answers from the hidden image to the whole one as heights in 0..1; None where these do not fit."""


class SIC(_InformationCurve):
    """Area under the softmax information curve: the label's probability over the information that is revealed; in 0..1.

    From the blurred image on, pixels are revealed, the most salient first. The information of an image is its size as a
    lossless WebP file; it and the probability are scaled so that the blurred image is 0 and the whole one 1, and the
    curve goes along the highest probability so far. Kapishnikov et al.: XRAI: Better Attributions Through Regions
    (2019), and Guided Integrated Gradients (2021). Higher is better. NaN for a map without order, and where the whole
    image's file is as large as the blurred one's, or its probability is not higher.

    The curve of one image is integrated, where the papers take the median curve of many. Blur is Gaussian, as that of
    the other metrics' "blur"; PAIR's saliency interpolates between random pixels. Files may have other sizes with
    another version of Pillow's WebP library.

    It does not say much about small or smooth images, whose files hardly differ, and prefers maps that lie on smooth
    regions, which cost little information.

    Args:
        num_labels: how many classes the network has.
        activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``.
        shares: of the pixels that are revealed, rising, in 0..1; nothing and all are added.
        baseline: value of hidden pixels, as the network takes them, where removal is "value".
        removal: what stands where pixels are hidden: "blur", "value", "mean" or "noisy_linear".
        curves: whether a run keeps the curves beside the scores; see ``CurveMetric``.
        name: see ``Metric``.

    Raises:
        TypeError: if activation_fn cannot be called.
        ValueError: if num_labels is below 1, a share does not lie in 0..1 or above the one before, the baseline is not
            finite or without effect, or there is no such removal.
    """

    answer = "probability"

    def scaled(self, answers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
        if answers[-1] <= answers[0]:
            return None
        heights: npt.NDArray[np.float64] = ((answers - answers[0]) / (answers[-1] - answers[0])).clip(0.0, 1.0)
        return heights


class AIC(_InformationCurve):
    """Area under the accuracy information curve: as ``SIC``, with 1 where the label is the likeliest class, else 0.

    Kapishnikov et al.: XRAI: Better Attributions Through Regions (2019). In 0..1, higher is better; 1 for every map
    where the label is the likeliest class of the blurred image already. NaN for a map without order, where the label is
    not the likeliest class of the whole image, and where its file is as large as the blurred one's.

    It does not say anything about labels that the network does not predict, and of one image it knows a single step,
    where the label becomes the likeliest; else as ``SIC``.

    Args:
        num_labels: see ``SIC``.
        activation_fn: see ``SIC``; the likeliest class is that of the largest logit.
        shares: see ``SIC``.
        baseline: see ``SIC``.
        removal: see ``SIC``.
        curves: see ``SIC``.
        name: see ``Metric``.

    Raises:
        TypeError: as ``SIC``.
        ValueError: as ``SIC``.
    """

    answer = "accuracy"

    def scaled(self, answers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
        return answers if answers[-1] else None


def _file_sizes(explanation: Explanation, question: int, curve: Curve) -> npt.NDArray[np.float64]:
    """Bytes (points,) of the files of the images along a curve; counted once for all metrics of an explanation."""
    key = ("file sizes", explanation.explainer.name, question, curve)
    if key not in explanation.memory:
        block, untouched = explanation.covered_images(question, curve), explanation.image_of(question).image
        size_of = partial(_compressed_size, untouched=untouched)
        with ThreadPoolExecutor(thread_name_prefix="explainrun-webp") as threads:  # a file can take as long as a pass
            sizes = [] if block is None else [size for part in block.parts() for size in threads.map(size_of, part)]
        explanation.memory[key] = np.array(sizes, np.float64)
    found: npt.NDArray[np.float64] = explanation.memory[key]
    return found


def _compressed_size(image: FloatArray, untouched: FloatArray) -> int:
    """Bytes of an image (C, H, W) as a lossless WebP file, 8 bits per channel over the untouched image's range."""
    low, high = float(untouched.min()), float(untouched.max())
    scaled = (image - low) / (high - low if high > low else 1.0)
    pixels = np.round(scaled.clip(0.0, 1.0) * 255.0).astype(np.uint8)
    shown: Any = pixels.transpose(1, 2, 0) if len(pixels) == _RGB else pixels.reshape(-1, pixels.shape[2])
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(shown)).convert("RGB").save(file, "webp", lossless=True, quality=100)
    return file.tell()
