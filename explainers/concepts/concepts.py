"""The concepts that an image's factorized layer output is made of, and their picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor
from PIL import Image

from ...summary_format import original_picture
from ...summary_format.images import Statistics
from ..arguments import share, yes_or_no
from ..core.resize import resized
from ..hierarchical_occlusion.counterfactual import one_image
from ..network.tensors import FloatArray, IntArray

_INCHES = 4.0  # width of an image beside its legend


@dataclass(frozen=True, kw_only=True)
class Concepts:
    """What one image's layer output was factorized into, k concepts, that which explains most first.

    Attributes:
        vectors: (k, channels), what the layer gives where a concept is strongest and alone.
        maps: (k, h, w) in 0..1, how strong a concept is at each place of the layer; its largest value is 1.
        logits: (k, classes), what the network says of a concept alone.
        probabilities: (k, classes), the same through the activation; None where none was given.
        residual: what the concepts leave of the output less its channels' minima, as a share of its norm; NaN for an
            output that holds NaN or infinity, of which there are no concepts.
        settled: whether the factorization came to rest within its steps; if not, these are the concepts it had then.
        size: (H, W) of the image.
        top_k: how many classes of each concept are named.
    """

    vectors: FloatArray
    maps: FloatArray
    logits: FloatArray
    probabilities: FloatArray | None
    residual: float
    settled: bool
    size: tuple[int, int]
    top_k: int = 2

    @property
    def image_maps(self) -> FloatArray:
        """The maps at the image's size, (k, H, W)."""
        return resized(self.maps, self.size)

    @property
    def scores(self) -> FloatArray:
        """(k, classes): the probabilities, or the logits where there are none."""
        return self.logits if self.probabilities is None else self.probabilities

    @property
    def top_classes(self) -> IntArray:
        """(k, top_k), the classes of each concept with the highest logits, the highest first."""
        order: IntArray = np.argsort(-self.logits, axis=1, kind="stable")[:, : self.top_k]
        return order

    def labels(self, class_names: Sequence[str] | None = None) -> list[str]:
        """What a legend says of each concept: its top classes with their scores.

        Args:
            class_names: by class; their numbers by default.

        Raises:
            ValueError: if there are fewer names than classes.
        """
        classes = self.logits.shape[1]
        names = list(map(str, range(classes) if class_names is None else class_names))
        if len(names) < classes:
            raise ValueError(f"class_names must hold a name for each of {classes} classes, got {len(names)}")
        return [
            ", ".join(f"{names[label]} {score[label]:.2f}" for label in top)
            for top, score in zip(self.top_classes, self.scores, strict=True)
        ]

    def picture(
        self,
        image: Tensor | npt.NDArray[Any],
        class_names: Sequence[str] | None = None,
        image_weight: float = 0.3,
        mean: Statistics | None = None,
        std: Statistics | None = None,
        *,
        legend: bool = True,
        hstack: bool = False,
    ) -> Image.Image:
        """The image with every place in the colour of its strongest concept, the brighter the stronger.

        Args:
            image: that was factorized, (C, H, W) or (1, C, H, W).
            class_names: by class, for the legend.
            image_weight: from 0, concepts alone, to 1, the image alone.
            mean: what was subtracted from the pixels, for each channel or for all.
            std: what the rest was divided by. Without both, the image's colours are stretched over its range.
            legend: enlarge the picture, and put ``labels`` beside it.
            hstack: put the image itself at its left.

        Returns:
            RGB; without a legend of the image's size, or twice its width.

        Raises:
            TypeError: if the image is neither a Tensor nor an array.
            ValueError: if it is not a single image of that size, image_weight lies outside 0..1, legend or hstack is
                neither True nor False, there are too few class names or the statistics do not fit.
        """
        share(image_weight, "image_weight")
        pixels = one_image(image)
        if pixels.shape[1:] != self.size:
            raise ValueError(f"the concepts are those of an image of size {self.size}, this one has {pixels.shape[1:]}")
        below = np.asarray(original_picture(pixels, mean, std), np.float64)
        blend = image_weight * below + (1 - image_weight) * 255 * self._coloured()
        pictures = [below, blend] if yes_or_no(hstack, "hstack") else [blend]
        picture = Image.fromarray(np.hstack(pictures).round().astype(np.uint8))
        if not yes_or_no(legend, "legend"):
            return picture
        return _beside(picture, self._colours(), self.labels(class_names), _INCHES * len(pictures))

    def _coloured(self) -> npt.NDArray[np.float64]:
        """(H, W, 3) in 0..1."""
        if not len(self.maps):
            return np.zeros((*self.size, 3))
        maps = self.image_maps.clip(0, 1)
        strongest = maps.argmax(axis=0)
        coloured: npt.NDArray[np.float64] = self._colours()[strongest] * maps.max(axis=0)[..., None]
        return coloured

    def _colours(self) -> npt.NDArray[np.float64]:
        """(k, 3) in 0..1, far apart."""
        from ..visual.any_backend import matplotlib  # noqa: PLC0415  (slow to import, and only pictures need it)

        along = matplotlib.colormaps["gist_rainbow"]
        colours: npt.NDArray[np.float64] = along(np.arange(len(self.maps)) / len(self.maps))[:, :3]
        return colours


def _beside(
    picture: Image.Image, colours: npt.NDArray[np.float64], labels: Sequence[str], inches: float
) -> Image.Image:
    """A picture, enlarged to that width, with a legend at its right."""
    from ..visual.any_backend import matplotlib  # noqa: PLC0415
    from ..visual.figures import NotebookFigure  # noqa: PLC0415

    figure = NotebookFigure((inches, inches * picture.height / picture.width), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(np.asarray(picture), interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    # Numbered, since matplotlib leaves out labels that begin with "_"; what stands between two $ would be a formula.
    texts = [f"{number}: {label}".replace("$", r"\$") for number, label in enumerate(labels, start=1)]
    handles = [matplotlib.patches.Patch(color=tuple(colour)) for colour in colours]
    axes.legend(handles, texts, loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", pad_inches=0.05)
    return Image.open(buffer).convert("RGB")
