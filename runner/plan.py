"""What a run will do, and everything that can be found wrong with it before the first pass."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore.dataset as ds
from mindspore import Tensor, nn

from ..benchmarks import Metric
from ..explainers import Explainer
from ..explainers.network import DEFAULT_PASS_SIZE, require_pynative
from ..explainers.view import Needs
from ..summary_format import find_runs
from ..summary_format.pictures import Statistics
from .samples import COLUMNS

PASSES_A_BATCH = 4  # samples of a work batch, in passes: enough that few passes are ragged


class PlanError(ValueError):
    """Everything found wrong with a plan, at once.

    Attributes:
        problems: one sentence each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        several = f"{len(self.problems)} problems:" if len(self.problems) > 1 else ""
        super().__init__("\n  ".join([several, *self.problems]) if several else self.problems[0])


@dataclass(frozen=True)
class Plan:
    """A run, resolved.

    Attributes:
        summary_dir: where its files go.
        dataset: what it explains.
        class_names: name of each label.
        network: the classifier.
        activation_fn: from its logits to probabilities.
        explainers: the saliency methods.
        metrics: what scores them.
        mean, std: how images were normalised, so that originals are shown in true colours.
        seed: what randomness starts from.
        pass_size: images a pass.
        limit: how many samples at most.
    """

    summary_dir: Path
    dataset: ds.Dataset
    class_names: tuple[str, ...]
    network: nn.Cell
    activation_fn: Callable[[Tensor], Tensor]
    explainers: tuple[Explainer, ...]
    metrics: tuple[Metric, ...]
    mean: Statistics | None = None
    std: Statistics | None = None
    seed: int = 0
    pass_size: int = DEFAULT_PASS_SIZE
    limit: int | None = None

    @property
    def batch_size(self) -> int:
        """Samples a work batch, whatever batches the dataset is read in."""
        return self.pass_size * PASSES_A_BATCH

    @property
    def needs(self) -> Needs:
        """What all explainers together ask of the shared pass."""
        return Needs.together(explainer.needs for explainer in self.explainers)

    @property
    def needs_boxes(self) -> bool:
        """Whether a metric asks where labels are."""
        return any(metric.needs_boxes for metric in self.metrics)

    def check(self, *, overwrite: bool) -> None:
        """Find what is wrong.

        Raises:
            PlanError: with every problem found.
        """
        problems = [
            *_dataset_problems(self),
            *_name_problems("class name", self.class_names),
            *_name_problems("explainer name", [explainer.name for explainer in self.explainers], in_path=True),
            *_name_problems("metric name", [metric.name for metric in self.metrics]),
            *_network_problems(self),
            *_metric_problems(self),
            *_folder_problems(self.summary_dir, overwrite=overwrite),
        ]
        if self.limit is not None and self.limit < 1:
            problems.append(f"limit must be at least 1, got {self.limit}")
        if (self.mean is None) != (self.std is None):
            problems.append("mean and std go together: give both or neither")
        if problems:
            raise PlanError(problems)


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
    if in_path:
        problems += [
            f"{kind} {name!r} cannot be a folder name: it holds / or \\ or starts with a dot"
            for name in names
            if set(name) & set("/\\\0") or name.startswith(".")
        ]
    return problems


def _network_problems(plan: Plan) -> list[str]:
    problems = [
        f"{explainer.name} explains another network than the runner's; construct it with the same Cell"
        for explainer in plan.explainers
        if explainer.network is not plan.network
    ]
    if plan.needs.layers:
        try:
            require_pynative()
        except ValueError as error:
            problems.append(str(error))
    return problems


def _metric_problems(plan: Plan) -> list[str]:
    classes = len(plan.class_names)
    return [
        f"{metric.name} was made for {metric.num_labels} labels, there are {classes} class names"
        for metric in plan.metrics
        if metric.num_labels != classes
    ]


def _folder_problems(folder: Path, *, overwrite: bool) -> list[str]:
    if folder.exists() and not folder.is_dir():
        return [f"summary_dir {folder} is a file"]
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(above, os.W_OK | os.X_OK):
        return [f"summary_dir {folder} cannot be written"]
    if folder.exists() and find_runs(folder) and not overwrite:
        return [f"summary_dir {folder} holds a run already; name another folder, or set overwrite to replace that run"]
    return []


def checked_sequence(values: Any, kind: type[Any], name: str) -> tuple[Any, ...]:
    """A list or tuple of instances as a tuple.

    Raises:
        TypeError: if it is something else, naming the element.
    """
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{name} must be a list of {kind.__name__} objects, got {type(values).__name__}")
    for i, value in enumerate(values):
        if not isinstance(value, kind):
            raise TypeError(f"{name}[{i}] must be a {kind.__name__} object, got {type(value).__name__}")
    return tuple(values)
