"""Whether a run that a folder holds is one of this plan's network and dataset, and what its next start needs of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...explainers.core.automatic_layer import ChosenLayer
from ...explainers.network import PROBED, Network, keeping_random_state, probe
from ...explainers.network.tensors import FloatArray
from ...summary_format import BrokenRecordError, RunFolder, Segments
from ...summary_format.archive.growth_record import GrowthRecord
from ...summary_format.growth.earlier import Earlier
from ...summary_format.growth.kept_archives import opened_archives
from ...summary_format.plan_record import PlanRecord
from ...summary_format.probe import Answers, Probe
from ...summary_format.problem import Problem
from ...summary_format.storage.run_folder import INSTEAD
from ..batches.batch import Batch, Reading, check_same, digests, read
from ..batches.checks import report_doubts
from ..batches.pass_counts import Profile
from ..data.samples import Sample
from ..plan.plan import Plan
from ..problems import DamagedRunError, DatasetChangedError, PlanError
from .doubts import kept_doubts
from .resume import other_data, unknown_run
from .signals import Stopping

_log = logging.getLogger("explainrun")


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A run that has its folder.

    Attributes:
        plan: what it does, with the layers that were chosen when it began.
        run: its files.
        groups: its batches.
        compiled: images (N, C, H, W) on which forward passes shall be compiled once there are any, since they ran
            compiled when it began; None where they did not, or are compiled already.
        first: the first of them, where it was examined with the plan.
        skipped: why samples are left out, by id; grows while they are read.
        earlier: what runs know of its samples that it grows out of.
    """

    plan: Plan
    run: RunFolder
    groups: Iterator[list[Sample]]
    compiled: FloatArray | None = None
    first: Batch | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)
    earlier: Earlier = field(default_factory=Earlier)


def known_again(plan: Plan, network: Network, run: RunFolder, stopping: Stopping) -> Begun:
    """The run that a folder holds, if its network is the plan's.

    Raises:
        DatasetChangedError: if its samples were others.
        DamagedRunError: if what it grows out of cannot be read.
        PlanError: if it is another one.
    """
    state = run.state() or {}
    grown = growth_of(plan, run, state)
    reading = read(plan, stopping.check, () if grown is None else grown.ends)
    begins = np.array(state.get("begins", ()), np.int64)
    if run.finished and not np.array_equal(begins, digests(reading.first_pass_samples)):
        raise DatasetChangedError([other_data(plan)])
    check_same(begins, reading.first_pass_samples)
    check_network(plan, network, run, state, reading)
    before = PlanRecord.of(state.get("plan"))
    chosen = _chosen_layers(plan, before)
    if plan.measured_size is not None:
        _log.info("pass_size %d, as when the run began", plan.measured_size)
    if chosen:
        named = ", ".join(f"{name}: {layer}" for name, layer in chosen.items())
        _log.info("layers that were chosen when the run began: %s", named)
    growing = grown is not None and not run.finished
    return Begun(
        plan=plan.with_layers(chosen),
        run=run,
        groups=reading.batches,
        compiled=compiled_before(state, reading),
        skipped=reading.skipped,
        earlier=_earlier(run, before) if growing else Earlier(),
    )


def growth_of(plan: Plan, run: RunFolder, state: Mapping[str, Any]) -> GrowthRecord | None:
    """What a run in a plan's folder grew out of; None where it began with nothing.

    Raises:
        PlanError: if it says that and cannot be understood.
    """
    try:
        return GrowthRecord.of(state)
    except ValueError:
        raise PlanError([unknown_run(plan, run)]) from None


def check_network(
    plan: Plan, network: Network, run: RunFolder, state: Mapping[str, Any], reading: Reading
) -> Probe | None:
    """Make sure that a run's network computes what the plan's does, by what it answered to fixed images and to the
    first of the dataset; say again what was in doubt. Gives the answers of now, if it was asked.

    Raises:
        PlanError: if it computes something else, or its outputs are in doubt and the plan is strict.
    """
    if not (reading.first_pass_samples and plan.asks_network):
        return None
    network.trial = reading.first_pass_images  # as when it began
    asked = min(PROBED, len(state.get("begins", ())))
    found, apart = _network_apart(plan, network, reading.first_pass_images[:PROBED], state, asked)
    if apart is not None:
        words = "summary_dir {folder} holds {kind} run of a network that computes something else: {how}; {instead}"
        kind = "a finished" if run.finished else "an unfinished"
        values = {"folder": plan.summary_dir, "kind": kind, "how": apart, "instead": INSTEAD}
        raise PlanError([Problem.of("folder-holds-other-network", words, **values)])
    report_doubts(plan, kept_doubts(state.get("doubts"), Probe.of(state.get("probe"))))
    return found


