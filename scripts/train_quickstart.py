"""Train the bundled classifier on scenes of the train split and measure it on handwriting it never saw.

Writes ``configs/digit_network.ckpt`` (where ``--output`` says otherwise, there) if the mean average precision on the
test scenes is at least 0.97, and fails otherwise.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn, ops
from sklearn.metrics import average_precision_score

from explainrun.configs.digit_network import DigitNetwork
from explainrun.configs.digit_scenes import SIDE, DigitScenes, Scene, normalized
from explainrun.explainers.network.tensors import set_up_processor

BUNDLED = Path(__file__).resolve().parent.parent / "configs" / "digit_network.ckpt"
REQUIRED_PRECISION = 0.97
BATCH = 64
CLASSES = 10
PLACES = 14


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=13.0, help="how long to train (default 13)")
    arguments.add_argument("--output", type=Path, default=BUNDLED)
    options = arguments.parse_args()
    set_up_processor()
    ms.set_context(mode=ms.GRAPH_MODE)  # half the time of PyNative here
    ms.set_seed(0)
    network = DigitNetwork()
    train(network, options.minutes * 60.0)
    precision = mean_average_precision(network, DigitScenes("test", 2000))
    print(f"mean average precision on 2000 test scenes: {precision:.4f}")
    if precision < REQUIRED_PRECISION:
        print(f"below {REQUIRED_PRECISION}, so nothing is written; train longer (--minutes)", file=sys.stderr)
        return 1
    ms.save_checkpoint(network, str(options.output))
    print(f"wrote {options.output} ({options.output.stat().st_size / 1e6:.2f} MB)")
    return 0


def train(network: DigitNetwork, seconds: float) -> None:
    """Adam under a one-cycle learning rate whose position is the share of the time that has passed."""
    rate = ms.Parameter(Tensor(0.0, ms.float32), name="learning_rate")
    optimizer = nn.AdamWeightDecay(network.trainable_params(), rate, weight_decay=1e-4)
    step = nn.TrainOneStepCell(SceneAndPlaceLoss(network), optimizer)
    step.set_train(True)
    began, taken = time.monotonic(), 0
    while (passed := (time.monotonic() - began) / seconds) < 1.0:
        ops.assign(optimizer.learning_rate, Tensor(one_cycle(passed), ms.float32))
        scenes = DigitScenes("train", BATCH, first=taken * BATCH)[:]
        value = step(*map(Tensor, (*arrays(scenes), *places(scenes))))
        taken += 1
        if taken % 50 == 0:
            print(f"step {taken:5d}  {passed:5.1%}  loss {float(value.asnumpy()):.4f}", flush=True)
    network.set_train(False)


class SceneAndPlaceLoss(nn.Cell):
    """Cross entropy of the scene's labels, and of the head read at single places of the last feature map.

    Where a digit's box has its middle the head must say that digit, outside all boxes nothing. Without this second
    term the maximum over places gives the first thousand steps next to no gradient to learn from.
    """

    def __init__(self, network: DigitNetwork) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, images: Tensor, truth: Tensor, place_truth: Tensor, place_weight: Tensor) -> Tensor:
        network = self.network
        features = network.features(images)
        logits = network.head(network.dropout(ops.amax(features, (2, 3))))
        scene = ops.binary_cross_entropy_with_logits(logits, truth, ops.ones_like(truth), ops.ones_like(truth))
        places = network.head(features.transpose(0, 2, 3, 1))
        flat = ops.maximum(places, 0.0) - places * place_truth + ops.log1p(ops.exp(-ops.abs(places)))
        return scene + (flat * place_weight).sum()


def one_cycle(passed: float, peak: float = 1.5e-3, warm: float = 0.15) -> float:
    """Linear to the peak over the first ``warm`` share, then a cosine down to zero."""
    if passed < warm:
        return peak * passed / warm
    return float(peak * 0.5 * (1.0 + np.cos(np.pi * (passed - warm) / (1.0 - warm))))


def arrays(scenes: list[Scene] | DigitScenes) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Images (N, 3, H, W) and multi-hot truth (N, 10)."""
    images, truth = [], np.zeros((len(scenes), CLASSES), np.float32)
    for row, scene in zip(truth, scenes, strict=True):
        images.append(normalized(scene.image))
        row[list(scene.labels)] = 1.0
    return np.stack(images), truth


def places(scenes: list[Scene]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Multi-hot truth (N, 14, 14, 10) at every place, and its weight (N, 14, 14, 1).

    Middles of boxes and places outside all boxes weigh one in sum each; the rims of boxes weigh nothing.
    """
    truth = np.zeros((len(scenes), PLACES, PLACES, CLASSES), np.float32)
    outside = np.ones((len(scenes), PLACES, PLACES, 1), np.float32)
    centres = (np.arange(PLACES) + 0.5) * (SIDE / PLACES)
    for here, free, scene in zip(truth, outside, scenes, strict=True):
        for label, (x, y, width, height) in zip(scene.labels, scene.boxes, strict=True):
            off = np.hypot((centres - y - height / 2)[:, None] / height, (centres - x - width / 2) / width)
            here[off < max(0.25, off.min() + 1e-6), label] = 1.0
            free[off < 0.8] = 0.0
    middle = truth.max(-1, keepdims=True)
    return truth, middle / middle.sum() + outside / outside.sum()


def mean_average_precision(network: nn.Cell, scenes: DigitScenes) -> float:
    """Average precision of each digit over the scenes, averaged over the ten digits."""
    scores, truths = [], []
    for first in range(0, len(scenes), BATCH):
        images, truth = arrays(scenes[first : first + BATCH])
        scores.append(network(Tensor(images)).asnumpy())
        truths.append(truth)
    return float(average_precision_score(np.concatenate(truths), np.concatenate(scores), average="macro"))


if __name__ == "__main__":
    sys.exit(main())
