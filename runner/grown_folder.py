"""A finished run that grows out of what its folder says: by metrics, or by maps that others made."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..benchmarks import Metric
from ..explainers.core.sample_pool import PooledSamples
from ..summary_format import Results
from ..summary_format.imported_maps.map_store import MapStore
from ..summary_format.imported_maps.maps_file import MapsFile
from ..summary_format.plan_diff import mapping_differences, shown
from ..summary_format.plan_record import PlanRecord
from ..summary_format.plural import plural
from ..summary_format.problem import Problem
from .config.build import build_runner, dataset_of
from .config.of_folder import FolderConfig, config_of_folder
from .config.without_network import metrics_of, plan_without_network
from .data.dataset_pool import DatasetPool
from .execution.engine import execute
from .execution.run_result import RunResult
from .plan.fingerprint import Description
from .problems import PlanError, Problems

_log = logging.getLogger("explainrun")


def folder_with_maps(
    summary_dir: Path, path: Path, name: str, source: str | None = None, folder: Path | None = None
) -> RunResult:
    """Take maps that another library or a person made into a finished run: scored, ranked and shown like its own.

    Args:
        summary_dir: the run's folder.
        path: the file of maps; see ``explainrun.summary_format.imported_maps.maps_file``.
        name: under which they appear.
        source: who made them; by default what the file says.
        folder: what the paths in the run's config are relative to, where that has moved.

    Raises:
        PlanError: with what is wrong; also if the run was not made from a config.
        MapsFileError: if the file is not one of maps.
        BrokenRecordError: if the run is damaged.
        FolderInUseError, RunStopped, OSError: as for any run.
    """
    instead = f"register ImportedMaps(network, {str(path)!r}, name={name!r}) in the script and run it again"
    known = config_of_folder(summary_dir, folder, instead)
    maps = MapsFile(path)
    _check_name(name, maps.digest, known.results.plan_record)
    _check_fits(maps, path, known.results)
    config = known.with_entries(imported={name: {"path": str(path.absolute()), "source": source}})
    runner = build_runner(config, [], known.folder, shard=known.shard, stores={**known.stores, name: maps})
    return execute(runner.plan(config.limit, known.shard), checked=known.archive)


def _check_name(name: str, digest: str, record: PlanRecord) -> None:
    """Make sure that a run has nothing else of a name than maps with that digest.

    Raises:
        PlanError: if it has.
    """
    before = record.explainers.get(name)
    if before is None or before.get("digest") == digest:
        return
    words = "the run has {what} called {name!r} already; import these maps under another name"
    what = "an explainer" if "digest" not in before else "other imported maps"
    raise PlanError([Problem.of("explainer-name-taken", words, name=name, what=what)])


def scored_folder(
    summary_dir: Path, names: Sequence[str], settings: Mapping[str, Any], folder: Path | None = None
) -> RunResult:
    """Score the maps of a finished run by more metrics. Where those ask no network, none is made, nor any pass.

    Args:
        summary_dir: the run's folder.
        names: of the metrics.
        settings: options of theirs, by "METRIC.OPTION".
        folder: what the paths in the run's config are relative to, where that has moved.

    Raises:
        PlanError: with what is wrong; also if the run was not made from a config.
        BrokenRecordError: if the run is damaged.
        FolderInUseError, RunStopped, OSError: as for any run.
    """
    known = config_of_folder(summary_dir, folder, "register the metrics in the script and run it again")
    entries = _entries(names, settings)
    added = metrics_of(known.config, known, entries)
    if added is not None:
        entries = _new(entries, added, known)
        added = [metric for metric in added if metric.name not in known.results.metrics]
    if not entries:
        _log.info("%s has these scores already: nothing to do", summary_dir)
        return RunResult.of(known.results, summary_dir, finished_before=True)
    config = known.with_entries(metrics=entries)
    metrics = metrics_of(config, known, config.metrics)
    if added is None or metrics is None or any(metric.needs_network for metric in added):
        runner = build_runner(config, [], known.folder, shard=known.shard, stores=known.stores)
        return execute(runner.plan(config.limit, known.shard), checked=known.archive)
    return execute(plan_without_network(config, known, metrics), checked=known.archive)


def _entries(names: Sequence[str], settings: Mapping[str, Any]) -> list[Any]:
    """Metrics with their options, as a config has them.

    Raises:
        PlanError: if options are of another metric.
    """
    options: dict[str, dict[str, Any]] = {name: {} for name in names}
    problems = Problems()
    for key, value in settings.items():
        name, _, option = key.partition(".")
        if name in options and option:
            options[name][option] = value
            continue
        words = "--set: {name!r} is not among the metrics {metrics:list}; write METRIC.OPTION=VALUE"
        problems.append(Problem.of("set-of-no-metric", words, name=name, metrics=list(options)))
    problems.raise_if_any()
    return [{name: given} if given else name for name, given in options.items()]


def _new(entries: Sequence[Any], metrics: Sequence[Metric], known: FolderConfig) -> list[Any]:
    """The entries whose metrics a run does not have.

    Args:
        entries: as in a config.
        metrics: what they make.
        known: the run.

    Raises:
        PlanError: if it has one of the same name and other options, or without the curves that are wanted.
    """
    new, problems, record = [], Problems(), known.results.plan_record
    description = Description(pool=partial(_pooled, known))
    for entry, metric in zip(entries, metrics, strict=True):
        if metric.name not in record.metrics:
            new.append(entry)
            continue
        described = problems.attempt(metric.name, partial(description.component_options, metric))
        apart = mapping_differences(record.metrics[metric.name], described or record.metrics[metric.name])
        if apart:
            words = (
                "the run has a metric {metric} with other options ({differences}); give this one another name: "
                "--set {metric}.name=NAME"
            )
            problems.append(Problem.of("metric-of-other-options", words, metric=metric.name, differences=shown(apart)))
        elif metric.kept_curves and not record.kept_curves(metric.name):
            words = (
                "the run has the scores of {metric} without its curves; set its curves to true in the run's config and "
                "run that again, which takes the maps and makes these scores once more"
            )
            problems.append(Problem.of("metric-without-curves", words, metric=metric.name))
    problems.raise_if_any()
    return new


def _pooled(known: FolderConfig, size: int) -> PooledSamples:
    """The first so many samples of a run's dataset.

    Raises:
        ValueError: if the dataset cannot be made or read, as do ImportError and OSError.
    """
    names = list(known.results.class_names)
    dataset = dataset_of(known.config, known.folder, names)
    return DatasetPool(dataset, len(names), tolerant=known.config.options.of_classes(names).skip_broken)(size)


def _check_fits(maps: MapStore, path: Path, results: Results) -> None:
    """Make sure that maps are about questions of a run; how many, is logged.

    Raises:
        PlanError: if none is.
    """
    asked = results.questions
    answered = int((maps.places(*asked.T) >= 0).sum())
    if not answered:
        words = (
            "{file} has no map for any of the {questions:plural question} that the run asked; it has one for label "
            "{label} of sample {sample}, the run asked about {asked}"
        )
        sample, label = maps.questions[0].tolist()
        said = ", ".join(f"label {label} of sample {sample}" for sample, label in asked[:2].tolist()) or "nothing"
        values = {"file": path, "questions": len(asked), "sample": sample, "label": label, "asked": said}
        raise PlanError([Problem.of("imported-nothing-asked", words, **values)])
    _log.info("%s has maps for %d of %d questions", path, answered, len(asked))
    if len(maps.questions) > answered:
        _log.info("the run did not ask the other %s of it", plural(len(maps.questions) - answered, "map"))
