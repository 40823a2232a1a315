"""Meaningful perturbation: the smallest smooth mask that takes the label's probability away."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Literal, get_args

import numpy as np
from mindspore import nn
from scipy.ndimage import gaussian_filter
from scipy.special import expit, softmax

from ..arguments import number_from, one_of, whole_number
from ..batched_search import side_by_side
from ..core.explainer import Explainer
from ..core.resize import resized
from ..core.view import View
from ..core.windows import rolled
from ..network import Block, Rule
from ..network.tensors import FloatArray, IntArray, check_labels
from ..perturbation.baselines import Baseline, baseline_image, check_baseline_fits, checked_baseline
from .coarse_masks import CoarseMasks, variation_slopes
from .descent import Adam

Score = Literal["softmax", "sigmoid", "logit"]

_CELLS_A_SIDE = 28  # 224 pixels, 8 each
_JITTER = 3 / 224  # of the short side
_RATE = 0.1
_DISCS = 35
_DISC_BLUR = 10 / 224  # of the short side
_LEFT = 0.01  # of the score, where a disc hides enough to begin with


class MeaningfulPerturbation(Explainer):
    """How much of each pixel a small and smooth mask hides that takes the label's probability away; in 0..1.

    Fong, Vedaldi: Interpretable Explanations of Black Boxes by Meaningful Perturbation (2017). A coarse mask m, 1 where
    it shows the image, is enlarged by cells and blurred (by 5/8 of a cell). By Adam it goes down the probability of the
    image behind it, plus ``sparsity`` times the sum of 1 - m, plus ``smoothness`` times the sum of the length of its
    gradient to the power ``power``. It begins with the smallest disc in the middle, of 35, that leaves 1 % of what
    hiding all takes away. At each step the image is shifted at random, down and right (what leaves on one side enters
    on the other), by the same for all labels of an image. The numbers are the paper's, for images of 224 pixels; in
    others cells, blur and shifts go by the short side. Costs ``steps`` differentiated images per question and 35 images
    per image. As many questions as a pass holds take their steps together.

    Args:
        network: see ``Explainer``.
        steps: that each mask takes.
        score: what is taken away: the "softmax" or "sigmoid" of the logits, or the "logit" itself.
        baseline: what covers: "blur", a number, an array that broadcasts to (C, H, W), or "mean" (each channel's).
        sparsity: lambda 1 of the paper.
        smoothness: lambda 2.
        power: beta, from 1.
        jitter: how many pixels the image is shifted at most, each way; by default 3 of 224.
        cell: pixels a cell of the mask has each way; by default so many that the short side has 28.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``.
        ValueError: if steps or cell is not a whole number from 1 or jitter from 0, score is another word, baseline is
            malformed, or another number is not as said. Later, if baseline does not fit the images.
    """

    signed = False
    pynative = True

    def __init__(
        self,
        network: nn.Cell,
        steps: int = 300,
        score: Score = "softmax",
        baseline: Baseline = "blur",
        sparsity: float = 1e-4,
        smoothness: float = 1e-2,
        power: float = 3.0,
        jitter: int | None = None,
        cell: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(network, name)
        self.steps = self.passes_in_turn = whole_number(steps, "steps")
        self.score = one_of(score, get_args(Score), "score")
        self.baseline = checked_baseline(baseline)
        self.sparsity, self.smoothness = number_from(sparsity, "sparsity"), number_from(smoothness, "smoothness")
        self.power = number_from(power, "power", 1.0)
        self.jitter = None if jitter is None else whole_number(jitter, "jitter", 0)
        self.cell = None if cell is None else whole_number(cell, "cell")

    def attribute(self, view: View) -> FloatArray:
        check_labels(view.labels, view.logits.shape[1])
        coarse = CoarseMasks(view.size, self.cell or max(1, round(min(view.size) / _CELLS_A_SIDE)))
        values = self._beginnings(view, coarse)
        for passes in side_by_side(len(values), self.steps, view.network.pass_size):
            which = np.unique(np.concatenate(passes))
            searched = self._optimized(view.subset(which), coarse, values[which], [one - which[0] for one in passes])
            values[which] = searched
        hidden: FloatArray = (1 - coarse.enlarged(values)).clip(min=0)
        return hidden

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        check_baseline_fits(self.baseline, shape)
        return {"disc": images * _DISCS, "optimize": questions * self.steps}

    def _optimized(self, view: View, coarse: CoarseMasks, values: FloatArray, passes: Iterable[IntArray]) -> FloatArray:
        """The masks of a few questions, by their values (Q, h, w), after passes in which some of them take a step."""
        covers = {row: baseline_image(self.baseline, view.images[row]) for row in np.unique(view.rows).tolist()}
        covers_asked = np.stack([covers[row] for row in view.rows.tolist()])
        apart, shifts, descent = view.asked_images - covers_asked, self._shifts(view), Adam(values, _RATE)
        for rows in passes:
            masks, moved = coarse.enlarged(values[rows]), shifts[rows, descent.taken[rows]]
            images = rolled(covers_asked[rows] + masks[:, None] * apart[rows], moved)
            by_image = rolled(self._score_slopes(view, images, view.labels[rows]), -moved)
            gradients = coarse.gathered((by_image * apart[rows]).sum(axis=1))
            gradients += np.float32(self.sparsity) * np.sign(values[rows] - 1)
            gradients += np.float32(self.smoothness) * variation_slopes(values[rows], self.power)
            descent.follow(rows, gradients)
        return values

    def _score_slopes(self, view: View, images: FloatArray, labels: IntArray) -> FloatArray:
        """The gradient (R, C, H, W) of the labels' scores; one pass."""
        rule: Rule = "loss" if self.score == "softmax" else "plain"
        found = view.network.differentiate(images, labels, rule=rule, kind="optimize")
        scores = self._scores(found.logits)[np.arange(len(labels)), labels]
        # The loss is -log p, so p' = -p times its gradient.
        factors = {"softmax": -scores, "sigmoid": scores * (1 - scores), "logit": np.ones_like(scores)}[self.score]
        slopes: FloatArray = factors.astype(np.float32)[:, None, None, None] * found.input_gradient
        return slopes

    def _scores(self, logits: FloatArray) -> FloatArray:
        """(N, classes)."""
        scores: FloatArray
        if self.score == "softmax":
            scores = softmax(logits, axis=1)
        else:
            scores = expit(logits) if self.score == "sigmoid" else logits
        return scores

    def _shifts(self, view: View) -> IntArray:
        """How far down and right the image of each question is shifted at each step, (Q, steps, 2)."""
        most = round(_JITTER * min(view.size)) if self.jitter is None else self.jitter
        rows, places = np.unique(view.rows, return_inverse=True)
        drawn = [view.generator(row, "MeaningfulPerturbation").integers(0, most + 1, (self.steps, 2)) for row in rows]
        shifts: IntArray = np.stack(drawn)[places.reshape(-1)]
        return shifts

    def _beginnings(self, view: View, coarse: CoarseMasks) -> FloatArray:
        """The values (Q, h, w) that masks begin with."""
        discs = _discs(view.size)
        values = resized(1 - discs, coarse.grid)
        rows = np.unique(view.rows).tolist()
        hidden = (self._behind(view.images[row], discs) for row in rows)
        said = (self._scores(logits) for logits in view.network.streamed_logits(hidden, "disc"))
        whole = self._scores(view.logits)
        found = np.empty((len(view.rows), *coarse.grid), np.float32)
        for row, places, scores in view.answered(said, [_DISCS] * len(rows)):
            found[places] = values[_smallest(scores, whole[row, view.labels[places]])]
        return found

    def _behind(self, image: FloatArray, discs: FloatArray) -> Block:
        """The image (C, H, W) with each of some discs (N, H, W) hidden in turn."""
        cover = baseline_image(self.baseline, image)
        return Block((len(discs), *image.shape), partial(_hide, image, cover - image, discs))


def _hide(image: FloatArray, change: FloatArray, discs: FloatArray, which: slice, out: FloatArray) -> None:
    np.multiply(change, discs[which, None], out=out)
    out += image


def _discs(size: tuple[int, int]) -> FloatArray:
    """Blurred discs (N, H, W) in the middle, from one that hides next to nothing to one that hides all."""
    blur = _DISC_BLUR * min(size)
    down, right = (np.arange(length) - (length - 1) / 2 for length in size)
    far = np.hypot(down[:, None], right)
    radii = np.linspace(0, math.hypot(*size) / 2 + 2 * blur, _DISCS)
    return np.stack([gaussian_filter((far <= radius).astype(np.float32), blur, mode="nearest") for radius in radii])


def _smallest(scores: FloatArray, whole: FloatArray) -> IntArray:
    """The first of some discs that takes enough of each label's score away; where hiding all takes none, the first.

    Args:
        scores: (N, L) of the labels, each disc hidden in turn.
        whole: (L,) of the image itself.
    """
    all_hidden = scores[-1]
    enough = scores <= all_hidden + _LEFT * (whole - all_hidden)
    return np.where(whole > all_hidden, enough.argmax(axis=0), 0)
