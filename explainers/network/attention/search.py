"""Looks for attention in a network, once for images of a shape."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Protocol

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from ....summary_format.problem import Problem
from ..graphs.cell_state import cell_state
from ..graphs.for_each_network import ForEachNetwork
from ..tensors import FloatArray, as_array, require_pynative
from .blocks import AttentionBlock, FoundAttention
from .finding import numbered
from .operators import SHOWS_OPERATORS, ChangedResults
from .over_tokens import over_tokens
from .recording import Recording
from .scores import first_tensor, rest_of_network
from .taps import AttentionTap, TappedOperators

ATTENTION_SEARCH = "attention search"  # the kind of its passes
_ATTENTION = "attention of "
# What MindSpore and Python raise where other code of a network needs what does not run.
_MISFITS = (ValueError, TypeError, RuntimeError, IndexError, AttributeError, KeyError, AssertionError)
_ROUNDING = 1e-3  # of a probability, and of the largest logit

Through = Callable[[Tensor], Tensor]


class Service(Protocol):
    """What is asked of the network here."""

    cell: nn.Cell
    pass_size: int

    def trial_images(self, images: FloatArray) -> FloatArray:
        """Images of this shape by which it is seen how the network runs."""

    def through(self, images: Tensor) -> Tensor:
        """Logits, within a pass."""

    def running(self, kind: str, images: int) -> AbstractContextManager[None]:
        """One pass runs within."""


def attention_tap(layer: str) -> str:
    """The name under which passes keep the attention that is found inside a layer; "" is the network itself."""
    return f"{_ATTENTION}{layer}"


def tapped_attention(name: str) -> str | None:
    """The layer inside which a tap of that name reads attention; None of a tap that reads a layer's output."""
    return name.removeprefix(_ATTENTION) if name.startswith(_ATTENTION) else None


def attention_means(blocks: Sequence[AttentionBlock], through: Through, images: Tensor) -> dict[str, FloatArray]:
    """The means (N, queries, keys) of the heads of blocks, by their taps, in a pass that is made here.

    Args:
        blocks: that were found; the pass is made without any, too.
        through: makes it.
        images: of the pass, N.

    Raises:
        ValueError: if the pass runs otherwise than when they were found.
    """
    if not blocks:
        through(images)
        return {}
    taps = [AttentionTap(block) for block in blocks]
    with TappedOperators(taps, differentiated=False) as tapped:
        through(images)
    tapped.check()
    return {attention_tap(tap.block.name): tap.block.by_heads(tap.probabilities).mean(axis=1) for tap in taps}


@dataclass
class _Remembered:
    """What was found in a network.

    Attributes:
        state: of the network, for which that holds.
        found: by how the network is asked, and the shape of an image.
    """

    state: int | None = None
    found: dict[tuple[Hashable, ...], FoundAttention | ValueError] = field(default_factory=dict)


_remembered = ForEachNetwork(_Remembered)  # what all direct calls on a network share


