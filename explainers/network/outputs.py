"""Which of what a network returns is its logits, and how they become float32 (N, classes)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import mindspore as ms
from mindspore import Tensor

from ...summary_format.errors import ExplainrunError
from ...summary_format.problem import Problem
from ..arguments import is_whole, plain_text
from .tensors import FLOATING, both_classes

Output = int | str | Callable[[Any], Any] | None


class NetworkRefusedError(ExplainrunError, ValueError):
    """What a network returns, or needs, is nothing that can be explained; says why."""


def checked_output(output: Any) -> Output:
    """What picks a network's logits from what it returns: an index, a key, a function, or None.

    Raises:
        ValueError: if it is something else.
    """
    if is_whole(output):
        return int(output)
    if isinstance(output, str):
        return plain_text(output, "output")
    if output is not None and not callable(output):
        words = "output must be an index, a key or a function of what the network returns, got {given!r}"
        raise ValueError(Problem.of("output-unknown", words, given=output))
    found: Output = output
    return found


class Logits:
    """Takes a network's logits out of what it returns; alike in every pass.

    Args:
        network: its name, for messages.
        output: an index, a key or attribute (dots lead further in, as in "heads.0"), or a function of what is returned.
            None takes what is returned itself, or the only part of it that may be logits.
        classes: how many there are, if known: for 2 one logit becomes those of ``both_classes``.

    Attributes:
        doubled: whether the last ones were one logit.
        place: where in tuples, lists and dictionaries the last ones lay, () if they were all that was returned; None
            if they were made of what was returned, or lay in something else.

    Raises:
        ValueError: if output is something else.
    """

    def __init__(self, network: str, output: Output = None, classes: int | None = None) -> None:
        self._network, self._output, self._classes = network, checked_output(output), classes
        self._known: tuple[str, ...] | None = None
        self.doubled = False
        self.place: tuple[int | str, ...] | None = None

    def __call__(self, returned: Any, images: int | None = None) -> Tensor:
        """Float32 logits (N, classes).

        Args:
            returned: by the network.
            images: how many it was given, N; None where each may have several rows.

        Raises:
            NetworkRefusedError: if what is returned has no logits, or nothing says which part they are.
        """
        picked = self._picked(returned, images)
        self.place = _place(returned, picked)
        self.doubled = self._classes == 2 and picked.shape[1] == 1
        if picked.dtype == ms.float32 and not self.doubled:
            return picked
        if ms.get_context("device_target") == "CPU":
            with suppress(TypeError, ValueError):  # a type that NumPy lacks
                picked.asnumpy()  # a conversion that begins while a graph runs has it take twice as long
        logits = picked.astype(ms.float32)
        return both_classes(logits) if self.doubled else logits

    def _picked(self, returned: Any, images: int | None) -> Tensor:
        if self._output is None:
            if isinstance(returned, Tensor):
                return self._checked(returned, images)
            if self._known is not None and (again := dict(_leaves(returned)).get(self._known)) is not None:
                return self._checked(again, images)
            self._known, found = self._only(returned, images)
            return found
        if callable(self._output):
            part = self._output(returned)
        else:
            part = _part(returned, self._output)
            if part is None:
                words = "{network} returns no output {output!r}; it returns {returned}"
                raise NetworkRefusedError(
                    Problem.of("output-missing", words, output=self._output, **self._said(returned))
                )
        return self._checked(part, images) if isinstance(part, Tensor) else self._only(part, images, self._output)[1]

    def _only(self, returned: Any, images: int | None, within: Output = None) -> tuple[tuple[str, ...], Tensor]:
        """The one part that may be logits, and its place, within what was picked."""
        found = [(place, value) for place, value in _leaves(returned) if _may_be_logits(value, images)]
        if not found:
            words = "{network} must return logits of shape (N, classes), it returned {returned}"
            raise NetworkRefusedError(Problem.of("output-no-logits", words, **self._said(returned)))
        if len(found) > 1:
            start = () if within is None or callable(within) else (str(within),)
            names = [".".join((*start, *place)) for place, _ in found]
            words = (
                "{network} returns {count} outputs that may be its logits, {names:list}; give one of these names, an "
                "index or a function as output"
            )
            values = {"network": self._network, "count": len(found), "names": names}
            raise NetworkRefusedError(Problem.of("output-ambiguous", words, **values))
        return found[0]

    def _checked(self, logits: Tensor, images: int | None) -> Tensor:
        if not _may_be_logits(logits, images):
            what = f"shape {tuple(logits.shape)}"
            if logits.dtype not in FLOATING:
                what += f" of {str(logits.dtype).lower()}"
            elif logits.ndim == 2:
                what += f" for {images} images"
            words = "{network} must return logits of shape (N, classes), it returned {returned}"
            raise NetworkRefusedError(Problem.of("output-no-logits", words, network=self._network, returned=what))
        return logits

    def _said(self, returned: Any) -> dict[str, str]:
        """The network's name, and what it returned in words."""
        parts = [f"{'.'.join(place)} {tuple(value.shape)}" for place, value in _leaves(returned)]
        kind = type(returned).__name__
        return {"network": self._network, "returned": f"{kind} of {', '.join(parts)}" if parts else kind}


def only_part(returned: Any, shape: tuple[int, ...]) -> Any:
    """The only Tensor of floats of a shape in what a network returned; what it returned where there is not one."""
    found = [value for _, value in _leaves(returned) if value.shape == shape and value.dtype in FLOATING]
    return found[0] if len(found) == 1 else returned


def _may_be_logits(value: Tensor, images: int | None) -> bool:
    return value.ndim == 2 and value.dtype in FLOATING and images in (None, value.shape[0])


def _parts(value: Any) -> list[tuple[str, Any]]:
    """What something that a network returned holds, by name; nothing of what is not a container."""
    if isinstance(value, Mapping):
        return [(str(key), inner) for key, inner in value.items()]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, (tuple, list)):
        return [(str(place), inner) for place, inner in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, Tensor) or not hasattr(value, "__dict__") or callable(value):
        return []
    return [(name, inner) for name, inner in vars(value).items() if not name.startswith("_")]


def _leaves(
    value: Any, place: tuple[str, ...] = (), around: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    """The Tensors in what a network returned, with the names that lead there."""
    if isinstance(value, Tensor):
        yield place, value
    elif not any(value is one for one in around):
        for name, inner in _parts(value):
            yield from _leaves(inner, (*place, name), (*around, value))


def _place(returned: Any, wanted: Tensor) -> tuple[int | str, ...] | None:
    """Where in tuples, lists and dictionaries a Tensor lies; None if nowhere."""
    if returned is wanted:
        return ()
    inner: list[tuple[Any, Any]] = []
    if isinstance(returned, (tuple, list)):
        inner = list(enumerate(returned))
    elif isinstance(returned, dict):
        inner = [(key, value) for key, value in returned.items() if isinstance(key, (int, str))]
    for key, value in inner:
        if (place := _place(value, wanted)) is not None:
            return (key, *place)
    return None


def _part(returned: Any, wanted: int | str) -> Any:
    """The part of that name or index; None if there is none."""
    parts = _parts(returned)
    named = dict(parts)
    if str(wanted) in named:
        return named[str(wanted)]
    if isinstance(wanted, int):
        return parts[wanted][1] if -len(parts) <= wanted < len(parts) else None
    first, dot, rest = wanted.partition(".")
    return _part(named[first], rest) if dot and first in named else None
