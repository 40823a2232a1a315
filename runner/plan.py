"""What a run will do, and everything that can be found wrong with it before the first pass."""

from __future__ import annotations

import os
import platform
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mindspore as ms
import mindspore.dataset as ds
from mindspore import Tensor, nn

from ..benchmarks import Metric
from ..explainers import Explainer, HierarchicalOcclusion
from ..explainers.network import DEFAULT_PASS_SIZE, check_droppable
from ..explainers.tensors import require_pynative
from ..explainers.view import Needs
from ..summary_format.forms import is_text
from ..summary_format.pictures import Statistics
from ..summary_format.problems import SeveralProblemsError
from .description import Description, UndescribedError
from .network_identity import network_identity
from .samples import COLUMNS, sample_count
from .sharding import PLACE, Shard

_PACKAGES = ("explainrun", "mindspore", "numpy", "scipy")
_OPTIONS = ("mean", "std", "seed", "pass_size", "limit", "dropout_samples", "strict", "jit")
JIT = ("auto", "on", "off")
PASSES_A_BATCH = 4  # samples of a work batch, in passes: enough that few passes are ragged
_DESCRIBABLE = "plain values, arrays, functions, Cells or objects that can be pickled"
PASSES_A_COMMIT = 256  # what a kill may cost; a batch that takes more is made smaller: ragged passes hardly count then


