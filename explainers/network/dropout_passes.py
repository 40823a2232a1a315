"""Passes under Monte Carlo dropout: one for all masks where they can share it, else one for each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Protocol

import numpy as np
from mindspore import Tensor

from ...summary_format.problem import Problem
from .graphs.compiling import GraphRefusedError
from .graphs.masking import DropoutProgram
from .graphs.programs import check_single_runs
from .graphs.swapping import MaskedPlace
from .mc_dropout import (
    MIXED_IMAGES,
    Draws,
    DropoutPlaces,
    UnsharedDropoutError,
    dense_layers,
    dropout_hooks,
    how_they_drop,
    masked_shape,
    unshared_errors,
    watching_dropout,
)
from .passes import GRAPH_TRIAL, GraphMaker
from .rows import agree, check_same_values
from .tensors import FloatArray, as_array
from .tensors.layers import LayerRun

Generators = Sequence[Sequence[np.random.Generator]]

_MASK_BYTES = 1 << 28  # what the masks of a call may take
_DENSE_CALLS = 128  # of dense layers in a graph, which has each of them once for each sample


class Service(GraphMaker, Protocol):
    """What is asked of the network here."""

    dropout: DropoutPlaces


def find_places(network: Service, first: FloatArray, samples: int) -> None:
    """Find where dropout acts; see ``Network.prepare_dropout``.

    Args:
        network: whose ``dropout`` says it then.
        first: the images (N, C, H, W) of a pass.
        samples: how many masks are going to be drawn for each.
    """
    full = Tensor(network.filled(first))
    with network.running("dropout trial", len(first)), watching_dropout(network.cell) as found:
        network.through(full)
    (network.dropout,) = found
    tried = partial(_dropped, network, full=full, images=len(first), kind="dropout trial")
    alone = tried([_trial(row, 0) for row in range(len(full))])
    beside = tried([_trial(0, 1), *(_trial(row, 0) for row in range(1, len(full)))])
    if not agree(alone[1:], beside[1:], network.type):
        raise ValueError(MIXED_IMAGES)
    with unshared_errors():
        flat = [_trial(row, sample) for row in range(len(full)) for sample in range(samples)]
        together = tried(flat, repeats=samples)
        if together.shape != (len(full) * samples, alone.shape[1]):
            words = "repeated, what is dropped gives logits {shape}"
            raise UnsharedDropoutError(Problem.of("dropout-logits-shape", words, shape=together.shape))
        together = together.reshape(len(full), samples, -1)
        if not (agree(alone, together[:, 0], network.type) and agree(beside[:1], together[:1, 1], network.type)):
            words = "with the dropout's output repeated, the network gives other logits"
            raise UnsharedDropoutError(Problem.of("dropout-other-logits", words))
    network.dropout = replace(network.dropout, shared=True)


def dropped_logits(network: Service, images: FloatArray, generators: Generators) -> FloatArray:
    """Logits (samples, N, classes) of a pass of images."""
    samples = [*zip(*generators, strict=True)]
    shared = len(samples) if network.dropout.shared else 0
    full, program = network.prepared(
        images, ("dropout", network.dropout, shared), partial(_tried_program, network, max(1, shared))
    )
    if program is not None:
        return _dropped_in_graphs(network, program, full, len(images), samples)
    if network.dropout.shared:
        return _dropped_together(network, Tensor(full), len(images), generators)
    return _dropped_one_by_one(network, Tensor(full), len(images), generators)


def _dropped_in_graphs(
    network: Service, program: MaskedPasses, full: FloatArray, images: int, samples: Generators
) -> FloatArray:
    """Those of all samples from one pass where they can share it, else each from its own."""
    found = []
    for together in [samples] if network.dropout.shared else [[one] for one in samples]:
        with network.running("dropout", images, calls=False):
            found.append(program(full, together)[:, :images])
    return np.concatenate(found)


class MaskedPasses:
    """Passes under masks as graphs.

    Args:
        network: where they run.
        places: where masks come in, in running order.
        images: (N, C, H, W), of the shape of all passes.
        samples: how many share a pass.

    Raises:
        GraphRefusedError: if a layer runs several times, since a graph does not keep runs apart; if masks take too much
            memory; or if there is no graph.
    """

    def __init__(self, network: Service, places: Sequence[MaskedPlace], images: FloatArray, samples: int) -> None:
        runs = Counter(place.name for place in places)
        check_single_runs({place.name: LayerRun(place.shape, place.type, runs[place.name]) for place in places})
        dense = dense_layers(network.cell)
        if "" in (*runs, *dense):
            raise GraphRefusedError("the network itself is a layer that drops, or a dense one")
        self._images = len(images)
        self._places = [*zip((place.masked for place in places), how_they_drop(network.cell, runs), strict=True)]
        self._of_one_sample = [masked_shape(*place) for place in self._places]
        self._samples = _at_a_time(samples, self._of_one_sample, len(dense))
        masks = [(self._samples * shape[0], *shape[1:]) for shape in self._of_one_sample]
        self._program = DropoutProgram(
            network.reading(),
            places,
            masks,
            images,
            dense=dense,
            shared=network.dropout.shared,
            samples=self._samples,
        )

    def __call__(self, images: FloatArray, samples: Generators) -> FloatArray:
        """Logits (samples, N, classes), where each sample is given by the generators of the images."""
        groups = (samples[first : first + self._samples] for first in range(0, len(samples), self._samples))
        return np.concatenate([*self._program(images, map(self._masks, groups))])[: len(samples)]

    def _masks(self, samples: Generators) -> list[FloatArray]:
        """Those of each place, of all samples; generators draw them in the order in which the network runs.

        Of samples that are missing in a last group, all values stay.
        """
        found = [np.ones((self._samples, *shape), np.float32) for shape in self._of_one_sample]
        for number, generators in enumerate(samples):
            draws = Draws(generators, self._images)
            for of_place, place in zip(found, self._places, strict=True):
                of_place[number] = draws.mask(*place)
        return [of_place.reshape(-1, *of_place.shape[2:]) for of_place in found]


def _at_a_time(samples: int, masks: Sequence[tuple[int, ...]], dense: int) -> int:
    """How many of so many samples a graph takes at a time, as evenly as can be.

    Raises:
        GraphRefusedError: if the masks of one are too large.
    """
    size = sum(4 * math.prod(shape) for shape in masks)
    if size > _MASK_BYTES:
        raise GraphRefusedError(f"the masks of a pass take {size:,} B")
    most = max(1, min(_MASK_BYTES // size, _DENSE_CALLS // max(1, dense)))
    return math.ceil(samples / math.ceil(samples / most))


def _tried_program(network: Service, samples: int, images: FloatArray) -> MaskedPasses:
    """Passes under masks as graphs. The first of so many samples is tried; where others follow, it comes last again.

    Raises:
        GraphRefusedError: if there are none, or they give other logits.
    """
    images = network.trial_images(images)
    rows = range(len(images))
    draws = Draws([_trial(row, 0) for row in rows], len(images))
    with network.running(GRAPH_TRIAL, len(images)), dropout_hooks(network.cell, network.dropout, draws):
        expected = as_array(network.through(Tensor(images)))
    seeds = [*range(samples - 1), 0 if samples != 2 else 1]
    with network.running(GRAPH_TRIAL, len(images), in_graphs=True):
        program = MaskedPasses(network, draws.places, images, samples)
        found = program(images, [[_trial(row, seed) for row in rows] for seed in seeds])
    for seed, logits in zip(seeds, found, strict=True):
        if seed == 0:
            check_same_values(expected, logits, "logits under dropout", network.type)
    return program


def _dropped_together(network: Service, full: Tensor, images: int, generators: Generators) -> FloatArray:
    """Each sample's from one row of many."""
    samples = len(generators[0])
    logits = _dropped(network, [*chain(*generators)], full, images, "dropout", samples)
    return logits.reshape(len(full), samples, -1)[:images].swapaxes(0, 1)


def _dropped_one_by_one(network: Service, full: Tensor, images: int, generators: Generators) -> FloatArray:
    """Each sample's from a pass of its own."""
    drawn = (_dropped(network, one, full, images, "dropout") for one in zip(*generators, strict=True))
    return np.stack([of_sample[:images] for of_sample in drawn])


def _dropped(
    network: Service,
    generators: Sequence[np.random.Generator],
    full: Tensor,
    images: int,
    kind: str,
    repeats: int = 1,
) -> FloatArray:
    """Logits (rows of the pass, each so often repeated, classes) under these masks."""
    draws = Draws(generators, len(full), repeats)
    with network.running(kind, images), dropout_hooks(network.cell, network.dropout, draws):
        return as_array(network.through(full, together=repeats == 1))


def _trial(row: int, sample: int) -> np.random.Generator:
    return np.random.default_rng((row, sample))
