"""How two described plans differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import takewhile, zip_longest
from typing import Any

from .plan_record import PlanRecord

MAKING = ("versions", "device")  # how two runs differ in who made them, and not in what they do
CHOSEN = ("chosen_layers", "chosen_reshapes", "measured_pass_size")  # what follows from the rest, once a run has begun
CELL_STRUCTURE = "cell structure"  # in the description of a Cell; no argument can be called so
_SHOWN, _BEFORE = 60, 20  # characters of a value, and of those before the first that differs


def plan_differences(before: PlanRecord, now: PlanRecord, ignored: Sequence[str] = ()) -> list[str]:
    """How two described plans differ, a few words each.

    Where they are written does not count, nor what they themselves say does not, nor which samples were broken.

    Args:
        before: a plan.
        now: another.
        ignored: keys that do not count. Without "device", what MindSpore builds otherwise on other kinds of device
            does not count either where those differ.
    """
    left_out = {*ignored, "summary_dir", "uncompared", "skipped", *before.uncompared, *now.uncompared}
    plans = [_compared(plan, left_out) for plan in (before, now)]
    if "device" in left_out and before.device != now.device:
        plans = [_without_structure(plan) for plan in plans]
    first, second = (dict(_flat(plan)) for plan in plans)
    unknown = {"samples"} if None in (first.get("samples"), second.get("samples")) else set()
    return _words(*({key: one[key] for key in one if key not in unknown} for one in (first, second)))


def mapping_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """How two mappings of plain values differ, a few words each: "steps was 16, is 8"."""
    return _words(dict(_flat(before)), dict(_flat(now)))


def shown(apart: Sequence[str], most: int = 8) -> str:
    """Differences in one line, the first ones if there are many."""
    return "; ".join([*apart[:most], *["..."] * (len(apart) > most)])


def _words(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return [
        _said(key, *(one.get(key, ...) for one in (first, second)))
        for key in [*first, *(key for key in second if key not in first)]
        if first.get(key, ...) != second.get(key, ...)
    ]


def _said(key: str, before: Any, now: Any) -> str:
    """How two values differ; of long lists the first of their elements that do."""
    more = ""
    while all(isinstance(value, list) for value in (before, now)) and max(len(repr(before)), len(repr(now))) > _SHOWN:
        apart = [place for place, pair in enumerate(zip_longest(before, now, fillvalue=...)) if pair[0] != pair[1]]
        more = f" (and {len(apart) - 1} more)" if len(apart) > 1 else more
        key, place = f"{key}[{apart[0]}]", apart[0]
        before, now = (value[place] if place < len(value) else ... for value in (before, now))
        if all(isinstance(value, dict) for value in (before, now)):
            return f"{'; '.join(_words(*(dict(_flat(value, key)) for value in (before, now))))}{more}"
    return "{} was {}, is {}{}".format(key, *_short(before, now), more)


def _without_structure(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan without how the layers of its network, and of other Cells, are built."""
    network = plan.get("network")
    if isinstance(network, dict):
        network = {key: value for key, value in network.items() if key != "structure"}
    found: dict[str, Any] = _without_cells({**plan, "network": network})
    return found


def _without_cells(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_cells(inner) for key, inner in value.items() if key != CELL_STRUCTURE}
    return [_without_cells(inner) for inner in value] if isinstance(value, list) else value


def _compared(plan: PlanRecord, left_out: Set[str]) -> dict[str, Any]:
    """What counts of a plan, with the order of its names, and of its config only what it does not say itself."""
    counts = {key: value for key, value in plan.raw.items() if key not in left_out}
    orders = {"order of explainers": list(plan.explainers), "order of metrics": list(plan.metrics)}
    return {**counts, "config": plan.made_from, **orders}


def _flat(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings by dotted key."""
    if isinstance(value, Mapping):
        if not value and where:
            yield where, {}
        for key, inner in value.items():
            yield from _flat(inner, f"{where}.{key}" if where else str(key))
    else:
        yield where, value


def _short(before: Any, now: Any) -> list[str]:
    """Both values, of long ones the parts from shortly before where they differ."""
    both = ["not there" if value is ... else repr(value) for value in (before, now)]
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*both, strict=False)))
    start = max(alike - _BEFORE, 0) if max(map(len, both)) > _SHOWN else 0
    return [_cut(text, start) for text in both]


def _cut(text: str, start: int) -> str:
    begun = f"{'...' * bool(start)}{text[start:]}"
    return begun if len(begun) <= _SHOWN else f"{begun[: _SHOWN - 3]}..."
