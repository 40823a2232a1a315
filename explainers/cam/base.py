"""What the class activation mapping family has in common: a layer's output, weighed and summed to a map."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ...summary_format.problem import Problem
from ..arguments import whole_number
from ..core.call_options import CallOptions, asked_labels
from ..core.explainer import Explainer, image_array, view_of_labels
from ..core.layout import Grid, check_feature_maps, on_grid
from ..core.measured_size import PassSize
from ..core.resize import resized
from ..core.view import Needs, View
from ..network import DEFAULT_PASS_SIZE, Jit, Output
from ..network.tensors import FloatArray
from ..network.tensors.layers import find_layer
from .principal_component import projected

Reshape = Callable[[FloatArray], FloatArray] | tuple[int, int] | None
Number = TypeVar("Number", bound=np.generic)
Reading = TypeVar("Reading", bound="ActivationMap")


class ActivationMap(Explainer):
    """A map from the output of a layer; a subclass says how the output's channels are weighed.

    Maps are brought to the image's size bilinearly, from half-pixel centres; ``layer_maps`` gives them as they are
    before. Of a layer that runs several times in a pass, its last run is read. Of several layers the maps, each divided
    by its largest absolute value, are averaged, since layers differ in scale.

    Args:
        network: see ``Explainer``.
        layer: dotted name of the layer to read, such as "layer4", or several; their outputs must be
            (N, channels, h, w), or such that reshape makes that of them. By default the last one to run whose features
            have more than one place, chosen when images are there, and logged, with the reshape that it needs. ""
            reads the image itself.
        name: see ``Explainer``.
        reshape: for layers that give tokens, (N, tokens, channels): the grid (h, w) that the last h * w tokens form,
            row by row (those before them, such as a class token, are left out; there must be fewer than one row has);
            for those that give (N, h, w, channels) their (h, w); or a function from an array of that layer's output to
            (N, channels, h, w). It must only move or drop values, since gradients, and the numbers of places, go
            through it too.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``, or layer is not a name.
        ValueError: if there is no such layer (the nearest names are offered), an empty list is given, or reshape is
            something else.
    """

    pynative = True
    sums_channels: ClassVar[bool] = False  # whether its maps are what ``summed`` makes of weighed feature maps
    reads_logits: ClassVar[bool] = False  # whether it reads the logits of the images that it is given
    _eigen_smooth = False

    def __init__(
        self,
        network: nn.Cell,
        layer: str | Sequence[str] | None = None,
        name: str | None = None,
        *,
        reshape: Reshape = None,
    ) -> None:
        super().__init__(network, name)
        self.layer = () if layer is None else _layer_names(network, layer)
        self.reshape = reshape if reshape is None or callable(reshape) else _grid(reshape)
        self.needs = self._needed()

    @property
    def lacks_layer(self) -> bool:
        return not self.layer

    @property
    def wanted_reshape(self) -> Reshape:
        return self.reshape if self.lacks_layer else None

    def with_layer(self: Reading, layer: str | Sequence[str], reshape: Grid | None = None) -> Reading:
        if not self.lacks_layer:
            return self
        reading = copy(self)
        reading.reshape = reshape if self.reshape is None else self.reshape
        reading.layer = _layer_names(self.network, layer)
        reading.needs = reading._needed()
        return reading

    def eigen_smoothed(self: Reading) -> Reading:
        """The same method with the first principal component of its weighed feature maps in place of their sum.

        Raises:
            ValueError: if its maps are not made of such a sum.
        """
        if not self.sums_channels:
            words = (
                "eigen smoothing takes the principal component of weighed feature maps instead of their sum, and "
                "{explainer} makes no such sum; leave eigen_smooth out, or take GradCAM, LayerCAM or ScoreCAM"
            )
            raise ValueError(Problem.of("no-sum-of-channels", words, explainer=type(self).__name__))
        smoothed = copy(self)
        smoothed._eigen_smooth = True
        return smoothed

    def attribute(self, view: View) -> FloatArray:
        if self.lacks_layer:
            raise ValueError(f"{self.name} lacks a layer; name one, or ask self.for_images(images) instead of it")
        maps = [resized(of_layer.astype(np.float32, copy=False), view.size) for of_layer in self.maps(view).values()]
        if len(maps) == 1:
            return maps[0]
        fused: FloatArray = np.mean([map_ / largest(map_) for map_ in maps], axis=0, dtype=np.float32)
        return fused

    def images_needed_for(self, view: View) -> Mapping[str, int]:
        for layer in self.needs.outputs:
            self.grid(view.outputs[layer][:1], layer, view.size)  # refuses what is not a grid
        return super().images_needed_for(view)

    def layer_maps(
        self,
        inputs: Tensor,
        targets: Any,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> dict[str, Tensor]:
        """The maps (N, L, h, w) of each layer at its own size, by the layer's name.

        Args:
            inputs: (N, C, H, W), as the network takes them.
            targets: as for the direct call.
            output: as for the direct call.
            jit: as for the direct call.
            pass_size: as for the direct call.

        Raises:
            TypeError: if inputs or targets are of another type.
            ValueError: if their shapes do not fit, or a target is out of range.
        """
        images = image_array(inputs)
        labels, options = asked_labels(targets, len(images)), CallOptions(output, jit, pass_size)
        reading = self.for_images(images)
        view, place = view_of_labels(reading, images, labels, options)
        return {layer: Tensor(maps[place].astype(np.float32)) for layer, maps in reading.maps(view).items()}

    @abstractmethod
    def maps(self, view: View) -> dict[str, FloatArray]:
        """The maps (Q, h, w) of each layer at its own size."""

    def read(self, view: View, layer: str) -> tuple[FloatArray, FloatArray]:
        """A layer's output and the gradient of each question's logit with respect to it, (Q, channels, h, w) both."""
        activation, gradient = view.layer(layer)
        return self.grid(activation, layer, view.size), self.grid(gradient, layer, view.size)

    def summed(self, channels: FloatArray) -> FloatArray:
        """Maps (Q, h, w) of weighed feature maps (Q, channels, h, w): their sum, or what eigen smoothing puts there."""
        if self._eigen_smooth:
            return projected(channels, centered=True)
        summed: FloatArray = channels.sum(axis=1)
        return summed

    def check_outputs(self, outputs: Mapping[str, FloatArray], size: Grid) -> None:
        for layer in self.layer:
            if layer in outputs:
                self.grid(outputs[layer], layer, size)

    def grid(self, values: npt.NDArray[Number], layer: str, size: Grid | None = None) -> npt.NDArray[Number]:
        """A layer's output, its gradient, or what else is laid out alike, as (N, channels, h, w).

        Args:
            values: what it gives.
            layer: its name.
            size: of the image, by which channels that come last are noticed.

        Raises:
            ValueError: if it is of another shape, holds attention or channels last without a reshape, or reshape fails.
        """
        if callable(self.reshape):
            values = _given_by(self.reshape, values, layer)
        elif self.reshape is not None:
            return _arranged(values, self.reshape, layer)
        elif layer:
            check_feature_maps(values, find_layer(self.network, layer), layer, size)
        if values.ndim == 4:
            return values
        given = {"explainer": type(self).__name__, "layer": layer, "shape": values.shape}
        if self.reshape is None:
            words = (
                "{explainer} needs a layer of shape (N, channels, h, w), {layer!r} is {shape}; reshape brings tokens "
                "to a grid"
            )
            raise ValueError(Problem.of("layer-shape", words, **given))
        words = "{explainer} needs a layer of shape (N, channels, h, w), {layer!r} is {shape} after reshape"
        raise ValueError(Problem.of("reshape-shape", words, **given))

    def _needed(self) -> Needs:
        """What it reads of the shared passes."""
        return Needs.gradient(*self.layer, image=False)


class DifferentiatedMap(ActivationMap):
    """A map from a layer's output and the gradient of the label's logit with respect to it, place by place.

    Both come from one pass, which all explainers of the kind share.
    """

    contrastable = True

    def maps(self, view: View) -> dict[str, FloatArray]:
        return {layer: self.combined(*self.read(view, layer)) for layer in self.layer}

    @abstractmethod
    def combined(self, activation: FloatArray, gradient: FloatArray) -> FloatArray:
        """The maps (Q, h, w) from output and gradient (Q, channels, h, w)."""


def largest(maps: FloatArray) -> FloatArray:
    """The largest absolute value of each map (Q, 1, 1), 1 for a map that is zero everywhere."""
    values: FloatArray = np.abs(maps).max(axis=(1, 2), keepdims=True)
    return np.where(values > 0, values, np.float32(1))


def weighed(weights: FloatArray, activation: FloatArray) -> FloatArray:
    """Feature maps (Q, channels, h, w), each times its weight (Q, channels)."""
    return weights[:, :, None, None] * activation


def _layer_names(network: nn.Cell, layer: Any) -> tuple[str, ...]:
    """One layer's name or several, all of them the network's.

    Raises:
        TypeError: if they are not names.
        ValueError: if there are none, or the network has no such layer.
    """
    if not isinstance(layer, (str, list, tuple)) or not all(isinstance(one, str) for one in layer):
        what = type(layer).__name__ if isinstance(layer, nn.Cell) else repr(layer)
        raise TypeError(f"layer must be a layer's name, such as 'layer4', or a list of names, got {what}")
    names = (layer,) if isinstance(layer, str) else tuple(layer)
    if not names:
        raise ValueError("layer must name at least one layer, got none")
    for name in names:
        if name:
            find_layer(network, name)
    return names


def _grid(reshape: Any) -> tuple[int, int]:
    if not isinstance(reshape, (list, tuple)) or len(reshape) != 2:
        raise ValueError(f"reshape must be the grid (height, width) of the tokens or a function, got {reshape!r}")
    return whole_number(reshape[0], "reshape"), whole_number(reshape[1], "reshape")


def _given_by(reshape: Callable[[Any], Any], values: npt.NDArray[Number], layer: str) -> npt.NDArray[Number]:
    """What a user's function makes of a layer's output."""
    try:
        given = reshape(values)
    except Exception as error:
        words = f"reshape fails on what {layer!r} gives, {values.shape}: {type(error).__name__}: {error}"
        raise ValueError(words) from error
    if not isinstance(given, np.ndarray) or len(given) != len(values):
        what = f"shape {given.shape}" if isinstance(given, np.ndarray) else type(given).__name__
        raise ValueError(f"reshape must give an array of {len(values)} grids for {layer!r}, it gives {what}")
    return given


def _arranged(values: npt.NDArray[Number], grid: tuple[int, int], layer: str) -> npt.NDArray[Number]:
    """Tokens (N, tokens, channels), or channels last, as (N, channels, h, w)."""
    arranged: npt.NDArray[Number] | None = on_grid(values, grid)
    if arranged is None:
        words = (
            "reshape {grid} needs a layer of shape (N, {grid[0]}, {grid[1]}, channels), or (N, tokens, channels) with "
            "{places} tokens and fewer others before them than one row has, {layer!r} is {shape}"
        )
        given = {"grid": grid, "places": grid[0] * grid[1], "layer": layer, "shape": values.shape}
        raise ValueError(Problem.of("reshape-misfits", words, **given))
    return arranged
