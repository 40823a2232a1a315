"""What explainers and metrics see: a batch of images, the questions asked of them, and the passes made for them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ...summary_format.deprecated_names import Renamed
from ...summary_format.problem import Problem
from ..network import Attention, Derivatives, Network, Rule, asked_columns, attention_tap, layer_outputs
from ..network.tensors import FloatArray, IntArray, Targets, check_labels
from .needs import LogitWeights
from .needs import Needs as Needs  # noqa: PLC0414 - others take it from here
from .sample_pool import PooledSamples, SamplePool

Floats = TypeVar("Floats", bound=np.floating[Any])
_NO_SAMPLE = 2**64 - 1  # ids of samples are smaller


class View:
    """A batch of images and the (image, label) questions asked of them.

    Explainers that read gradients share one differentiated pass a rule, which runs when the first of them asks.

    Args:
        network: where passes run.
        images: (N, C, H, W).
        rows: (Q,), which image each question is about.
        labels: (Q,), which label it asks about.
        needs: what all explainers of the view need together.
        sample_ids: (N,), stable names of the images, by default 0..N-1.
        seed: what randomness starts from.
        logits: (N, classes) of the images, where they are known already, or what gives them when they are asked for.
        outputs: what the layers that ``needs.outputs`` names give for them, where that is known already, or what gives
            it when it is asked for.
        changed_copies: whether they are copies of samples that were changed.
        pool: what gives the first so many samples of the dataset; None where there is no dataset.

    Attributes:
        of_samples: whether the images are samples as a dataset gave them, by their ids: not those of a direct call,
            which names none, nor changed copies.
    """

    def __init__(  # noqa: PLR0913 - all but four are options with defaults, to be given by name
        self,
        network: Network,
        images: FloatArray,
        rows: IntArray,
        labels: IntArray,
        *,
        needs: Needs | None = None,
        sample_ids: IntArray | None = None,
        seed: int = 0,
        logits: FloatArray | Callable[[], FloatArray] | None = None,
        outputs: Mapping[str, FloatArray] | Callable[[], Mapping[str, FloatArray]] | None = None,
        changed_copies: bool = False,
        pool: Callable[[int], PooledSamples] | None = None,
    ) -> None:
        self.network, self.images, self.rows, self.labels = network, images, rows, labels
        self.of_samples = sample_ids is not None and not changed_copies
        self.sample_ids = np.arange(len(images)) if sample_ids is None else sample_ids
        self._needs, self._seed, self._logits = needs or Needs(), seed, logits
        self._derivatives: dict[Rule, Derivatives] = {}
        self._outputs, self._pool = outputs, pool
        self._weights: FloatArray | None = None
        self._weighed: dict[LogitWeights, View] = {}

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.images.shape[2], self.images.shape[3]

    @cached_property
    def asked_images(self) -> FloatArray:
        """The image of each question, (Q, C, H, W)."""
        return self.images[self.rows]

    @cached_property
    def logits(self) -> FloatArray:
        """Logits (N, classes) of the untouched images; a pass only where they were not known yet."""
        if self._logits is None:
            return self.network.logits(self.images)
        return self._logits() if callable(self._logits) else self._logits

    def derivatives(self, rule: Rule = "plain") -> Derivatives:
        """The pass that differentiates each question's logit by a rule, with every layer tapped that anyone needs."""
        if rule not in self._derivatives:
            layers, image = self._needs.layers.get(rule, frozenset()), rule not in self._needs.layers_alone
            biases = rule == "plain" and self._needs.biases
            found = self.network.differentiate(
                self.asked_images, self.targets, layers, rule, image=image, biases=biases
            )
            self._derivatives[rule] = found
        return self._derivatives[rule]

    def differentiate(
        self, questions: IntArray, images: FloatArray, layers: Iterable[str] = (), *, kind: str, image: bool = True
    ) -> Derivatives:
        """Differentiate what questions ask about at other images, in passes of their own.

        Args:
            questions: (M,) which question is asked at each image.
            images: (M, C, H, W).
            layers: see ``Network.differentiate``, as for ``image``.
            kind: what the passes count as.
            image: see there.
        """
        return self.network.differentiate(images, self.targets[questions], layers, kind=kind, image=image)

    @property
    def targets(self) -> Targets:
        """What each question asks about: its label (Q,), or weights (Q, classes) of a sum of logits."""
        return self.labels if self._weights is None else self._weights

    def asked_values(
        self, values: npt.NDArray[Floats], questions: slice | IntArray = slice(None)
    ) -> npt.NDArray[Floats]:
        """What questions ask about of values that there are for all classes, such as logits.

        Args:
            values: (M, classes, ...), of the image of each of these questions.
            questions: (M,) which; by default all.

        Returns:
            (M, ...) the label's value, or the weighed sum.

        Raises:
            ValueError: if a label is out of range.
        """
        if self._weights is not None:
            sums = [np.tensordot(*one, 1) for one in zip(self._weights[questions], values, strict=True)]
            return np.array(sums, values.dtype)
        labels = self.labels[questions]
        check_labels(labels, values.shape[1])
        found: npt.NDArray[Floats] = values[np.arange(len(labels)), labels]
        return found

    def weighed(self, weights: LogitWeights) -> View:
        """A view that asks about a sum of logits where this one asks about the label's alone.

        Its passes are those that ``Needs.of_weighed`` has named, shared by all who ask for equal weights.
        """
        if weights not in self._weighed:
            found = self._asking(self.rows, self.labels, self._needs.weighed.get(weights))
            found._weights, found._logits = weights.weights(self.logits[self.rows], self.labels), self.logits
            found._outputs = (lambda: self.outputs) if self._needs.outputs else None
            self._weighed[weights] = found
        return self._weighed[weights]

    def chunks(self, size: int) -> Iterator[View]:
        """Views of so many of the questions each, in order, which share nothing but the images."""
        for first in range(0, len(self.rows), size):
            yield self.subset(slice(first, first + size))

    def subset(self, questions: slice | IntArray) -> View:
        """A view of some of the questions, which shares nothing but the images."""
        found = self._asking(self.rows[questions], self.labels[questions], self._needs)
        found._weights = None if self._weights is None else self._weights[questions]
        return found

    def asking(self, rows: IntArray, labels: IntArray) -> View:
        """A view of other questions about the same images, which shares nothing but these.

        Args:
            rows: (Q,) which image each question is about.
            labels: (Q,) which label it asks about.
        """
        self._refuse_weights()
        return self._asking(rows, labels, self._needs)

    def _asking(self, rows: IntArray, labels: IntArray, needs: Needs | None) -> View:
        return View(
            self.network,
            self.images,
            rows,
            labels,
            needs=needs,
            sample_ids=self.sample_ids,
            seed=self._seed,
            logits=lambda: self.logits,
            changed_copies=not self.of_samples,
            pool=self._pool,
        )

    def with_images(
        self,
        rows: IntArray,
        images: FloatArray,
        asked: IntArray,
        labels: IntArray,
        logits: FloatArray | Callable[[], FloatArray] | None,
        needs: Needs,
        network: Network | None = None,
    ) -> View:
        """A view of changed copies of the images, which draw the random numbers of those that they are made of.

        Args:
            rows: (N,) which image each copy is made of.
            images: (N, C, H, W) the copies.
            asked: (Q,) which copy each question is about.
            labels: (Q,) which label it asks about.
            logits: (N, classes) of the copies, where they are known already, or what gives them when asked for.
            needs: of all explainers that shall look at it.
            network: where passes run; by default the same.
        """
        self._refuse_weights()
        return View(
            network or self.network,
            images,
            asked,
            labels,
            needs=needs,
            sample_ids=self.sample_ids[rows],
            seed=self._seed,
            logits=logits,
            changed_copies=True,
            pool=self._pool,
        )

    def with_copies(self, questions: IntArray, images: FloatArray, needs: Needs) -> View:
        """A view of changed copies, each of the image of a question, which it asks what that asks.

        Args:
            questions: (M,) which question each copy is made for.
            images: (M, C, H, W) the copies.
            needs: of all explainers that shall look at it.
        """
        places, rows = np.arange(len(images)), self.rows[questions]
        plain = self if self._weights is None else self._asking(self.rows, self.labels, None)
        found = plain.with_images(rows, images, places, self.labels[questions], None, needs)
        found._weights = None if self._weights is None else self._weights[questions]
        return found

    def _refuse_weights(self) -> None:
        if self._weights is not None:
            raise ValueError("a view of weighed logits asks nothing else; take subset, or with_copies")

    parts, some, changed = Renamed("chunks"), Renamed("subset"), Renamed("with_images")

    def layer(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Output of a layer for each question, and the gradient of the question's logit with respect to it.

        Raises:
            ValueError: if no explainer of the view needs that layer.
        """
        if name not in self._needs.layers.get("plain", ()):
            raise ValueError(f"layer {name!r} was not tapped: an explainer must name it in its needs")
        derivatives = self.derivatives()
        return derivatives.activations[name], derivatives.gradients[name]

    def attention(self, rule: Rule | None = None, layers: Iterable[str] = ("",)) -> list[Attention]:
        """The attention that was found inside layers, in the order in which it runs.

        Args:
            rule: that ``Needs.attention`` named.
            layers: dotted names, or those of blocks; "" is the network itself.

        Raises:
            ValueError: if no explainer of the view needs attention of that rule, or there is none inside these layers.
        """
        blocks = self.network.attention.inside(layers, self.images)
        found = self.outputs if rule is None else self.derivatives(rule).activations
        slopes = {} if rule is None else self.derivatives(rule).gradients
        taps = {block: attention_tap(block.name) for block in blocks}
        return [Attention(block, found[tap], slopes.get(tap)) for block, tap in taps.items() if tap in found]

    @cached_property
    def outputs(self) -> Mapping[str, FloatArray]:
        """Output (N, ...) of each layer that ``needs.outputs`` names; zeros for images that are not asked about."""
        if self._outputs is not None:
            return self._outputs() if callable(self._outputs) else self._outputs
        rows = np.unique(self.rows)
        found = layer_outputs(self.network, self.images[rows], self._needs.outputs)
        return {name: _placed(output, rows, len(self.images)) for name, output in found.items()}

    def questions_about(self, row: int) -> IntArray:
        """Which of the questions are about an image."""
        return np.flatnonzero(self.rows == row)

    def answered(
        self, parts: Iterable[FloatArray], counts: Iterable[int]
    ) -> Iterator[tuple[int, IntArray, FloatArray]]:
        """What was said of the copies of each image, for the labels that are asked about it.

        Args:
            parts: (any number, classes, ...), of all copies of the first image that is asked about, then of the next;
                drawn as they are needed.
            counts: how many copies of each image there are.

        Yields:
            An image, which L of the questions are about it, and (copies, L, ...) what was said of their labels.

        Raises:
            ValueError: if a label is out of range.
        """
        rows = np.unique(self.rows).tolist()
        places = [self.questions_about(row) for row in rows]
        found = asked_columns(parts, counts, [self.labels[of_image] for of_image in places])
        yield from zip(rows, places, found, strict=True)

    def pooled(self, pool: SamplePool) -> PooledSamples:
        """The samples that a pool stands for.

        Raises:
            ValueError: if there is no dataset, as in a direct call.
        """
        if self._pool is None:
            words = (
                "a pool is the first {size:plural sample} of a run's dataset, and a direct call knows no dataset; give "
                "the images themselves, an array (K, C, H, W)"
            )
            raise ValueError(Problem.of("pool-without-dataset", words, size=pool.size))
        return self._pool(pool.size)

    def generator(self, row: int, purpose: str) -> np.random.Generator:
        """The random numbers of one image for one purpose: the same whatever batch, order or shard it comes in."""
        return keyed_generator(self._seed, int(self.sample_ids[row]), purpose)

    def common_generator(self, purpose: str) -> np.random.Generator:
        """The random numbers of no image, but of all of them: the same in every batch and shard."""
        return keyed_generator(self._seed, _NO_SAMPLE, purpose)


def _placed(values: FloatArray, rows: IntArray, length: int) -> FloatArray:
    """Values at their rows among so many, zeros elsewhere."""
    placed = np.zeros((length, *values.shape[1:]), np.float32)
    placed[rows] = values
    return placed


def keyed_generator(seed: int, sample_id: int, purpose: str) -> np.random.Generator:
    """The random numbers of one sample for one purpose."""
    return np.random.default_rng((seed, sample_id, zlib.crc32(purpose.encode())))


def dropout_generators(seed: int, sample_id: int, samples: int) -> list[np.random.Generator]:
    """The random numbers of one sample under each of several dropout masks."""
    return [keyed_generator(seed, sample_id, f"dropout {number}") for number in range(samples)]
