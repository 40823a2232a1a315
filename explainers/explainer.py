"""The contract of an explainer, and the direct call."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from mindspore import Tensor, nn
from PIL import Image

from ..summary_format import original_picture
from .images import saliency_to_image
from .network import Network
from .tensors import FloatArray, checked_network
from .view import Needs, View, asked_labels


class Explainer(ABC):
    """A saliency method bound to a network.

    A subclass says what it ``needs`` and writes ``attribute``; the rest is here.

    Args:
        network: takes images (N, C, H, W) and returns logits (N, classes). It is left as it is found.
        name: under which it appears in tables and records; the class name by default. Give one to run two
            configurations of a class side by side.

    Raises:
        TypeError: if the network is no ``mindspore.nn.Cell``.
    """

    needs = Needs()

    def __init__(self, network: nn.Cell, name: str | None = None) -> None:
        self.network = checked_network(network)
        self.name = name or type(self).__name__

    @abstractmethod
    def attribute(self, view: View) -> FloatArray:
        """Maps (Q, H, W), one a question of the view, in the sign and scale of the method."""

    @overload
    def __call__(
        self, inputs: Tensor, targets: Any, ret: Literal["tensor"] = "tensor", show: bool | None = None
    ) -> Tensor: ...

    @overload
    def __call__(
        self, inputs: Tensor, targets: Any, ret: Literal["image"], show: bool | None = None
    ) -> list[list[Image.Image]] | list[Image.Image]: ...

    def __call__(self, inputs: Tensor, targets: Any, ret: str = "tensor", show: bool | None = None) -> Any:
        """Explain images.

        Args:
            inputs: (N, C, H, W), as the network takes them.
            targets: the labels to explain: an int for all images, (N,) for one an image, or (N, L) for several.
            ret: "tensor", or "image" for coloured overlays.
            show: display the overlays; by default in notebooks only.

        Returns:
            Float32 maps (N, 1, H, W), or (N, L, H, W) for L labels an image. With ``ret="image"`` a list of N
            pictures, of N lists of L pictures for targets (N, L).

        Raises:
            TypeError: if inputs or targets are of another type.
            ValueError: if their shapes do not fit, a target is out of range, or ret is another word.
        """
        if ret not in ("tensor", "image"):
            raise ValueError(f"ret must be 'tensor' or 'image', got {ret!r}")
        images = image_array(inputs)
        labels = asked_labels(targets, len(images))
        maps = self.attribute(question_view(self, images, labels)).reshape(*labels.shape, *images.shape[2:])
        if ret == "image" or show or (show is None and in_notebook() and _has_picture(images, maps)):
            overlays = [[saliency_to_image(one, original_picture(image)) for one in of_image]
                        for image, of_image in zip(images, maps, strict=True)]  # fmt: skip
            if show or (show is None and in_notebook()):
                _display([picture for row in overlays for picture in row])
            if ret == "image":
                return overlays if np.ndim(targets) == 2 else [row[0] for row in overlays]
        return Tensor(maps)


def question_view(explainer: Explainer, images: FloatArray, labels: Any) -> View:
    """The view that asks labels (N, L) of images (N, C, H, W), for one explainer on its own."""
    rows = np.repeat(np.arange(len(images)), labels.shape[1])
    return View(Network(explainer.network), images, rows, labels.reshape(-1), needs=explainer.needs)


def image_array(inputs: Any) -> FloatArray:
    """Images (N, C, H, W) given as a Tensor or array, as float32.

    Raises:
        TypeError: if they are something else.
        ValueError: if they are not four-dimensional, there are none, or one holds NaN or infinity.
    """
    if not isinstance(inputs, (Tensor, np.ndarray)):
        raise TypeError(f"inputs must be a Tensor or an array, got {type(inputs).__name__}")
    images = inputs.asnumpy() if isinstance(inputs, Tensor) else inputs
    if images.ndim != 4 or not len(images):
        raise ValueError(f"inputs must be images of shape (N, C, H, W), got shape {images.shape}")
    if not np.isfinite(images).all():
        raise ValueError("inputs hold NaN or infinity")
    return images.astype(np.float32, copy=False)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return "ipykernel" in sys.modules and hasattr(sys.modules.get("IPython"), "display")


def _has_picture(images: FloatArray, maps: FloatArray) -> bool:
    """Whether there is anything to show without being asked to: colours, and numbers throughout."""
    return images.shape[1] in (1, 3, 4) and bool(np.isfinite(maps).all())


def _display(pictures: Sequence[Image.Image]) -> None:
    if in_notebook():
        display = sys.modules["IPython"].display.display
        for picture in pictures:
            display(picture)
    else:
        for picture in pictures:
            picture.show()
