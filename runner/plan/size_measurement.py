"""The pass size of a run that leaves it to a measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np

from ...explainers.core.measured_size import Measurement
from ...explainers.network import DEFAULT_PASS_SIZE, Network, Passes
from ...explainers.network.tensors import FloatArray
from ..data.samples import SampleError, read_samples
from .checks import plan_problems
from .plan import Plan


def with_measured_size(plan: Plan, passes: Passes, check: Callable[[], None] = lambda: None) -> Plan:
    """A plan that leaves its pass size to a measurement, with the one that suits its network and first images.

    Nothing is measured where something is wrong with the plan or its first samples, which checks of it report.

    Args:
        plan: what is to run.
        passes: what the passes of the measurement are counted in.
        check: called before each pass size; raises to end the wait.
    """
    images = None if plan_problems(plan) else _first_images(plan)
    if images is None:
        return plan

    def opened(size: int) -> Network:
        return replace(plan, measured_size=size).opened()

    size = Measurement(images, opened, compiles=plan.tries_compiling, passes=passes, check=check).best_size()
    return plan.with_measured_size(size)


def _first_images(plan: Plan) -> FloatArray | None:
    """The first images (N, C, H, W) of a plan, as many as are alike; None where they cannot be read."""
    samples = read_samples(plan.dataset, len(plan.class_names), plan.limit, tolerant=plan.options.skip_broken)
    try:
        sound = [sample.pixels for sample in islice(samples, DEFAULT_PASS_SIZE) if sample.broken is None]
    except SampleError:
        return None
    return np.stack(sound) if len({image.shape for image in sound}) == 1 else None
