"""Dataclasses of arrays and plain values as an ``npz``, and back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from ..errors import BrokenRecordError
from ..event_file.frames import read_frames
from ..untrusted.array_schema import ArraySpec, check_arrays, checked_costs, segment_specs
from ..untrusted.numpy_json import arrays_of, json_of

Kind = TypeVar("Kind")
_FIELDS = {"beyond": "labels_out_of_range"}  # whose names in files are others


def stored(part: object) -> dict[str, Any]:
    """What a part holds, by the names that files have for it."""
    names = {field_: name for name, field_ in _FIELDS.items()}
    return {names.get(name, name): value for name, value in vars(part).items()}


def packed(part: object) -> bytes:
    """A dataclass of arrays and plain values as an ``npz``."""
    return packed_values({name: value for name, value in stored(part).items() if value is not None})


def packed_values(values: Mapping[str, Any]) -> bytes:
    """Arrays and plain values by name as an ``npz``."""
    arrays = {name: value if isinstance(value, np.ndarray) else json.dumps(value) for name, value in values.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@contextmanager
def about_file(path: Path) -> Iterator[None]:
    """Name the file in what is said of its content."""
    try:
        yield
    except ValueError as error:
        raise BrokenRecordError(path, 0, 0, str(error)) from error


def unpacked(path: Path, kind: type[Kind]) -> Kind:
    """The dataclass in the first frame of a file.

    Raises:
        BrokenRecordError: if the file is damaged.
    """
    payload = _first_payload(path)
    with about_file(path):
        arrays = arrays_of(payload)
        specs = segment_specs(kind.__name__, arrays)
        costs = _checked(arrays, specs)
        found: Kind = cast(Any, kind)(**{_FIELDS.get(name, name): arrays[name] for name in specs}, costs=costs)
        return found


def unpacked_values(path: Path, specs: Mapping[str, ArraySpec]) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """The arrays in the first frame of a file, and the costs beside them.

    Raises:
        BrokenRecordError: if the file is damaged.
    """
    payload = _first_payload(path)
    with about_file(path):
        arrays = arrays_of(payload)
        costs = _checked(arrays, specs)
        return {name: arrays[name] for name in specs}, costs


def _first_payload(path: Path) -> bytes:
    frame = next(read_frames(path), None)
    if frame is None:
        raise BrokenRecordError(path, 0, 0, "the file is empty")
    return frame.payload


def _checked(arrays: Mapping[str, Any], specs: Mapping[str, ArraySpec]) -> dict[str, dict[str, float]]:
    """The costs beside arrays that fit their specs."""
    check_arrays(arrays, {**specs, "costs": ("U", ())}, {})
    return checked_costs(json_of(arrays["costs"].tobytes().decode("utf-32-le").rstrip("\0")))