class AttentionFinder:
    """Finds the attention of a network by what it computes.

    Args:
        network: where passes run.
        asked: how it is asked, where others that ask it so may use what is found, as long as it stays the same; None
            where this one looks for itself, as in runs.
    """

    def __init__(self, network: Service, asked: Hashable | None = None) -> None:
        self._network, self._asked = network, asked

    def found(self, images: FloatArray) -> FoundAttention:
        """What there is for images (N, C, H, W) of this shape; takes some four passes of two images, once for a shape.

        In a run these are always of the same image, so that all its starts and shards find the same.

        Raises:
            ValueError: if a fused operator computes attention, MindSpore is before 2.10 or in graph mode, or
                attention is computed otherwise from pass to pass.
        """
        key = (self._asked, images.shape[1:])
        if key not in self._found:
            try:
                self._found[key] = self._looked_for(images[:1])
            except ValueError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, ValueError):
            raise found
        return found

    @cached_property
    def _found(self) -> dict[tuple[Hashable, ...], FoundAttention | ValueError]:
        """What is known, nothing where the network is not the one any more in which it was found."""
        if self._asked is None:
            return {}
        known, state = _remembered[self._network.cell], cell_state(self._network.cell)
        if known.state != state:
            known.state, known.found = state, {}
        return known.found

    def inside(self, layers: Iterable[str], images: FloatArray) -> list[AttentionBlock]:
        """The blocks that lie inside some of these layers, in running order.

        Raises:
            ValueError: if there is none inside a layer; also as ``found`` does.
        """
        found, layers = self.found(images), set(layers)
        for layer in sorted(layers):
            if not any(block.lies_in(layer) for block in found.blocks):
                raise ValueError(_nothing(type(self._network.cell).__name__, layer, found))
        return [block for block in found.blocks if any(block.lies_in(layer) for layer in layers)]

    def tapped(self, taps: Iterable[str], images: FloatArray) -> list[AttentionBlock]:
        """The blocks that some of these taps read, in running order; none where ``inside`` would raise.

        So a pass serves others where there is no attention, which is said to those that ask for it.
        """
        layers = [layer for tap in taps if (layer := tapped_attention(tap)) is not None]
        try:
            blocks = self.found(images).blocks if layers else ()
        except ValueError:
            return []
        return [block for block in blocks if any(block.lies_in(layer) for layer in layers)]

    def _looked_for(self, image: FloatArray) -> FoundAttention:
        require_pynative("looking for attention")
        if not SHOWS_OPERATORS:
            words = "MindSpore {version} does not show what attention computes; 2.10 does"
            raise ValueError(Problem.of("attention-not-shown", words, version=ms.__version__))
        image = self._network.trial_images(image)
        images = np.concatenate([image, np.float32(0.5) * image[:, :, ::-1, ::-1]])[: self._network.pass_size]
        recording = self._recorded(images)
        try:
            searched, attending = recording.searched, list(recording.found)
            comparisons = [searched.comparison(one, attending) for one in attending]
            compare_tokens = over_tokens(comparisons, partial(self._changed, images))
            taken = [one for one, known in zip(attending, compare_tokens, strict=True) if known]
            names = numbered([searched.layer(one) for one in taken])
            blocks = [
                replace(searched.block(one, name, attending), used=recording.used(one))
                for one, name in zip(taken, names, strict=True)
            ]
            left = [searched.layer(one) for one, known in zip(attending, compare_tokens, strict=True) if not known]
            blocks = list(self._with_alike(_with_ends(blocks), recording, images))
            self._check_again(images, blocks, [searched.mean_of_heads(one) for one in taken])
            return FoundAttention(tuple(blocks), tuple((name, "over channels") for name in numbered(left)))
        finally:
            recording.release()

    def _recorded(self, images: FloatArray) -> Recording:
        """A pass of images, recorded and differentiated."""
        network, recordings = self._network, list[Recording]()

        def scored(batch: Tensor) -> Tensor:
            recordings[:] = [Recording(network.cell)]
            logits = recordings[0].through(network.through, batch)
            weights = np.random.default_rng(20).normal(size=(1, logits.shape[1])).astype(np.float32)
            return (logits * Tensor(weights)).sum()

        with network.running(ATTENTION_SEARCH, len(images)):
            ms.value_and_grad(scored, 0, None)(Tensor(images))
        return recordings[0]

    def _changed(self, images: FloatArray, changed: ChangedResults) -> None:
        """A pass of images in which operators give other results."""
        with self._network.running(ATTENTION_SEARCH, len(images)), changed:
            self._network.through(Tensor(images))

    def _check_again(self, images: FloatArray, blocks: Sequence[AttentionBlock], means: Sequence[FloatArray]) -> None:
        """Make sure that probabilities are those of each image alone, wherever it stands, in each pass the same.

        Args:
            images: of the recorded pass.
            blocks: that were found in it.
            means: of the heads (N, queries, keys) of each block there.

        Raises:
            ValueError: if they are not.
        """
        if not blocks:
            return
        with self._network.running(ATTENTION_SEARCH, len(images)):
            again = attention_means(blocks, self._network.through, Tensor(images[::-1].copy()))
        for (name, mean), before in zip(again.items(), means, strict=True):
            if not np.allclose(mean[::-1], before, rtol=0, atol=_ROUNDING):
                words = (
                    "the attention of {layer!r} is not that of each image alone, or is another one in every pass, so "
                    "that it cannot be read"
                )
                raise ValueError(Problem.of("attention-not-of-images", words, layer=tapped_attention(name)))

    def _with_alike(
        self, blocks: Sequence[AttentionBlock], recording: Recording, images: FloatArray
    ) -> Iterator[AttentionBlock]:
        """The blocks, with those alike where the rest of the network can be asked about their tokens.

        That is where their tokens are as wide as the last block's, and where the network gives the same logits when
        the last of those alike gives the same tokens, and none of them runs.
        """
        last = next((block.width for block in reversed(blocks) if block.width is not None), (0, 0))
        askable: dict[tuple[int, int], tuple[str, ...]] = {}
        for width in {block.width for block in blocks if block.width is not None}:
            alike = tuple(block.cell for block in blocks if block.width == width and block.cell is not None)
            complete = len(alike) == sum(block.width == width for block in blocks) and width[1] == last[1]
            if complete and self._is_rest(alike, recording, images):
                askable[width] = alike
        for block in blocks:
            yield replace(block, alike=askable.get(block.width or (0, 0), ()))

    def _is_rest(self, alike: Sequence[str], recording: Recording, images: FloatArray) -> bool:
        """Whether the network gives the same logits when these blocks give what the last of them gave."""
        gave = {name: recording.gave[name] for name in alike}
        tokens, cell, network = first_tensor(gave[alike[-1]]), self._network.cell, self._network
        try:
            with network.running(ATTENTION_SEARCH, len(images)):
                again = as_array(rest_of_network(cell, gave, network.through, Tensor(images), tokens))
        except _MISFITS as error:
            if type(error) not in _MISFITS:  # an error of the network's own
                raise
            return False
        largest = np.abs(recording.logits).max()
        return np.allclose(again, recording.logits, rtol=0, atol=_ROUNDING * largest)


def _with_ends(blocks: Sequence[AttentionBlock]) -> list[AttentionBlock]:
    """The blocks, each with the tokens that are read behind the last one that gives tokens as many and as wide.

    So class tokens are known in every layer, in all but the last of which the logits depend on other tokens too.
    """
    ends = {block.width: block.used for block in blocks if block.used is not None}
    return [replace(block, used=ends.get(block.width)) for block in blocks]


def _nothing(network: str, layer: str, found: FoundAttention) -> Problem:
    """That there is no attention in a layer, or in the network."""
    known = [block.name for block in found.blocks]
    if known:
        words = "no attention was found in layer {layer!r} of {network}; it was in {known:list}"
        return Problem.of("attention-not-in-layer", words, layer=layer, network=network, known=known)
    words = (
        "no attention over tokens was found in {network}: no softmax of a product of queries and keys averages values"
        "{left}; take a method for other networks, such as GradCAM"
    )
    left = "" if not found.left_out else f"; {found.left_out[0][0]} and the like do so {found.left_out[0][1]}"
    return Problem.of("attention-missing", words, network=network, left=left)
