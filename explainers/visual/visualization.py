"""Maps as figures: in colours, over their image, or as what they leave of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from mindspore import Tensor
from PIL import Image

from ...summary_format import original_picture
from ...summary_format.errors import nearest
from ...summary_format.images import Statistics, check_together
from ...summary_format.map_scale import OUTLIERS, Values, divided, outlier_scale, shown_values
from ...summary_format.problem import Problem
from ..arguments import real_number, share
from ..network.tensors import as_array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Colours = npt.NDArray[np.uint8]  # (H, W, 3)

METHODS: Mapping[str, tuple[str, ...]] = {  # each with its short names
    "original_image": ("original",),
    "heat_map": ("heatmap", "heat"),
    "blended_heat_map": ("blended",),
    "masked_image": ("masked",),
    "alpha_scaling": ("alpha",),
}
SIGNS: Mapping[str, tuple[str, ...]] = {
    "all": (),
    "positive": (),
    "negative": (),
    "absolute_value": ("absolute",),
}
_UNSIGNED_ONLY = ("masked_image", "alpha_scaling")
_COLOURS = {"positive": "Greens", "negative": "Reds", "absolute_value": "Blues"}
_NOTHING = {
    "all": "zero everywhere",
    "absolute_value": "zero everywhere",
    "positive": "nothing is positive",
    "negative": "nothing is negative",
}
_PANEL_INCHES = 2.6
BAR_INCHES = 0.4


class Panel(NamedTuple):
    """One way to show a map: a key of ``METHODS`` and one of ``SIGNS``."""

    method: str
    sign: str

    @property
    def title(self) -> str:
        """What stands above it unless the user says something else."""
        words = self.method.replace("_", " ")
        return words if self.method == "original_image" else f"{words} ({self.sign.removesuffix('_value')})"


def visualize(  # noqa: PLR0913
    saliency: Tensor | npt.NDArray[Any],
    image: Image.Image | Tensor | npt.NDArray[Any] | None = None,
    methods: str | Sequence[str] | None = None,
    signs: str | Sequence[str] | None = None,
    *,
    titles: str | Sequence[str] | None = None,
    outlier_perc: float = OUTLIERS,
    cmap: Any = None,
    alpha: float = 0.5,
    colorbar: bool = False,
    figsize: tuple[float, float] | None = None,
    mean: Statistics | None = None,
    std: Statistics | None = None,
    channels: bool = False,
    show_colorbar: bool = False,
) -> Figure:
    """Draw a map in several ways side by side, as captum's ``visualize_image_attr_multiple`` does.

    Values are divided by a scale and cut to -1..1 (0..1 for every sign but "all"). The scale is the smallest magnitude
    up to which the magnitudes, sorted and added up, reach 100 - outlier_perc percent of their total, so that a few
    outliers do not leave the rest pale. (captum's default cuts 2 percent, after which many gradient maps of photographs
    are still pale.) A map that has nothing of a sign is drawn as zeros, and its title says so.

    Args:
        saliency: (H, W), (1, H, W) or (1, 1, H, W) as explainers return it, or one map a channel, (C, H, W).
        image: what the map explains: a PIL picture (resized to the map where sizes differ), or an array or Tensor
            (C, H, W), (H, W, C) or (H, W) of the map's size. Needed by all methods but "heat_map". Pixels of 0..1 or
            0..255 are shown as they are; others in true colours with mean and std, else stretched to black and white.
        methods: one panel each, from the left: "original_image", "heat_map", "blended_heat_map" (over the image in
            grey), "masked_image" (the image, darker where the map is lower) and "alpha_scaling" (the image, more
            transparent where it is lower); "original", "blended", "masked" and "alpha" will do. By default all five,
            or "heat_map" alone without an image.
        signs: which values to show: "all", "positive", "negative" (by their magnitude) or "absolute_value" (or
            "absolute"); one for all panels, or one each. By default "all", and "positive" for masked_image and
            alpha_scaling, which cannot show two signs.
        titles: one a panel instead of the names of method and sign; "" for none.
        outlier_perc: see above; from 0, below 100. What overlays, ``explain`` and the viewer's pictures have.
        cmap: a matplotlib colour map or its name for all panels, by default red, white and green for "all", "Greens"
            for "positive", "Reds" for "negative" and "Blues" for "absolute_value".
        alpha: how opaque a blended map is.
        colorbar: draw one below each heat map.
        figsize: width and height in inches.
        mean: what was subtracted from the pixels, for each channel or for all; see ``original_picture``.
        std: what the rest was divided by.
        channels: show one row of panels a channel, all on one scale, instead of the sum over the channels.
        show_colorbar: the same as ``colorbar``, as captum calls it.

    Returns:
        A figure. A notebook shows it where a cell ends with it; ``figure.savefig(path)`` writes it, ``figure.show()``
        opens a window. If the script has imported pyplot, it is one of pyplot's figures: ``pyplot.show()`` shows it,
        and a loop should ``pyplot.close(figure)``. Otherwise nothing needs closing.

    Raises:
        TypeError: if the map or the image is of another type.
        ValueError: if a shape does not fit, a value is not finite, a method, sign or colour map is unknown, a method
            lacks its image or cannot show a sign, their numbers differ, or a number is out of range.
    """
    maps = map_channels(saliency)
    panels = _panels(methods, signs, image is not None)
    colours = None if image is None else image_colours(image, maps.shape[1:], mean, std)
    alpha, outlier_perc = share(alpha, "alpha"), _checked_outliers(outlier_perc)
    rows = maps if channels else maps.sum(axis=0, keepdims=True)
    captions = _captions(titles, panels)
    colour_maps = [colour_map(cmap, panel.sign) for panel in panels]
    drawings = [scaled(rows, panel.sign, outlier_perc) for panel in panels]
    colorbar = colorbar or show_colorbar
    written = [[_panel_title(panel, caption, row, len(rows), empty[row]) for panel, caption, (_, empty) in
                zip(panels, captions, drawings, strict=True)] for row in range(len(rows))]  # fmt: skip
    figure, grid = _grid(written, rows.shape[1:], figsize, BAR_INCHES * colorbar)
    for column, (panel, (shown, _)) in enumerate(zip(panels, drawings, strict=True)):
        for row, axes in enumerate(grid[:, column]):
            drawn = draw_panel(axes, panel, shown[row], colours, colour_maps[column], alpha)
            if colorbar and drawn is not None:
                draw_bar(axes, drawn)
    return figure


def _checked_outliers(per_cent: float) -> float:
    per_cent = real_number(per_cent, "outlier_perc")
    if not 0 <= per_cent < 100:
        raise ValueError(f"outlier_perc must lie from 0 to below 100, got {per_cent}")
    return per_cent


def draw_bar(axes: Any, drawn: Any) -> Any:
    """A colour bar below a panel, of what ``draw_panel`` gave; its axes."""
    bar = axes.figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.9, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    return bar.ax


def scaled(maps: Values, sign: str, outlier_perc: float) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Maps (K, H, W) as drawn, on one scale, and which of them have nothing to draw.

    Returns:
        Values in -1..1 for the sign "all", else 0..1.
    """
    if sign == "absolute_value":
        maps = np.abs(maps)
    elif sign != "all":
        maps = (maps if sign == "positive" else -maps).clip(min=0.0)
    shown = divided(maps, outlier_scale(maps, outlier_perc))
    return shown, ~shown.any(axis=(1, 2))


