"""Asking a network about two images that are the same in every process."""

from __future__ import annotations

import numpy as np

from ...summary_format.probe import AGREES, Answers, Probe
from ..tensors import Activation, FloatArray
from .service import Network

_LEAST_ROWS = 4  # each image twice, to see whether the answers come again
_PATCHES = 4  # a side


def probe(network: Network, shape: tuple[int, ...], activation_fn: Activation) -> Probe:
    """What a network answers to two fixed images, one of noise and one of coarse patches.

    Asked before passes are compiled, as it runs everywhere. A pass is filled with copies of both, so that a network
    that draws random numbers is found out.

    Args:
        network: where passes run.
        shape: of an image, (C, H, W).
        activation_fn: from its logits to probabilities.

    Raises:
        ValueError: if the network does not return (N, classes).
    """
    images = fixed_images(shape)
    logits = network.pooled_logits((images[row % 2] for row in range(rows_of(network))), "network probe")
    if not _come_again(logits):
        return Probe(shape, None)
    return Probe(shape, Answers(logits[:2], network.activated(logits[:2], activation_fn)))


def rows_of(network: Network) -> int:
    """How many images a probe asks about."""
    return max(_LEAST_ROWS, network.pass_size)


def fixed_images(shape: tuple[int, ...]) -> FloatArray:
    """Two images (2, C, H, W): of noise, and of patches of one value, so that fine and coarse filters answer."""
    channels, height, width = shape
    generator = np.random.Generator(np.random.PCG64(20))
    noise = generator.random((channels, height, width)) * 3.4 - 1.7  # of about unit variance
    coarse = generator.random((channels, _PATCHES, _PATCHES)) * 4.0 - 2.0
    rows, columns = (np.arange(size) * _PATCHES // size for size in (height, width))
    images: FloatArray = np.stack([noise, coarse[:, rows][:, :, columns]]).astype(np.float32)
    return images


def _come_again(logits: FloatArray) -> bool:
    """Whether copies of an image got the same answers."""
    largest = np.abs(logits[np.isfinite(logits)]).max(initial=0.0)
    parts = (logits[place::2] for place in (0, 1))
    return all(np.allclose(part, part[0], rtol=0, atol=AGREES * largest, equal_nan=True) for part in parts)
