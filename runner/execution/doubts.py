"""Is what a network says of an image that image's alone? Seen from passes that a run makes anyway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...explainers.network import PROBED, Network, agreeing
from ...explainers.network.tensors import FloatArray
from ...summary_format.probe import Probe
from ...summary_format.problem import Problem
from ..batches.batch import Batch
from ..data.samples import Sample

REPEAT = "repeat trial"  # the kind of a pass that is made again where two others do not agree
RANDOM = Problem.of(
    "network-random",
    "the network gives different outputs for the same image each time, as one that draws random numbers does; results "
    "are not reproducible, and a later start cannot check that it has the same network",
)
_LIKE_A_SIGMOID = 16  # outputs in 0..1 that are unlikely to be chance


def doubts(
    network: Network, answers: Probe, asked: Sequence[Sample], first: Batch, alone: FloatArray | None
) -> list[Problem]:
    """Why explanations of a network may not be of its images alone; may take a pass, of the kind ``REPEAT``.

    Args:
        network: which has inferred the first batch.
        answers: of its probe, where images of the dataset stand beside the fixed ones.
        asked: the samples whose first ones the probe asked about.
        first: the first batch, whose images stand beside one another.
        alone: logits (classes,) of the first sample asked about beside copies of itself, where they are known.
    """
    found = []
    if answers.answers is None:
        found.append(RANDOM)
    else:
        rows = {} if alone is None else {asked[0].id: alone}
        rows |= {
            sample.id: logits
            for sample, logits in zip(first.samples, first.inference.logits, strict=True)
            if sample.broken is None
        }
        apart = _apart(network, answers.answers.logits, asked, rows)
        if apart:
            found.append(_reason(network, first, apart))
    if network.written.names:
        words = (
            "a forward pass of the network writes its {parameters:list}; every pass starts from the values found, and "
            "they are put back"
        )
        found.append(Problem.of("network-writes-parameters", words, parameters=list(network.written.names)))
    return found


def kept_doubts(said: Any, answers: Probe) -> list[Problem]:
    """What a run began with, from what it kept: sentences by their codes, and the answers to its probe."""
    found = {code: Problem(str(doubt), code) for code, doubt in said.items()} if isinstance(said, Mapping) else {}
    if answers.answers is None:
        found = {RANDOM.code: RANDOM, **found}
    return list(found.values())


def like_a_sigmoid(batch: Batch) -> Problem | None:
    """That a network's outputs may be a sigmoid's, if all that it gives for a batch and is made of that looks so."""
    logits, probabilities = batch.inference.logits, batch.inference.probabilities
    if logits.size < _LIKE_A_SIGMOID or not (logits.min() >= 0 and logits.max() <= 1):
        return None
    if not np.ptp(logits) or np.abs(logits - probabilities).max() <= 1e-4:
        return None
    words = (
        "all outputs of the network lie in 0..1, as those of a sigmoid do, and activation_fn makes {lowest:.4g} to "
        "{highest:.4g} of them; if the network ends in one, leave it out, or give nn.Identity() as activation_fn"
    )
    bounds = {"lowest": float(probabilities.min()), "highest": float(probabilities.max())}
    return Problem.of("network-like-sigmoid", words, **bounds)


def _apart(network: Network, known: FloatArray, asked: Sequence[Sample], rows: Mapping[int, FloatArray]) -> float:
    """How far apart an image's logits are beside these and beside other images, more than rounding; else 0."""
    images = [sample.id for sample in asked[:PROBED]]
    pairs = [(one, rows[sample]) for one, sample in zip(known[-len(images) :], images, strict=True) if sample in rows]
    different = [np.abs(one - other).max() for one, other in pairs if not agreeing(network, one, other)]
    return float(max(different, default=0.0))


def _reason(network: Network, first: Batch, apart: float) -> Problem:
    """Whether the same pass gives something else again, or only other neighbours do."""
    size = network.pass_size
    again = network.logits(first.images[:size], REPEAT)
    sound = np.array([sample.broken is None for sample in first.samples[:size]], bool)
    if not agreeing(network, first.inference.logits[:size][sound], again[sound]):
        return RANDOM
    words = (
        "the network's outputs for an image depend on the images beside it in a pass, by up to {apart:.2g} here, as "
        "statistics over the batch do; so do explanations, and on pass_size; let it use what it learnt in training, "
        "such as the moving statistics of batch norm"
    )
    return Problem.of("network-mixes-images", words, apart=apart)
