"""Draws docs/methods.png: one photograph as every explainer of configs/methods.yaml sees it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from explainrun.configs.photographs import photograph_dataset
from explainrun.runner import explain
from explainrun.runner.config.build import class_names_of, network_of
from explainrun.runner.config.schema import load_config

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "methods.yaml"
PHOTOGRAPH, ROWS = 4, 7  # a cup of coffee
COLOURS = 256  # of the picture, which would else weigh a megabyte


def main() -> None:
    """Explain the photograph and write the picture; its place may be given."""
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "methods.png"
    config, _ = load_config(CONFIG)
    data = photograph_dataset().create_tuple_iterator(output_numpy=True, num_epochs=1)
    images = np.stack([row[0] for row in data])
    methods, image = [_by_itself(entry, images) for entry in config.explainers], images[PHOTOGRAPH]
    class_names = class_names_of(config.class_names, CONFIG.parent)
    figure = explain(
        network_of(CONFIG), image, methods, class_names=class_names,
        activation_fn=config.activation, mean=config.mean, std=config.std, rows=ROWS,
    )  # fmt: skip
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=70, bbox_inches="tight", pad_inches=0.05)
    place.parent.mkdir(exist_ok=True)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(place, optimize=True)
    print(f"wrote {place}")


def _by_itself(entry: Any, images: Any) -> Any:
    """An entry of the config that needs no dataset: images for a pool."""
    if not isinstance(entry, dict):
        return entry
    ((name, options),) = entry.items()
    baselines = options.get("baselines")
    if not isinstance(baselines, dict):
        return entry
    return {name: {**options, "baselines": images[: baselines["pool"]]}}


if __name__ == "__main__":
    main()