def draw_panel(
    axes: Any, panel: Panel, shown: Values, colours: Colours | None, cmap: Any, alpha: float, aspect: float = 1.0
) -> Any:
    """One panel on matplotlib axes, in the map's pixels; what a colour bar describes, None where there is none.

    Args:
        axes: where to draw.
        panel: how.
        shown: (H, W) as ``scaled`` gives it.
        colours: the image; for masked_image and alpha_scaling of the map's size.
        cmap: as ``colour_map`` gives it.
        alpha: how opaque a blended map is.
        aspect: height of a pixel of the map, in widths of it.
    """
    frame(axes)
    height, width = shown.shape
    place = {"extent": (-0.5, width - 0.5, height - 0.5, -0.5), "aspect": aspect}
    bounds = {"cmap": cmap, "vmin": -1.0 if panel.sign == "all" else 0.0, "vmax": 1.0}
    if panel.method == "heat_map" or colours is None:
        return axes.imshow(shown, **bounds, **place)
    if panel.method == "blended_heat_map":
        axes.imshow(colours.mean(axis=2), cmap="gray", vmin=0.0, vmax=255.0, **place)
        return axes.imshow(shown, alpha=alpha, **bounds, **place)
    drawn = colours
    if panel.method == "masked_image":
        drawn = (colours * shown[:, :, None]).round().astype(np.uint8)
    elif panel.method == "alpha_scaling":
        drawn = np.dstack([colours, (shown * 255.0).round().astype(np.uint8)])
    axes.imshow(drawn, **place)
    return None


