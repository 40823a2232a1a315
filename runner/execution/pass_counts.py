"""What a run costs: passes made and needed, and where the time goes."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from ...benchmarks import Covering
from ...explainers import Explainer, View
from ...explainers.network import Network, pass_kind, probe_rows

Costs = Mapping[str, Mapping[str, float]]


class Profile:
    """Counts what is done and what would have to be done, until it is handed on with a commit.

    Passes needed, by kind, in passes of P images, ragged ones filled up:

    ===============  ==================================================================================================
    infer            ceil(N / P) for each batch of N samples
    differentiate,   ceil(Q / P) for a batch's Q questions, those among them that metrics add (ClassSensitivity), by
    guided, ...      backward rule, where any explainer reads that pass; Robustness adds ceil(S Q / P) for S samples
    activate         ceil(R / P) for each batch's R images with questions, where any explainer reads outputs alone
    occlude, mask,   an explainer's own: ceil(``images_needed_for`` / P), for each explainer and batch; Robustness adds
    ood, ...         the same for each pass of noisy images
    noise            ceil(T / P) for the T noisy images that Robustness looks at, for each batch and attempt
    perturb          ceil(R K / P) for each explainer and batch, R being the questions whose map has an order and K the
                     covered images that differ among all metrics' ``covering``; and 1 for each baseline, once
    dropout          ceil(N / P) where all masks share what comes before them, else ``samples`` times that
    network probe    ceil(max(2, P // I) I / P), once, for two fixed images and up to two of the dataset, I in all;
                     later starts make it again
    layer choice     1, once, where an explainer lacks a layer
    layer check      1, once, where an explainer inside another one reads a layer
    place trial      1, once, by a shard
    repeat trial     1, once, where an image's logits were others beside other images
    dropout trial    4, once, or 3 where they turn out not to share; none without uncertainty
    search           what ``HierarchicalOcclusion.search_all`` gives, from what each of its steps had to ask alone
    compile          2, once, or 1 where the network turns out not to compile; none with jit off
    ===============  ==================================================================================================

    Args:
        network: where passes run.
        earlier: what is committed by earlier starts, which holds already what a run needs once.
    """

    def __init__(self, network: Network, earlier: Costs) -> None:
        self._network = network
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._needed: Counter[str] = Counter()
        self._baselines: set[float] = set()
        made = earlier.get("made", {})
        self._resumed, self._bare = "infer" in made, "perturb" in made

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count what happens within as a part of the run's time."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[part] += time.perf_counter() - began

    def need(self, kind: str, images: int, times: int = 1) -> None:
        """Count passes that these images need."""
        if images:
            self._needed[kind] += times * self._passes(images)

    def need_passes(self, kind: str, passes: int) -> None:
        """Count passes."""
        self._needed[kind] += passes

    def need_compiling(self, *, compiled: bool) -> None:
        """Count the passes that try a compiled forward."""
        if not self._resumed:
            self._needed["compile"] += 2 if compiled else 1

    def need_probe(self, images: int) -> None:
        """Count the passes that see which network it is, where the dataset has so many images."""
        if not self._resumed:
            self.need("network probe", probe_rows(self._network, images))

    def need_place_trial(self) -> None:
        """Count the pass that sees whether outputs depend on an image's place."""
        self._needed["place trial"] += 1

    def need_dropout_trial(self) -> None:
        """Count the passes that see whether what comes before dropout can be shared."""
        self._needed["dropout trial"] += 4 if self._network.dropout.shared else 3

    def need_dropout(self, images: int, masks: int) -> None:
        """Count the passes that so many masks for each image need."""
        if masks:
            self.need("dropout", images, 1 if self._network.dropout.shared else masks)

    def need_maps(self, explainer: Explainer, view: View, done: Iterable[Explainer]) -> None:
        """Count what an explainer needs to make its maps of a batch, but for passes that serve those done with it."""
        questions = len(view.rows)
        for rule in sorted(explainer.needs.layers.keys() - {rule for other in done for rule in other.needs.layers}):
            self.need(pass_kind(rule), questions)
        if explainer.needs.outputs and not any(other.needs.outputs for other in done):
            self.need("activate", len(np.unique(view.rows)))
        for kind, images in explainer.images_needed_for(view).items():
            self.need(kind, images)

    def need_scores(self, coverings: Sequence[Covering], pixels: int, rankable: int) -> None:
        """Count what metrics need to score one explainer's maps of a batch, so many of which have an order."""
        self.need("perturb", rankable * len(set().union(*(covering.passing(pixels) for covering in coverings))))
        throughout = {image.baseline for c in coverings for image in c.images if image.last - image.first == pixels}
        if rankable and not self._bare:
            self._needed["perturb"] += len(throughout - self._baselines)
            self._baselines |= throughout

    def drained(self) -> Costs:
        """Everything counted since the last call."""
        passes = self._network.passes.drained()
        costs: dict[str, Mapping[str, float]] = {
            "made": dict(passes.made),
            "images": dict(passes.images),
            "pass_seconds": dict(passes.seconds),
            "needed": {kind: times for kind, times in self._needed.items() if times},
            "seconds": dict(self._seconds),
        }
        self._seconds.clear()
        self._needed.clear()
        return costs

    def _passes(self, images: int) -> int:
        return -(-images // self._network.pass_size)
