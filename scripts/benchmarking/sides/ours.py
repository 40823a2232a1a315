"""Our side: a process of its own that runs, calls and makes bare passes as it is asked."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import mindspore as ms
from mindspore import Tensor

from explainrun.explainers import Explainer
from explainrun.runner import ImageClassificationRunner

from ..images import Array, boxes_of, images_of
from ..memory import watched_memory
from ..rows import OVERHEAD, WHOLE, Row, row_of
from ..sizes import called_images
from ..subjects import PASS_SIZE, Subject
from .bare import BarePasses, grouped, is_compiling, taps_of
from .methods import Job, explainer_of, job_of
from .networks import activation_of, network_of
from .whole import SIDE, whole_run

BARE_LIMIT = 10.0  # seconds of bare passes of a kind, for each repeat
Answer = dict[str, Any]


class Ours:
    """Answers requests about one network.

    Args:
        subject: which one.
        device: MindSpore's name of it.
        quick: whether jobs are small ones.
    """

    def __init__(self, subject: Subject, device: str, *, quick: bool) -> None:
        logging.getLogger("explainrun").addHandler(logging.NullHandler())
        ms.set_context(device_target=device)
        self._subject, self._quick = subject.quick() if quick else subject, quick
        self._network = network_of(subject)
        self._bare: dict[tuple[int, int], BarePasses] = {}
        self._explainers: dict[str, Explainer] = {}
        self._warm = False

    def warm(self, row: str) -> Answer:
        """Compile, and make one pass of each kind, so that what is timed next does not."""
        one = row_of(row)
        if one.section != WHOLE and not self._warm:
            bare = self._passes(self._images(one, 1))
            bare.seconds({"forward": 1, "forward as written": 1, "plain": 1}, {}, 0.0)
            if one.section == OVERHEAD and self._subject.shape[1] <= 112:
                self.run(row, limit=1)
            self._warm = True
        return {}

    def run(self, row: str, limit: int | None = None) -> Answer:
        """Make the run of a row: wall time without compilation, passes made and needed, memory."""
        # Its folder stays until the process ends: ext4 makes new files slowly where many have just been removed.
        runner, count, _ = self._runner(row_of(row), _new_folder())
        with watched_memory() as peak:
            began = time.perf_counter()
            result = runner.run(limit=limit or count)
            seconds = time.perf_counter() - began
        compiling = sum(took for kind, took in result.costs["pass_seconds"].items() if is_compiling(kind))
        costs = {
            what: {kind: int(of) for kind, of in result.costs[what].items()} for what in ("made", "images", "needed")
        }
        return {"seconds": seconds - compiling, "compiling": compiling, "peak_mib": peak.mib, **costs}

    def bare_of(self, row: str, made: Mapping[str, float]) -> Answer:
        """Seconds of the passes that a run made."""
        one = row_of(row)
        _, _, explainers = self._runner(one, _new_folder())
        biases = any(explainer.needs.biases for explainer in explainers)
        passes, bare = grouped(made, biases=biases), self._passes(self._images(one, 1))
        return {"seconds": bare.seconds(passes, taps_of(explainers), BARE_LIMIT), "passes": sum(passes.values())}

    def direct(self, row: str, batch: int, *, trial: bool, jit: str = "auto") -> Answer:
        """Make the maps of a row by direct calls, with passes of that size where calls take one.

        With ``jit="on"`` graphs are made that later calls use; else that waits until they pay back their compilation.
        """
        one = row_of(row)
        images, labels = images_of(self._subject, called_images(one, self._subject, trial=trial))
        explainer = self._explainers.setdefault(row, explainer_of(one, self._subject, self._network))
        options: dict[str, Any] = {"jit": jit, "pass_size": batch} if takes_pass_size() else {}
        given = Tensor(images), Tensor(labels.astype("int32"))
        with watched_memory() as peak:
            began = time.perf_counter()
            explainer(*given, show=False, **options)
            seconds = time.perf_counter() - began
        return {"seconds": seconds, "images": len(images), "peak_mib": peak.mib}

    def sized(self) -> Answer:
        """Whether direct calls take the size of their passes."""
        return {"sized": takes_pass_size()}

    def bare(self, kind: str, batch: int, limit: float) -> Answer:
        """Seconds per image of forward passes, or of gradients, at that pass size; compiled where it compiles."""
        images, _ = images_of(self._subject, batch)
        group = {"forward": "forward", "gradient": "plain"}[kind]
        seconds = self._passes(images, batch).each(group, 1000, limit)
        return {"seconds": seconds / batch}

    def _passes(self, images: Array, pass_size: int = PASS_SIZE) -> BarePasses:
        key = (pass_size, images.shape[2])
        if key not in self._bare:
            self._bare[key] = BarePasses(self._network, images, pass_size)
        return self._bare[key]

    def _images(self, row: Row, count: int) -> Array:
        images, _ = images_of(self._subject, count)
        if row.method == "job of the old package":
            return images[:, :, :SIDE, :SIDE].copy()
        return images

    def _runner(self, row: Row, folder: Path) -> tuple[ImageClassificationRunner, int, Sequence[Explainer]]:
        """The runner of a row, how many samples it works on, and its explainers."""
        if row.section == WHOLE:
            runner, count = whole_run(row.method, self._network, folder, quick=self._quick)
            return runner, count, list(runner.plan().explainers)
        job = job_of(row, self._subject, self._network)
        return self._job_runner(job, folder), job.samples, job.explainers

    def _job_runner(self, job: Job, folder: Path) -> ImageClassificationRunner:
        images, labels = images_of(self._subject, job.samples)
        boxes = boxes_of(self._subject, job.samples)[:, None]
        names = [str(label) for label in range(self._subject.classes)]
        activation = activation_of(self._subject)
        data = (images, labels.astype("int32")[:, None], boxes)
        runner = ImageClassificationRunner(folder, (data, names), self._network, activation, labels=job.labels)
        if job.explainers:
            runner.register_saliency(job.explainers, job.metrics)
        if job.dropout:
            runner.register_uncertainty(job.dropout)
        if job.hierarchical_occlusion:
            runner.register_hierarchical_occlusion()
        return runner


def _new_folder() -> Path:
    return Path(mkdtemp()) / "run"


def takes_pass_size() -> bool:
    """Whether direct calls take the size of their passes."""
    return {"jit", "pass_size"} <= set(inspect.signature(Explainer.__call__).parameters)
