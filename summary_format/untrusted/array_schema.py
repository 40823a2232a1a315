"""Which arrays, names and numbers belong together in a run, so that what does not fit is reported where it is read.

A spec is the kinds of a dtype ("f" for floating point) and a shape, in which a letter is a size that is the same
wherever it stands: N samples, Q questions, C classes, M metrics, K true labels, S numbers of a spread (3, or 0 without
uncertainty), P nearest samples of each with T true labels, L layers and B boxes that were revealed, H and W of maps.
Curves of each metric have letters of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..plan_record import PlanRecord

ArraySpec = tuple[str, tuple[str | int, ...]]

SEARCHED: Mapping[str, ArraySpec] = {
    "outcomes": ("u", ("Q",)),
    "blurred": ("f", ("Q",)),
    "sigmas": ("i", ("Q",)),
    "layers": ("i", ("L", 3)),
    "probabilities": ("f", ("L",)),
    "boxes": ("i", ("B", 8)),
}
NEAREST: Mapping[str, ArraySpec] = {
    "nearest_id": ("i", ("N", "P")),
    "nearest_distance": ("f", ("N", "P")),
    "nearest_predicted": ("i", ("N", "P")),
    "nearest_truth": ("i", ("N", "P", "T")),
}
SEGMENTS: Mapping[str, Mapping[str, ArraySpec]] = {
    "InferenceBatch": {
        "ids": ("i", ("N",)),
        "digests": ("u", ("N",)),
        "truth": ("i", ("N", "K")),
        "logits": ("f", ("N", "C")),
        "probabilities": ("f", ("N", "C")),
        "spread": ("f", ("S", "N", "C")),
        "questions": ("i", ("Q", 2)),
        "beyond": ("i", ("N",)),
        "pictures": ("u", ("N",)),
    },
    "ExplanationBatch": {
        "scores": ("f", ("M", "Q")),
        "computed": ("b", ("Q",)),
        "errors": ("f", ("Q",)),
        "pictures": ("u", ("Q",)),
    },
    "SearchBatch": SEARCHED,
}

_QUESTIONS: Mapping[str, ArraySpec] = {"questions": ("i", ("Q", 2))}
PARTS: Mapping[str, Mapping[str, ArraySpec]] = {
    "maps": {**_QUESTIONS, "maps": ("f", ("Q", "H", "W")), "errors": ("f", ("Q",))},
    "scores": {**_QUESTIONS, "scores": ("f", ("M", "Q"))},
    "searched": {**_QUESTIONS, **SEARCHED},
}


CURVES = "curves/"  # before a metric's name: where its curves lie


def segment_specs(kind: str, found: Mapping[str, Any]) -> dict[str, ArraySpec]:
    """What a segment of that kind holds: all of ``SEGMENTS``, but for checksums of pictures where it has none.

    And the curves of those metrics, and the nearest samples, of which it has any.
    """
    specs = {name: spec for name, spec in SEGMENTS[kind].items() if name != "pictures" or found.get(name) is not None}
    specs |= NEAREST if kind == "InferenceBatch" and not NEAREST.keys().isdisjoint(found) else {}
    return specs | (curve_specs(found) if kind == "ExplanationBatch" else {})


def part_specs(what: str, found: Mapping[str, Any]) -> dict[str, ArraySpec]:
    """What a part holds: all of ``PARTS``, and beside scores the curves of those metrics of which it has any."""
    return {**PARTS[what], **(curve_specs(found) if what == "scores" else {})}


def curve_specs(found: Iterable[str]) -> dict[str, ArraySpec]:
    """What is held of the curves of those metrics of which there are any among these names."""
    return {name: _curves(name, f"curves of {name}") for name in found if name.startswith(CURVES)}


def _curves(name: str, curves: int | str) -> ArraySpec:
    return "f", ("Q", curves, 2, f"points of {name}")


class Sized(Protocol):
    """An array, or a dataset that would give one."""

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


def picture_specs(explainers: Iterable[str]) -> dict[str, ArraySpec]:
    """The tables of checksums of pictures in an archive, by name; those of earlier versions have none."""
    spec_of_sample: ArraySpec = ("u", ("N",))
    spec_of_map: ArraySpec = ("u", ("Q",))
    return {"samples/picture": spec_of_sample, **{f"explainers/{name}/picture": spec_of_map for name in explainers}}


def archive_specs(plan: PlanRecord, *, pictured: bool) -> dict[str, ArraySpec]:
    """The tables that the archive of a plan's run holds, by name.

    Args:
        plan: of the run.
        pictured: whether it has checksums of pictures.
    """
    one, rows = ("N",), ("N", "C")
    specs: dict[str, ArraySpec] = {
        "samples/id": ("i", one),
        "samples/digest": ("u", one),
        "samples/truth": ("i", ("N", "K")),
        "samples/logits": ("f", rows),
        "samples/probabilities": ("f", rows),
        "samples/computed": ("b", one),
        "samples/beyond": ("i", one),
        "questions/sample": ("i", ("Q",)),
        "questions/label": ("i", ("Q",)),
    }
    specs |= {f"samples/{name}": ("f", rows) for name in ("sd", "low", "high") if plan.dropout_samples}
    specs |= {f"samples/{name}": spec for name, spec in NEAREST.items() if plan.neighbours}
    for name in plan.explainers:
        of_explainer: dict[str, ArraySpec] = {
            "maps": ("f", ("Q", "H", "W")),
            "computed": ("b", ("Q",)),
            "error": ("f", ("Q",)),
        }
        of_explainer |= {f"scores/{metric}": ("f", ("Q",)) for metric in plan.metrics}
        kept = {metric: len(plan.kept_curves(metric)) for metric in plan.metrics}
        of_explainer |= {
            f"{CURVES}{metric}": _curves(f"{name}/{metric}", count) for metric, count in kept.items() if count
        }
        specs |= {f"explainers/{name}/{table}": spec for table, spec in of_explainer.items()}
    specs |= picture_specs(plan.explainers) if pictured else {}
    searched = SEARCHED if plan.searching else {}
    return specs | {f"hierarchical_occlusion/{name}": spec for name, spec in searched.items()}


def check_arrays(found: Mapping[str, Sized], specs: Mapping[str, ArraySpec], sizes: dict[str, int]) -> None:
    """Make sure that tables are there and fit their specs.

    Args:
        found: tables by name; others than the specs name are of no interest.
        specs: by the same names.
        sizes: what letters are known to stand for; those of the tables are added.

    Raises:
        ValueError: at the first table that is not.
    """
    for name, (kinds, shape) in specs.items():
        if name not in found:
            raise ValueError(f"{name} is missing")
        dtype, given = found[name].dtype, tuple(found[name].shape)
        if len(given) == len(shape):
            sizes |= {letter: size for letter, size in zip(shape, given, strict=True)
                      if isinstance(letter, str) and letter not in sizes}  # fmt: skip
        wanted = tuple(sizes.get(letter, letter) if isinstance(letter, str) else letter for letter in shape)
        if given != wanted or dtype.kind not in kinds:
            raise ValueError(f"{name} is {dtype} {given}, where kind {kinds} {wanted} belongs")


def check_questions(ids: npt.NDArray[Any], questions: npt.NDArray[Any], classes: int) -> None:
    """Make sure that questions (Q, 2) ask for labels of samples that are there.

    Raises:
        ValueError: if not.
    """
    if (np.diff(ids) <= 0).any():
        raise ValueError("the ids of its samples do not ascend")
    if not np.isin(questions[:, 0], ids).all():
        raise ValueError("a question is about a sample that is not there")
    if ((questions[:, 1] < 0) | (questions[:, 1] >= classes)).any():
        raise ValueError("a question is about a label out of range")


def checked_costs(costs: Any) -> dict[str, dict[str, float]]:
    """Passes and seconds by kind.

    Raises:
        ValueError: if they are something else.
    """
    said = costs.values() if isinstance(costs, dict) else [None]
    if not all(isinstance(one, dict) and all(type(value) in (int, float) for value in one.values()) for one in said):
        raise ValueError("the costs must map kinds to numbers")
    return costs  # type: ignore[no-any-return]
