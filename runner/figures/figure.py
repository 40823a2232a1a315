"""Pictures explained by several methods, side by side in one figure."""

from __future__ import annotations

import logging
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mindspore import Tensor, nn
from PIL import Image

from ...explainers import Explainer
from ...explainers.arguments import share, whole_number
from ...explainers.core.explainer import image_array
from ...explainers.network import Output
from ...explainers.network.input_channels import input_channels
from ...explainers.network.outputs import checked_output
from ...explainers.network.tensors import Activation, FloatArray, checked_activation, checked_network
from ...explainers.visual.visualization import (
    BAR_INCHES,
    Colours,
    colour_map,
    draw_bar,
    draw_blended,
    frame,
    image_colours,
)
from ...summary_format.images import Statistics
from ...summary_format.map_scale import holds_negatives
from ...summary_format.problem import Problem
from ..config.schema import ACTIVATIONS
from ..data.class_names import class_names_from
from ..data.pictures import MODES, PictureError, Pixels
from ..problems import Problems
from .explanations import CHEAP_METHODS, ExplainedPicture, Method, Question, explain_pictures
from .pictures import picture_name, read_picture, seen
from .targets import Target, targets_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL_INCHES = 2.3
_UNSIGNED_COLOURS = "inferno"
_log = logging.getLogger("explainrun")


@dataclass(frozen=True)
class Look:
    """How panels are drawn.

    Attributes:
        alpha: how opaque maps lie over the picture.
        rows: in how many rows the panels of a picture stand.
        cmap: of all maps; by default "inferno", and red, white and green for signed methods.
        colorbar: whether a colour bar stands below each map.

    Raises:
        ValueError: if alpha lies outside 0..1, rows is not a whole number from 1, or there is no such colour map.
    """

    alpha: float = 0.5
    rows: int = 1
    cmap: Any = None
    colorbar: bool = False

    def __post_init__(self) -> None:
        share(self.alpha, "alpha")
        whole_number(self.rows, "rows")
        colour_map(self.cmap, "all")


@dataclass(frozen=True)
class Shown:
    """A picture to explain.

    Attributes:
        name: for messages.
        colours: as a person sees it.
        pixels: (C, H, W) as the network takes it.
    """

    name: str
    colours: Colours
    pixels: FloatArray


def explain(  # noqa: PLR0913
    network: nn.Cell,
    images: Any,
    methods: str | Explainer | Sequence[Method] = CHEAP_METHODS,
    target: Target | Sequence[Target | Sequence[Target]] = None,
    layer: str | Sequence[str] | None = None,
    *,
    class_names: Sequence[str] | Mapping[int, str] | None = None,
    activation_fn: str | Activation = "softmax",
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    mean: Statistics | None = None,
    std: Statistics | None = None,
    alpha: float = 0.5,
    rows: int = 1,
    cmap: Any = None,
    seed: int = 0,
    output: Output = None,
    show_colorbar: bool = False,
) -> Figure:
    """Explain pictures by several methods, side by side; what ``explainrun explain`` does, in a notebook.

    Each picture has a row: itself, titled with the class and its probability, then each method's map over it in grey.
    A method that refuses a picture has an empty panel that says why.

    Args:
        network: from images (N, C, H, W) to logits (N, classes). It is left as it is found.
        images: one or several: paths, http(s) addresses or PIL pictures, made ready with size, channels, mean and
            std; or Tensors and arrays (C, H, W) or (N, C, H, W), taken as they are (mean and std then only restore
            their colours).
        methods: names ("GradCAM"; "GradCAM,RISE"), one-entry mappings from a name to its options, or explainers.
        target: class index or name, one for all or one per picture; None or "predicted" for the network's first,
            "top-K" for its first K, a row each. Several of these are a list: in a list with one for each picture or one
            for all, ``[["cat", "dog"]]``; of a single picture also by itself.
        layer: for methods named that read layers, several to have their maps fused; by default the deepest that gives
            feature maps.
        class_names: in the order of the network's outputs, or a dictionary by index.
        activation_fn: "softmax", "sigmoid", or what makes probabilities of logits.
        size: (height, width) that pictures are brought to; by default they are left as they are.
        channels: 1, 3 or 4; by default what the convolution takes that runs first, else 3.
        mean: taken from pixels of 0..1 (of 0..255 where it or std exceeds 10), for each channel or for all; by default
            pixels stay in 0..1.
        std: what the rest is divided by.
        alpha: how opaque maps lie over the picture.
        rows: in how many rows the panels of a picture stand.
        cmap: a colour map for all maps; by default "inferno", and red, white and green for signed methods.
        seed: what randomness starts from.
        output: which part of what the network returns is its logits, as for an explainer's direct call.
        show_colorbar: draw a colour bar below each map; what it shows is divided by the map's scale.

    Returns:
        A figure, as ``visualize`` gives it.

    Raises:
        TypeError: if the network or an image is of another type.
        PlanError: (a ValueError) with all that is wrong with the rest.
    """
    checked_network(network)
    problems, listed = Problems(), _image_list(images)
    pixels = (
        problems.attempt("", lambda: Pixels(size, channels or channels_taken(network, size), mean, std)) or Pixels()
    )
    shown = [problems.attempt("", partial(_shown, index, image, pixels)) for index, image in enumerate(listed)]
    look = problems.attempt("", lambda: Look(alpha, rows, cmap, show_colorbar))
    question = Question(
        network=network,
        methods=_methods(methods),
        activation_fn=problems.attempt("activation_fn", lambda: activation(activation_fn)),
        targets=problems.attempt("", partial(targets_of, target, len(listed))) or [],
        layers=() if layer is None else (layer,) if isinstance(layer, str) else tuple(layer),
        class_names=problems.attempt("", partial(_names, class_names)),
        seed=problems.attempt("", partial(whole_number, seed, "seed", 0)) or 0,
        output=problems.attempt("", partial(checked_output, output)),
    )
    return _explained_figure(question, shown, look, problems)


