"""Largest resident set of processes that work on little and on much, side by side.

    python scripts/measure_memory.py merge                       20 shards of 50 samples, and 200
    python scripts/measure_memory.py samples [--set KEY=VALUE]   runs of 200 scenes, and of 2,000
    python scripts/measure_memory.py masks                       RISE with 100 masks, and with 8,000
    python scripts/measure_memory.py channels                    AblationCAM of 10 channels, and of 1,280
    python scripts/measure_memory.py steps                       IntegratedGradients of 100 steps, and of 1,000
    python scripts/measure_memory.py copies                      NoiseTunnel of 20 copies, and of 500

Those from masks on are direct calls, at 224 x 224 and with 1,000 classes. Exit code 1 if much takes more than the
limit: 16 MiB for merge, 10 % for samples, and 400 MB more than little for the others.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explainrun.summary_format import ExplanationBatch, InferenceBatch, RunFolder, Segments, SummaryWriter
from explainrun.summary_format.lifecycle.finish import finish, metadata
from explainrun.summary_format.lifecycle.viewer_records import sample_records
from explainrun.summary_format.plan_record import PlanRecord

_SIZE, _CLASSES, _EXPLAINERS, _METRICS = (56, 64), 10, ("Gradient", "GradCAM", "RISE"), ("InsertionAUC", "IoSR")
_RUN = """
explainers: [Gradient, InputXGradient, GuidedBackprop, Deconvolution, {GradCAM: {layer: block6}}]
metrics: [{InsertionAUC: {steps: 8}}]
"""
_CALL = """
import sys
import numpy as np
from mindspore import Tensor, nn
from explainrun.explainers import RISE, AblationCAM, Gradient, IntegratedGradients, NoiseTunnel
count, channels = int(sys.argv[1]), int(sys.argv[2])
convolution, head = nn.Conv2d(3, channels, 7, stride=32), nn.Dense(channels, 1000)
network = nn.SequentialCell([convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head])
images = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
{explainer}(Tensor(images), targets=[[0, 2]])
"""


def largest_set(command: list[str]) -> float:
    """MiB that a process takes at most."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss / 1024


def merges(folder: Path, _: list[str]) -> tuple[str, float, float]:
    """What merging takes; the shards are written here, by hand."""

    def merged(count: int) -> float:
        for number in range(1, count + 1):
            write_shard(folder / str(count) / f"shard-{number:03}-of-{count}", number, count)
        return largest_set([sys.executable, "-c", _MERGE, str(folder / str(count))])

    return "merging 20 and 200 shards of 50 samples", merged(20), merged(200)


_MERGE = """
import sys
from pathlib import Path
from explainrun.summary_format import merge
merge(sys.argv[1], Path(sys.argv[1]).glob("shard-*"))
"""


def write_shard(root: Path, number: int, count: int, samples: int = 50) -> None:
    """A finished shard of random numbers."""
    plan: dict[str, Any] = {
        "class_names": [str(label) for label in range(_CLASSES)],
        "explainers": {name: {} for name in _EXPLAINERS},
        "metrics": {name: {} for name in _METRICS},
        "shard": [number, count],
        "device": "CPU",
        "config": None,
    }
    rng = np.random.default_rng(number)
    ids = np.arange(number - 1, samples * count, count)
    truth = np.sort(rng.permuted(np.tile(np.arange(_CLASSES), (samples, 1)), axis=1)[:, :2], axis=1)
    logits = rng.normal(size=(samples, _CLASSES)).astype(np.float32)
    questions = np.stack([ids.repeat(2), truth.ravel()], axis=1)
    said = InferenceBatch(
        ids=ids,
        digests=ids.astype(np.uint32),
        truth=truth,
        logits=logits,
        probabilities=0.4 / (1 + np.exp(-logits)),
        spread=np.zeros((0, samples, _CLASSES)),
        questions=questions,
        labels_out_of_range=0 * ids,
    )
    run = RunFolder.create(root, "CPU", {"plan": plan, "compiled": True, "dropout": {}})
    segments = Segments(run, _EXPLAINERS)
    segments.write_samples(0, said)
    for name in _EXPLAINERS:
        scores = rng.random((len(_METRICS), 2 * samples))
        explained = ExplanationBatch(
            scores=scores, computed=np.ones(2 * samples, bool), errors=np.full(2 * samples, np.nan)
        )
        segments.write_explained(0, name, explained, rng.normal(size=(2 * samples, *_SIZE)).astype(np.float32))
    with SummaryWriter(run, [metadata(PlanRecord.of(plan))]) as writer:
        for record in sample_records(segments.results(0), run):
            for path in (record.image_path, *(heatmap.path for heatmap in record.heatmaps)):
                run.write_file(root / path, b"picture", durable=False)
            writer.write(record)
        finish(segments, PlanRecord.of(plan), writer, lambda: None)
    run.sweep()