def kept_probe(state: Mapping[str, Any], samples: int) -> Probe | None:
    """What the network of a run answered to its probe, of the dataset to the first so many samples alone.

    None where it was not asked, or the run does not say that.
    """
    with suppress(ValueError):
        asked = min(PROBED, len(state.get("begins", ())))
        return _without_last(Probe.of(state.get("probe")), max(asked - samples, 0))
    return None


def compiled_before(state: Mapping[str, Any], reading: Reading) -> FloatArray | None:
    """The images on which forward passes shall be compiled, where they ran compiled when a run began."""
    return reading.first_pass_images if state.get("compiled") and reading.first_pass_samples else None


def compile_later(network: Network, images: FloatArray, profile: Profile, stopping: Stopping) -> None:
    """Have forward passes compiled before the next one, as they ran when the run began."""

    def compile_now() -> None:
        try:
            network.compile(images)
        except ValueError as error:
            raise RuntimeError(f"forward passes ran compiled when this run began; now {error}") from error
        profile.need_compiling(compiled=True)
        stopping.check()

    network.before_forward = compile_now


def segments_of(begun: Begun) -> Segments:
    """What is committed of a run."""
    names = tuple(explainer.name for explainer in begun.plan.explainers)
    searching, pass_size = begun.plan.hierarchical_occlusion is not None, begun.plan.pass_size
    curves = begun.plan.kept_curves
    return Segments(begun.run, names, searching=searching, pass_size=pass_size, curves=curves)


def damaged_run(error: Exception) -> DamagedRunError:
    """That a finished run, or what a run grows out of, cannot be read."""
    words = "the finished run is damaged: {said}; recompute it: overwrite (--overwrite)"
    return DamagedRunError([Problem.of("run-damaged", words, said=str(error))])


def _earlier(run: RunFolder, plan: PlanRecord) -> Earlier:
    try:
        return Earlier(opened_archives(run), plan)
    except (BrokenRecordError, FileNotFoundError, ValueError) as error:
        raise damaged_run(error) from error


def _chosen_layers(plan: Plan, before: PlanRecord) -> dict[str, ChosenLayer]:
    """The layers that were chosen for the readers of a plan that lack one."""
    lacking = {reader.name for reader in plan.layer_readers if reader.lacks_layer}
    chosen = {name: layer for name, layer in before.chosen_layers.items() if name in lacking}
    return {name: ChosenLayer(layer, before.chosen_reshapes.get(name)) for name, layer in chosen.items()}


@keeping_random_state()
def _network_apart(
    plan: Plan, network: Network, images: FloatArray, state: Mapping[str, Any], asked: int
) -> tuple[Probe, str | None]:
    """What a plan's network answers, and how that differs from what a run's answered to its probe, if it does.

    Args:
        plan: of now.
        network: of it.
        images: (N, C, H, W) of the dataset, to be asked about.
        state: of the run.
        asked: how many images of the dataset it was asked about then.
    """
    found = probe(network, images, plan.activation_fn)
    try:
        kept = Probe.of(state.get("probe"))
    except ValueError as error:
        return found, str(error)
    if kept.answers is None and found.difference(probe(network, images, plan.activation_fn)):
        found = replace(found, answers=None)  # which one pass need not show
    both = min(asked, len(images))
    return found, _without_last(kept, asked - both).difference(_without_last(found, len(images) - both))


def _without_last(answers: Probe, images: int) -> Probe:
    """The answers without those to the last so many images."""
    if answers.answers is None or not images:
        return answers
    return replace(answers, answers=Answers(*(of_images[:-images] for of_images in answers.answers)))