def _explained_figure(question: Question, shown: Sequence[Shown], look: Look, problems: Problems) -> Figure:
    """The answers to a question, drawn.

    Raises:
        PlanError: with the problems, and those of the question.
    """
    problems += question.problems()
    problems.raise_if_any()
    found, explainers = explain_pictures(question, [one.pixels for one in shown], [one.name for one in shown])
    for said in found:
        for name, why in said.refused.items():
            _log.warning("%s: no map by %s: %s", shown[said.row].name, name, why)
    return drawn(shown, found, explainers, question, look)


def _names(class_names: Any) -> tuple[str, ...] | None:
    return None if class_names is None else class_names_from(class_names, "class_names")


def activation(given: Any) -> Activation:
    """What makes probabilities of logits, by name or itself.

    Raises:
        ValueError: if there is none of that name.
        TypeError: if it cannot be called.
    """
    if isinstance(given, str):
        if given not in ACTIVATIONS:
            words = "activation must be one of {known:repr list}, got {given!r}"
            raise ValueError(Problem.of("activation-unknown", words, known=list(ACTIVATIONS), given=given))
        made: Activation = ACTIVATIONS[given]()
        return made
    return checked_activation(given)


def channels_taken(network: nn.Cell, size: tuple[int, int] | None = None) -> int:
    """How many channels the images have that a network takes, by the convolution that runs first; 3 if none does.

    Args:
        network: the network.
        size: (height, width) of the images, where that is known.

    Raises:
        ValueError: if pictures have not as many.
    """
    channels = input_channels(network, (3, 1, 4), size) or 3
    if channels not in MODES:
        words = "the convolution that runs first takes {channels} channels; pictures have 1, 3 or 4"
        raise ValueError(Problem.of("network-channels", words, channels=channels))
    return channels


def from_file(source: str | Path, pixels: Pixels) -> Shown:
    """A picture by path or address.

    Raises:
        PictureError: if there is none.
    """
    picture = read_picture(source)
    return Shown(picture_name(source), np.asarray(seen(picture)), pixels.of(picture))


def drawn(
    shown: Sequence[Shown],
    found: Sequence[ExplainedPicture],
    methods: Sequence[Explainer],
    question: Question,
    look: Look,
    make: Callable[[tuple[float, float]], Figure] | None = None,
) -> Figure:
    """The figure.

    Args:
        shown: the pictures.
        found: what was said about them, a row of panels each.
        methods: by which explainers.
        question: what was asked.
        look: how to draw it.
        make: makes an empty figure of a width and height in inches.
    """
    from ...explainers.visual.figures import new_figure, title_inches, write_title  # noqa: PLC0415  (matplotlib is slow)

    rows, pictures = min(look.rows, 1 + len(methods)), [shown[said.row] for said in found]
    columns = math.ceil((1 + len(methods)) / rows)
    captions = _captions(found, methods, question, rows * columns)
    bar = BAR_INCHES * look.colorbar
    sides = [bar + _PANEL_INCHES * min(max(_ratio(one), 0.3), 2.0) for one in pictures for _ in range(rows)]
    high = sum(sides) + sum(title_inches(captions[row * columns : (row + 1) * columns]) for row in range(len(sides)))
    figure = (make or new_figure)((_PANEL_INCHES * columns, high))
    grid = figure.subplots(len(sides), columns, squeeze=False, gridspec_kw={"height_ratios": sides})
    for axes, caption in zip(grid.flat, captions, strict=True):
        write_title(axes, caption)
        frame(axes)
    signs = {method.name: "all" if _is_signed(method, found) else "positive" for method in methods}
    for panels, one, said in zip(grid.reshape(len(found), -1), pictures, found, strict=True):
        _draw_panels(panels, one, said, signs, look)
    return figure


def _is_signed(method: Explainer, found: Sequence[ExplainedPicture]) -> bool:
    """Whether a method's maps are drawn with 0 in the middle; one that does not say it shows it by any of them."""
    if method.signed is not None:
        return method.signed
    return any(holds_negatives(said.maps[method.name]) for said in found if method.name in said.maps)


