"""Score-CAM and its kin: feature maps weighed by what the network says of the image behind each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from mindspore import nn
from scipy.special import softmax

from ..arguments import positive_number, whole_number
from ..core.resize import resized, stretched
from ..core.view import View
from ..core.windows import behind
from ..network import Block
from ..network.tensors import FloatArray
from .base import Reshape
from .channel_weighted import ChannelMap

_ENLARGED_PIXELS = 1 << 21  # of feature maps that memory holds at a time


class ScoreCAM(ChannelMap):
    """Feature maps of a layer, weighed by the softmax of the logits of the image behind each, summed, cut at zero.

    Wang et al.: Score-CAM (2020), algorithm 1. A feature map is brought to the image's size, then
    to 0..1, and multiplied with the image; the softmax over channels is of the label's logits (subtracting that of a
    baseline, as the paper does, changes nothing in it). Costs an image per channel, for all labels of an image.
    grad-cam puts corner on corner when it resizes; torchcam brings maps to 0..1 before it resizes, so that few reach 1.

    See ``ActivationMap`` for the arguments.
    """

    kind = "score"

    def answers(self, view: View, rows: Sequence[int], layer: str) -> Iterator[FloatArray]:
        activation = self.grid(view.outputs[layer], layer, view.size)
        images = (image for row in rows for image in self.behind(view, row, _enlarged(activation[row], view.size)))
        return view.network.streamed_logits(images, self.kind)

    def weights(self, view: View, row: int, label: int, logits: FloatArray) -> FloatArray:
        weights: FloatArray = softmax(logits.mean(axis=1, dtype=np.float64)).astype(np.float32)
        return weights

    def behind(self, view: View, row: int, parts: Iterable[FloatArray]) -> Iterator[Block]:
        """The images (C, H, W) to ask about, ``copies`` a channel, one channel after the other.

        Args:
            view: whose image it is.
            row: which.
            parts: its feature maps (any number, H, W) in 0..1, some channels after the other.
        """
        for channels in parts:
            yield behind(view.images[row], channels)


class SSCAM(ScoreCAM):
    """As ``ScoreCAM``, but a channel's logit is a mean over Gaussian noise on its feature map, after that is in 0..1.

    Wang et al.: SS-CAM (2020). Costs ``num_samples`` images per channel.

    Args:
        network: see ``Explainer``.
        layer: see ``ActivationMap``.
        num_samples: draws of noise a channel.
        std: their standard deviation.
        name: see ``Explainer``.
        reshape: see ``ActivationMap``.

    Raises:
        TypeError: as ``ActivationMap``.
        ValueError: as ``ActivationMap``; or if num_samples is not a whole number from 1, or std is not above 0.
    """

    def __init__(
        self,
        network: nn.Cell,
        layer: str | Sequence[str] | None = None,
        num_samples: int = 35,
        std: float = 2.0,
        name: str | None = None,
        *,
        reshape: Reshape = None,
    ) -> None:
        super().__init__(network, layer, name, reshape=reshape)
        self.num_samples = self.copies = whole_number(num_samples, "num_samples")
        self.std = positive_number(std, "std")

    def behind(self, view: View, row: int, parts: Iterable[FloatArray]) -> Iterator[Block]:
        image, generator = view.images[row], view.generator(row, "SSCAM")

        def write(channel: FloatArray, which: slice, out: FloatArray) -> None:
            noise = generator.standard_normal((len(out), *channel.shape), np.float32)
            noise *= np.float32(self.std)
            noise += channel
            np.multiply(image, noise[:, None], out=out)

        for channels in parts:
            for channel in channels:
                yield Block((self.num_samples, *image.shape), partial(write, channel))


class ISCAM(ScoreCAM):
    """As ``ScoreCAM``, but a channel's logit is a mean over sums of growing shares of the image behind its feature map.

    Naidu et al.: IS-CAM (2020): of N sums the i-th is that of the shares 1/N, 2/N ... i/N, hence
    i (i + 1) / 2N times the image behind the map, which exceeds it. Costs ``num_samples`` images per channel.

    Args:
        network: see ``Explainer``.
        layer: see ``ActivationMap``.
        num_samples: N.
        name: see ``Explainer``.
        reshape: see ``ActivationMap``.

    Raises:
        TypeError: as ``ActivationMap``.
        ValueError: as ``ActivationMap``; or if num_samples is not a whole number from 1.
    """

    def __init__(
        self,
        network: nn.Cell,
        layer: str | Sequence[str] | None = None,
        num_samples: int = 10,
        name: str | None = None,
        *,
        reshape: Reshape = None,
    ) -> None:
        super().__init__(network, layer, name, reshape=reshape)
        self.num_samples = self.copies = whole_number(num_samples, "num_samples")

    def behind(self, view: View, row: int, parts: Iterable[FloatArray]) -> Iterator[Block]:
        shares = np.cumsum(np.arange(1, self.num_samples + 1) / self.num_samples).astype(np.float32)
        image = view.images[row]
        for channels in parts:
            for channel in channels:
                yield behind(image * channel, shares[:, None, None])


def _enlarged(activation: FloatArray, size: tuple[int, int]) -> Iterator[FloatArray]:
    """Feature maps (channels, h, w) at the image's size and in 0..1, so many at a time."""
    together = max(1, _ENLARGED_PIXELS // (size[0] * size[1]))
    for first in range(0, len(activation), together):
        yield stretched(resized(activation[first : first + together], size))
