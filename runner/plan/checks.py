"""What can be seen to be wrong with a plan before anything is read or run."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from ...explainers.network import check_droppable
from ...explainers.network.tensors import require_pynative
from ...summary_format.images import check_together
from ...summary_format.names import is_text
from ...summary_format.plan_record import NEAREST_SAMPLES
from ...summary_format.problem import Problem
from ..data.rows import COLUMNS
from ..problems import Problems, SampleError
from .plan import Plan
from .sharding import PLACE


def plan_problems(plan: Plan) -> Problems:
    """What is wrong with a plan, as far as that shows before anything is read: a sentence each."""
    problems = Problems(
        (
            *_dataset_problems(plan),
            *_name_problems("class name", plan.class_names),
            *_name_problems("explainer name", [reader.name for reader in plan.layer_readers], in_path=True),
            *_clashing_names("explainer name", [explainer.name for explainer in plan.explainers]),
            *_name_problems("metric name", [metric.name for metric in plan.metrics], in_path=True),
            *(_network_problems(plan) if plan.asks_network else ()),
            *_metric_problems(plan),
            *folder_problems(plan.summary_dir),
            *plan.undescribed,
            *_pool_problems(plan),
        )
    )
    if plan.shard is None and PLACE in str(plan.summary_dir):
        problems.append(
            Problem.of(
                "shard-not-given",
                "summary_dir {folder} holds {place}, and no shard is given",
                folder=plan.summary_dir,
                place=PLACE,
            )
        )
    if plan.shard is not None and plan.measures_size:
        words = (
            "pass_size is auto, and each shard would measure its own; give all of them one number, such as the one "
            "that a run of few samples without a shard logs: --set pass_size=auto --limit 16"
        )
        problems.append(Problem.of("pass-size-of-shards", words, shard=str(plan.shard)))
    problems.attempt("", partial(check_together, plan.options.mean, plan.options.std))
    return problems


def _dataset_problems(plan: Plan) -> Iterator[Problem]:
    names = plan.dataset.get_col_names()
    if not 1 <= len(names) <= len(COLUMNS):
        yield Problem.of(
            "wrong-columns",
            "the dataset has the columns {columns}; it must have {wanted:list} in this order, the last one or "
            "two left out if you have none",
            columns=names,
            wanted=COLUMNS,
        )
    elif plan.needs_boxes and len(names) < len(COLUMNS):
        yield Problem.of(
            "no-boxes",
            "{metrics:list} needs a third dataset column of boxes or masks, the dataset has {columns}",
            metrics=[metric.name for metric in plan.metrics if metric.needs_boxes],
            columns=names,
        )


def _name_problems(kind: str, names: Sequence[str], *, in_path: bool = False) -> Iterator[Problem]:
    for name, times in Counter(names).items():
        if times > 1:
            yield Problem.of("name-repeated", "{kind} {name!r} stands {times} times", kind=kind, name=name, times=times)
    for place, name in enumerate(names):
        if not name.strip():
            yield Problem.of("name-blank", "{kind} {place} is blank", kind=kind, place=place)
    for name in names:
        if "\0" in name or not is_text(name):
            yield Problem.of(
                "name-unwritable",
                "{kind} {name!r} cannot be written: it holds a NUL or half of a surrogate pair",
                kind=kind,
                name=name[:80],
            )
    for name in names if in_path else ():
        yield from _unfit_for_a_path(kind, name)


def _unfit_for_a_path(kind: str, name: str) -> Iterator[Problem]:
    if set(name) & set("/\\") or name.startswith(".") or any(unicodedata.category(c) == "Cc" for c in name):
        yield Problem.of(
            "name-no-folder",
            "{kind} {name!r} cannot be a folder name: it holds /, \\ or a control character, or starts with a dot",
            kind=kind,
            name=name,
        )
    if len(name.encode("utf-8", "replace")) > 200:
        yield Problem.of(
            "name-too-long", "{kind} {start!r}... is too long for a folder name", kind=kind, start=name[:20]
        )


def _clashing_names(kind: str, names: Sequence[str]) -> list[Problem]:
    """Names that some file systems take for one folder."""
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()), []).append(name)
    return [
        Problem.of(
            "names-alike",
            "{kind}s {names:ascii and} differ only in case or in how letters are composed, and become "
            "one folder where that does not count; rename one",
            kind=kind,
            names=several,
        )
        for several in alike.values()
        if len(several) > 1
    ]


def _network_problems(plan: Plan) -> Problems:
    problems = Problems(
        Problem.of(
            "network-not-the-runners",
            "{explainer} explains another network than the runner's; construct it with the same Cell",
            explainer=explainer.name,
        )
        for explainer in plan.explainers
        if explainer.network is not plan.network
    )
    bound = plan.needs.passes or plan.needs.outputs or any(explainer.pynative for explainer in plan.explainers)
    for needed, what in (
        (bound, "a gradient explainer"), (plan.dropout_samples, "uncertainty"), (plan.nearest, NEAREST_SAMPLES)
    ):  # fmt: skip
        if needed:
            problems.attempt("", partial(require_pynative, what))
    if plan.dropout_samples:
        problems.attempt("", partial(check_droppable, plan.network))
    if plan.dropout_samples and not plan.explainers:
        problems.append(
            Problem.of(
                "uncertainty-alone", "uncertainty is registered without saliency, beside which the viewer shows it"
            )
        )
    if plan.hierarchical_occlusion is not None:
        problems += [
            Problem.of(
                "class-name-underscore",
                "class name {name!r} holds an underscore, with which the viewer's counterfactual page fails; rename it",
                name=name,
            )
            for name in plan.class_names
            if "_" in name
        ]
    return problems


def _metric_problems(plan: Plan) -> Problems:
    classes = len(plan.class_names)
    problems = Problems(
        Problem.of(
            "metric-for-other-classes",
            "{metric} was made for {labels:plural label}, {classes:there are class name}",
            metric=metric.name,
            labels=metric.num_labels,
            classes=classes,
        )
        for metric in plan.metrics
        if metric.num_labels not in (None, classes)
    )
    for metric in plan.metrics if plan.asks_network else ():
        problems.attempt("", partial(metric.check_network, plan.network))
    return problems


def _pool_problems(plan: Plan) -> Iterator[Problem]:
    """That the dataset is smaller than the pool of nearest samples, which would be another one as it grows."""
    if plan.nearest is None or plan.pool is None:
        return
    with suppress(SampleError):  # which describing the pool reports
        size, found = plan.nearest.pool.size, len(plan.pool(plan.nearest.pool.size).ids)
        if found < size:
            words = (
                "nearest samples are sought among the dataset's first {size}, and it has {found:plural sample} that "
                "can be read; set pool to {found} or less, and count below that"
            )
            yield Problem.of("nearest-pool-too-large", words, size=size, found=found)


def folder_problems(folder: Path) -> list[Problem]:
    """Why nothing can be written to a folder, whatever it holds."""
    problem = _folder_problem(folder)
    return [] if problem is None else [problem]


def _folder_problem(folder: Path) -> Problem | None:
    if "\0" in str(folder) or not is_text(str(folder)):
        return Problem.of(
            "folder-name-unwritable",
            "summary_dir {folder!r} cannot be a folder: it holds a NUL or half of a surrogate pair",
            folder=folder,
        )
    try:
        if folder.exists() and not folder.is_dir():
            return Problem.of("folder-is-file", "summary_dir {folder} is a file", folder=folder)
    except OSError as error:
        words = "summary_dir {start!r}... cannot be a folder: {said}"
        return Problem.of("folder-impossible", words, start=str(folder)[:80], said=error.strerror)
    return _place_problem(folder)


def _place_problem(folder: Path) -> Problem | None:
    """Why no folder can be made there."""
    for path in (folder, *folder.absolute().parents):
        if path.is_symlink() and not path.exists():
            words = "summary_dir {folder}: {link} is a link to {target}, which is not there; name another folder"
            return Problem.of("folder-dangling", words, folder=folder, link=path, target=os.readlink(path))
    above = existing(folder)
    if not above.is_dir():
        return Problem.of("folder-under-file", "summary_dir {folder} lies under a file", folder=folder)
    if not os.access(above, os.W_OK | os.X_OK):
        return Problem.of("folder-not-writable", "summary_dir {folder} cannot be written", folder=folder)
    return None


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
