"""A gate: did the explanations of a new checkpoint get worse? Ends with 0 if not, and with 1 if they did.

    python scripts/examples/gate.py [FOLDER] [CHECKPOINT]

The first start runs the bundled classifier on 24 scenes and keeps its scores in FOLDER/baseline.json (gate/), the file
that you would commit. Each later start runs CHECKPOINT, by default one whose weights were damaged on purpose, and
compares. Takes half a minute on 2 cores each time. ``scripts/ci`` has the jobs of GitHub and GitLab that do this with
commands, and docs/gate.md how many samples to take.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mindspore as ms
import numpy as np

from explainrun.configs import digit_network
from explainrun.runner import RunResult, compare
from explainrun.runner.comparison import scored_run, write_baseline
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config

CONFIGS = Path(digit_network.__file__).parent
SMALL = {
    "explainers": ["Gradient", {"GradCAM": {"layer": "block6"}}],
    "metrics": [{"InsertionAUC": {"steps": 8}}, "PointingGame"],
    "limit": 24,
}


def run(folder: Path, checkpoint: Path) -> RunResult:
    """The run of a checkpoint, which replaces that of an earlier one."""
    changes = {**SMALL, "summary_dir": str(folder), "network.checkpoint": str(checkpoint.absolute())}
    config, problems = load_config(CONFIGS / "quickstart.yaml", changes)
    return build_runner(config, problems, CONFIGS, overwrite=True).run(overwrite=True, limit=config.limit)


def damaged(folder: Path) -> Path:
    """A checkpoint of the bundled classifier with noise on its weights."""
    weights, rng = ms.load_checkpoint(str(CONFIGS / "digit_network.ckpt")), np.random.default_rng(0)
    for parameter in weights.values():
        values = parameter.asnumpy()
        parameter.set_data(ms.Tensor(values + rng.normal(0, 0.3, values.shape).astype(values.dtype) * values.std()))
    path = folder / "damaged.ckpt"
    ms.save_checkpoint([{"name": name, "data": one} for name, one in weights.items()], str(path))
    return path


def main(folder: Path, checkpoint: Path | None = None) -> int:
    """Keep a baseline where there is none, else compare with it; gives the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    baseline = folder / "baseline.json"
    if not baseline.exists():
        run(folder / "first", CONFIGS / "digit_network.ckpt")
        write_baseline(scored_run(folder / "first"), baseline)
        print(f"{baseline} is written; start this again to compare with it")
        return 0
    run(folder / "new", checkpoint or damaged(folder))
    found = compare(baseline, folder / "new", 0.02)
    print(found)
    return 0 if found.passed else 1


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:] or ["gate"])))
