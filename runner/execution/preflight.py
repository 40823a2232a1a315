"""Everything that can be found wrong with a plan before anything is written."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, repeat

import numpy as np

from ...benchmarks import Metric
from ...explainers import Explainer, View
from ...explainers.core.automatic_layer import ChosenLayer, automatic_layers, log_choices
from ...explainers.core.measured_size import Measurement
from ...explainers.core.together import attribute_together
from ...explainers.network import (
    Network,
    NetworkRefusedError,
    Passes,
    UnsharedDropoutError,
    keeping_random_state,
    layer_outputs,
    probe,
)
from ...explainers.network.tensors import FloatArray
from ...summary_format.probe import Probe
from ...summary_format.problem import Problem
from ..batches.batch import Batch, compared_pool, digests, inferred, read
from ..data.samples import Sample
from ..plan.checks import existing, plan_problems
from ..plan.plan import Plan
from ..plan.sample_checks import sample_problems
from ..problems import Problems, SampleError, first_line, problem_of
from .doubts import RANDOM, doubts, like_a_sigmoid

_log = logging.getLogger("explainrun")


@dataclass(frozen=True, kw_only=True)
class PreflightResult:
    """What looking at a plan and its first batch gave.

    Attributes:
        plan: what was looked at, with the layers that were chosen.
        problems: what is wrong, a sentence each.
        doubts: why explanations may not be of images alone, a sentence each; wrong if the plan is strict.
        first: the first batch, inferred and explained, so that nothing is asked twice; None where it did not come to
            that, or the plan's shard has no sample.
        groups: all batches.
        begins: checksums of the dataset's first pass of samples, by which shards know that they share it.
        compiled: whether forward passes run compiled.
        probe: what the network answers to fixed images.
        skipped: why samples are left out, by id; grows while the batches are read.
    """

    plan: Plan
    problems: Problems
    first: Batch | None
    groups: Iterator[list[Sample]]
    begins: Sequence[int] = ()
    compiled: bool = False
    probe: Probe | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)
    doubts: Sequence[Problem] = ()


@keeping_random_state()
def preflight_check(
    plan: Plan, network: Network, total: int | None = None, check: Callable[[], None] = lambda: None
) -> PreflightResult:
    """Look at a plan, its first batch and what the network says of it.

    Args:
        plan: what is to run.
        network: where passes run.
        total: how many samples there are, if known; to see whether the disk holds their maps.
        check: called before each sample is read, then and later; raises to end the wait.
    """
    problems = plan_problems(plan)
    try:
        reading = read(plan, check)
        samples = next(reading.batches, [])
    except SampleError as error:
        if str(error) not in problems:  # as a sample of a pool
            problems.append(Problem.from_error(error))
        return PreflightResult(plan=plan, problems=problems, first=None, groups=iter(()))
    problems += sample_problems(plan, [*reading.first_pass_samples, *samples])
    begins = digests(reading.first_pass_samples).tolist()
    if not reading.first_pass_samples:
        return PreflightResult(plan=plan, problems=problems, first=None, groups=iter(()), begins=begins)
    groups = chain([samples], reading.batches) if samples else iter(())
    first_pass_images = network.trial = reading.first_pass_images
    try:
        answers = probe(network, first_pass_images, plan.activation_fn)
        plan = _with_layers(plan, network, first_pass_images[0], problems)
        if not samples:
            nothing = PreflightResult(plan=plan, problems=problems, first=None, groups=groups)
            return replace(nothing, begins=begins, probe=answers)
        compiled, alone = _tried(plan, network, first_pass_images, problems)
        inference = inferred(replace(plan, dropout_samples=0, nearest=None) if problems else plan, network, samples)
        check()
    except (ValueError, TypeError, RuntimeError) as error:
        problems += refusal(error, first_pass_images.shape[1:])
        return PreflightResult(plan=plan, problems=problems, first=None, groups=groups)
    first = Batch(samples, inference)
    problems += output_problems(plan, first) or activation_problems(plan, network, first)
    doubted = [] if problems else doubts(network, answers, reading.first_pass_samples, first, alone)
    first = first if problems else _explained(plan, network, first, total, problems)
    return PreflightResult(
        plan=plan,
        problems=problems,
        first=first,
        groups=groups,
        begins=begins,
        compiled=compiled,
        probe=replace(answers, answers=None) if RANDOM in doubted else answers,
        doubts=doubted,
        skipped=reading.skipped,
    )


@keeping_random_state()
def with_measured_size(plan: Plan, passes: Passes, check: Callable[[], None]) -> Plan:
    """A plan that leaves its pass size to a measurement, with the one that suits its network and first images.

    Nothing is measured where something is wrong with the plan or its first samples, which ``preflight_check`` reports.

    Args:
        plan: what is to run.
        passes: what the passes of the measurement are counted in.
        check: called before each sample and each pass size; raises to end the wait.
    """
    try:
        reading = None if plan_problems(plan) else read(plan, check)
    except SampleError:
        reading = None
    if reading is None or not reading.first_pass_samples:
        return plan
    measurement = Measurement(
        images=reading.first_pass_images,
        opened=lambda size: replace(plan, measured_size=size).opened(),
        compiles=plan.tries_compiling,
        passes=passes,
        check=check,
    )
    return plan.with_measured_size(measurement.best_size())


def _explained(plan: Plan, network: Network, first: Batch, total: int | None, problems: Problems) -> Batch:
    """The first batch with its maps; what is wrong with them is noted."""
    first, refused = with_maps(plan, network, first)
    problems += refused + space_problems(plan, first, total)
    return first


def refusal(error: Exception, shape: tuple[int, ...]) -> Sequence[Problem]:
    """Why a network cannot be asked about images (C, H, W)."""
    if isinstance(error, NetworkRefusedError):
        return error.problems
    words = "the network cannot take images of shape {shape}: {said}"
    return [Problem.of("network-refuses-images", words, shape=shape, said=first_line(error))]


def _tried(plan: Plan, network: Network, images: FloatArray, problems: Problems) -> tuple[bool, FloatArray | None]:
    """Try on a pass of images how passes may run.

    Gives whether forward ones run compiled, and the first image's logits beside copies of itself, if they were asked.
    """
    alone = None
    compiled = not problems and _compiled(plan, network, images, problems)
    if plan.dropout_samples and not problems:
        prepare_dropout(plan, network, images, problems)
    if plan.shard is not None and not problems:
        alone = _try_places(plan, network, images[0])
    prepare_neighbours(plan, network, problems)
    return compiled, alone


def _with_layers(plan: Plan, network: Network, image: FloatArray, problems: Problems) -> Plan:
    """The plan with a layer for each reader that lacks one; what else shows on an image is looked at."""
    plan = _with_chosen_layers(plan, network, image, problems)
    check_inner_layers(plan, network, image, problems)
    try_all((*plan.explainers, *plan.metrics), network, image, problems)
    return plan


def try_all(tried: Iterable[Explainer | Metric], network: Network, image: FloatArray, problems: Problems) -> None:
    """See on an image (C, H, W) whether all of them can say something of the network, where nothing else is wrong."""
    for one in () if problems else tried:
        problems.attempt(one.name, partial(one.try_on, network, image))


def _with_chosen_layers(plan: Plan, network: Network, image: FloatArray, problems: Problems) -> Plan:
    return plan.with_layers(choose_layers(plan, network, image, problems))


def choose_layers(
    plan: Plan, network: Network, image: FloatArray, problems: Problems, known: Collection[str] = ()
) -> dict[str, ChosenLayer]:
    """A layer for each reader that lacks one, but for those with these names; takes a pass if there are such."""
    lacking = [reader for reader in plan.layer_readers if reader.lacks_layer and reader.name not in known]
    if not lacking or problems:
        return {}
    names = [reader.name for reader in lacking]
    try:
        layers = automatic_layers(network, image, [reader.wanted_reshape for reader in lacking])
    except ValueError as error:
        problems.append(problem_of(error).at(", ".join(names)))
        return {}
    chosen = dict(zip(names, layers, strict=True))
    log_choices(chosen)
    return chosen


def check_inner_layers(plan: Plan, network: Network, image: FloatArray, problems: Problems) -> None:
    """See whether explainers inside others can read the layers that they name, which no shared pass shows."""
    layers = plan.inner_layers
    if not layers or problems:
        return
    outputs = layer_outputs(network, image[None], layers, "layer check")
    for explainer in plan.explainers:
        try:
            explainer.check_outputs(outputs, (image.shape[1], image.shape[2]))
        except ValueError as error:
            problems.append(problem_of(error).at(explainer.name))


def _compiled(plan: Plan, network: Network, images: FloatArray, problems: Problems) -> bool:
    """Have forward passes compiled, as far as the plan wants and the network allows; tried on a pass of images."""
    if not plan.tries_compiling:
        return False
    try:
        network.compile(images)
    except ValueError as error:
        if plan.options.jit == "on":
            words = "jit is on, but {said}; set it to auto or off"
            problems.append(Problem.of("jit-impossible", words, said=str(error)))
        else:
            _log.warning("forward passes are not compiled: %s", error)
        return False
    return True


def _try_places(plan: Plan, network: Network, image: FloatArray) -> FloatArray:
    """Warn if logits depend on an image's position in a batch; gives the first ones.

    Merged shards may then differ from an unsharded run in the last bits.
    """
    logits = network.pooled_logits(repeat(image, plan.pass_size), "place trial")
    if (logits != logits[0]).any():
        _log.warning(
            "the network's outputs for an image differ in the last bits from place to place in passes of %d, so merged "
            "shards may differ as much from a run never split; with another pass_size, such as 16, they may not",
            plan.pass_size,
        )
    first: FloatArray = logits[0]
    return first


def prepare_dropout(plan: Plan, network: Network, images: FloatArray, problems: Problems) -> None:
    """Have what comes before dropout computed once for all masks, as far as the network allows."""
    try:
        network.prepare_dropout(images, plan.dropout_samples)
    except UnsharedDropoutError as error:
        _log.warning("uncertainty takes %d passes for each pass of images: %s", plan.dropout_samples, error)
    except ValueError as error:
        problems.append(problem_of(error))
        return
    if network.dropout.added:
        _log.warning("uncertainty: no dropout layer runs; one of rate 0.5 is put before %r", network.dropout.layers[0])


def prepare_neighbours(plan: Plan, network: Network, problems: Problems) -> None:
    """Have what samples are compared with ready, where nothing else is wrong; shows whether the layer can be read."""
    if plan.nearest is not None and not problems:
        problems.attempt(plan.nearest.name, partial(compared_pool, plan, plan.nearest, network))


def with_maps(plan: Plan, network: Network, first: Batch) -> tuple[Batch, list[Problem]]:
    """The first batch with its maps, so that none is made twice, and what making them shows of the plan.

    Of explainers that make passes of their own, which may be many, the maps are left for later.
    """
    own, problems = {}, []
    for explainer in plan.explainers:
        try:
            own[explainer] = explainer.images_needed(len(first.samples), len(first.rows), first.images.shape[1:])
        except ValueError as error:
            problems.append(problem_of(error).at(explainer.name))
    if problems or not len(first.rows):
        return first, problems
    cheap = [explainer for explainer in plan.explainers if not own[explainer] and not explainer.needs.outputs]
    if any(own[explainer] and explainer.needs.passes for explainer in plan.explainers):
        # Those that share a pass are made together, so one that takes long keeps them all for later.
        cheap = [explainer for explainer in cheap if not explainer.needs.passes]
    view = first.view(plan, network)
    found, errors = attribute_together(cheap, view)
    for explainer in plan.explainers:
        if explainer.needs.outputs:
            errors |= _refused(explainer, view)
    outputs = dict(view.outputs) if plan.needs.outputs and not errors else {}
    examined = replace(first, precomputed_maps=found, precomputed_layer_outputs=outputs)
    return examined, [problem_of(error).at(name) for name, error in errors.items()]


def _refused(explainer: Explainer, view: View) -> dict[str, ValueError]:
    """Why an explainer does not want the outputs of the layers that it reads, if it does not."""
    try:
        explainer.images_needed_for(view)
    except ValueError as error:
        return {explainer.name: error}
    return {}


def output_problems(plan: Plan, first: Batch) -> list[Problem]:
    """What the network's outputs show of the plan."""
    problems = []
    logits, probabilities = first.inference.logits, first.inference.probabilities
    if logits.shape[1] != len(plan.class_names):
        words = "the network has {outputs:plural output}, {classes:there are class name}"
        problems.append(
            Problem.of("outputs-not-classes", words, outputs=logits.shape[1], classes=len(plan.class_names))
        )
    finite = probabilities[np.isfinite(probabilities)]
    if probabilities.shape != logits.shape:
        words = "activation_fn gives {shape} for logits {logits}"
        problems.append(Problem.of("activation-shape", words, shape=probabilities.shape, logits=logits.shape))
    elif finite.size and not (finite.min() >= 0 and finite.max() <= 1 + 1e-5):
        problems.append(
            Problem.of(
                "probability-out-of-range",
                "activation_fn must give probabilities in 0..1, it gives {lowest:.4g} to {highest:.4g}; use "
                "nn.Softmax() or nn.Sigmoid()",
                lowest=float(finite.min()),
                highest=float(finite.max()),
            )
        )
    elif (said := like_a_sigmoid(first)) is not None:
        _log.warning("%s", said)
    return problems


