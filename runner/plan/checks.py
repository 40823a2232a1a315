"""What can be seen to be wrong with a plan before anything is read or run."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ...explainers.network import check_droppable
from ...explainers.network.tensors import require_pynative
from ...summary_format.images import check_together
from ...summary_format.names import is_text
from ...summary_format.plural import plural, there_are
from ..data.samples import COLUMNS
from ..problems import Problems
from .plan import Plan
from .sharding import PLACE


def plan_problems(plan: Plan) -> list[str]:
    """What is wrong with a plan, as far as that shows before anything is read: a sentence each."""
    problems = Problems(
        (
            *_dataset_problems(plan),
            *_name_problems("class name", plan.class_names),
            *_name_problems("explainer name", [explainer.name for explainer in plan.explainers], in_path=True),
            *_clashing_names("explainer name", [explainer.name for explainer in plan.explainers]),
            *_name_problems("metric name", [metric.name for metric in plan.metrics], in_path=True),
            *_network_problems(plan),
            *_metric_problems(plan),
            *folder_problems(plan.summary_dir),
            *plan.undescribed,
        )
    )
    if plan.shard is None and PLACE in str(plan.summary_dir):
        problems.append(f"summary_dir {plan.summary_dir} holds {PLACE}, and no shard is given")
    problems.attempt("", partial(check_together, plan.options.mean, plan.options.std))
    return problems


def _dataset_problems(plan: Plan) -> list[str]:
    names = plan.dataset.get_col_names()
    problems = []
    if not 1 <= len(names) <= len(COLUMNS):
        problems.append(
            f"the dataset has the columns {names}; it must have {', '.join(COLUMNS)} in this order, the last one or "
            f"two left out if you have none"
        )
    elif plan.needs_boxes and len(names) < len(COLUMNS):
        users = ", ".join(metric.name for metric in plan.metrics if metric.needs_boxes)
        problems.append(f"{users} needs a third dataset column of boxes, the dataset has {names}")
    return problems


def _name_problems(kind: str, names: Sequence[str], *, in_path: bool = False) -> list[str]:
    problems = [f"{kind} {name!r} stands {times} times" for name, times in Counter(names).items() if times > 1]
    problems += [f"{kind} {i} is blank" for i, name in enumerate(names) if not name.strip()]
    problems += [
        f"{kind} {name[:80]!r} cannot be written: it holds a NUL or half of a surrogate pair"
        for name in names
        if "\0" in name or not is_text(name)
    ]
    if in_path:
        problems += [
            f"{kind} {name!r} cannot be a folder name: it holds /, \\ or a control character, or starts with a dot"
            for name in names
            if set(name) & set("/\\") or name.startswith(".") or any(unicodedata.category(c) == "Cc" for c in name)
        ]
        problems += [
            f"{kind} {name[:20]!r}... is too long for a folder name"
            for name in names
            if len(name.encode("utf-8", "replace")) > 200
        ]
    return problems


def _clashing_names(kind: str, names: Sequence[str]) -> list[str]:
    """Names that some file systems take for one folder."""
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()), []).append(name)
    return [
        f"{kind}s {' and '.join(map(ascii, several))} differ only in case or in how letters are composed, and become "
        f"one folder where that does not count; rename one"
        for several in alike.values()
        if len(several) > 1
    ]


def _network_problems(plan: Plan) -> list[str]:
    problems = Problems(
        f"{explainer.name} explains another network than the runner's; construct it with the same Cell"
        for explainer in plan.explainers
        if explainer.network is not plan.network
    )
    bound = plan.needs.layers or plan.needs.outputs or any(explainer.pynative for explainer in plan.explainers)
    for needed, what in ((bound, "a gradient explainer"), (plan.dropout_samples, "uncertainty")):
        if needed:
            problems.attempt("", partial(require_pynative, what))
    if plan.dropout_samples:
        problems.attempt("", partial(check_droppable, plan.network))
    if plan.dropout_samples and not plan.explainers:
        problems.append("uncertainty is registered without saliency, beside which the viewer shows it")
    if plan.hierarchical_occlusion is not None:
        problems += [
            f"class name {name!r} holds an underscore, with which the viewer's counterfactual page fails; rename it"
            for name in plan.class_names
            if "_" in name
        ]
    return problems


def _metric_problems(plan: Plan) -> list[str]:
    classes = len(plan.class_names)
    return [
        f"{metric.name} was made for {plural(metric.num_labels, 'label')}, {there_are(classes, 'class name')}"
        for metric in plan.metrics
        if metric.num_labels not in (None, classes)
    ]


def folder_problems(folder: Path) -> list[str]:
    """Why nothing can be written to a folder, whatever it holds."""
    if "\0" in str(folder) or not is_text(str(folder)):
        return [f"summary_dir {str(folder)!r} cannot be a folder: it holds a NUL or half of a surrogate pair"]
    try:
        if folder.exists() and not folder.is_dir():
            return [f"summary_dir {folder} is a file"]
    except OSError as error:
        return [f"summary_dir {str(folder)[:80]!r}... cannot be a folder: {error.strerror}"]
    above = existing(folder)
    if not above.is_dir():
        return [f"summary_dir {folder} lies under a file"]
    if not os.access(above, os.W_OK | os.X_OK):
        return [f"summary_dir {folder} cannot be written"]
    return []


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
