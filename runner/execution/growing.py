"""Beginning a run that grows out of another one: what that has is taken, the rest is looked at as a new run's is."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from typing import Any

import mindspore as ms
import numpy as np

from ...explainers.core.automatic_layer import ChosenLayer
from ...explainers.network import DropoutPlaces, Network, keeping_random_state
from ...summary_format import BrokenRecordError, FolderLock, Results, RunFolder, Segments, find_runs, remove_runs
from ...summary_format.archive.growth_record import GrowthRecord
from ...summary_format.growth.earlier import Earlier, EarlierArchive, chosen_before
from ...summary_format.growth.kept_archives import archives_of, drop_shown, growth_record, prune_archives, put_beside
from ...summary_format.growth.plan_growth import Surplus, base_differences
from ...summary_format.lifecycle.repair import mend
from ...summary_format.plan_diff import shown
from ...summary_format.probe import Probe
from ..batches.batch import Batch, Reading, check_same, digests, ids_of, inferred, read
from ..batches.batch_loop import need_inference
from ..batches.explaining import plans_by_lack
from ..batches.pass_counts import Costs, Profile
from ..data.samples import Sample
from ..plan.checks import plan_problems
from ..plan.plan import Plan
from ..plan.sample_checks import sample_problems
from ..problems import DatasetChangedError, Problems
from .preflight import (
    activation_problems,
    check_inner_layers,
    choose_layers,
    output_problems,
    prepare_dropout,
    prepare_neighbours,
    space_problems,
    try_all,
    with_maps,
)
from .recognition import Begun, check_network, compile_later, compiled_before, damaged_run, kept_probe
from .resume import Growing, other_data
from .signals import Stopping

_log = logging.getLogger("explainrun")


def grown(
    plan: Plan, growing: Growing, *, network: Network, profile: Profile, stopping: Stopping, lock: FolderLock
) -> Begun | None:
    """A new run that takes what another one has; None where that has nothing yet.

    The other one stays as it is until the new one is finished.

    Raises:
        PlanError: with all that is wrong.
        DatasetChangedError: if the dataset gave the other one something else.
        DamagedRunError: if what the other one has cannot be read.
        OSError: if the folder cannot be written.
    """
    Problems(plan_problems(plan)).raise_if_any()
    archives, costs = _sources(plan, growing, stopping)
    if not any(len(archive.ids) for archive in archives):
        return None
    record = growth_record(growing.run, growing.plan, archives, costs)
    seed = _Seed(plan, growing, archives, record)
    with profile.timed("first batch: inference and maps"):
        sprout = _examined(seed, network, profile, stopping)
    stopping.check()
    _report(sprout.plan, growing, record)
    return _put(seed, sprout, network, lock)


def clear(
    run: RunFolder, results: Results, *, replaces: bool, prune: bool, known: Sequence[EarlierArchive] = ()
) -> None:
    """Remove what a finished run has no use for.

    Args:
        run: which.
        results: what it came to.
        replaces: whether the other runs in its folder go.
        prune: whether what it hides goes.
        known: the archives that it took from.

    Raises:
        FolderInUseError: if the lock is lost.
        OSError: if something cannot be removed.
    """
    run.sweep()
    if prune:
        prune_archives(run)
    else:
        drop_shown(run, results, known)
    if replaces:
        remove_runs(run.root, keep=run, lock=run.lock)


@dataclass(frozen=True)
class _Seed:
    """What a run grows out of.

    Attributes:
        plan: what it shall do.
        growing: the earlier run.
        archives: what is taken from, the newest first.
        record: what the new run says of the earlier one.
    """

    plan: Plan
    growing: Growing
    archives: Sequence[EarlierArchive]
    record: GrowthRecord

    @property
    def state(self) -> Mapping[str, Any]:
        """What the earlier run says of itself."""
        return self.growing.state


@dataclass(frozen=True, kw_only=True)
class _Sprout:
    """A plan that grows, once it was examined.

    Attributes:
        plan: with its layers.
        reading: of the dataset.
        groups: its batches.
        first: the first batch, as far as it was made; None where the network is not asked, or there is none.
        probe: what the network answers; None where it is not asked.
        earlier: what is known of the samples.
    """

    plan: Plan
    reading: Reading
    groups: Iterator[list[Sample]]
    first: Batch | None
    probe: Probe | None
    earlier: Earlier


def _sources(plan: Plan, growing: Growing, stopping: Stopping) -> tuple[list[EarlierArchive], Costs]:
    """The archives that may be taken from, and what the earlier run took.

    Raises:
        DamagedRunError: if one cannot be read, or is of another run.
    """
    run, before = growing.run, growing.plan
    try:
        if run.finished:
            archives = archives_of(run, before, stopping.check, checked=growing.checked)
            if len(find_runs(run.root)) > 1 and growing.state["replaces"]:  # since a kill has kept it from that
                clear(run, archives[0].results, replaces=True, prune=False, known=archives[1:])
                archives = [archive for archive in archives if archive.path.exists()]
            costs = archives[0].costs
        else:
            segments = Segments.of(run, before)
            for what in mend(segments, stopping.check):
                _log.warning("%s; it is computed again", what)
            archives, costs = archives_of(run, before, stopping.check), segments.costs()
    except (BrokenRecordError, FileNotFoundError, ValueError) as error:
        raise damaged_run(error) from error
    for archive in archives:
        if apart := base_differences(archive.plan, plan.described) or _other_samples(archive, plan):
            raise damaged_run(ValueError(f"{archive.path} is of another run ({shown(apart)})"))
    return archives, costs


def _other_samples(archive: EarlierArchive, plan: Plan) -> list[str]:
    """That the samples of an archive are not the first of a plan, or of its shard."""
    first, step = (0, 1) if plan.shard is None else (plan.shard.number - 1, plan.shard.count)
    own = np.arange(len(archive.ids)) * step + first
    return [] if np.array_equal(archive.ids, own) else ["its samples"]


@keeping_random_state()
def _examined(seed: _Seed, network: Network, profile: Profile, stopping: Stopping) -> _Sprout:
    """Look at a plan, at its first batch and at what the network says of it, as far as that is not known.

    Raises:
        PlanError: with all that is wrong.
        DatasetChangedError: if the dataset gave the earlier run something else.
    """
    plan, state = seed.plan, seed.state
    reading = read(plan, stopping.check, seed.record.ends)
    samples, seen = next(reading.batches, []), reading.first_pass_samples
    _check_begins(seed, seen)
    Problems(sample_problems(plan, [*seen, *samples])).raise_if_any()
    groups = chain([samples], reading.batches) if samples else iter(())
    answers = check_network(plan, network, seed.growing.run, state, reading)
    if answers is not None:
        profile.need_probe(len(seen))
        network.dropout = DropoutPlaces.of(state.get("dropout", {}))
        if (compiled := compiled_before(state, reading)) is not None:
            compile_later(network, compiled, profile, stopping)
        plan = plan.with_layers(_layers(seed, network, reading, profile))
    earlier = Earlier(seed.archives, plan.described)
    first = None
    if samples and answers is not None:
        first = _first_batch(plan, network, samples, earlier=earlier, reading=reading, profile=profile)
    return _Sprout(plan=plan, reading=reading, groups=groups, first=first, probe=answers, earlier=earlier)


def _check_begins(seed: _Seed, samples: list[Sample]) -> None:
    """Make sure that the dataset begins as it did, as far as both runs have looked at it.

    Raises:
        DatasetChangedError: if it does not.
    """
    begins = np.array(seed.state.get("begins", ()), np.int64)
    both = min(len(begins), len(samples))
    if not seed.growing.run.finished:
        check_same(begins[:both], samples[:both])
    elif not np.array_equal(begins[:both], digests(samples[:both])):
        raise DatasetChangedError([other_data(seed.plan)])


def _layers(seed: _Seed, network: Network, reading: Reading, profile: Profile) -> dict[str, ChosenLayer]:
    """The layers of readers that lack one: those of the earlier runs, and of others newly chosen."""
    plan, problems = seed.plan, Problems()
    kept = {name: ChosenLayer(*layer) for name, layer in chosen_before(seed.archives, plan.described).items()}
    new = choose_layers(plan, network, reading.first_pass_images[0], problems, kept)
    problems.raise_if_any()
    profile.need_passes("layer choice", bool(new))
    return {one.name: (kept | new)[one.name] for one in plan.layer_readers if one.lacks_layer}


def _first_batch(
    plan: Plan,
    network: Network,
    samples: list[Sample],
    *,
    earlier: Earlier,
    reading: Reading,
    profile: Profile,
) -> Batch:
    """The first batch, with those maps of explainers that no earlier run has which take no passes of their own.

    Raises:
        PlanError: with all that is wrong with what is new in a plan.
        DatasetChangedError: if the dataset gave the earlier run other samples.
    """
    known, problems = earlier.of(ids_of(samples), samples[0].image.shape[1:]), Problems()
    if known is not None:
        check_same(known.digests, samples)
    lacks_spread = plan.dropout_samples and (known is None or not known.knows_spread)
    if lacks_spread and not network.dropout.layers:
        prepare_dropout(plan, network, reading.first_pass_images, problems)
        profile.need_dropout_trial()
    if known is None or not known.knows_neighbours:
        prepare_neighbours(plan, network, problems)
    problems.raise_if_any()
    need_inference(profile, plan, len(samples), known)
    first = Batch(samples, inferred(plan, network, samples, known))
    problems += output_problems(plan, first) if known is None else ()
    plans = list(plans_by_lack(plan, known, first))
    lacking = {metric.name for new, _ in plans for metric in new.metrics}
    new_metrics = [metric for metric in plan.metrics if metric.name in lacking]
    try_all(new_metrics, network, reading.first_pass_images[0], problems)
    for new, of_earlier in plans:
        problems += activation_problems(new, network, first) if of_earlier is None or new.metrics else ()
        if of_earlier is None and not problems:
            profile.need_passes("layer check", bool(new.inner_layers))
            check_inner_layers(new, network, reading.first_pass_images[0], problems)
            try_all(new.explainers, network, reading.first_pass_images[0], problems)
            first, refused = with_maps(new, network, first)
            problems += refused
    problems += space_problems(plan, first, plan.sample_count)
    problems.raise_if_any()
    return first


def _report(plan: Plan, growing: Growing, record: GrowthRecord) -> None:
    """Log what a run adds to the one that it grows out of, and what it hides of it."""
    now, samples = plan.described, plan.sample_count
    more = 0 if samples is None else samples - record.samples
    adds, hides = Surplus.of(now, growing.plan, more), Surplus.of(growing.plan, now, -more)
    words = [f"{what} {surplus}" for what, surplus in (("it adds", adds), ("it hides", hides)) if surplus]
    what = "finished" if record.finished else "unfinished"
    _log.info("growing out of the %s run in %s: %s", what, plan.summary_dir, "; ".join(words) or "nothing is new")


def _put(seed: _Seed, sprout: _Sprout, network: Network, lock: FolderLock) -> Begun:
    """Make the folder of a run that grows."""
    plan, state, run = sprout.plan, seed.state, seed.growing.run
    begins = digests(sprout.reading.first_pass_samples).tolist()
    kept = {key: state[key] for key in ("compiled", "dropout", "doubts") if key in state}
    if sprout.probe is not None:
        kept |= {"dropout": asdict(network.dropout)}
    probe = kept_probe(state, len(begins)) if sprout.probe is None else sprout.probe
    state = {
        "plan": plan.described.raw,
        "begins": begins,
        "probe": probe and probe.to_jsonable(),
        **kept,
        "replaces": True,
        **seed.record.in_state(),
    }
    remove_runs(plan.summary_dir, keep=run, finished=False, lock=lock)
    device = ms.get_context("device_target")
    new = RunFolder.create(plan.summary_dir, device, state, lock, earlier=partial(put_beside, seed.archives))
    return Begun(
        plan=plan,
        run=new,
        groups=sprout.groups,
        first=sprout.first,
        skipped=sprout.reading.skipped,
        earlier=sprout.earlier,
    )