def draw_blended(
    axes: Any, saliency: Any, colours: Colours | None, cmap: Any, alpha: float, *, signed: bool, aspect: float = 1.0
) -> Any:
    """A map (H, W), by the one rule of what pictures show, over its image in grey; what a colour bar describes.

    Args:
        axes: see ``draw_panel``.
        saliency: as it was computed.
        colours: the image; None for the map alone.
        cmap: see ``colour_map``.
        alpha: how opaque the map is.
        signed: whether 0 is in the middle.
        aspect: see ``draw_panel``.
    """
    panel = Panel("blended_heat_map", "all" if signed else "positive")
    return draw_panel(axes, panel, shown_values(saliency, signed), colours, colour_map(cmap, panel.sign), alpha, aspect)


def frame(axes: Any) -> None:
    """A thin line around a panel, which white maps would else run out of, and no ticks."""
    axes.set(xticks=(), yticks=())
    axes.spines[:].set(linewidth=0.5, color="0.7")


def colour_map(cmap: Any, sign: str) -> Any:
    """A matplotlib colour map: the one that is given or named, else the sign's own.

    Raises:
        ValueError: if there is none of that name.
        TypeError: if it is neither a name nor a colour map.
    """
    from .any_backend import matplotlib  # noqa: PLC0415  (slow to import, and only figures need it)

    known = matplotlib.colormaps
    if cmap is None and sign == "all":
        return matplotlib.colors.LinearSegmentedColormap.from_list("RdWhGn", ["red", "white", "green"])
    cmap = _COLOURS[sign] if cmap is None else cmap
    if isinstance(cmap, matplotlib.colors.Colormap):
        return cmap
    if not isinstance(cmap, str):
        raise TypeError(f"cmap must be a matplotlib colour map or its name, got {cmap!r}")
    if cmap not in known:
        words = "no colour map {name!r}; {nearest}"
        raise ValueError(Problem.of("colour-map-unknown", words, name=cmap, nearest=nearest(cmap, known)))
    return known[cmap]


def map_channels(saliency: Any) -> Values:
    """One image's map as (C, H, W).

    Raises:
        TypeError: if it is not a Tensor or array of numbers.
        ValueError: if it has another shape, or holds NaN or infinity.
    """
    values = _numeric_array(saliency, "saliency").astype(np.float64)
    shape = values.shape
    if values.ndim == 4 and shape[:2] == (1, 1):
        values = values[0]
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or not values.size:
        one = "; draw one map at a time, such as saliency[0]" if len(shape) == 4 else ""
        raise ValueError(f"saliency must be (H, W) or (C, H, W), got shape {shape}{one}")
    if not np.isfinite(values).all():
        raise ValueError("saliency holds NaN or infinity, so it has no picture")
    return values


def image_colours(
    image: Any, size: tuple[int, ...] | None = None, mean: Statistics | None = None, std: Statistics | None = None
) -> Colours:
    """An image as a person sees it, RGB (H, W, 3).

    Args:
        image: see ``visualize``.
        size: (height, width) that it must have; without it an array is taken for (C, H, W).
        mean: see ``visualize``.
        std: see ``visualize``.

    Raises:
        TypeError: if it is not a picture, Tensor or array of numbers.
        ValueError: if its shape does not fit, it holds NaN or infinity, or only one of mean and std is given.
    """
    check_together(mean, std)
    if isinstance(image, Image.Image):
        picture = image.convert("RGB")
        return np.asarray(picture if size is None else picture.resize((size[1], size[0])))
    pixels = _numeric_array(image, "image")
    shape = pixels.shape
    pixels = pixels[0] if pixels.ndim == 4 and len(pixels) == 1 else pixels
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    if pixels.ndim == 3 and size is not None and pixels.shape[1:] != size:
        pixels = pixels.transpose(2, 0, 1)
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3, 4) or pixels.shape[1:] != (size or pixels.shape[1:]):
        wanted = "" if size is None else f" of {size[0]} x {size[1]} pixels, as the map has"
        raise ValueError(f"image must be (C, H, W) or (H, W, C) with 1, 3 or 4 channels{wanted}; got shape {shape}")
    if not np.isfinite(pixels).all():
        raise ValueError(Problem.of("image-not-finite", "image holds NaN or infinity"))
    if mean is None and _not_normalised(pixels):
        mean, std = 0.0, 1.0
    return np.asarray(original_picture(pixels, mean, std))


