"""Which arrays, names and numbers belong together in a run, so that what does not fit is reported where it is read.

A form is the kinds of a dtype ("f" for floating point) and a shape, in which a letter is a size that is the same
wherever it stands: N samples, Q questions, C classes, M metrics, K true labels, S numbers of a spread (3, or 0 without
uncertainty), L layers and B boxes that were revealed, H and W of maps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..plan_record import PlanRecord

Form = tuple[str, tuple[str | int, ...]]

SEARCHED: Mapping[str, Form] = {
    "outcomes": ("u", ("Q",)),
    "blurred": ("f", ("Q",)),
    "sigmas": ("i", ("Q",)),
    "layers": ("i", ("L", 3)),
    "probabilities": ("f", ("L",)),
    "boxes": ("i", ("B", 8)),
}
SEGMENTS: Mapping[str, Mapping[str, Form]] = {
    "SampleBatch": {
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
    "Explained": {
        "scores": ("f", ("M", "Q")),
        "computed": ("b", ("Q",)),
        "errors": ("f", ("Q",)),
        "pictures": ("u", ("Q",)),
    },
    "Searched": SEARCHED,
}


def segment_forms(kind: str, found: Mapping[str, Any]) -> dict[str, Form]:
    """What a segment of that kind holds: all of ``SEGMENTS``, but for checksums of pictures where it has none."""
    forms = SEGMENTS[kind].items()
    return {name: form for name, form in forms if name != "pictures" or found.get(name) is not None}


class Sized(Protocol):
    """An array, or a dataset that would give one."""

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


def picture_forms(explainers: Iterable[str]) -> dict[str, Form]:
    """The tables of checksums of pictures in an archive, by name; those of earlier versions have none."""
    of_sample: Form = ("u", ("N",))
    of_map: Form = ("u", ("Q",))
    return {"samples/picture": of_sample, **{f"explainers/{name}/picture": of_map for name in explainers}}


def archive_forms(plan: PlanRecord, *, pictured: bool) -> dict[str, Form]:
    """The tables that the archive of a plan's run holds, by name.

    Args:
        plan: of the run.
        pictured: whether it has checksums of pictures.
    """
    one, rows = ("N",), ("N", "C")
    forms: dict[str, Form] = {
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
    forms |= {f"samples/{name}": ("f", rows) for name in ("sd", "low", "high") if plan.dropout_samples}
    for name in plan.explainers:
        of_explainer: dict[str, Form] = {
            "maps": ("f", ("Q", "H", "W")),
            "computed": ("b", ("Q",)),
            "error": ("f", ("Q",)),
        }
        of_explainer |= {f"scores/{metric}": ("f", ("Q",)) for metric in plan.metrics}
        forms |= {f"explainers/{name}/{table}": form for table, form in of_explainer.items()}
    forms |= picture_forms(plan.explainers) if pictured else {}
    searched = SEARCHED if plan.searching else {}
    return forms | {f"hierarchical_occlusion/{name}": form for name, form in searched.items()}


def check_forms(found: Mapping[str, Sized], forms: Mapping[str, Form], sizes: dict[str, int]) -> None:
    """Make sure that tables are there and of their forms.

    Args:
        found: tables by name; others than the forms name are of no interest.
        forms: by the same names.
        sizes: what letters are known to stand for; those of the tables are added.

    Raises:
        ValueError: at the first table that is not.
    """
    for name, (kinds, shape) in forms.items():
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
