"""How much longer a run takes than its bare passes, on the bundled network with 64 questions.

    python scripts/benchmark_overhead.py [--of InsertionAUC] [--rounds 5] [--steps N]

Of InsertionAUC (of Gradient's maps), Occlusion (169 windows), RISE (300 masks) or HierarchicalOcclusion.
Each round runs the plan, writing included, and then the same number of the same passes alone (same network, same
shape, compiled alike, same process). Prints the seconds of each, their medians, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore.dataset as ds
import numpy as np
from mindspore import nn

from explainrun.benchmarks import InsertionAUC
from explainrun.configs.digit_scenes import CLASS_NAMES, DigitScenes, normalized
from explainrun.explainers import RISE, Explainer, Gradient, Network, Occlusion
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.config.factories import load_network

QUESTIONS = 64
EXPLAINERS: dict[str, Callable[[nn.Cell], Explainer]] = {
    "InsertionAUC": Gradient,
    "Occlusion": lambda network: Occlusion(network, nn.Sigmoid(), window=16, stride=8),
    "RISE": lambda network: RISE(network, nn.Sigmoid(), num_masks=300),
}
CONFIGS = Path(__file__).resolve().parent.parent / "configs"


def scenes(network: nn.Cell) -> tuple[ds.Dataset, np.ndarray[Any, Any]]:
    """Scenes whose labels, true and predicted, are as many as there shall be questions; and their images."""
    rows: list[tuple[Any, ...]] = []
    labels, service = 0, Network(network)
    for scene in DigitScenes("test", 2 * QUESTIONS, first=0):
        image, truth = normalized(scene.image), sorted(set(scene.labels))
        asked = len({*truth, *np.flatnonzero(service.logits(image[None])[0] > 0).tolist()})
        if labels + asked <= QUESTIONS:
            rows.append((image, np.array([*truth, -1, -1, -1][:3], np.int32)))
            labels += asked
    return ds.GeneratorDataset(rows, ["image", "labels"], shuffle=False), np.stack([image for image, _ in rows])


def timed_run(network: nn.Cell, dataset: ds.Dataset, part: str, steps: int | None) -> tuple[float, dict[str, int], int]:
    """Seconds of a run, its passes by kind, and its questions."""
    with tempfile.TemporaryDirectory() as folder:
        data = (dataset, CLASS_NAMES)
        runner = ImageClassificationRunner(folder, data, network, nn.Sigmoid(), mean=0.5, std=0.25)
        if part == "HierarchicalOcclusion":
            runner.register_hierarchical_occlusion()
        else:
            metrics = [InsertionAUC(10, nn.Sigmoid(), steps=steps)] if part == "InsertionAUC" else []
            runner.register_saliency([EXPLAINERS[part](network)], metrics)
        began = time.perf_counter()
        result = runner.run()
        seconds, made = time.perf_counter() - began, {kind: int(of) for kind, of in result.costs["made"].items()}
        return seconds, made, result.questions


def timed_passes(network: nn.Cell, images: np.ndarray[Any, Any], made: dict[str, int]) -> float:
    """Seconds of the same passes alone, their compilation included."""
    service = Network(network, fill=True)
    one = np.resize(images, (service.pass_size, *images.shape[1:]))
    labels = np.zeros(len(one), np.int64)
    began = time.perf_counter()
    service.compile(one)
    for _ in range(sum(made.values()) - made.get("differentiate", 0) - made["compile"]):
        service.logits(one)
    for _ in range(made.get("differentiate", 0)):
        service.differentiate(one, labels)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", choices=[*EXPLAINERS, "HierarchicalOcclusion"], default="InsertionAUC")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="of the curve; by default InsertionAUC's own, 112 for these images")
    options = parser.parse_args()
    network = load_network("explainrun.configs.digit_network:DigitNetwork", CONFIGS / "digit_network.ckpt")
    dataset, images = scenes(network)
    _, made, questions = timed_run(network, dataset, options.of, 2)  # warm up
    print(f"{questions} questions on {len(images)} scenes")
    runs, bare = [], []
    for round_ in range(options.rounds):
        seconds, made, _ = timed_run(network, dataset, options.of, options.steps)
        runs.append(seconds)
        bare.append(timed_passes(network, images, made))
        print(f"round {round_ + 1}: run {runs[-1]:.2f} s, bare passes {bare[-1]:.2f} s; {made}", flush=True)
    middle = statistics.median(runs), statistics.median(bare)
    print(f"medians: run {middle[0]:.2f} s, bare passes {middle[1]:.2f} s, ratio {middle[0] / middle[1]:.3f}")


if __name__ == "__main__":
    main()
