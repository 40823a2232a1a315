"""What the first samples show to be wrong with a plan."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...summary_format import original_picture
from ...summary_format.problem import Problem
from ..data.label_places import Segmentation
from ..data.samples import EMPTY_DATASET, Sample
from ..problems import problem_of
from .plan import Plan


def sample_problems(plan: Plan, samples: list[Sample]) -> list[Problem]:
    """What the first samples show of the plan: a pass of them at least, since a batch may be a single one."""
    if not samples:
        return [EMPTY_DATASET]
    problems, samples = [], list({sample.id: sample for sample in samples if sample.broken is None}.values())
    if not samples:  # those that are not broken come later, and are checked one by one
        return []
    labels_out_of_range = [label for sample in samples for label in sample.labels_out_of_range]
    if labels_out_of_range and not any(sample.truth for sample in samples):
        problems.append(
            Problem.of(
                "labels-beyond-classes",
                "the labels of all {samples} first samples lie outside 0..{last}, as far as {largest}; are class names "
                "missing?",
                samples=len(samples),
                last=len(plan.class_names) - 1,
                largest=max(labels_out_of_range),
            )
        )
    if all(sample.looks_multi_hot for sample in samples):
        problems.append(
            Problem.of(
                "labels-multi-hot",
                "labels look like rows of 0 and 1 for each class; give the indices of the true classes",
            )
        )
    problems += _segmentation_problems(samples)
    shape = samples[0].image.shape
    checks: list[Callable[[], object]] = [
        partial(original_picture, samples[0].image, plan.options.mean, plan.options.std)
    ]
    if plan.hierarchical_occlusion is not None:
        checks.append(partial(plan.hierarchical_occlusion.check, shape))
    for check in checks:
        try:
            check()
        except ValueError as error:
            problems.append(problem_of(error))
    for metric in plan.metrics:
        try:
            metric.check_images(shape)
        except ValueError as error:
            problems.append(problem_of(error).at(metric.name))
    return problems


def _segmentation_problems(samples: list[Sample]) -> list[Problem]:
    """Whether segmentation maps are of these classes, as far as the first samples show."""
    mapped = [sample for sample in samples if isinstance(sample.places, Segmentation)]
    if not mapped or any(sample.mask(label).any() for sample in mapped for label in sample.truth):
        return []
    words = (
        "the segmentation maps of all {samples} first samples hold none of their labels; are they masks of one object "
        "(give those as (labels, H, W)), or numbered otherwise than the classes?"
    )
    return [Problem.of("segmentation-without-labels", words, samples=len(mapped))]
