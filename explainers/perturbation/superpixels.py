"""Images cut into segments of like pixels, for explainers that hide segments instead of pixels."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

import numpy as np
import numpy.typing as npt

from ...summary_format.errors import nearest
from ...summary_format.images import unit_range
from ..network.tensors import FloatArray, IntArray

Picture = npt.NDArray[np.float64]
SegmentationFunction = Callable[..., Any]

NAMES = ("slic", "quickshift", "felzenszwalb")
CHANNELS = (1, 3, 4)
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {  # where they are not scikit-image's: those of the lime package
    "quickshift": {"kernel_size": 4, "max_dist": 200, "ratio": 0.2},
}
_NOT_FOR_USERS = ("image", "channel_axis", "mask", "return_tree")
_TRIAL = np.indices((12, 16, 3)).sum(axis=0) / 30.0

_log = logging.getLogger("explainrun")


class Segmentation:
    """Cuts images into segments.

    By scikit-image's "slic" (Achanta et al. 2012), "quickshift" (Vedaldi, Soatto 2008; by default with a kernel_size of
    4, a max_dist of 200 and a ratio of 0.2) or "felzenszwalb" (Felzenszwalb, Huttenlocher 2004), or by a function of
    the user's own.

    Images come normalised in many ways, so each is scaled to 0..1 over its own range, all channels together. The three
    above see it as RGB: one channel is repeated, of four the first three are taken (before they are scaled), as in the
    pictures of a run. An own function sees all channels.

    Args:
        method: one of the names, or a function from an image (H, W, C), float64 in 0..1, to labels (H, W), integers.
        options: for that function, by the names of its arguments.
        owner: whose it is, for messages.

    Raises:
        TypeError: if the method is neither a name nor a function, or the options are not a mapping.
        ValueError: if the method or an option is not known, or the options do not work.
    """

    def __init__(self, method: str | SegmentationFunction, options: Mapping[str, Any] | None, owner: str) -> None:
        if not isinstance(method, str) and not callable(method):
            allowed = "'slic', 'quickshift', 'felzenszwalb' or a function from (H, W, C) to labels (H, W)"
            raise TypeError(f"segmentation must be {allowed}, got {type(method).__name__}")
        if isinstance(method, str) and method not in NAMES:
            raise ValueError(f"no segmentation {method!r}; {nearest(method, NAMES)}, or give a function of your own")
        if options is not None and not isinstance(options, Mapping):
            raise TypeError(f"segmentation_options must be a mapping of names to values, got {options!r}")
        self._method, self._owner, self._told = method, owner, set[str]()
        self.name = method if isinstance(method, str) else getattr(method, "__name__", type(method).__name__)
        own = dict(options or {})
        self._options = {**_DEFAULTS.get(self.name, {}), **own} if isinstance(method, str) else own
        if own:
            self._check_options(own)

    def check(self, shape: tuple[int, ...]) -> None:
        """Make sure that images (C, H, W) have colours.

        Raises:
            ValueError: if they have another number of channels than 1, 3 or 4, and the function is not the user's.
        """
        if isinstance(self._method, str) and shape[0] not in CHANNELS:
            raise ValueError(
                f"{self.name} segments images of 1, 3 or 4 channels, got {shape[0]}; give segmentation a function of "
                f"your own"
            )

    def __call__(self, image: FloatArray, generator: np.random.Generator) -> IntArray:
        """The segment of each pixel, (H, W), from 0 to K - 1 without gaps; K may be 1.

        Args:
            image: (C, H, W).
            generator: for what is random in it: quickshift breaks ties so, unless its option ``rng`` says how.

        Raises:
            ValueError: if the user's function gives something else than integers (H, W).
        """
        if isinstance(self._method, str):
            labels = self._by_name(_colours(image), generator)
        else:
            picture = unit_range(image.astype(np.float64)).transpose(1, 2, 0)
            labels = self._method(np.ascontiguousarray(picture), **self._options)
        labels = self._checked(labels, image.shape[1:])
        segments: IntArray = np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int64)
        if not segments.any():
            self._tell_once(
                f"{self.name} finds a single segment in an image, so its map is constant; an image so small or even "
                f"needs another segmentation, such as 'slic', or other segmentation_options"
            )
        return segments

    def _by_name(self, picture: Picture, generator: np.random.Generator) -> Any:
        """Labels by scikit-image, whose warnings go to the log, each once."""
        options = self._options
        if self.name == "quickshift":
            options = {"rng": int(generator.integers(2**31)), **options}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            labels = of_scikit_image(self.name)(picture, **options)
        for warning in caught:
            self._tell_once(f"{self.name} warns: {warning.message}")
        return labels

    def _checked(self, labels: Any, size: tuple[int, ...]) -> npt.NDArray[Any]:
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.shape != size:
            what = f"{labels.dtype} {labels.shape}" if isinstance(labels, np.ndarray) else type(labels).__name__
            raise ValueError(f"the segmentation {self.name} must give an array of integers {size}, it gave {what}")
        return labels

    def _check_options(self, own: Mapping[str, Any]) -> None:
        function = of_scikit_image(self.name) if isinstance(self._method, str) else self._method
        try:
            parameters = signature(function).parameters
        except ValueError:  # of some functions written in C nothing is known
            return
        if not any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values()):
            hidden = _NOT_FOR_USERS if isinstance(self._method, str) else tuple(parameters)[:1]
            known = [name for name in parameters if name not in hidden]
            for name in own:
                if name not in known:
                    raise ValueError(
                        f"the segmentation {self.name} has no option {name!r}; {nearest(str(name), known)}"
                    )
        if isinstance(self._method, str):
            try:
                self._by_name(_TRIAL, np.random.default_rng(0))
            except Exception as error:
                raise ValueError(f"segmentation_options {own} do not work with {self.name}: {error}") from error

    def _tell_once(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            _log.warning("%s: %s", self._owner, message)


def segment_means(image: FloatArray, segments: IntArray) -> FloatArray:
    """An image (C, H, W) in which every pixel has its segment's mean colour."""
    sizes = np.bincount(segments.ravel())
    means = np.stack([np.bincount(segments.ravel(), channel.ravel()) / sizes for channel in image])
    of_pixels: FloatArray = means.astype(np.float32)[:, segments]
    return of_pixels


def _colours(image: FloatArray) -> Picture:
    """An image (C, H, W) of 1, 3 or 4 channels as RGB (H, W, 3) in 0..1."""
    colours = image[[0, 0, 0]] if len(image) == 1 else image[:3]
    return np.ascontiguousarray(unit_range(colours.astype(np.float64)).transpose(1, 2, 0))


def of_scikit_image(name: str) -> SegmentationFunction:
    """A function of scikit-image's segmentation by its name."""
    from skimage import segmentation  # noqa: PLC0415  (slow to import, and not all need it)

    function: SegmentationFunction = getattr(segmentation, name)
    return function