def _captions(
    found: Sequence[ExplainedPicture], methods: Sequence[Explainer], question: Question, panels: int
) -> list[str]:
    """Titles of all panels, so many a picture; empty ones of those that stay empty."""
    from ...explainers.visual.figures import wrap_title  # noqa: PLC0415  (matplotlib is slow)

    empty = [""] * (panels - 1 - len(methods))
    return [
        wrap_title(title, _PANEL_INCHES)
        for said in found
        for title in (_question_title(question, said), *(_caption(method, said) for method in methods), *empty)
    ]


def _draw_panels(panels: Any, one: Shown, said: ExplainedPicture, signs: Mapping[str, str], look: Look) -> None:
    """Draw a picture and its maps, by method with the sign to show; panels that are left over stay empty."""
    picture = panels[0].imshow(one.colours)
    if look.colorbar:
        draw_bar(panels[0], picture).set_visible(False)  # so that it is as large as the maps
    for axes, (name, sign) in zip(panels[1:], signs.items(), strict=False):
        if name in said.maps:
            _draw_map(axes, said.maps[name], one, sign, look)
        else:
            _write_reason(axes, said.refused[name], _ratio(one))
    for axes in panels[1 + len(signs) :]:
        axes.set_axis_off()


def _draw_map(axes: Any, map_: FloatArray, one: Shown, sign: str, look: Look) -> None:
    signed, aspect = sign == "all", _ratio(one) * map_.shape[1] / map_.shape[0]
    cmap = look.cmap or (None if signed else _UNSIGNED_COLOURS)
    drawn = draw_blended(axes, map_, one.colours, cmap, look.alpha, signed=signed, aspect=aspect)
    if look.colorbar:
        draw_bar(axes, drawn)


def _write_reason(axes: Any, reason: str, ratio: float) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect=ratio)
    text = textwrap.shorten(reason, 260, placeholder=" ...")
    axes.text(
        0.5, 0.5, textwrap.fill(f"no map: {text}", 34), ha="center", va="center", fontsize=6.5, color="0.3",
        parse_math=False,
    )  # fmt: skip


def _ratio(one: Shown) -> float:
    """Height of a picture, in its widths."""
    return one.colours.shape[0] / one.colours.shape[1]


def _question_title(question: Question, said: ExplainedPicture) -> str:
    title = f"{question.class_name(said.label)}: {said.probability:.3f}"
    label, probability = said.top
    return title if label == said.label else f"{title}\n(first: {question.class_name(label)}, {probability:.3f})"


def _caption(method: Explainer, said: ExplainedPicture) -> str:
    """A method's name, the one inside it, the layers that are read, and whether its map is constant."""
    inner = getattr(method, "explainer", None)
    layers = getattr(inner or method, "layer", ())
    named = (layers,) if isinstance(layers, str) else layers if isinstance(layers, (list, tuple)) else ()
    around = [inner.name] if inner is not None else []
    read = ", ".join([*around, *(str(layer) for layer in named if layer)])
    map_ = said.maps.get(method.name)
    constant = map_ is not None and map_.min() == map_.max()
    says = f"\n{'zero' if not map_.any() else 'the same'} everywhere" if map_ is not None and constant else ""
    return (f"{method.name} ({read})" if read else method.name) + says


def _methods(methods: Any) -> list[Method]:
    if isinstance(methods, str):
        return [name for name in map(str.strip, methods.split(",")) if name]
    return list(methods) if isinstance(methods, (list, tuple)) else [methods]


def _image_list(images: Any) -> list[Any]:
    """One or several images as a list.

    Raises:
        ValueError: if there are none, or an array has another shape.
    """
    if isinstance(images, (Tensor, np.ndarray)) and images.ndim == 4:
        images = list(images)
    listed = list(images) if isinstance(images, (list, tuple)) else [images]
    if not listed:
        raise ValueError(Problem.of("no-images", "there are no images to explain"))
    return listed


def _shown(index: int, image: Any, pixels: Pixels) -> Shown:
    name = f"image {index}"
    if isinstance(image, (str, Path)):
        return from_file(image, pixels)
    if isinstance(image, Image.Image):
        try:
            return Shown(name, np.asarray(seen(image)), pixels.of(image))
        except PictureError as error:
            raise PictureError(Problem.from_error(error).at(name)) from None
    if not isinstance(image, (Tensor, np.ndarray)):
        words = "{name} must be a path, a picture, a Tensor or an array, got {kind}"
        raise TypeError(Problem.of("image-kind", words, name=name, kind=type(image).__name__))
    if image.ndim != 3 or image.shape[0] not in MODES:
        words = "{name} must be (C, H, W) of 1, 3 or 4 channels, got shape {shape}"
        raise ValueError(Problem.of("image-shape", words, name=name, shape=tuple(image.shape)))
    return Shown(name, image_colours(image, None, pixels.mean, pixels.std), image_array(image[None])[0])
