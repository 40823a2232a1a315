"""What a run will do, and everything that can be found wrong with it before the first pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn

from ...benchmarks import Metric
from ...explainers import Explainer, HierarchicalOcclusion
from ...explainers.core.automatic_layer import ChosenLayer
from ...explainers.core.measured_size import AUTO
from ...explainers.core.view import Needs
from ...explainers.nearest_samples import NearestSamples
from ...explainers.network import DEFAULT_PASS_SIZE, Network
from ...summary_format.plan_record import NEAREST_SAMPLES as NEAREST
from ...summary_format.plan_record import PlanRecord
from ...summary_format.problem import Problem
from ..data.dataset_pool import DatasetPool
from ..data.direct import Data
from ..data.samples import sample_count
from ..problems import PlanError, SampleError, problem_of
from .fingerprint import Description, UndescribedError
from .network_fingerprint import network_identity
from .options import SETTINGS, UNCOMPARED, RunOptions
from .sharding import Shard
from .versions import versions

PASSES_A_BATCH = 4  # samples of a work batch, in passes: enough that few passes are ragged, and few maps are held
_DESCRIBABLE = "plain values, arrays, functions, Cells or objects that can be pickled"


@dataclass(frozen=True, kw_only=True)
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
        options: how it works, whatever it explains.
        limit: how many samples at most.
        dropout_samples: how many dropout masks the uncertainty of predictions is estimated from; 0 for none.
        hierarchical_occlusion: what searches for the regions that suffice for a label, if anything does.
        nearest: what finds the nearest samples of each, if anything does.
        config: what the plan was made from, in plain values, if from a config.
        shard: which samples it works on; None for all.
        chosen_layers: by explainer for which no layer was named, the one that was chosen.
        chosen_reshapes: by explainer the ``reshape`` that goes with it, where it gives tokens or channels last.
        measured_size: images per pass, where the options leave that to a measurement which was made.
        record: what is written of it, where it was made from what a folder says and not from what users give; its
            explainers and metrics are those of the record, by name.
        pool: what gives the first so many samples of the dataset, for explainers and metrics that compare with them.
        asks_network: whether passes may be made; without, the network is not looked at, and any stand-in will do.
    """

    summary_dir: Path
    dataset: Data
    class_names: tuple[str, ...]
    network: nn.Cell
    activation_fn: Callable[[Tensor], Tensor]
    explainers: tuple[Explainer, ...]
    metrics: tuple[Metric, ...]
    options: RunOptions = field(default_factory=RunOptions)
    limit: int | None = None
    dropout_samples: int = 0
    hierarchical_occlusion: HierarchicalOcclusion | None = None
    nearest: NearestSamples | None = None
    config: Mapping[str, Any] | None = None
    shard: Shard | None = None
    chosen_layers: Mapping[str, str] = field(default_factory=dict)
    chosen_reshapes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    measured_size: int | None = None
    record: PlanRecord | None = None
    pool: DatasetPool | None = None
    asks_network: bool = True

    def opened(self) -> Network:
        """The network as the run asks it."""
        output, classes, jit = self.options.output, len(self.class_names), self.options.jit
        size = self.pass_size
        return Network(self.network, size, fill=True, output=output, classes=classes, jit=jit, own_graphs=True)

    @property
    def measures_size(self) -> bool:
        """Whether its pass size is yet to be measured."""
        return self.options.pass_size == AUTO and self.measured_size is None

    @property
    def pass_size(self) -> int:
        """Images per pass; until it is measured, what it is without a choice."""
        given = self.options.pass_size
        return given if given != AUTO else self.measured_size or DEFAULT_PASS_SIZE

    @property
    def sample_count(self) -> int | None:
        """How many samples it works on, or None where only reading them all would show it."""
        total = sample_count(self.dataset, self.limit)
        return total if total is None or self.shard is None else self.shard.size(total)

    @property
    def batch_size(self) -> int:
        """Samples of a work batch, whatever batches the dataset is read in and whatever is done with them."""
        return self.pass_size * PASSES_A_BATCH

    @property
    def parts(self) -> int:
        """Into how many parts the work on a batch falls."""
        return len(self.explainers) + (self.hierarchical_occlusion is not None)

    @property
    def tries_compiling(self) -> bool:
        """Whether forward passes shall run compiled; in graph mode MindSpore compiles them anyway."""
        return self.options.jit != "off" and ms.get_context("mode") != ms.GRAPH_MODE

    @property
    def needs(self) -> Needs:
        """What all explainers together ask of the shared pass."""
        return Needs.together(explainer.needs for explainer in self.explainers)

    @property
    def needs_boxes(self) -> bool:
        """Whether a metric asks where labels are."""
        return any(metric.needs_boxes for metric in self.metrics)

    @property
    def kept_curves(self) -> dict[str, tuple[str, ...]]:
        """By metric whose curves are kept beside its scores, what they are called."""
        return {metric.name: metric.kept_curves for metric in self.metrics if metric.kept_curves}

    @property
    def layer_readers(self) -> tuple[Explainer | NearestSamples, ...]:
        """All that may lack a layer, each with a name."""
        return (*self.explainers, *(() if self.nearest is None else (self.nearest,)))

    @property
    def inner_layers(self) -> set[str]:
        """The layers that explainers inside others read."""
        return set().union(*(explainer.inner_layers() for explainer in self.explainers))

    def with_layers(self, chosen: Mapping[str, ChosenLayer]) -> Plan:
        """The plan with the layers that were chosen, by the name of what lacks one.

        Raises:
            ValueError: if the network has no such layer.
        """
        if not chosen:
            return self
        named = tuple(one.reading(chosen[one.name]) if one.name in chosen else one for one in self.explainers)
        nearest = self.nearest and (self.nearest.reading(chosen[NEAREST]) if NEAREST in chosen else self.nearest)
        layers = {name: layer.name for name, layer in chosen.items()}
        reshapes = {name: layer.reshape for name, layer in chosen.items() if layer.reshape is not None}
        return self._replaced(explainers=named, nearest=nearest, chosen_layers=layers, chosen_reshapes=reshapes)

    def with_measured_size(self, size: int) -> Plan:
        """The plan with the pass size that was measured."""
        return self._replaced(measured_size=size)

    def tried_in(self, folder: Path, samples: int) -> Plan:
        """The plan of a trial: of so many first samples, in another folder."""
        return self._replaced(summary_dir=folder, limit=samples)

    def _replaced(self, **parts: Any) -> Plan:
        """The plan with what was chosen, described as before.

        A start recognises its run before it has chosen anything, and checksums of a large network take seconds.
        """
        plan = replace(self, **parts)
        plan.__dict__.update({"_described": self._described, "identity": self.identity})
        return plan

    @property
    def undescribed(self) -> list[Problem]:
        """A sentence on each part that cannot be described, so that a later start would not know the run again."""
        return [] if self.record is not None else self._described[1]

    @cached_property
    def described(self) -> PlanRecord:
        """The plan as it is written: what a reader needs to make the run again, and what distinguishes two runs.

        Raises:
            PlanError: if a part of it cannot be described, or a name cannot be written.
        """
        if self.record is not None:
            return self.record
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
                explainer.name: explainer.error_format for explainer in self.explainers if explainer.knows_errors
            },
            "higher_is_better": {metric.name: metric.higher_is_better for metric in self.metrics},
            "uncontrolled": [metric.name for metric in self.metrics if not metric.control_sensitive],
            "controls": [explainer.name for explainer in self.explainers if explainer.control],
            **({"curves": self.kept_curves} if self.kept_curves else {}),
            "chosen_layers": self.chosen_layers,
            "chosen_reshapes": self.chosen_reshapes,
            "limit": self.limit,
            "dropout_samples": self.dropout_samples,
            **self.options.model_dump(exclude={"output"}),
            "pass_size": self.pass_size,
            "measured_pass_size": self.measured_size is not None,
            "settings": list(SETTINGS),
            "uncompared": list(UNCOMPARED),
            "graph_mode": ms.get_context("mode") == ms.GRAPH_MODE,
            "device": ms.get_context("device_target"),
            "versions": versions(),
            "config": self.config,
        }
        # Names are said in full, however many there are: readers look up what they name.
        plain = {**Description().to_jsonable(values), "class_names": list(self.class_names)}
        try:
            return PlanRecord.of(plain)
        except ValueError as error:
            raise PlanError([problem_of(error)]) from error

    @cached_property
    def identity(self) -> dict[str, str]:
        """What the network is, as far as it can be read off it."""
        return network_identity(self.network)

    @cached_property
    def _described(self) -> tuple[dict[str, Any], list[Problem]]:
        """What users made, described; and a sentence on each part that cannot be."""
        description, problems = Description(self.network, self.pool), list[Problem]()

        def tried(what: str, describe: Callable[[Any], Any], thing: Any) -> Any:
            try:
                return describe(thing)
            except UndescribedError as error:
                problems.append(
                    Problem.of(
                        "not-recognisable",
                        "{what} could not be recognised by a later start: {said}; give {instead}",
                        what=what,
                        said=str(error),
                        instead=_DESCRIBABLE,
                    )
                )
            except SampleError as error:  # of a pool, which several may have
                problems.extend({Problem.from_error(error)} - {*problems})
            return None

        options, search = description.component_options, self.hierarchical_occlusion
        parts = {
            "activation_fn": tried("activation_fn", description.to_jsonable, self.activation_fn),
            "output": tried("output", description.to_jsonable, self.options.output),
            "explainers": {one.name: tried(one.name, options, one) for one in self.explainers},
            "metrics": {one.name: tried(one.name, options, one) for one in self.metrics},
            "hierarchical_occlusion": search and tried("hierarchical occlusion", options, search),
        }
        if self.nearest is not None:
            parts["nearest_samples"] = tried(NEAREST, options, self.nearest)
        return parts, problems
