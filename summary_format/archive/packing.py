"""Dataclasses of arrays and plain values as an ``npz``, and back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ..errors import BrokenRecordError
from ..event_file.frames import read_frames
from ..untrusted.array_schema import CURVES, NEAREST, ArraySpec, check_arrays, checked_costs, segment_specs
from ..untrusted.numpy_json import arrays_of, json_of
from .neighbours import Neighbours

Kind = TypeVar("Kind")
Array = npt.NDArray[Any]
_FIELDS = {"beyond": "labels_out_of_range"}  # whose names in files are others


def stored(part: object) -> dict[str, Any]:
    """What a part holds, by the names that files have for it; curves of each metric, and what is said of the nearest
    samples, under names of their own.
    """
    names, values = {field_: name for name, field_ in _FIELDS.items()}, dict(vars(part))
    curves, neighbours = values.pop("curves", {}), values.pop("neighbours", None)
    nearest = {} if neighbours is None else neighbours.tables
    return {**{names.get(name, name): value for name, value in values.items()}, **nearest, **stored_curves(curves)}


def stored_curves(curves: Mapping[str, Array]) -> dict[str, Array]:
    """Curves by metric under the names that files have for them."""
    return {f"{CURVES}{metric}": table for metric, table in curves.items()}


def curves_of(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """By metric, the curves among arrays of a file."""
    return {name.removeprefix(CURVES): table for name, table in arrays.items() if name.startswith(CURVES)}


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
        costs, held = _checked(arrays, specs), {name: arrays[name] for name in specs}
        curves = {"curves": curves_of(held)} if any(name.startswith(CURVES) for name in held) else {}
        nearest = {} if (found := Neighbours.among(held)) is None else {"neighbours": found}
        others = [name for name in held if not name.startswith(CURVES) and name not in NEAREST]
        plain = {_FIELDS.get(name, name): held[name] for name in others}
        part: Kind = cast(Any, kind)(**plain, **curves, **nearest, costs=costs)
        return part


def unpacked_values(
    path: Path, specs_of: Callable[[Mapping[str, Any]], Mapping[str, ArraySpec]]
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """The arrays in the first frame of a file, and the costs beside them.

    Args:
        path: of the file.
        specs_of: gives what there should be by what there is.

    Raises:
        BrokenRecordError: if the file is damaged.
    """
    payload = _first_payload(path)
    with about_file(path):
        arrays = arrays_of(payload)
        specs = specs_of(arrays)
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
