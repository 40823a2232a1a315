"""Runs on input that is rare and must be shown all the same, for the real viewer to read; see scripts/test_viewer.

    python odd_runs.py FOLDER

Grey and four-channel images (these with uncertainty), images alone, a sample of five labels beside one of none and no
confident prediction, and a run of nothing else; hierarchical occlusion beside saliency and alone; class names with
slashes, brackets and letters outside ASCII.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from mindspore import nn, ops

from explainrun.benchmarks import DeletionAUC, InsertionAUC, NaiveFaithfulness
from explainrun.explainers import GradCAM, Gradient, GuidedBackprop
from explainrun.runner import ImageClassificationRunner

NAMES = [f"a/{i} <b> ünïcode" for i in range(6)]


class Small(nn.Cell):
    """Six classes; the bias pushes all probabilities up or down."""

    def __init__(self, channels: int, bias: float) -> None:
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.Dense(8, 6)
        self.head.bias.set_data(ms.Tensor(np.full(6, bias, np.float32)))

    def construct(self, x):
        return self.head(self.relu(self.conv(x)).mean((2, 3)))


def run(folder: Path, channels: int, labels: list[list[int]] | None, bias: float) -> None:
    """Explain one image a row of labels, or five without any."""
    rng, network, activation = np.random.default_rng(0), Small(channels, bias), nn.Sigmoid()
    images = [rng.normal(size=(channels, 24, 40)).astype(np.float32) for _ in labels or range(5)]
    rows = [(image,) if labels is None else (image, np.int32(labels[i])) for i, image in enumerate(images)]
    data = ds.GeneratorDataset(rows, ["image", "labels"][: len(rows[0])], shuffle=False)
    runner = ImageClassificationRunner(folder, (data, NAMES), network, activation)
    runner.register_saliency(
        [Gradient(network), GuidedBackprop(network), GradCAM(network, ["relu", "conv"])],
        [metric(6, activation, steps=4) for metric in (InsertionAUC, DeletionAUC, NaiveFaithfulness)],
    )
    if channels == 4:
        runner.register_uncertainty(samples=5)
    print(folder.name, runner.run(), sep="\n")


class Contrast(nn.Cell):
    """Six classes that are seen wherever neighbours differ, the first most, so that a blur hides them."""

    def construct(self, x):
        contrast = ops.abs(x[..., 1:] - x[..., :-1]).mean((1, 2, 3))
        return 20.0 * (contrast[:, None] - ms.Tensor(np.linspace(0.25, 1.2, 6, dtype=np.float32)))


def run_regions(folder: Path, *, saliency: bool) -> None:
    """Search the regions that suffice, in three images of noise."""
    rng, network = np.random.default_rng(0), Contrast()
    rows = [(rng.normal(size=(3, 60, 84)).astype(np.float32), np.int32([label])) for label in (0, 2, 5)]
    data = ds.GeneratorDataset(rows, ["image", "labels"], shuffle=False)
    runner = ImageClassificationRunner(folder, (data, NAMES), network, nn.Sigmoid())
    runner.register_hierarchical_occlusion(window_sides=[28, 14, 7], strides=[14, 7, 7])
    if saliency:
        runner.register_saliency([Gradient(network)])
    result = runner.run()
    print(folder.name, result, sep="\n")
    if not result.outcomes.get("found"):
        raise SystemExit(f"nothing was found: {result.outcomes}")


def main() -> None:
    ms.set_seed(1)
    base = Path(sys.argv[1])
    nothing, five, one = [-1] * 5, [0, 1, 2, 3, 4], [5, -1, -1, -1, -1]
    run(base / "grey", 1, [one, five], 0.0)
    run(base / "four-channels", 4, [one, five], 0.0)
    run(base / "images-alone", 3, None, 1.0)
    run(base / "five-one-and-none", 3, [five, nothing, one], -2.0)
    run(base / "nothing", 3, [nothing], -2.0)
    run_regions(base / "regions", saliency=True)
    run_regions(base / "regions-alone", saliency=False)


if __name__ == "__main__":
    main()