def runs(folder: Path, settings: list[str]) -> tuple[str, float, float]:
    """What runs of many samples take."""
    import yaml  # noqa: PLC0415

    configs = Path(__file__).resolve().parent.parent / "configs"
    content = yaml.safe_load((configs / "quickstart.yaml").read_text("utf-8")) | yaml.safe_load(_RUN)
    content["network"]["checkpoint"] = str(configs / content["network"]["checkpoint"])
    (folder / "config.yaml").write_text(yaml.safe_dump(content), "utf-8")
    command = [sys.executable, "-m", "explainrun", "run", str(folder / "config.yaml")]
    command += [part for setting in settings for part in ("--set", setting)]
    found = [
        largest_set([*command, "--set", f"data.options.count={count}", "--summary-dir", str(folder / str(count))])
        for count in (200, 2000)
    ]
    return "runs of 200 and 2,000 scenes", found[0], found[1]


@dataclass(frozen=True)
class _Calls:
    """Direct calls of an explainer that do little and much.

    Attributes:
        explainer: as it is written, of ``count``.
        what: is counted.
        little: how many there are.
        much: the same, or more.
        grows: whether the network has so many channels, else 4.
    """

    explainer: str
    what: str
    little: int
    much: int
    grows: bool = False

    def __call__(self, _: Path, __: list[str]) -> tuple[str, float, float]:
        code = _CALL.format(explainer=self.explainer)
        little, much = (
            largest_set([sys.executable, "-c", code, str(count), str(count if self.grows else 4)])
            for count in (self.little, self.much)
        )
        return f"{self.explainer}, {self.what} {self.little} and {self.much:,}", little, much


def _and_400_mb(little: float) -> float:
    return little + 400e6 / 2**20


_KINDS: dict[str, tuple[Callable[[Path, list[str]], tuple[str, float, float]], Callable[[float], float]]] = {
    "merge": (merges, lambda little: little + 16),
    "samples": (runs, lambda little: 1.1 * little),
    "masks": (_Calls("RISE(network, nn.Softmax(), num_masks=count)", "masks", 100, 8000), _and_400_mb),
    "channels": (_Calls("AblationCAM(network, '1')", "channels", 10, 1280, grows=True), _and_400_mb),
    "steps": (_Calls("IntegratedGradients(network, steps=count)", "steps", 100, 1000), _and_400_mb),
    "copies": (_Calls("NoiseTunnel(Gradient(network), nt_samples=count)", "copies", 20, 500), _and_400_mb),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=_KINDS)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the config that is run")
    options = parser.parse_args()
    measure, limit = _KINDS[options.kind]
    with tempfile.TemporaryDirectory() as folder:
        what, little, much = measure(Path(folder), options.set)
    print(f"{what}: {little:.0f} and {much:.0f} MiB at most; allowed {limit(little):.0f} MiB")
    if much > limit(little):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
