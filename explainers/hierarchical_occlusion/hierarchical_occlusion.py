"""Hierarchical occlusion counterfactuals of many questions at once, in full passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ...summary_format.problem import Problem
from ..arguments import is_whole, real_number, whole_number
from ..batched_search import passes_needed, search_together
from ..core.call_options import CallOptions
from ..core.construction import Configured
from ..core.explainer import image_array
from ..core.measured_size import PassSize
from ..network import DEFAULT_PASS_SIZE, Block, Jit, Network, Output
from ..network.tensors import Activation, FloatArray, IntArray, checked_activation, checked_network
from ..perturbation.baselines import blur_sigma, blurred
from .counterfactual import Counterfactual, one_image
from .greedy_search import GreedyRevealSearch, SharedFirstLayer, windows_within

CHANNELS = 3
SHORTEST_WINDOW = 28
MOST_LAYERS = 3
STRIDES_PER_WINDOW = 5


class Searches(NamedTuple):
    """What many searches found together.

    Attributes:
        counterfactuals: one per question.
        passes: how many they need, worked out from what each step had to ask alone.
    """

    counterfactuals: list[Counterfactual]
    passes: int


class HierarchicalOcclusion(Configured):
    """Searches for the regions that lift a label's probability to a threshold, on an image that is else blurred.

    No paper is known; it is the method of the MindSpore XAI package, here with every choice written down. Windows are
    squares at 0, stride, 2 stride, ... and one flush with the far border. In layer 1 the window that gives the highest
    probability is revealed, and again, until the probability is at least the threshold (of equals the topmost first,
    then the leftmost). In each next layer the windows of the layer above are covered again one by one, in the order in
    which they were revealed, and smaller windows inside are revealed in the same way, while all other windows stay as
    they then are. A layer that misses the threshold is cut off, with all below it.

    Args:
        network: takes images (N, 3, H, W) and returns logits (N, classes). It is left as it is found.
        activation_fn: from logits to probabilities, such as ``nn.Sigmoid()``.
        threshold: probability to reach, above 0 and below 1.
        window_sides: of each layer's windows, in pixels, strictly falling. By default half the image's short side and
            half of that again, rounded down, at most three of them and none below 28.
        strides: of each layer's windows, in pixels; by default a fifth of the side, rounded down, at least 1. Strides
            longer than the sides leave pixels that no window shows.
        blur: sigma of the Gaussian that covers the image, in whole pixels; by default the short side / 25, rounded.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell`` or activation_fn cannot be called.
        ValueError: if a number lies outside its range, or there are not as many strides as sides.
    """

    def __init__(
        self,
        network: nn.Cell,
        activation_fn: Activation,
        threshold: float = 0.5,
        window_sides: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        blur: int | None = None,
    ) -> None:
        self.network = checked_network(network)
        self.activation_fn = checked_activation(activation_fn)
        if not 0 < real_number(threshold, "threshold") < 1:
            words = "threshold must lie above 0 and below 1, got {given!r}; 0.5 is usual"
            raise ValueError(Problem.of("threshold-out-of-range", words, given=threshold))
        self.threshold = float(threshold)
        self.window_sides = None if window_sides is None else _pixels(window_sides, "window_sides")
        self.strides = None if strides is None else _pixels(strides, "strides")
        self.blur = None if blur is None else _pixels([blur], "blur")[0]
        sides = self.window_sides or ()
        if any(after >= before for before, after in pairwise(sides)):
            words = "window_sides must fall from layer to layer, got {given}; begin with the largest"
            raise ValueError(Problem.of("window-sides-rising", words, given=list(sides)))
        if self.window_sides is not None:
            self._layer_strides(sides)

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse images that cannot be searched.

        Args:
            shape: of an image, (C, H, W).

        Raises:
            ValueError: if it has not three channels, is too small for the windows, or has not a stride per layer.
        """
        if len(shape) != 3 or shape[0] != CHANNELS:
            words = (
                "hierarchical occlusion needs images of three channels (3, H, W), got {shape}; repeat the channel of "
                "grey images in front of the network"
            )
            raise ValueError(Problem.of("hierarchical-occlusion-channels", words, shape=tuple(shape)))
        short, smallest = min(shape[1:]), 2 * SHORTEST_WINDOW
        if self.window_sides is None and short < smallest:
            words = (
                "hierarchical occlusion needs images of at least {least} x {least} pixels, got {height} x {width}; "
                "resize them, or set window_sides and a larger blur"
            )
            values = {"least": smallest, "height": shape[1], "width": shape[2]}
            raise ValueError(Problem.of("hierarchical-occlusion-size", words, **values))
        if self.window_sides and self.window_sides[0] > short:
            words = (
                "window_sides must be at most the images' short side, which is {short}, got {given}; set smaller ones"
            )
            raise ValueError(Problem.of("window-sides-too-large", words, short=short, given=list(self.window_sides)))
        self._layer_strides(self._sides(short))

    def images_of_layers(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """How many images (C, H, W) the first layer takes for all labels of an image; and for each label, where a
        single window of each layer is revealed, the others. Most searches take more.

        Raises:
            ValueError: if such images cannot be searched.
        """
        self.check(shape)
        _, height, width = shape
        layers = self._layers(min(height, width))
        within = [(height, width), *((side, side) for side, _ in layers[:-1])]
        first, *others = [windows_within(*size, *layer) for size, layer in zip(within, layers, strict=True)]
        return 1 + first, sum(others)

    def sigma(self, size: tuple[int, int]) -> int:
        """Sigma in pixels of the blur of images of a (height, width)."""
        return self.blur or blur_sigma(size)

    def search(
        self,
        image: Tensor | npt.NDArray[Any],
        label: int | Tensor,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> Counterfactual:
        """Search one image.

        Args:
            image: (3, H, W) or (1, 3, H, W), as the network takes it.
            label: the class to explain.
            output: which part of what the network returns is its logits, as an explainer's direct call takes it.
            jit: as an explainer's direct call takes it.
            pass_size: as an explainer's direct call takes it.

        Returns:
            What was found, or that the blur alone suffices, or that no choice of windows reaches the threshold.

        Raises:
            TypeError: if the image is not a Tensor or array.
            ValueError: if the image cannot be searched, there is no such label, or its probability on the untouched
                image does not exceed the threshold.
        """
        images = image_array(one_image(image)[None])
        self.check(images.shape[1:])
        network = CallOptions(output, jit, pass_size).network(self.network, images)
        probabilities = network.activated(network.logits(images), self.activation_fn)[0]
        label = whole_number(label.asnumpy()[()] if isinstance(label, Tensor) else label, "label", 0)
        if label >= len(probabilities):
            raise ValueError(f"label must lie in 0..{len(probabilities) - 1}, got {label}")
        asked = np.array([0]), np.array([label])
        (found,) = self.search_all(network, images, *asked, probabilities[label : label + 1]).counterfactuals
        if found.outcome == "below threshold":
            raise ValueError(
                f"label {label} has probability {found.probability:.4g} on the untouched image, it must exceed the "
                f"threshold {self.threshold:g}; ask about a label that the network sees, or lower the threshold"
            )
        return found

    def search_all(
        self, network: Network, images: FloatArray, rows: IntArray, labels: IntArray, probabilities: FloatArray
    ) -> Searches:
        """Search for many questions together, with images of any of them side by side in a pass.

        What the labels of an image have in common, the blurred image and each window of layer 1 alone, is asked once.

        Args:
            network: where passes run, counted as "search". If it fills its passes, an answer does not depend on what
                is asked beside it.
            images: (N, 3, H, W).
            rows: (Q,), which image each question is about.
            labels: (Q,), which label it asks about.
            probabilities: (Q,), of that label on the untouched image.

        Returns:
            An answer per question, in order, and the passes that they need.

        Raises:
            ValueError: if the images cannot be searched, or the questions' lengths differ.
        """
        self.check(images.shape[1:])
        height, width = images.shape[2:]
        sigma, layers = self.sigma((height, width)), self._layers(min(height, width))
        answers = [
            Counterfactual(int(label), "below threshold", float(probability), math.nan, sigma)
            for _, label, probability in zip(rows, labels, probabilities, strict=True)
        ]
        asked = [i for i, answer in enumerate(answers) if self.threshold < answer.probability < math.inf]
        about = {row: np.array([i for i in asked if rows[i] == row]) for row in dict.fromkeys(rows[asked].tolist())}
        search = partial(search_together, ask=partial(self._ask, network), pass_size=network.pass_size)
        first_layers = [
            SharedFirstLayer(images[row], blurred(images[row], sigma), self.threshold, layers[0]) for row in about
        ]
        first_answers = search([one.search() for one in first_layers], [labels[places] for places in about.values()])
        of_question = {
            int(place): (first_layer, values[:, column], rounds)
            for first_layer, places, (values, rounds) in zip(first_layers, about.values(), first_answers, strict=True)
            for column, place in enumerate(places)
        }
        searches = [GreedyRevealSearch(*of_question[i][:2], layers).answer(answers[i]) for i in asked]
        found = search(searches, [labels[i] for i in asked])
        for i, (answer, rounds) in zip(asked, found, strict=True):
            answers[i] = replace(answer, rounds=of_question[i][2] + rounds)
        needed = (passes_needed([rounds for _, rounds in part], network.pass_size) for part in (first_answers, found))
        return Searches(answers, sum(needed))

    def _ask(self, network: Network, images: list[FloatArray | Block]) -> FloatArray:
        """Probabilities (images, classes)."""
        return network.activated(network.pooled_logits(images, "search"), self.activation_fn)

    def _layers(self, short: int) -> list[tuple[int, int]]:
        """Side and stride of each layer's windows, in images of that short side."""
        sides = self._sides(short)
        return list(zip(sides, self._layer_strides(sides), strict=True))

    def _sides(self, short: int) -> tuple[int, ...]:
        if self.window_sides is not None:
            return self.window_sides
        halved = (short >> layer for layer in range(1, MOST_LAYERS + 1))
        return tuple(side for side in halved if side >= SHORTEST_WINDOW)

    def _layer_strides(self, sides: Sequence[int]) -> tuple[int, ...]:
        if self.strides is None:
            return tuple(max(1, side // STRIDES_PER_WINDOW) for side in sides)
        if len(self.strides) != len(sides):
            words = "strides must give one number per layer, got {given} for window sides {sides}; give {count}"
            values = {"given": list(self.strides), "sides": list(sides), "count": len(sides)}
            raise ValueError(Problem.of("strides-count", words, **values))
        return self.strides


def _pixels(numbers: Sequence[Any], name: str) -> tuple[int, ...]:
    """Whole numbers of pixels, at least 1.

    Raises:
        ValueError: if they are others, or there are none.
    """
    listed = isinstance(numbers, (list, tuple)) or (isinstance(numbers, np.ndarray) and numbers.ndim > 0)
    if not listed or not len(numbers):
        words = "{name} must be a list with one number per layer, got {given!r}"
        raise ValueError(Problem.of("not-a-list-of-numbers", words, name=name, given=numbers))
    if not all(is_whole(number) and number >= 1 for number in numbers):
        words = "{name} must be whole pixels, at least 1, got {given!r}"
        raise ValueError(Problem.of("not-whole-pixels", words, name=name, given=list(numbers)))
    return tuple(int(number) for number in numbers)
