"""The contract of an explainer, and the direct call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, Literal, TypeVar, overload

import numpy as np
from mindspore import Tensor, nn
from PIL import Image

from ...summary_format import original_picture
from ...summary_format.deprecated_names import Renamed, take_over
from ...summary_format.problem import Problem
from ..arguments import plain_text
from ..network import DEFAULT_PASS_SIZE, INPUT_LAYER, Jit, Network, Output
from ..network.tensors import FloatArray, IntArray, checked_network
from ..visual.notebook import display, has_picture, in_notebook
from ..visual.overlay import saliency_to_image
from .automatic_layer import ChosenLayer, automatic_layer, log_choices
from .call_options import CallOptions, asked_labels
from .construction import Configured
from .measured_size import PassSize
from .together import Estimate, attribute_together
from .view import Needs, View

_DEFAULT = CallOptions()
Method = TypeVar("Method", bound="Explainer")


class Explainer(Configured, ABC):
    """A saliency method bound to a network.

    A subclass says what it ``needs`` and writes ``attribute``; the rest is here. One whose ``estimate`` knows how far
    off a map is says in ``error_format`` how a run reports it, one that itself differentiates or reads layers that it
    is ``pynative``, one that knows nothing of the network and is there to be beaten that it is a ``control``. One that
    has maps of a run's samples alone, and none of changed images, is not ``recomputable``. One that explains whatever a
    view asks about, also where that is a sum of logits (``view.derivatives``, ``view.layer``, ``view.differentiate``,
    ``view.asked_values``), is ``contrastable``. One for transformers ``reads_attention``. One each of whose questions
    needs many passes, one after the other, and which fills these with other questions, says in ``passes_in_turn`` how
    many: a run then gives it as many samples at a time as a pass has images. ``signed`` says whether maps may hold
    negative values, and are drawn with 0 in the middle; None lets each map show that.

    Args:
        network: takes images (N, C, H, W) and returns logits (N, classes), or something that holds them. It is left as
            it is found.
        name: under which it appears in tables and records; the class name by default. Give one to run two
            configurations of a class side by side.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``, or name not a text.
    """

    needs = Needs()
    signed: bool | None = None
    passes_in_turn: int = 1
    pynative: ClassVar[bool] = False
    control: ClassVar[bool] = False
    recomputable: ClassVar[bool] = True
    reads_attention: ClassVar[bool] = False
    contrastable: bool = False
    error_format: str = "{name} maps off by {error:.0%} of their range"
    error_told: ClassVar[Any] = Renamed("error_format")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        take_over(cls, error_told="error_format")

    def __init__(self, network: nn.Cell, name: str | None = None) -> None:
        self.network = checked_network(network)
        self.name = (name is not None and plain_text(name, "name")) or type(self).__name__
        self._automatic: dict[tuple[int, ...], ChosenLayer] = {}

    @property
    def lacks_layer(self) -> bool:
        """Whether it, or an explainer that it holds, reads a layer that was not named."""
        return any(inner.lacks_layer for _, inner in self._inner())

    @property
    def wanted_reshape(self) -> Any:
        """The ``reshape`` that it, or an explainer that it holds, was given for the layer that it lacks."""
        return next((inner.wanted_reshape for _, inner in self._inner() if inner.lacks_layer), None)

    def with_layer(self: Method, layer: str | Sequence[str], reshape: tuple[int, int] | None = None) -> Method:
        """The same method, reading this layer, or several, if it lacks one; the explainer itself stays as it is.

        Args:
            layer: its name, or several.
            reshape: the grid of its tokens, where one was chosen with it; for methods that were given none.

        Raises:
            ValueError: if there is no such layer.
        """
        if not self.lacks_layer:
            return self
        reading = copy(self)
        for name, inner in self._inner():
            object.__setattr__(reading, name, _reading(inner, layer, reshape))
        return reading

    def reading(self: Method, chosen: ChosenLayer) -> Method:
        """The same method, reading a layer that was chosen for it."""
        return _reading(self, chosen.name, chosen.reshape)

    def check_outputs(self, outputs: Mapping[str, FloatArray], size: tuple[int, int]) -> None:
        """Refuse what layers give where it, or an explainer that it holds, cannot read that.

        Args:
            outputs: (N, ...) by layer; others are not looked at.
            size: of the image.

        Raises:
            ValueError: if one is not feature maps, nor becomes that by ``reshape``.
        """
        for _, inner in self._inner():
            inner.check_outputs(outputs, size)

    def try_on(self, network: Network, image: FloatArray) -> None:
        """Refuse a network that it cannot explain, where that takes passes to see and ``needs`` do not show it.

        Args:
            network: where passes run.
            image: (C, H, W), of which a run asks once, before any map is made.

        Raises:
            ValueError: if it, or an explainer that it holds, cannot explain the network.
        """
        for _, inner in self._inner():
            inner.try_on(network, image)

    def inner_layers(self) -> set[str]:
        """The layers that explainers inside it read, which its own ``needs`` do not say."""
        found: set[str] = set()
        for _, inner in self._inner():
            found |= inner.inner_layers() | inner.needs.every_layer
        return found - self.needs.every_layer - {INPUT_LAYER}

    def _inner(self) -> list[tuple[str, Explainer]]:
        """The explainers that it holds, by attribute."""
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Explainer)]

    def for_images(self: Method, images: FloatArray) -> Method:
        """The method as it explains images (N, C, H, W): if it lacks a layer, with the one that suits their shape.

        That is the last one to run with features, which takes a pass to find and is logged, once for each shape.

        Raises:
            ValueError: if the network has no such layer.
        """
        if not self.lacks_layer:
            return self
        shape = images.shape[1:]
        if shape not in self._automatic:
            self._automatic[shape] = automatic_layer(Network(self.network), images[0], self.wanted_reshape)
            log_choices({self.name: self._automatic[shape]})
        return self.reading(self._automatic[shape])

    @abstractmethod
    def attribute(self, view: View) -> FloatArray:
        """Maps (Q, H, W), one per question of the view, in the sign and scale of the method."""

    def estimate(self, view: View) -> Estimate:
        """The same maps, with how far off they may be; a method that knows the latter writes this too."""
        return Estimate(self.attribute(view))

    @property
    def knows_errors(self) -> bool:
        """Whether ``estimate`` says how far off maps may be."""
        return type(self).estimate is not Explainer.estimate

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        """How many images (C, H, W) it runs through the network itself, to answer so many questions on so many images.

        By kind of pass, as far as that is known without looking at them: what it may be at most, or nothing where
        that is unknown. The shared passes that it ``needs`` are not among them: those take one image per question, for
        all explainers that read a pass of the same rule.

        Raises:
            ValueError: if its options do not fit images of that shape; asked before the first pass of a run.
        """
        return {}

    def questions_together(self, pass_size: int) -> int:
        """How many questions fill its passes, where each question needs many, one after the other; else 1.

        Parts of a batch that a run commits by themselves hold as many samples then, whatever they take. To be written
        by a method that has several images of a question side by side in each pass.

        Args:
            pass_size: images per pass.
        """
        return pass_size if self.passes_in_turn > 1 else 1

    def images_needed_for(self, view: View) -> Mapping[str, int]:
        """The same for the questions of a view; to be written where it depends on what the images or layers show.

        Asked with the view that ``attribute`` gets next.
        """
        return self.images_needed(len(np.unique(view.rows)), len(view.rows), view.images.shape[1:])

    @overload
    def __call__(
        self,
        inputs: Tensor,
        targets: Any,
        ret: Literal["tensor"] = "tensor",
        show: bool | None = None,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> Tensor: ...

    @overload
    def __call__(
        self,
        inputs: Tensor,
        targets: Any,
        ret: Literal["image"],
        show: bool | None = None,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> list[list[Image.Image]] | list[Image.Image]: ...

    def __call__(
        self,
        inputs: Tensor,
        targets: Any,
        ret: str = "tensor",
        show: bool | None = None,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> Any:
        """Explain images.

        Args:
            inputs: (N, C, H, W), as the network takes them.
            targets: the labels to explain: an int for all images, (N,) for one per image, or (N, L) for several.
            ret: "tensor", or "image" for coloured overlays.
            show: display the overlays; where there is no display they are written to the working folder (explained.png,
                explained_2.png, ...), which is logged. By default in notebooks only.
            output: which part of what the network returns is its logits: an index, a key or attribute (dots lead
                further in, as in "heads.0"), or a function of what is returned that gives (N, classes). By default
                what it returns, or the one part that may be logits: a Tensor (N, classes) of floats.
            jit: "auto" compiles passes where that pays, which one map of one image does not, and keeps the graph for
                later calls as long as the network stays as it is; "on" compiles all that can be, "off" nothing.
            pass_size: images per pass, from 1; "auto" measures which size takes least time, once for images of a shape
                as long as the network lives, and logs that.

        Returns:
            Float32 maps (N, 1, H, W), or (N, L, H, W) for L labels per image; NaN where a map could not be computed.
            With ``ret="image"`` a list of N pictures, of N lists of L pictures for targets (N, L).

        Raises:
            TypeError: if inputs or targets are of another type.
            ValueError: if their shapes do not fit, a target is out of range, ret is another word, or there is no such
                output or a choice of them; also if a picture is asked for of a map that could not be computed.
        """
        if ret not in ("tensor", "image"):
            raise ValueError(f"ret must be 'tensor' or 'image', got {ret!r}")
        images = image_array(inputs)
        labels = asked_labels(targets, len(images))
        options = CallOptions(output, jit, pass_size)
        maps = direct_maps(self, images, labels, options).reshape(*labels.shape, *images.shape[2:])
        if ret == "image" or show:
            self._check_drawable(labels, maps)
        if ret == "image" or show or (show is None and in_notebook() and has_picture(images, maps)):
            overlays = [[saliency_to_image(one, original_picture(image), signed=self.signed) for one in of_image]
                        for image, of_image in zip(images, maps, strict=True)]  # fmt: skip
            if show or (show is None and in_notebook()):
                display([picture for row in overlays for picture in row])
            if ret == "image":
                return overlays if np.ndim(targets) == 2 else [row[0] for row in overlays]
        return Tensor(maps)

    def _check_drawable(self, labels: IntArray, maps: FloatArray) -> None:
        """Refuse to draw maps (N, L, H, W), if one could not be computed.

        Raises:
            ValueError: then.
        """
        unknown = np.argwhere(~np.isfinite(maps).all(axis=(2, 3)))
        if len(unknown):
            row, place = (int(at) for at in unknown[0])
            words = (
                "{explainer} could not compute {count:plural map}, the first of label {label} for image {image}: there "
                "is NaN or infinity in it, and no picture of it; ret='tensor' with show=False gives all maps"
            )
            values = {"explainer": self.name, "count": len(unknown), "label": int(labels[row, place]), "image": row}
            raise ValueError(Problem.of("map-no-picture", words, **values))


def _reading(explainer: Method, layer: str | Sequence[str], reshape: tuple[int, int] | None) -> Method:
    if reshape is None:  # a ``with_layer`` of another package may take the layer alone
        return explainer.with_layer(layer)
    return explainer.with_layer(layer, reshape)


def check_explainer(explainer: Any) -> None:
    """Make sure that something is an explainer, where another one goes around it.

    Raises:
        TypeError: if it is not.
    """
    if not isinstance(explainer, Explainer):
        words = "explainer must be an explainer object, got {kind}"
        raise TypeError(Problem.of("explainer-kind", words, kind=type(explainer).__name__))


def direct_maps(
    explainer: Explainer, images: FloatArray, labels: IntArray, options: CallOptions = _DEFAULT
) -> FloatArray:
    """An explainer's maps (N * L, H, W) for labels (N, L) of images; a label that stands twice is asked once.

    Raises:
        ValueError: if it gives maps of another shape, or refuses.
    """
    explainer = explainer.for_images(images)
    view, place = view_of_labels(explainer, images, labels, options)
    found, refused = attribute_together([explainer], view)
    if refused:
        raise refused[explainer.name]
    asked: FloatArray = found[explainer.name].maps[place.reshape(-1)]
    return asked


def view_of_call(
    explainer: Explainer, inputs: Any, targets: Any, options: CallOptions = _DEFAULT
) -> tuple[View, IntArray]:
    """A view of what a direct call asks of an explainer, and the place in it of each label (N, L) of the images.

    Args:
        explainer: to be asked.
        inputs: images (N, C, H, W) as a Tensor or array.
        targets: an int, (N,) or (N, L) labels.
        options: how the network is asked.

    Raises:
        TypeError: if inputs or targets are of another type.
        ValueError: if their shapes do not fit each other or the explainer's options.
    """
    images = image_array(inputs)
    return view_of_labels(explainer, images, asked_labels(targets, len(images)), options)


def view_of_labels(
    explainer: Explainer, images: FloatArray, labels: IntArray, options: CallOptions = _DEFAULT
) -> tuple[View, IntArray]:
    """A view of labels (N, L) of images, each asked once, and the place (N, L) in it of each of them.

    Raises:
        ValueError: if the explainer's options do not fit the images.
    """
    rows = np.repeat(np.arange(len(images)), labels.shape[1])
    pairs, place = np.unique(np.stack([rows, labels.reshape(-1)], axis=1), axis=0, return_inverse=True)
    explainer.images_needed(len(images), len(pairs), images.shape[1:])
    view = View(options.network(explainer.network, images), images, pairs[:, 0], pairs[:, 1], needs=explainer.needs)
    return view, place.reshape(labels.shape)


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