class PlanError(SeveralProblemsError):
    """Everything found wrong with a plan, at once."""


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
        dropout_samples: how many dropout masks the uncertainty of predictions is estimated from; 0 for none.
        strict: whether a network output or a map that is not finite is an error.
        jit: "auto", "on" or "off": whether forward passes run compiled.
        hierarchical_occlusion: what searches for the regions that suffice for a label, if anything does.
        config: what the plan was made from, in plain values, if from a config.
        shard: which samples it works on; None for all.
        chosen_layers: by explainer for which nobody named a layer, the one that was chosen.
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
    dropout_samples: int = 0
    strict: bool = False
    jit: str = "auto"
    hierarchical_occlusion: HierarchicalOcclusion | None = None
    config: Mapping[str, Any] | None = None
    shard: Shard | None = None
    chosen_layers: Mapping[str, str] = field(default_factory=dict)

    @property
    def sample_count(self) -> int | None:
        """How many samples it works on, or None where only reading them all would tell."""
        total = sample_count(self.dataset, self.limit)
        return total if total is None or self.shard is None else self.shard.size(total)

    @property
    def largest_batch(self) -> int:
        """Samples that a work batch may hold."""
        return self.pass_size * PASSES_A_BATCH

    def batch_size(self, shape: tuple[int, ...]) -> int:
        """Samples a work batch of images (C, H, W), whatever batches the dataset is read in.

        An explainer's part of a batch is committed as a whole, so batches are as small as explainers and metrics with
        many passes want; as far as that can be told without looking at the images.
        """
        images = max((self._images_a_question(explainer, shape) for explainer in self.explainers), default=1)
        size = self.largest_batch
        while size > 1 and size * images > PASSES_A_COMMIT * self.pass_size:
            size //= 2
        return size

    def _images_a_question(self, explainer: Explainer, shape: tuple[int, ...]) -> int:
        """How many images an explainer's map for one label of one image takes, and its scores."""
        try:
            own = sum(explainer.images_needed(1, 1, shape).values())
        except ValueError:  # its options do not fit, which is told elsewhere
            return 1
        coverings = (metric.covering((shape[1], shape[2])) for metric in self.metrics)
        covered = {image for covering in coverings if covering is not None for image in covering.images}
        return (1 + own) * (1 + sum(metric.maps_again for metric in self.metrics)) + len(covered)

    @property
    def parts(self) -> int:
        """Into how many parts the work on a batch falls."""
        return len(self.explainers) + (self.hierarchical_occlusion is not None)

    @property
    def tries_compiling(self) -> bool:
        """Whether forward passes shall run compiled; in graph mode MindSpore compiles them anyway."""
        return self.jit != "off" and ms.get_context("mode") != ms.GRAPH_MODE

    @property
    def needs(self) -> Needs:
        """What all explainers together ask of the shared pass."""
        return Needs.together(explainer.needs for explainer in self.explainers)

    @property
    def needs_boxes(self) -> bool:
        """Whether a metric asks where labels are."""
        return any(metric.needs_boxes for metric in self.metrics)

    def problems(self) -> list[str]:
        """What is wrong with it as far as nothing is read, a sentence each."""
        problems = [
            *_dataset_problems(self),
            *_name_problems("class name", self.class_names),
            *_name_problems("explainer name", [explainer.name for explainer in self.explainers], in_path=True),
            *_clashing_names("explainer name", [explainer.name for explainer in self.explainers]),
            *_name_problems("metric name", [metric.name for metric in self.metrics], in_path=True),
            *_network_problems(self),
            *_metric_problems(self),
            *folder_problems(self.summary_dir),
            *self.undescribed,
        ]
        if self.shard is None and PLACE in str(self.summary_dir):
            problems.append(f"summary_dir {self.summary_dir} holds {PLACE}, and no shard is given")
        if (self.mean is None) != (self.std is None):
            problems.append("mean and std go together: give both or neither")
        return problems

    def with_layers(self, chosen: Mapping[str, str]) -> Plan:
        """The plan with the layers that were chosen, by explainer that lacks one.

        Raises:
            ValueError: if the network has no such layer.
        """
        if not chosen:
            return self
        named = tuple(one.with_layer(chosen[one.name]) if one.name in chosen else one for one in self.explainers)
        plan = replace(self, explainers=named, chosen_layers=chosen)
        # The same is described, since a start recognises its run before it has chosen layers, and checksums of a large
        # network take seconds.
        plan.__dict__.update({"_described": self._described, "identity": self.identity})
        return plan

    @property
    def undescribed(self) -> list[str]:
        """A sentence on each part that cannot be described, so that a later start would not know the run again."""
        return self._described[1]

    @cached_property
    def described(self) -> dict[str, Any]:
        """The plan in plain values: what a reader needs to make the run again, and what tells two runs apart.

        Raises:
            PlanError: if a part of it cannot be described.
        """
        parts, problems = self._described
        if problems:
            raise PlanError(problems)
        values = {
            "summary_dir": str(self.summary_dir),
            "network": self.identity,
            "columns": list(self.dataset.get_col_names()),
            "samples": sample_count(self.dataset, None),
            "shard": self.shard and [self.shard.number, self.shard.count],
            "class_names": list(self.class_names),
            **parts,
            "errors": {
                explainer.name: explainer.error_told
                for explainer in self.explainers
                if type(explainer).estimate is not Explainer.estimate
            },
            "higher_is_better": {metric.name: metric.higher_is_better for metric in self.metrics},
            "uncontrolled": [metric.name for metric in self.metrics if not metric.controlled],
            "controls": [explainer.name for explainer in self.explainers if explainer.control],
            "chosen_layers": self.chosen_layers,
            **{name: getattr(self, name) for name in _OPTIONS},
            "graph_mode": ms.get_context("mode") == ms.GRAPH_MODE,
            "device": ms.get_context("device_target"),
            "versions": {**{package: version(package) for package in _PACKAGES}, "python": platform.python_version()},
            "config": self.config,
        }
        described: dict[str, Any] = Description().plain(values)
        return described

    @cached_property
    def identity(self) -> dict[str, str]:
        """What the network is, as far as it can be read off it."""
        return network_identity(self.network)

    @cached_property
    def _described(self) -> tuple[dict[str, Any], list[str]]:
        """What users made, described; and a sentence on each part that cannot be."""
        description, problems = Description(self.network), list[str]()

        def tried(what: str, describe: Callable[[Any], Any], thing: Any) -> Any:
            try:
                return describe(thing)
            except UndescribedError as error:
                problems.append(f"{what} could not be recognised by a later start: {error}; give {_DESCRIBABLE}")
                return None

        options, search = description.options, self.hierarchical_occlusion
        parts = {
            "activation_fn": tried("activation_fn", description.plain, self.activation_fn),
            "explainers": {one.name: tried(one.name, options, one) for one in self.explainers},
            "metrics": {one.name: tried(one.name, options, one) for one in self.metrics},
            "hierarchical_occlusion": search and tried("hierarchical occlusion", options, search),
        }
        return parts, problems


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
    problems = [
        f"{explainer.name} explains another network than the runner's; construct it with the same Cell"
        for explainer in plan.explainers
        if explainer.network is not plan.network
    ]
    bound = plan.needs.layers or plan.needs.outputs or any(explainer.pynative for explainer in plan.explainers)
    for needed, what in ((bound, "a gradient explainer"), (plan.dropout_samples, "uncertainty")):
        try:
            if needed:
                require_pynative(what)
        except ValueError as error:
            problems.append(str(error))
    if plan.dropout_samples:
        try:
            check_droppable(plan.network)
        except ValueError as error:
            problems.append(str(error))
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
        f"{metric.name} was made for {metric.num_labels} labels, there are {classes} class names"
        for metric in plan.metrics
        if metric.num_labels not in (None, classes)
    ]


def folder_problems(folder: Path) -> list[str]:
    """Why nothing can be written to a folder, whatever it holds."""
    if "\0" in str(folder) or not is_text(str(folder)):
        return [f"summary_dir {str(folder)!r} can be no folder: it holds a NUL or half of a surrogate pair"]
    try:
        if folder.exists() and not folder.is_dir():
            return [f"summary_dir {folder} is a file"]
    except OSError as error:
        return [f"summary_dir {str(folder)[:80]!r}... can be no folder: {error.strerror}"]
    above = existing(folder)
    if not above.is_dir():
        return [f"summary_dir {folder} lies under a file"]
    if not os.access(above, os.W_OK | os.X_OK):
        return [f"summary_dir {folder} cannot be written"]
    return []


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def first_line(error: Exception) -> str:
    """The first line of what an error says, in words; its kind where it says nothing."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if any(map(str.isalpha, line))), type(error).__name__)


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
