"""A network and JPEGs of your own: explained in a picture, and run, scored and reported from a config.

    python scripts/examples/own_network_and_jpegs.py [FOLDER]

Takes a minute on 2 cores. So that it runs as it stands it first makes in FOLDER (own-network/) what you have already: a
network in network.py, trained until its weights say something, in weights.ckpt; pictures in pictures/CLASS/*.jpg; names
of the classes in classes.txt, in the order of the network's outputs. What you would write begins at ``explained``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from PIL import Image, ImageDraw

from explainrun.runner import RunResult, explain
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.factories import load_network
from explainrun.runner.config.schema import load_config

SIZE, CLASSES = (64, 96), ("disc", "square")  # height and width; in the order of the network's outputs
NETWORK = '''\
from mindspore import nn


class Network(nn.Cell):
    """Logits (N, 2) from images (N, 3, height, width)."""

    def __init__(self):
        super().__init__()
        self.features = nn.SequentialCell(
            nn.Conv2d(3, 8, 5, stride=2, pad_mode="same", has_bias=True),
            nn.ReLU(),
            nn.Conv2d(8, 16, 5, stride=2, pad_mode="same", has_bias=True),
            nn.ReLU(),
        )
        self.head = nn.Dense(16, 2)

    def construct(self, x):
        return self.head(self.features(x).max((2, 3)))
'''
CONFIG = """\
summary_dir: {folder}/run
network: {{factory: "network.py:Network", checkpoint: weights.ckpt}}
activation: softmax
data: {{image_folder: pictures, size: [64, 96]}}
class_names: classes.txt
mean: 127.5
std: 127.5
explainers: [Gradient, IntegratedGradients, GradCAM, RandomMap]
metrics: [InsertionAUC: {{steps: 16}}]
"""


def drawn(name: str, rng: np.random.Generator) -> Image.Image:
    """A picture of a disc or a square on noise."""
    height, width = SIZE
    noise = rng.integers(0, 90, (height, width, 3), np.uint8)
    picture, side = Image.fromarray(noise), int(rng.integers(16, 28))
    left, top = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
    draw, corners = ImageDraw.Draw(picture), (left, top, left + side, top + side)
    shape = draw.ellipse if name == "disc" else draw.rectangle
    shape(corners, fill=(220, 120, 60) if name == "disc" else (60, 160, 220))
    return picture


def what_you_have(folder: Path, each: int = 12, steps: int = 60) -> None:
    """Write a network, its trained weights, pictures and names of classes."""
    rng = np.random.default_rng(0)
    (folder / "network.py").write_text(NETWORK, "utf-8")
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n", "utf-8")
    images, labels = [], []
    for label, name in enumerate(CLASSES):
        (folder / "pictures" / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            picture = drawn(name, rng)
            picture.save(folder / "pictures" / name / f"{number:03}.jpg", quality=92)
            images.append((np.asarray(picture, np.float32).transpose(2, 0, 1) - 127.5) / 127.5)
            labels.append(label)
    ms.set_seed(0)
    network = load_network("network.py:Network", folder=folder)
    step = nn.TrainOneStepCell(
        nn.WithLossCell(network, nn.CrossEntropyLoss()), nn.Adam(network.trainable_params(), learning_rate=0.01)
    )
    for _ in range(steps):
        step(Tensor(np.stack(images)), Tensor(np.array(labels, np.int32)))
    ms.save_checkpoint(network, str(folder / "weights.ckpt"))


def explained(folder: Path) -> Any:
    """Some pictures and their maps by three methods, side by side."""
    network = load_network("network.py:Network", "weights.ckpt", folder)
    pictures = sorted((folder / "pictures").glob("*/000.jpg"))
    classes = (folder / "classes.txt").read_text("utf-8").splitlines()
    return explain(
        network, pictures, "Gradient,IntegratedGradients,GradCAM",
        size=SIZE, mean=127.5, std=127.5, class_names=classes,
    )  # fmt: skip


def run(folder: Path) -> RunResult:
    """All pictures explained and scored: what ``explainrun run mine.yaml`` does."""
    config = folder / "mine.yaml"
    config.write_text(CONFIG.format(folder=folder), "utf-8")
    return build_runner(*load_config(config), folder).run()


def main(folder: Path) -> None:
    """Make what you have, then explain it."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "weights.ckpt").exists():
        what_you_have(folder)
    explained(folder).savefig(folder / "explained.png")
    result = run(folder)
    print(result)
    print(f"picture: {folder / 'explained.png'}")
    print(f"report:  {result.report(folder / 'report')}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "own-network"))
