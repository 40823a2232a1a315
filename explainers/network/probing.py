"""Asking a network about two images that are the same in every process, and about the first of its dataset."""

from __future__ import annotations

import numpy as np

from ...summary_format.probe import Answers, Probe
from .passes import OutOfMemoryError
from .rows import agree, tolerance
from .service import Network
from .tensors import Activation, FloatArray

_PATCHES = 4  # a side
PROBED = 2  # images of the dataset
# What networks raise about images that they do not take.
REFUSALS = (ValueError, TypeError, RuntimeError, IndexError, AssertionError)


def probe(network: Network, images: FloatArray, activation_fn: Activation) -> Probe:
    """What a network answers to two fixed images, one of noise and one of coarse patches, and to two of its dataset.

    The passes are not compiled. They are filled with copies of all images, so that a network that draws random numbers
    shows. One that does not take the fixed images, since it checks its pixels, say, is asked about the others alone.

    Args:
        network: where passes run.
        images: (N, C, H, W), of which the first two count, or the one that there is.
        activation_fn: from its logits to probabilities.

    Raises:
        ValueError: if the network does not return (N, classes).
    """
    known = images[:PROBED]
    try:
        logits = _answers(network, np.concatenate([fixed_images(images.shape[1:]), known]))
    except OutOfMemoryError:
        raise
    except REFUSALS:
        logits = _answers(network, known)
    if not _come_again(logits, tolerance(network.type)):
        return Probe(images.shape[1:], None)
    return Probe(images.shape[1:], Answers(logits[0], network.activated(logits[0], activation_fn)))


def probe_rows(network: Network, images: int) -> int:
    """How many images a probe asks about where the dataset has so many, and the network takes the fixed ones."""
    asked = 2 + min(images, PROBED)
    return asked * _copies(network, asked)


def fixed_images(shape: tuple[int, ...]) -> FloatArray:
    """Two images (2, C, H, W): of noise, and of patches of one value, so that fine and coarse filters answer."""
    channels, height, width = shape
    generator = np.random.Generator(np.random.PCG64(20))
    noise = generator.random((channels, height, width)) * 3.4 - 1.7  # of about unit variance
    coarse = generator.random((channels, _PATCHES, _PATCHES)) * 4.0 - 2.0
    rows, columns = (np.arange(size) * _PATCHES // size for size in (height, width))
    images: FloatArray = np.stack([noise, coarse[:, rows][:, :, columns]]).astype(np.float32)
    return images


def agreeing(network: Network, expected: FloatArray, found: FloatArray) -> bool:
    """Whether logits of the same images from two passes, of which one may be compiled, are the same up to rounding."""
    return agree(expected, found, network.type, times=3)


def _answers(network: Network, images: FloatArray) -> FloatArray:
    """Logits (copies, images, classes) of images, each asked about twice, or as often as a pass holds them."""
    copies = _copies(network, len(images))
    logits = network.pooled_logits((image for _ in range(copies) for image in images), "network probe")
    return logits.reshape(copies, len(images), -1)


def _copies(network: Network, images: int) -> int:
    return max(2, network.pass_size // images)


def _come_again(logits: FloatArray, share: float) -> bool:
    """Whether copies (copies, images, classes) of an image got the same answers."""
    largest = np.abs(logits[np.isfinite(logits)]).max(initial=0.0)
    return np.allclose(logits, logits[:1], rtol=0, atol=share * largest, equal_nan=True)
