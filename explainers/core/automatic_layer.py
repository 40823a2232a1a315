"""The layer that is read where none was named."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...summary_format.problem import Problem
from ..network import Network
from ..network.running_order import ChannelAxis, Ran, running_order
from ..network.tensors import FloatArray
from .layout import Grid, has_channels_last, proportional, token_grid

_log = logging.getLogger("explainrun")
_CHOSEN = "layer %s was chosen automatically for %s; set the option 'layer' to name another"


@dataclass(frozen=True)
class ChosenLayer:
    """A layer that was chosen.

    Attributes:
        name: its dotted name.
        reshape: the grid (height, width) of its tokens or of what it gives channels last; None for (N, channels, h, w).
    """

    name: str
    reshape: Grid | None = None

    def __str__(self) -> str:
        return repr(self.name) if self.reshape is None else f"{self.name!r} with reshape={self.reshape}"


def log_choices(chosen: Mapping[str, ChosenLayer]) -> None:
    """Report which layers were chosen, by explainer."""
    readers: dict[ChosenLayer, list[str]] = {}
    for name, layer in chosen.items():
        readers.setdefault(layer, []).append(name)
    for layer, names in readers.items():
        _log.warning(_CHOSEN, layer, ", ".join(names))


@dataclass(frozen=True)
class _Output:
    """An output that may be features.

    Attributes:
        ran: what gave it.
        grid: (height, width) of its places; None where they are not known.
        rearranged: whether reshape must bring it to that grid.
        live: whether the logits depend on more than one of the places.
    """

    ran: Ran
    grid: Grid | None
    rearranged: bool
    live: bool


def automatic_layer(network: Network, image: FloatArray, reshape: Any = None) -> ChosenLayer:
    """The layer for one explainer; see ``automatic_layers``.

    Raises:
        ValueError: as that does.
    """
    return automatic_layers(network, image, [reshape])[0]


def automatic_layers(network: Network, image: FloatArray, reshapes: Sequence[Any]) -> list[ChosenLayer]:
    """For each reshape the last layer to run that gives features of more than one place; takes a pass.

    These are feature maps (N, channels, h, w), or (N, h, w, channels), or tokens (N, T, channels) on a grid; of layers
    within one another it is the outermost, since that ends last. Left out are attention, masks of one channel, and
    tokens that the logits do not depend on but for class tokens: where the last attention is all that reads them, it is
    the layer that this attention is given.

    Args:
        network: where the pass runs.
        image: (C, H, W).
        reshapes: of each explainer its own: a grid, which its layer then has, a function, or None.

    Raises:
        ValueError: if no layer gives features, or their grid is unknown; or in graph mode.
    """
    ran = running_order(network, image, "layer choice")
    return [_last_features(ran, (image.shape[1], image.shape[2]), reshape) for reshape in reshapes]


def _last_features(ran: Sequence[Ran], size: Grid, reshape: Any) -> ChosenLayer:
    outputs = list(_outputs(ran, size, _mostly_tokens(ran), reshape))
    if not any(one.live for one in outputs):  # as where the dense layer at the end holds zeros
        outputs = [replace(one, live=True) for one in outputs]
    found = [one for one in outputs if one.live]
    if not _mostly_tokens(ran) and reshape is None:
        found = [one for one in found if one.grid is not None]
    found = _before_attention(found, outputs, ran)
    if not found:
        words = (
            "no layer gives feature maps (N, channels, h, w), or tokens on a grid, to read; name one with the option "
            "'layer', and the grid (height, width) of its tokens with 'reshape'"
        )
        raise ValueError(Problem.of("no-feature-maps", words))
    last = found[-1]
    if last.grid is None and not callable(reshape):
        words = (
            "layer {layer!r} gives tokens {shape} that form no grid that is known; name a layer with the option "
            "'layer', and the grid (height, width) of its tokens with 'reshape'"
        )
        raise ValueError(Problem.of("tokens-without-grid", words, layer=last.ran.name, shape=last.ran.shape[1:]))
    return ChosenLayer(last.ran.name, last.grid if last.rearranged and reshape is None else None)


def _outputs(ran: Sequence[Ran], size: Grid, tokens: bool, reshape: Any) -> Iterator[_Output]:
    """What may be features, in order."""
    axes, seen = _axes(ran), list[Grid]()
    by_name = {one.name: one for one in ran}
    for one in ran:
        if one.shape[0] != one.rows:  # windows of images, or what does not depend on them
            continue
        if one.attends or _is_attention(one, by_name):
            continue
        if len(one.shape) == 3:
            output = _tokens(one, seen, size, reshape)
        else:
            output = _maps(one, axes.get(one.shape[1:]), size, among_tokens=tokens)
            if output is not None and output.grid is not None:
                seen.append(output.grid)
        if output is not None and _suits(output, reshape):
            yield output


def _suits(output: _Output, reshape: Any) -> bool:
    """Whether an explainer with this reshape can read it."""
    return reshape is None or callable(reshape) or (output.rearranged and output.grid == reshape)


def _tokens(one: Ran, seen: Sequence[Grid], size: Grid, reshape: Any) -> _Output | None:
    _, tokens, channels = one.shape
    if channels == 1 or tokens == 1:
        return None
    grid = token_grid(tokens, [reshape] if isinstance(reshape, tuple) else seen, size)
    places = tokens if grid is None else grid[0] * grid[1]
    return _Output(one, grid, rearranged=True, live=_alive(one, 1, places))


def _maps(one: Ran, axis: ChannelAxis | None, size: Grid, among_tokens: bool) -> _Output | None:
    """Feature maps; of a network of tokens, four axes alone do not make them."""
    last = has_channels_last(one.shape, axis, size)
    height, width, channels = one.shape[1:] if last else (*one.shape[2:], one.shape[1])
    if (
        channels == 1
        or height * width == 1
        or (among_tokens and axis is None and not proportional((height, width), size))
    ):
        return None
    return _Output(one, (height, width), rearranged=last, live=_alive(one, 2 if last else 0, height * width))


def _alive(one: Ran, channel_axis: int, places: int) -> bool:
    """Whether the logits depend on more than one of the last so many places."""
    if one.used is None:
        return True
    used = one.used.any(axis=channel_axis).reshape(-1)
    return int(used[len(used) - places :].sum()) > 1


def _axes(ran: Sequence[Ran]) -> dict[tuple[int, ...], ChannelAxis]:
    """Where outputs of a shape (a, b, c) have their channels, by the layers of known classes that give it."""
    votes: dict[tuple[int, ...], Counter[ChannelAxis]] = {}
    for one in ran:
        if one.axis is not None:
            votes.setdefault(one.shape[1:], Counter())[one.axis] += 1
    return {shape: axis for shape, found in votes.items() if (axis := _winner(found)) is not None}


def _winner(votes: Counter[ChannelAxis]) -> ChannelAxis | None:
    if votes["first"] == votes["last"]:
        return None
    return "first" if votes["first"] > votes["last"] else "last"


def _is_attention(one: Ran, by_name: dict[str, Ran]) -> bool:
    """Whether two of three sides are the number of tokens of a layer around it: (N, heads, T, T), also unscaled."""
    around = [outer for name in _around(one.name) if (outer := by_name.get(name)) is not None and len(outer.shape) == 3]
    return len(one.shape) == 4 and any(one.shape[1:].count(outer.shape[1]) > 1 for outer in around)


def _mostly_tokens(ran: Sequence[Ran]) -> bool:
    axes = Counter(len(one.shape) for one in ran)
    return axes[3] > axes[4]


def _before_attention(found: list[_Output], outputs: Sequence[_Output], ran: Sequence[Ran]) -> list[_Output]:
    """Without what lies inside a layer of whose own tokens only class tokens count: keys and values of them all."""
    live = {one.ran.name for one in outputs if one.live}
    dead = {one.name for one in ran if len(one.shape) == 3 and one.name not in live and one.used is not None}
    if not found:
        return found
    inside = next((name for name in _around(found[-1].ran.name) if name in dead), None)
    kept = found if inside is None else [one for one in found if not one.ran.name.startswith(f"{inside}.")]
    return kept or found


def _around(name: str) -> list[str]:
    """The names of the layers around one, from the inside."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]