def _numeric_array(values: Any, name: str) -> npt.NDArray[Any]:
    if not isinstance(values, (Tensor, np.ndarray)):
        raise TypeError(f"{name} must be a Tensor or an array, got {type(values).__name__}")
    if isinstance(values, Tensor):
        values = values.asnumpy() if str(values.dtype) == "UInt8" else as_array(values)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold numbers, got {values.dtype}")
    numbers: npt.NDArray[Any] = values
    return numbers


def _not_normalised(pixels: npt.NDArray[Any]) -> bool:
    """Whether pixels look as if they ran from 0 to 1, or from 0 to 255."""
    low, high = pixels.min(), pixels.max()
    return bool(low >= 0 and (high <= 1 or 2 < high <= 255))


def _panels(methods: str | Sequence[str] | None, signs: str | Sequence[str] | None, has_image: bool) -> list[Panel]:
    if methods is None:
        methods = tuple(METHODS) if has_image else ("heat_map",)
    named = [_word(method, METHODS, "method") for method in _several(methods, "methods")]
    if signs is None:
        asked = ["positive" if method in _UNSIGNED_ONLY else "all" for method in named]
    else:
        asked = [_word(sign, SIGNS, "sign") for sign in _several(signs, "signs")]
    pairs = max(len(named), len(asked))
    named, asked = (words * pairs if len(words) == 1 else words for words in (named, asked))
    if not named or len(named) != len(asked):
        raise ValueError(f"each method needs a sign, or one sign for all; got {len(named)} methods, {len(asked)} signs")
    panels = [Panel(method, sign) for method, sign in zip(named, asked, strict=True)]
    for method, sign in panels:
        if method in _UNSIGNED_ONLY and sign == "all":
            known = ", ".join(repr(known) for known in SIGNS if known != "all")
            raise ValueError(f"{method} cannot show the sign 'all'; ask for one of {known}")
        if method != "heat_map" and not has_image:
            raise ValueError(f"{method} needs the image; give it, or ask for 'heat_map' alone")
    return panels


def _word(given: Any, known: Mapping[str, tuple[str, ...]], kind: str) -> str:
    """The full name of a method or sign."""
    for name, aliases in known.items():
        if given in (name, *aliases):
            return name
    raise ValueError(f"no {kind} {given!r}; {nearest(str(given), known)}")


def _several(words: Any, name: str) -> list[Any]:
    """A word, or a list of words, as a list.

    Raises:
        TypeError: if it is something else.
    """
    if not isinstance(words, (str, list, tuple)):
        raise TypeError(f"{name} must be a text or a list of texts, got {words!r}")
    return [words] if isinstance(words, str) else list(words)


def _captions(titles: str | Sequence[str] | None, panels: Sequence[Panel]) -> list[str]:
    if titles is None:
        return [panel.title for panel in panels]
    captions = _several(titles, "titles")
    if len(captions) != len(panels) or not all(isinstance(caption, str) for caption in captions):
        raise ValueError(f"titles must hold a text for each of {len(panels)} panels, got {titles!r}")
    return captions


def _panel_title(panel: Panel, caption: str, row: int, rows: int, empty: bool) -> str:
    """What stands above a panel."""
    says = [f"channel {row}"] * (rows > 1) + [caption] * bool(caption)
    return "\n".join(says + [_NOTHING[panel.sign]] * bool(empty and panel.method != "original_image"))


def _grid(
    titles: Sequence[Sequence[str]], size: tuple[int, ...], figsize: tuple[float, float] | None, below: float
) -> tuple[Figure, Any]:
    """A figure and its axes (rows, columns), titles written, for maps of that size with so many inches below."""
    from .figures import new_figure, title_inches, wrap_title, write_title  # noqa: PLC0415  (matplotlib is slow to import)

    columns = len(titles[0])
    if figsize is not None and (
        np.shape(figsize) != (2,) or min(real_number(side, "figsize") for side in figsize) <= 0
    ):
        raise ValueError(f"figsize must be a width and a height in inches, got {figsize!r}")
    width = _PANEL_INCHES if figsize is None else figsize[0] / columns
    lines = [[wrap_title(title, width) for title in row] for row in titles]
    height = _PANEL_INCHES * min(max(size[0] / size[1], 0.25), 2.0)
    figure = new_figure(figsize or (_PANEL_INCHES * columns, sum(height + below + title_inches(row) for row in lines)))
    grid = figure.subplots(len(titles), columns, squeeze=False)
    for axes, title in zip(grid.flat, (title for row in lines for title in row), strict=True):
        write_title(axes, title)
    return figure, grid