def activation_problems(plan: Plan, network: Network, first: Batch) -> list[Problem]:
    """What the network's outputs show of the activations that explainers and metrics bring along."""
    problems = []
    parts: list[Explainer | Metric] = [*plan.explainers, *plan.metrics]
    for part in parts:
        activation_fn = getattr(part, "activation_fn", None)
        if activation_fn is not None and activation_fn is not plan.activation_fn:
            try:
                network.activated(first.inference.logits, activation_fn)
            except NetworkRefusedError as error:
                problems += [problem.at(part.name) for problem in error.problems]
    return problems


def space_problems(plan: Plan, first: Batch, total: int | None) -> list[Problem]:
    """Whether the disk holds the maps of all samples, if they are asked as much as the first ones."""
    pixels = int(np.prod(first.images.shape[2:]))
    each = 2 * len(first.rows) * len(plan.explainers) * pixels * 4 / len(first.samples)  # in segments and joined
    needed, free = each * (total or len(first.samples)), shutil.disk_usage(existing(plan.summary_dir)).free
    if needed <= free:
        return []
    return [
        Problem.of(
            "disk-too-small",
            "the maps of all samples need about {needed:,.1f} MB, in segments and joined; {folder} has {free:,.1f} MB "
            "left",
            needed=needed / 1e6,
            folder=plan.summary_dir,
            free=free / 1e6,
        )
    ]
