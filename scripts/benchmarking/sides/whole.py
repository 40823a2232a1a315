"""Whole runs: configs as they ship, on fewer samples, and the job that the old package was measured with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from mindspore import nn
from PIL import Image

from explainrun.benchmarks import DeletionAUC, InsertionAUC, PointingGame
from explainrun.configs.digit_scenes import CLASS_NAMES, DigitScenes, normalized
from explainrun.explainers import GradCAM, Gradient, GuidedBackprop, Occlusion
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config

from ..images import Array
from ..subjects import CONFIGS, DATA

SIDE, SAMPLES = 64, 32
_LIMITS = {"full.yaml": 8, "photos.yaml": 4}


def whole_run(name: str, network: nn.Cell, folder: Path, *, quick: bool) -> tuple[ImageClassificationRunner, int]:
    """The runner of a whole run, and how many samples it works on."""
    if name == "job of the old package":
        return _old_job(network, folder), 1 if quick else SAMPLES
    overrides = {"summary_dir": str(folder)}
    if name == "photos.yaml":
        overrides["network.checkpoint"] = str(_safetensors(folder.with_suffix(".safetensors")))
    config, problems = load_config(CONFIGS / name, overrides)
    return build_runner(config, [str(problem) for problem in problems], CONFIGS), 1 if quick else _LIMITS[name]


def _old_job(network: nn.Cell, folder: Path) -> ImageClassificationRunner:
    """4 explainers, Occlusion with its 32 windows a side among them, 3 metrics, uncertainty, hierarchical occlusion."""
    images, labels, boxes = _small_scenes()
    names = CLASS_NAMES
    runner = ImageClassificationRunner(
        folder, ((images, labels, boxes), names), network, nn.Sigmoid(), mean=0.5, std=0.25
    )
    runner.register_saliency(
        [
            Gradient(network),
            GuidedBackprop(network),
            GradCAM(network, layer="block6"),
            Occlusion(network, nn.Sigmoid()),
        ],
        [InsertionAUC(len(names), nn.Sigmoid()), DeletionAUC(len(names), nn.Sigmoid()), PointingGame()],
    )
    runner.register_uncertainty(10)
    runner.register_hierarchical_occlusion()
    return runner


def _small_scenes() -> tuple[Array, Array, Array]:
    """Scenes brought to 64 x 64, their labels and boxes."""
    scenes = list(DigitScenes("test", SAMPLES, first=1))
    images = [normalized(np.asarray(Image.fromarray(scene.image).resize((SIDE, SIDE)))) for scene in scenes]
    labels, boxes = np.full((SAMPLES, 3), -1, np.int32), np.zeros((SAMPLES, 3, 4), np.int32)
    for row, scene in enumerate(scenes):
        kept = sorted(dict(zip(scene.labels, scene.boxes, strict=True)).items())
        labels[row, : len(kept)] = [label for label, _ in kept]
        boxes[row, : len(kept)] = [np.array(box) * SIDE // scene.image.shape[0] for _, box in kept]
    return np.stack(images), labels, boxes


def _safetensors(path: Path) -> Path:
    """The weights of EfficientNet-Lite0 in a file that configs can name; ``configs/photos.yaml`` names a package's."""
    header: dict[str, object] = {}
    content = bytearray()
    with np.load(DATA / "lite0" / "lite0.npz") as weights:
        for name in weights.files:
            values = np.ascontiguousarray(weights[name], np.float32)
            place = [len(content), len(content) + values.nbytes]
            header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": place}
            content += values.tobytes()
    said = json.dumps(header).encode()
    path.write_bytes(len(said).to_bytes(8, "little") + said + content)
    return path
