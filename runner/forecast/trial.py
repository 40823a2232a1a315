"""A run of a few samples, in a folder of its own, to see what they take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import mindspore as ms
import numpy as np

from ...explainers.network import Network
from ...explainers.network.tensors import FloatArray
from ...summary_format import FolderLock, RunFolder
from ...summary_format.archive.costs import Costs
from ...summary_format.storage.sizes import Sizes, measured
from ..batches.batch import Batch
from ..batches.pass_counts import Profile
from ..execution.engine import state_of, work_through
from ..execution.preflight import PreflightResult
from ..execution.recognition import Begun
from ..execution.signals import Stopping


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a few samples took.

    Attributes:
        batch: the samples, as a batch.
        costs: what their run counted, as ``Results.costs`` has it.
        sizes: of the files that it left.
        own_ordered: by explainer, the share of its maps that have an order.
        ordered: the same, but of the whole first batch where examining the plan made its maps.
    """

    batch: Batch
    costs: Costs
    sizes: Sizes
    own_ordered: Mapping[str, float]
    ordered: Mapping[str, float]


def tried(
    preflight: PreflightResult, network: Network, profile: Profile, stopping: Stopping, questions: int
) -> Trial | None:
    """Run the first samples of an examined plan that come to so many questions; None where there are no questions.

    Args:
        preflight: what looking at the plan gave; its first batch is left as it is.
        network: where that ran.
        profile: what its passes were counted in, all of them drained.
        stopping: whether the user wants to stop.
        questions: how many questions the samples shall have together, if the first batch has as many.

    Raises:
        OSError: if there is no temporary folder to write to; else as a run.
    """
    first = preflight.first
    if first is None or not len(first.rows):
        return None
    last = int(first.rows[min(questions, len(first.rows)) - 1]) + 1
    batch = first.part(0, last)
    with TemporaryDirectory(prefix="explainrun-check-") as folder, FolderLock(Path(folder)) as lock:
        plan = preflight.plan.tried_in(Path(folder), last)
        state = state_of(preflight, network, replaces=False)
        run = RunFolder.create(Path(folder), ms.get_context("device_target"), state, lock)
        begun = Begun(plan=plan, run=run, groups=iter([batch.samples]), first=batch)
        results = work_through(begun, network=network, profile=profile, stopping=stopping, lock=lock)
        own = {name: _ordered(results.maps(name)) for name in results.explainers}
        known = {name: _ordered(found.maps[: len(first.rows)]) for name, found in first.precomputed_maps.items()}
        sizes, ordered = measured(run), {**own, **known}
        return Trial(batch=batch, costs=results.costs, sizes=sizes, own_ordered=own, ordered=ordered)


def _ordered(maps: FloatArray) -> float:
    """The share of maps (Q, H, W) that have an order."""
    flat = maps.reshape(len(maps), -1)
    return float((np.isfinite(flat).all(axis=1) & (flat.min(axis=1) < flat.max(axis=1))).mean())
