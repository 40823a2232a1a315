"""The plan of a finished run with more metrics that ask no network, so that none is made: stand-ins take its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mindspore import Tensor, nn

from ...benchmarks import METRICS, Metric
from ...explainers import EXPLAINERS, Explainer, FloatArray, View
from ...summary_format.plan_record import PlanRecord
from ...summary_format.problem import Problem
from ..image_classification_runner import ImageClassificationRunner
from ..plan.plan import Plan
from ..problems import Problems
from .build import dataset_of
from .components import component_factory
from .of_folder import FolderConfig
from .schema import ACTIVATIONS, RunConfig

# What a plan says that a network shows, or an explainer that is made around it.
_OF_NETWORK = (
    "network", "explainers", "errors", "controls", "nearest_samples", "chosen_layers", "chosen_reshapes", "device",
)  # fmt: skip


class AbsentNetwork(nn.Cell):
    """Stands for a network that is not asked."""

    def construct(self, x: Tensor) -> Tensor:
        raise RuntimeError("this run was to ask no network")


class RecordedExplainer(Explainer):
    """Stands for an explainer whose maps a run has.

    Args:
        network: a stand-in.
        name: of the explainer.
        record: the plan of the run.
    """

    def __init__(self, network: nn.Cell, name: str, record: PlanRecord) -> None:
        super().__init__(network, name)
        kind = str(record.explainers[name].get("class"))
        # for pictures that are lost, which are drawn again
        self.signed = getattr(EXPLAINERS[kind], "signed", None) if kind in EXPLAINERS else None

    def attribute(self, view: View) -> FloatArray:
        words = "the run has not all maps of {explainer}; run its config again, which makes them"
        raise ValueError(Problem.of("recorded-maps-lacking", words, explainer=self.name))


def metrics_of(config: RunConfig, known: FolderConfig, entries: Sequence[Any]) -> list[Metric] | None:
    """The metrics that entries name; None if one cannot be made without the network.

    Args:
        config: with the activation.
        known: with the class names and what paths are relative to.
        entries: as in a config's ``metrics``.

    Raises:
        PlanError: with all that is wrong with entries.
    """
    classes, activation = len(known.results.class_names), ACTIVATIONS[config.activation]()
    given = {"network": None, "num_labels": classes, "activation_fn": activation}
    statistics = {"mean": config.mean, "std": config.std}
    problems, makers = Problems(), []
    for entry in entries:
        making = partial(component_factory, METRICS, entry, given, known.folder, statistics)
        makers.append(problems.attempt("", making))
    problems.raise_if_any()
    if any("network" in make.keywords for make in makers):
        return None
    made = [problems.attempt("", make) for make in makers]
    problems.raise_if_any()
    return made


def plan_without_network(config: RunConfig, known: FolderConfig, metrics: Sequence[Metric]) -> Plan:
    """A finished run's plan with these metrics, whose network is a stand-in.

    Args:
        config: that of the run, with the metrics.
        known: the run.
        metrics: all that the plan shall have.

    Raises:
        PlanError: if the dataset cannot be made.
    """
    record, problems, network = known.results.plan_record, Problems(), AbsentNetwork()
    names = list(record.class_names)
    dataset = problems.attempt("data", partial(dataset_of, config, known.folder, names))
    problems.raise_if_any()
    activation, options = ACTIVATIONS[config.activation](), config.options.of_classes(names).model_dump()
    runner = ImageClassificationRunner(config.summary_dir, (dataset, names), network, activation, **options)
    if record.explainers:
        runner.register_saliency([RecordedExplainer(network, name, record) for name in record.explainers], metrics)
    if config.uncertainty is not None:
        runner.register_uncertainty(config.uncertainty.samples)
    if config.hierarchical_occlusion is not None:
        runner.register_hierarchical_occlusion(**config.hierarchical_occlusion.model_dump())
    if config.nearest_samples is not None:  # whose layer a stand-in lacks
        runner.register_nearest_samples(**config.nearest_samples.model_dump(exclude={"layer"}))
    runner.config = {**(record.config or {}), "metrics": config.metrics}
    plan = runner.plan(config.limit, known.shard)
    recorded = {key: record.raw[key] for key in _OF_NETWORK if key in record.raw}
    return replace(plan, asks_network=False, record=PlanRecord.of({**plan.described.raw, **recorded}))
