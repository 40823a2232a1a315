"""What tells two described plans apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MAKING = ("versions", "device")  # what tells apart who made two runs, and not what they do
CHOSEN = ("chosen_layers",)  # what follows from the rest, once a run has begun
_NOT_COMPARED = ("summary_dir", "strict")


def differences(before: Mapping[str, Any], now: Mapping[str, Any], ignored: Sequence[str] = ()) -> list[str]:
    """What tells two described plans apart, a few words each; where they are written and ``strict`` do not.

    Args:
        before: a plan in plain values.
        now: another.
        ignored: keys that do not count; ".structure" stands for all that are called so, wherever they are.
    """
    ends = tuple(key for key in ignored if key.startswith("."))
    begins = tuple(key for key in (*ignored, *_NOT_COMPARED) if key not in ends)
    first, second = (
        {key: value for key, value in _flat(_compared(plan)) if not (key.startswith(begins) or key.endswith(ends))}
        for plan in (before, now)
    )
    unknown = {"samples"} if None in (first.get("samples"), second.get("samples")) else set()
    return _words(*({key: one[key] for key in one if key not in unknown} for one in (first, second)))


def mapping_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What tells two mappings of plain values apart, a few words each: "steps was 16, is 8"."""
    return _words(dict(_flat(before)), dict(_flat(now)))


def shown(apart: Sequence[str], most: int = 8) -> str:
    """Differences in one line, the first ones if there are many."""
    return "; ".join([*apart[:most], *["..."] * (len(apart) > most)])


def _words(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} was {_short(first, key)}, is {_short(second, key)}"
        for key in [*first, *(key for key in second if key not in first)]
        if first.get(key, ...) != second.get(key, ...)
    ]


def _compared(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """A plan with the order of its names, and of its config only what it does not say itself."""
    config = {key: value for key, value in (plan["config"] or {}).items() if key in ("network", "data")}
    orders = {f"order of {kind}": list(plan[kind]) for kind in ("explainers", "metrics")}
    return {**plan, "config": config, **orders}


def _flat(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings by dotted key."""
    if isinstance(value, Mapping):
        if not value and where:
            yield where, {}
        for key, inner in value.items():
            yield from _flat(inner, f"{where}.{key}" if where else str(key))
    else:
        yield where, value


def _short(values: Mapping[str, Any], key: str) -> str:
    told = repr(values[key]) if key in values else "not there"
    return told if len(told) <= 60 else f"{told[:57]}..."
