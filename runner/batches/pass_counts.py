"""What a run costs: passes made, images that have to pass, and where the time goes."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from ...benchmarks import Explanation
from ...explainers import Explainer, View
from ...explainers.core.measured_size import SIZE_TRIAL
from ...explainers.nearest_samples import OF_POOL
from ...explainers.network import (
    ATTENTION_SEARCH,
    GRAPH_TRIAL,
    SHIFT_TRIAL,
    UNIFORM,
    WEIGHT_ORDER,
    Network,
    pass_kind,
    probe_rows,
)

_COUNTED_AS_MADE = (
    ATTENTION_SEARCH,
    GRAPH_TRIAL,
    SIZE_TRIAL,
    WEIGHT_ORDER,
    SHIFT_TRIAL,
    UNIFORM,
    OF_POOL,
)  # which the network decides
Costs = Mapping[str, Mapping[str, float]]


class Profile:
    """Counts what is done and what would have to be done, until it is handed on with a commit.

    Passes needed are the fewest that the images of a kind fill, over the whole run (``archive.costs.settled``): with P
    images per pass, the sum of these divided by P and rounded up.

    ===============  ==================================================================================================
    infer            N samples
    differentiate,   Q questions, those among them that metrics add (ClassSensitivity), by backward rule, where any
    guided, ...      explainer reads that pass; Robustness adds S Q for S samples, and so do metrics of
                     stability and Sufficiency, once for those of the same noise
    activate         R images with questions, where any explainer reads outputs alone
    occlude, mask,   an explainer's own: its ``images_needed_for``; Robustness adds those of noisy images
    ood, ...
    noise            the noisy images that Robustness looks at, those that it draws again among them; S N for metrics
                     of relative stability and Sufficiency, once for those of the same noise
    random weights,  images whose logits an explainer looks at under random weights, or on shifted images; maps made
    shifted          again for each of L layers, or once, add L Q or Q to "differentiate" and the like
    perturb          for each explainer, of each question whose map has an order the covered images that differ among
                     all metrics' ``covering``; for each image with such a question (with any, for NonSensitivity)
                     its copies that do not depend on maps, and what is left of it where mean, blur or imputation
                     stand throughout, once for all explainers of a batch; and each baseline, once
    nearest          N, for the features of nearest samples
    dropout          N where all masks share what comes before them, else ``samples`` times that
    network probe    max(2, P // I) I, once, for two fixed images and up to two of the dataset, I in all; later starts
                     make it again
    ===============  ==================================================================================================

    A run that grows counts what its difference needs, by itself; what the run took that it grew out of is added.

    Of others, whose images follow from each other or are trials, passes are counted:

    ===============  ==================================================================================================
    weight order     1, once, where a metric draws weights at random or shifts the input; later starts make it again
    shift trial      4, once, where a metric shifts the input; later starts make it again
    uniform          1, once, for each baseline of Completeness that no covering names
    nearest pool     2 ceil(K / P), once, for features and predictions of the K samples that others are compared with;
                     later starts make them again
    layer choice     1, once, where an explainer lacks a layer, or nearest samples do
    layer check      1, once, where an explainer inside another one reads a layer
    graph trial      as many as were made: up to 3 for each kind of pass that may run as a graph
    attention search as many as were made, where an explainer reads attention: some 4; later starts make them again
    size trial       as many as were made: some 9 for each pass size that was tried
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
        self._needed_images: Counter[str] = Counter()
        self._baselines: set[float] = set()
        self._known_refused: set[str] = set()
        self._before = earlier.get("made", {})
        self._bare = "perturb" in self._before

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count what happens within as a part of the run's time."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[part] += time.perf_counter() - began

    def need(self, kind: str, images: int) -> None:
        """Count images that have to pass."""
        self._needed_images[kind] += images

    def need_passes(self, kind: str, passes: int) -> None:
        """Count passes."""
        self._needed[kind] += passes

    def need_compiling(self, *, compiled: bool) -> None:
        """Count the passes that try a compiled forward."""
        if "compile" not in self._before:
            self._needed["compile"] += 2 if compiled else 1

    def need_probe(self, images: int) -> None:
        """Count the passes that see which network it is, where the dataset has so many images."""
        if "network probe" not in self._before:
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
            self.need("dropout", images if self._network.dropout.shared else images * masks)

    def need_maps(self, explainer: Explainer, view: View, done: Iterable[Explainer]) -> None:
        """Count what an explainer needs to make its maps of a batch, but for passes that serve those done with it."""
        questions = len(view.rows)
        for _, rule in explainer.needs.passes.difference(*(other.needs.passes for other in done)):
            self.need(pass_kind(rule), questions)
        if explainer.needs.outputs and not any(other.needs.outputs for other in done):
            self.need("activate", len(np.unique(view.rows)))
        for kind, images in explainer.images_needed_for(view).items():
            self.need(kind, images)

    def need_scores(self, explanation: Explanation) -> None:
        """Count what metrics need to score one explainer's maps of a batch, or of a part of it."""
        images, uniform = explanation.images_needed()
        self.need("perturb", images)
        if not self._bare:
            self.need("perturb", len(uniform - self._baselines))
            self._baselines |= uniform

    def drained(self) -> Costs:
        """Everything counted since the last call."""
        passes = self._network.passes.drained()
        for kind in _COUNTED_AS_MADE:
            self._needed[kind] += passes.made[kind]
        refused = {f"{what}: {why}" for what, why in self._network.refused.items()}
        costs: dict[str, Mapping[str, float]] = {
            "made": dict(passes.made),
            "compiled": dict(passes.compiled),
            "images": dict(passes.images),
            "pass_seconds": dict(passes.seconds),
            "needed": {kind: times for kind, times in self._needed.items() if times},
            "needed_images": {kind: images for kind, images in self._needed_images.items() if images},
            "seconds": dict(self._seconds),
            "refused": dict.fromkeys(refused - self._known_refused, 1),
        }
        self._known_refused |= refused
        self._seconds.clear()
        self._needed.clear()
        self._needed_images.clear()
        return costs
