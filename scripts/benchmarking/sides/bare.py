"""The passes of a network alone: same network, same shape, compiled alike, same process."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import numpy as np
from mindspore import nn

from explainrun.explainers import Explainer, Network, Rule
from explainrun.explainers.network.variants.rescaled import RESCALE, Pair, rescaled_by_pass

from ..images import Array
from ..subjects import PASS_SIZE

RULES: Mapping[str, Rule] = {
    "differentiate": "plain", "integrate": "plain", "smooth": "plain", "finer": "plain", "second order": "plain",
    "optimize": "plain", "expect": "plain",
    "guided": "guided", "deconvolution": "deconvolution", "loss": "loss",
}  # fmt: skip
UNCOMPILED = ("activate", "ablate", "concept", "dropout", "dropout trial", "layer choice", "layer check", "nearest",
              "nearest pool", "place trial", "repeat trial")  # fmt: skip
FORWARD, PLAIN_FORWARD, BIASES = "forward", "forward as written", "plain with biases"
_LEAST_PASSES = 2


def is_compiling(kind: str) -> bool:
    """Whether passes of a kind belong to compilation, which is timed apart."""
    return kind in ("compile", "graph trial")


def grouped(made: Mapping[str, float], *, biases: bool = False) -> Counter[str]:
    """Passes by how they are made bare: by their backward rule, or forward, compiled or as the network is written.

    Args:
        made: passes by kind.
        biases: whether those that differentiate note biases too, as FullGrad's do.
    """
    found: Counter[str] = Counter()
    for kind, times in made.items():
        if not is_compiling(kind):
            found[_group(kind, biases)] += int(times)
    return found


def _group(kind: str, biases: bool) -> str:
    if kind == RESCALE:
        return RESCALE
    if kind == "differentiate" and biases:
        return BIASES
    return RULES.get(kind) or (PLAIN_FORWARD if kind in UNCOMPILED else FORWARD)


def taps_of(explainers: Iterable[Explainer]) -> dict[str, set[str]]:
    """The layers that explainers read in differentiated passes, those inside others included, by rule."""
    found: dict[str, set[str]] = {}
    for explainer in explainers:
        inside = [value for value in vars(explainer).values() if isinstance(value, Explainer)]
        for one in (explainer, *inside):
            for rule, layers in one.needs.layers.items():
                found.setdefault(rule, set()).update(layers)
        if type(explainer).__name__ in ("SmoothGradCAMpp", "FinerCAM", "ShapleyCAM"):  # their passes are their own
            found.setdefault("plain", set()).update(_layers_of(explainer))
    return found


def _layers_of(explainer: Explainer) -> list[str]:
    layer = getattr(explainer, "layer", ())
    return [layer] if isinstance(layer, str) else list(layer)


class BarePasses:
    """Times passes of one shape.

    Args:
        cell: the network.
        images: (N, C, H, W), repeated to fill a pass.
        pass_size: images per pass.
        compiled: whether passes run compiled where the network compiles.
    """

    def __init__(self, cell: nn.Cell, images: Array, pass_size: int = PASS_SIZE, *, compiled: bool = True) -> None:
        self.images = np.resize(images, (pass_size, *images.shape[1:]))
        self._labels = np.zeros(pass_size, np.int64)
        self._service = Network(cell, pass_size, fill=True, jit="on" if compiled else "off")
        self._plain = Network(cell, pass_size, fill=True)
        self._warm: set[tuple[str, tuple[str, ...]]] = set()
        if compiled:
            with suppress(ValueError):  # it runs as it is written then, as in a run
                self._service.compile(self.images)

    def seconds(self, passes: Mapping[str, int], taps: Mapping[str, Iterable[str]], limit: float) -> float:
        """Seconds of so many passes by group; where they would take longer than the limit, reckoned from fewer.

        Args:
            passes: how many, as ``grouped`` has them.
            taps: layers that are read in passes of a rule.
            limit: seconds, for each group.
        """
        return sum(times * self.each(group, times, limit, taps.get(group, ())) for group, times in passes.items())

    def each(self, group: str, times: int, limit: float, taps: Iterable[str] = ()) -> float:
        """Seconds of one pass of a group, the mean of up to so many."""
        one, made = self._pass_of(group, taps), 0
        if (kind := (group, tuple(sorted(taps)))) not in self._warm:
            self._warm.add(kind)
            one()
        began = time.perf_counter()
        while made < times and (made < _LEAST_PASSES or time.perf_counter() - began < limit):
            one()
            made += 1
        return (time.perf_counter() - began) / max(made, 1)

    def _pass_of(self, group: str, taps: Iterable[str]) -> Callable[[], object]:
        if group == FORWARD:
            return lambda: self._service.logits(self.images)
        if group == PLAIN_FORWARD:
            return lambda: self._plain.logits(self.images)
        if group == RESCALE:
            pairs = [Pair(image, np.zeros_like(image), 0, row) for row, image in enumerate(self.images[1:])]
            return lambda: list(rescaled_by_pass(self._service, pairs, self._labels))
        if group == BIASES:
            return lambda: self._service.differentiate(self.images, self._labels, taps, biases=True)
        rule = RULES[group if group in RULES else "differentiate"]
        return lambda: self._service.differentiate(self.images, self._labels, taps, rule)
