"""A whole run in a script: the bundled classifier on scenes of handwritten digits, everything registered, scores shown.

    python scripts/examples/register_and_run.py [FOLDER]

Takes a minute on 2 cores. Once it is finished, the same command shows the scores again; stopped, it resumes.
``configs/full.yaml`` does the like without a script.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mindspore as ms
from mindspore import nn

from explainrun.benchmarks import InsertionAUC, PointingGame
from explainrun.configs import digit_network
from explainrun.configs.digit_scenes import scene_dataset
from explainrun.explainers import GradCAM, Gradient, RandomMap
from explainrun.runner import ImageClassificationRunner, RunResult

CLASSES = [str(digit) for digit in range(10)]


def load_network() -> nn.Cell:
    """The bundled classifier with its weights."""
    network = digit_network.DigitNetwork()
    ms.load_checkpoint(str(Path(digit_network.__file__).with_name("digit_network.ckpt")), network)
    return network


def make_runner(summary_dir: str, scenes: int = 20) -> ImageClassificationRunner:
    """A runner with everything registered, on the first scenes."""
    network, activation = load_network(), nn.Sigmoid()
    dataset = scene_dataset(split="test", count=scenes)
    runner = ImageClassificationRunner(summary_dir, (dataset, CLASSES), network, activation, mean=0.5, std=0.25)
    runner.register_saliency(
        explainers=[Gradient(network), GradCAM(network, layer="block6"), RandomMap(network)],
        benchmarkers=[InsertionAUC(len(CLASSES), activation, steps=16), PointingGame(len(CLASSES))],
    )
    runner.register_uncertainty(samples=20)
    runner.register_hierarchical_occlusion()
    return runner


def shown(result: RunResult) -> str:
    """Scores as a table and one by one, and what hierarchical occlusion found."""
    best = result.scores.aggregate("GradCAM", "InsertionAUC")
    lines = [str(result), f"GradCAM, InsertionAUC: {best.mean:.3f}, from {best.low:.3f} to {best.high:.3f}"]
    return "\n\n".join([*lines, f"everything is in {result.summary_dir}"])


if __name__ == "__main__":
    print(shown(make_runner(sys.argv[1] if len(sys.argv) > 1 else "runs/register_and_run").run()))
