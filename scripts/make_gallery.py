"""Draws docs/gallery.png: one scene of handwritten digits as every explainer sees it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from explainrun.configs.digit_scenes import scene_dataset
from explainrun.runner import explain
from explainrun.runner.config.build import class_names_of, network_of
from explainrun.runner.config.schema import load_config

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "explainers.yaml"
SCENE, ROWS, POOL = 3, 4, 10
COLOURS = 200  # of the picture, which would else weigh a megabyte


def main() -> None:
    """Explain the scene and write the picture; its place may be given."""
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "gallery.png"
    config, _ = load_config(CONFIG)
    data = scene_dataset(split="test", count=POOL).create_tuple_iterator(output_numpy=True, num_epochs=1)
    images = np.stack([row[0] for row in data])
    methods, image = [_by_itself(entry, images) for entry in config.explainers], images[SCENE]
    class_names = class_names_of(config.class_names, CONFIG.parent)
    figure = explain(
        network_of(CONFIG), image, methods, class_names=class_names,
        activation_fn=config.activation, mean=config.mean, std=config.std, rows=ROWS,
    )  # fmt: skip
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=85, bbox_inches="tight", pad_inches=0.05)
    place.parent.mkdir(exist_ok=True)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(place, optimize=True)
    print(f"wrote {place}")


def _by_itself(entry: Any, images: Any) -> Any:
    """An entry of the config that needs neither its folder nor its data: paths in full, images for a pool."""
    if not isinstance(entry, dict):
        return entry
    ((name, options),) = entry.items()
    found = dict(options)
    if "ood_net" in found:
        found["ood_net"] = str(CONFIG.parent / found["ood_net"])
    if isinstance(found.get("baselines"), dict):
        found["baselines"] = images[: found["baselines"]["pool"]]
    return {name: found}


if __name__ == "__main__":
    main()
