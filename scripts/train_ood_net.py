"""Train an OoDNet's head on the bundled classifier and measure whether it separates whole scenes from masked ones.

Writes ``configs/digit_ood_net.ckpt`` (where ``--output`` says otherwise, there), the head alone, if the inlier score
separates 300 test scenes from the same scenes with their digits masked out, with an area under the ROC curve of at
least 0.9, and fails otherwise. Digits are masked out by masks of RISE whose cells are closed wherever a digit's box is.

Masks that are taken as they come hide all digits in few scenes only, and a scene with a clear digit left is much like
those that the classifier was trained on: against those the area is about 0.7, which is printed too.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn
from PIL import Image
from sklearn.metrics import roc_auc_score

from explainrun.configs.digit_network import DigitNetwork
from explainrun.configs.digit_scenes import SIDE, Box, DigitScenes, normalized
from explainrun.explainers import OoDNet

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
REQUIRED_AREA = 0.9
BATCH = 64
CLASSES = 10
TEST_SCENES = 300
CELLS = 7


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--scenes", type=int, default=3200, help="to train on (default 3200)")
    arguments.add_argument("--epochs", type=int, default=12, help="default 12; the rate falls every third of them")
    arguments.add_argument("--learning-rate", type=float, default=1.0, help="of the first epochs (default 1.0)")
    arguments.add_argument("--weight-decay", type=float, default=1e-4)
    arguments.add_argument("--train-underlying", action="store_true", help="to see what it gives; nothing is written")
    arguments.add_argument("--output", type=Path, default=CONFIGS / "digit_ood_net.ckpt")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    network = DigitNetwork()
    ms.load_param_into_net(network, ms.load_checkpoint(str(CONFIGS / "digit_network.ckpt")))
    ood_net = OoDNet(network, CLASSES)
    began = time.monotonic()
    ood_net.train(
        multi_hot_scenes(options.scenes),
        nn.BCEWithLogitsLoss(),
        epoch=options.epochs,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        lr_epoch_denom=max(1, options.epochs // 3),
        train_underlying=options.train_underlying,
    )
    print(f"trained for {time.monotonic() - began:.0f} seconds")
    whole, hidden, masked = inlier_scores(ood_net, DigitScenes("test", TEST_SCENES), np.random.default_rng(0))
    area = roc_area(whole, hidden)
    print(f"mean inlier score: {whole.mean():.3f} of scenes, {hidden.mean():.3f} with digits masked out")
    print(f"area under the ROC curve, whole against digits masked out: {area:.4f}")
    print(f"against masks as they come: {roc_area(whole, masked):.4f}; {(whole > masked).mean():.1%} score less masked")
    if area < REQUIRED_AREA or options.train_underlying:
        reason = f"below {REQUIRED_AREA}" if area < REQUIRED_AREA else "the head fits no other classifier"
        print(f"{reason}, so nothing is written", file=sys.stderr)
        return 1
    ood_net.save_head(options.output)
    print(f"wrote {options.output} ({options.output.stat().st_size / 1e3:.1f} kB)")
    return 0


def multi_hot_scenes(count: int) -> ds.Dataset:
    """Batches of images and multi-hot labels of the train split; the scenes are drawn once, not each epoch."""
    images, truth = np.zeros((count, SIDE, SIDE, 3), np.uint8), np.zeros((count, CLASSES), np.float32)
    for image, row, scene in zip(images, truth, DigitScenes("train", count), strict=True):
        image[...] = scene.image
        row[list(scene.labels)] = 1.0
    dataset = ds.NumpySlicesDataset((images, truth), ["image", "label"], shuffle=True)
    return dataset.map(normalized, ["image"]).batch(BATCH)


def inlier_scores(
    ood_net: OoDNet, scenes: DigitScenes, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The largest score of each scene, of the same with its digits masked out (0 is grey), and under any mask."""
    found: list[list[npt.NDArray[np.float32]]] = [[], [], []]
    for first in range(0, len(scenes), BATCH):
        some = scenes[first : first + BATCH]
        images = np.stack([normalized(scene.image) for scene in some])
        masks = np.stack([rise_mask(rng, scene.boxes) for scene in some]), np.stack([rise_mask(rng) for _ in some])
        for scores, shown in zip(found, (images, *(images * mask for mask in masks)), strict=True):
            scores.append(ood_net(Tensor(shown)).asnumpy().max(axis=1))
    whole, hidden, masked = map(np.concatenate, found)
    return whole, hidden, masked


def roc_area(inside: npt.NDArray[np.float32], outside: npt.NDArray[np.float32]) -> float:
    """Share of pairs in which the one inside scores more."""
    return float(roc_auc_score([1] * len(inside) + [0] * len(outside), np.concatenate([inside, outside])))


def rise_mask(rng: np.random.Generator, hidden: tuple[Box, ...] = ()) -> npt.NDArray[np.float32]:
    """A mask (1, H, W) in 0..1: cells kept by half, upsampled bilinearly, shifted by up to a cell (Petsiuk 2018).

    It is 0 throughout the hidden boxes.
    """
    cell = -(-SIDE // CELLS)
    kept, large = (rng.random((CELLS, CELLS)) < 0.5).astype(np.float32), (CELLS + 1) * cell
    down, right = rng.integers(0, cell, 2)
    for x, y, width, height in hidden:
        kept[tuple(_touched(*ends, large / CELLS) for ends in ((y + down, height), (x + right, width)))] = 0.0
    mask = np.asarray(Image.fromarray(kept).resize((large, large), Image.Resampling.BILINEAR))
    return mask[None, down : down + SIDE, right : right + SIDE]


def _touched(start: float, length: float, span: float) -> slice:
    """The cells, so many pixels long, whose value reaches into pixels from start on."""
    return slice(max(0, int(start / span - 0.5)), int(np.ceil((start + length) / span + 0.5)))


if __name__ == "__main__":
    sys.exit(main())
