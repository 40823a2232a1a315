"""Deep Feature Factorization: the few concepts that a layer's output is made of."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from ...summary_format.problem import Problem
from ..arguments import whole_number
from ..cam.base import ActivationMap, Number, Reshape
from ..core.call_options import CallOptions
from ..core.explainer import image_array
from ..core.measured_size import PassSize
from ..core.view import View
from ..network import DEFAULT_PASS_SIZE, Jit, Output, layer_outputs, logits_from
from ..network.tensors import Activation, FloatArray, checked_activation, checked_network
from ..network.tensors.layers import find_layer
from .concepts import Concepts

_STEPS = 1000  # of 24 scenes the slowest took 640 with 5 concepts

_log = logging.getLogger("explainrun")

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Factors:
    """A layer's output (channels, h, w) as its channels' minima and a sum of products: vector times map.

    Attributes:
        offset: (channels,), the minima.
        vectors: (k, channels), what is added to them where a concept's map is 1; never negative.
        maps: (k, h, w), each with the largest value 1; never negative.
        residual: see ``Concepts``.
        settled: see ``Concepts``.
    """

    offset: Doubles
    vectors: Doubles
    maps: Doubles
    residual: float
    settled: bool

    @classmethod
    def of(cls, activation: FloatArray, components: int) -> Factors:
        """At most so many concepts of an output (channels, h, w), that which explains most first.

        There are no more than its rank, hence none where it is the same at all places, and none where it is not
        finite, as the offset and the residual show.
        """
        values = activation.reshape(len(activation), -1).astype(np.float64)
        offset = values.min(axis=1)
        if not np.isfinite(values).all():
            return cls(offset, np.zeros((0, len(values))), np.zeros((0, *activation.shape[1:])), np.nan, settled=True)
        above = values - offset[:, None]
        vectors, maps, settled = _product(above, min(components, _rank(above)))
        left, whole = np.linalg.norm(above - vectors.T @ maps), np.linalg.norm(above)
        residual = float(left / whole) if whole else 0.0
        return cls(offset, vectors, maps.reshape(len(maps), *activation.shape[1:]), residual, settled)

    def attributed(self, gradient: FloatArray) -> FloatArray:
        """The map (h, w) of what the concepts add to a logit whose gradient is (channels, h, w)."""
        if np.isnan(self.residual) or not np.isfinite(gradient).all():
            return np.full(self.maps.shape[1:], np.nan, np.float32)
        slopes = np.tensordot(self.vectors, gradient.astype(np.float64), 1)
        weights = (self.maps * slopes).sum(axis=(1, 2)) / self.maps.sum(axis=(1, 2))
        map_: FloatArray = (weights[:, None, None] * self.maps).sum(axis=0).astype(np.float32)
        return map_


class DeepFeatureFactorization(ActivationMap):
    """The sum of an image's concept maps, each weighed by what its concept adds to the label's logit; signed.

    Collins, Achanta, Suesstrunk: Deep Feature Factorization for Concept Discovery (2018), section 3: an image's
    output A (channels, places) of a layer is approximated by a product of non-negative matrices, V (channels, k) times
    H (k, places): concept k is the vector V_k, and H_k is the map of where it is. As grad-cam does, each channel's
    minimum is subtracted first, so that layers with negative outputs can be factorized; unlike there, a map's largest
    value is 1 (the product alone says nothing of how it is shared), and each image is factorized alone.

    With the gradient G of the label's logit at the layer, concept k adds sum over places of H_k (V_k . G) to the
    logit, to first order, and its weight is that over the sum of H_k. So where the rest of the network is linear, the
    map sums up to the logit less the bias, less what the channels' minima say, and less what the factorization leaves
    out. Before mean pooling and one dense layer it is so for every concept and place too. An output that is the same at
    all places has no concepts, and its map is zero.

    Concepts start from the singular vectors of A (NNDSVDa), which is no matter of chance: they depend on the image
    alone. They leave no more of it than those from grad-cam's random start do (``tests/oracles`` compares), and come to
    rest in fewer steps. All labels of an image share its concepts.

    Args:
        network: see ``Explainer``.
        layer: dotted name of the layer; see ``ActivationMap``.
        n_components: how many concepts; there are fewer where the output has a lower rank.
        top_k: how many classes of each concept pictures name.
        name: see ``Explainer``.
        reshape: see ``ActivationMap``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``, or layer is not a name.
        ValueError: if there is no such layer or several are named, a number is not a whole number from 1, or reshape is
            something else.
    """

    signed = True

    def __init__(
        self,
        network: nn.Cell,
        layer: str | None = None,
        n_components: int = 5,
        top_k: int = 2,
        name: str | None = None,
        *,
        reshape: Reshape = None,
    ) -> None:
        super().__init__(network, layer, name, reshape=reshape)
        if len(self.layer) > 1:
            raise ValueError(
                f"DeepFeatureFactorization reads one layer, got {len(self.layer)}; make one explainer each"
            )
        self.n_components = whole_number(n_components, "n_components")
        self.top_k = whole_number(top_k, "top_k")
        self._told = False

    def grid(self, values: npt.NDArray[Number], layer: str, size: tuple[int, int] | None = None) -> npt.NDArray[Number]:
        laid_out = super().grid(values, layer, size)
        if laid_out.shape[2:] == (1, 1):
            words = "layer {layer!r} gives {shape}, a single place, where there are no concepts; name an earlier layer"
            raise ValueError(Problem.of("layer-of-one-place", words, layer=layer, shape=values.shape))
        return laid_out

    def maps(self, view: View) -> dict[str, FloatArray]:
        (layer,) = self.layer
        activation, gradient = self.read(view, layer)
        maps = np.empty((len(activation), *activation.shape[2:]), np.float32)
        for row in np.unique(view.rows):
            questions = view.questions_about(row)
            factors = self._factors(activation[questions[0]])
            for question in questions:
                maps[question] = factors.attributed(gradient[question])
        return {layer: maps}

    def factorize(
        self,
        inputs: Tensor,
        activation_fn: Activation | None = None,
        classifier: nn.Cell | str | None = None,
        *,
        output: Output = None,
        jit: Jit = "auto",
        pass_size: PassSize = DEFAULT_PASS_SIZE,
    ) -> list[Concepts]:
        """The concepts of images, each with what the network says of it alone.

        That is the logits when the layer gives the concept's vector at every place of its grid; what comes before or
        goes round the layer, and tokens outside the grid, stay the image's. Costs one forward of the images and an
        image a concept.

        Args:
            inputs: (N, C, H, W), as the network takes them.
            activation_fn: from logits (N, classes) to probabilities, such as ``nn.Softmax()``; without it there are
                no probabilities.
            classifier: what takes vectors (N, channels) to logits instead of the network: a Cell, or the dotted name of
                a layer of the network, such as its dense layer.
            output: which part of what the network returns is its logits, as for the direct call.
            jit: as an explainer's direct call takes it.
            pass_size: as an explainer's direct call takes it.

        Returns:
            One per image.

        Raises:
            TypeError: if inputs, activation or classifier are of another type.
            ValueError: if shapes do not fit, there is no such layer, or reshape is a function (which cannot be undone)
                and there is no classifier.
        """
        images = image_array(inputs)
        if self.lacks_layer:
            return self.for_images(images).factorize(
                inputs, activation_fn, classifier, output=output, jit=jit, pass_size=pass_size
            )
        says = None if activation_fn is None else checked_activation(activation_fn)
        cell = find_layer(self.network, classifier) if isinstance(classifier, str) else classifier
        if cell is None and callable(self.reshape):
            raise ValueError(
                "a reshape function cannot be undone, so the network cannot be asked about concepts; give reshape as "
                "the grid (height, width), or a classifier that takes (N, channels)"
            )
        network, (layer,) = CallOptions(output, jit, pass_size).network(self.network, images), self.layer
        outputs = layer_outputs(network, images, self.layer)[layer]
        found = [self._factors(one) for one in self.grid(outputs, layer, (images.shape[2], images.shape[3]))]
        vectors = [(factors.vectors + factors.offset).astype(np.float32) for factors in found]
        if cell is None:
            parts = logits_from(network, layer, self._alone(images, outputs, vectors), "concept")
        else:
            rows = (vector for of_image in vectors for vector in of_image)
            parts = network.beside(checked_network(cell)).streamed_logits(rows, "concept")
        logits = np.concatenate([*parts] or [network.logits(images[:1])[:0]])  # no concepts, of so many classes
        ends = np.cumsum([len(of_image) for of_image in vectors])[:-1]
        of_images = np.split(logits, ends)
        probabilities = [None] * len(images) if says is None else np.split(network.activated(logits, says), ends)
        return [
            self._concepts(*one, images.shape[2:]) for one in zip(found, vectors, of_images, probabilities, strict=True)
        ]

    def _concepts(
        self, factors: Factors, vectors: FloatArray, logits: FloatArray, probabilities: FloatArray | None, size: Any
    ) -> Concepts:
        maps = factors.maps.astype(np.float32)
        return Concepts(
            vectors=vectors,
            maps=maps,
            logits=logits,
            probabilities=probabilities,
            residual=factors.residual,
            settled=factors.settled,
            size=size,
            top_k=self.top_k,
        )

    def _factors(self, activation: FloatArray) -> Factors:
        factors = Factors.of(activation, self.n_components)
        if not factors.settled and not self._told:
            self._told = True
            _log.warning(
                "%s: of some images the factorization of %r into %d concepts has not come to rest after %d steps; "
                "their concepts are those of the last step", self.name, self.layer[0], self.n_components, _STEPS
            )  # fmt: skip
        return factors

    def _alone(
        self, images: FloatArray, outputs: FloatArray, vectors: Sequence[FloatArray]
    ) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Each image with what the layer gives where one of its concepts stands at every place."""
        for image, output, of_image in zip(images, outputs, vectors, strict=True):
            for vector in of_image:
                if isinstance(self.reshape, tuple):
                    given = output.copy()
                    given[-self.reshape[0] * self.reshape[1] :] = vector
                else:
                    given = np.broadcast_to(vector[:, None, None], output.shape)
                yield image, given


def _product(values: Doubles, components: int) -> tuple[Doubles, Doubles, bool]:
    """Values (channels, places) as vectors (k, channels) times maps (k, places), and whether that came to rest."""
    if not components:
        return np.zeros((0, len(values))), np.zeros((0, values.shape[1])), True
    from sklearn.decomposition import NMF  # noqa: PLC0415  (slow to import)
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415

    model = NMF(components, init="nndsvda", random_state=0, max_iter=_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported by what is returned
        vectors = model.fit_transform(values).T
    maps, settled = model.components_, model.n_iter_ < _STEPS
    present = maps.any(axis=1) & vectors.any(axis=1)
    vectors, maps = vectors[present], maps[present]
    largest = maps.max(axis=1, keepdims=True)
    vectors, maps = vectors * largest, maps / largest
    order = np.argsort(-vectors.sum(axis=1) * maps.sum(axis=1), kind="stable")
    return vectors[order], maps[order], settled


def _rank(values: Doubles) -> int:
    """How many singular values are more than the rounding of float32: of others NNDSVD divides zero by zero."""
    singular = np.linalg.svd(values, compute_uv=False)
    least = singular[0] * max(values.shape) * np.finfo(np.float32).eps
    return int((singular > least).sum())
