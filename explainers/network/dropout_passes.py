"""Passes under Monte Carlo dropout: one for all masks where they can share it, else one for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Protocol

import numpy as np
from mindspore import Tensor

from ...summary_format.problem import Problem
from .mc_dropout import (
    MIXED_IMAGES,
    Draws,
    DropoutPlaces,
    UnsharedDropoutError,
    dropout_hooks,
    unshared_errors,
    watching_dropout,
)
from .passes import PassMaker
from .rows import agree
from .tensors import FloatArray, as_array

Generators = Sequence[Sequence[np.random.Generator]]


class Service(PassMaker, Protocol):
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
    full = Tensor(network.filled(images))
    if network.dropout.shared:
        return _dropped_together(network, full, len(images), generators)
    return _dropped_one_by_one(network, full, len(images), generators)


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
