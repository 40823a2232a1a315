"""Ablation-CAM: feature maps weighed by how much the logit falls without them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from .activation_map import ActivationMap, weighed
from .network import by_image, logits_from
from .tensors import FloatArray, check_labels
from .view import Needs, View


class AblationCAM(ActivationMap):
    """Feature maps of a layer, each weighed by the share of the label's logit that goes when it is zero everywhere.

    Desai, Ramaswamy: Ablation-CAM (2020), equations 3 and 4: weight (y - y_k) / y; negative values of the sum are cut
    to zero. The divisor is the size of y, since a negative logit would turn the map over; a logit of zero gives no map.
    Costs an image a channel, for all labels of an image. grad-cam puts the layer's least value less 10,000,000 in the
    place of zero where that least value is not zero; the paper does not. See ``ActivationMap`` for the arguments.
    """

    def maps(self, view: View) -> dict[str, FloatArray]:
        return {layer: self._of_layer(view, layer) for layer in self.layer}

    def images_needed_for(self, view: View) -> Mapping[str, int]:
        channels = sum(self.grid(view.outputs[layer], layer).shape[1] for layer in self.layer)
        return {"ablate": len(np.unique(view.rows)) * channels}

    def _needed(self) -> Needs:
        return Needs(outputs=frozenset(self.layer))

    def _of_layer(self, view: View, layer: str) -> FloatArray:
        outputs = view.outputs[layer]
        activation = self.grid(outputs, layer)
        rows = [int(row) for row in np.unique(view.rows)]
        axis = 0 if outputs.ndim == 4 else outputs.ndim - 2  # of one output: tokens have their channels last
        channels = outputs.shape[1 + axis]
        if activation.shape[1] != channels:
            raise ValueError(f"reshape makes {activation.shape[1]} channels of the {channels} of {layer!r}")
        ablated = ((view.images[row], one) for row in rows for one in _without_each(outputs[row], axis))
        maps = np.empty((len(view.rows), *activation.shape[2:]), np.float32)
        found = by_image(logits_from(view.network, layer, ablated, "ablate"), channels)
        for row, logits in zip(rows, found, strict=True):
            check_labels(view.labels, logits.shape[1])
            for question in np.flatnonzero(view.rows == row):
                label = view.labels[question]
                weights = _fall(float(view.logits[row, label]), logits[:, label])
                maps[question] = weighed(weights[None], activation[row : row + 1])[0].clip(min=0)
        return maps


def _without_each(output: FloatArray, axis: int) -> Iterator[FloatArray]:
    """An output with each of its channels put to zero in turn."""
    for channel in range(output.shape[axis]):
        ablated = output.copy()
        np.moveaxis(ablated, axis, 0)[channel] = 0
        yield ablated


def _fall(whole: float, ablated: FloatArray) -> FloatArray:
    """The share (channels,) of a logit that goes without each channel; NaN for a logit of zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: FloatArray = ((whole - ablated.astype(np.float64)) / abs(whole)).astype(np.float32)
    return np.where(np.isfinite(shares), shares, np.float32(np.nan))
