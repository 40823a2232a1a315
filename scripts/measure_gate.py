"""Whether `explainrun compare` closes where explanations got worse, and only there, on the bundled example.

    python scripts/measure_gate.py FOLDER [--pairs 20]
    python scripts/measure_gate.py --simulate 1000

The second form makes no runs; it makes up scores of which the truth is known. It compares as many pairs of them as are
asked for, for each promise of docs/gate.md, and prints how often the promise was kept; 1,000 pairs take about ten
minutes. The first form makes the runs that FOLDER does not hold yet, and compares three lots of pairs:

seeds       the same weights, other seeds: exit code 0 each, at the default tolerance
noise       weights with Gaussian noise, its size such that InsertionAUC of Gradient falls by 0.05 on 100 other scenes:
            exit code 1 each, at the default tolerance
tolerated   the same pairs at a tolerance of 0.2: exit code 0 each

Of the latter two GradCAM is not judged: noise takes some of its maps away, which closes the gate at any tolerance.

Exit code 1 if any pair ends otherwise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from gate_simulation import simulated

from explainrun.configs.digit_network import DigitNetwork
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config
from explainrun.runner.execution.run_result import RunResult

_CONFIG = Path(__file__).parent.parent / "configs" / "quickstart.yaml"
_CHECKPOINT = _CONFIG.parent / "digit_network.ckpt"
_FALL, _NEAR, _TRIES, _FIRST_SCALE = 0.05, 0.005, 12, 0.2
_INSERTION: dict[str, Any] = {"InsertionAUC": {"steps": 16}}
_RANDOM = [
    "Gradient",
    {"GradCAM": {"layer": "block6"}},
    {"RISE": {"num_masks": 100}},
    {"NoiseTunnel": {"explainer": "Gradient", "nt_samples": 8, "stdevs": 0.5}},
]
_FIXED = ["Gradient", "GuidedBackprop", {"GradCAM": {"layer": "block6"}}]


def run(folder: Path, explainers: Sequence[Any], metrics: Sequence[Any], **changes: Any) -> RunResult:
    """A run on the bundled example, made unless the folder holds it."""
    overrides = {"explainers": list(explainers), "metrics": list(metrics), "summary_dir": str(folder), **changes}
    config, problems = load_config(_CONFIG, overrides)
    return build_runner(config, problems, _CONFIG.parent).run(limit=config.limit)


def noisy(path: Path, seed: int, scale: float) -> None:
    """Save the bundled network with Gaussian noise on each trained parameter, of a size relative to its spread."""
    network, rng = DigitNetwork(), np.random.default_rng(seed)
    ms.load_checkpoint(str(_CHECKPOINT), network)
    for parameter in network.trainable_params():  # statistics of batch normalisation must stay positive
        values = parameter.asnumpy()
        noise = scale * values.std() * rng.standard_normal(values.shape)
        parameter.set_data(ms.Tensor((values + noise).astype(values.dtype)))
    ms.save_checkpoint(network, str(path))


def insertion(folder: Path, checkpoint: Path) -> float:
    """Gradient's InsertionAUC on scenes that no gate sees."""
    options = {"split": "test", "count": 100, "first": 1000}
    changes = {"network.checkpoint": str(checkpoint), "data.options": options}
    return run(folder, ["Gradient"], [_INSERTION], **changes).scores.aggregate("Gradient", "InsertionAUC").mean


def worsened(folder: Path, seed: int, whole: float, scale: float) -> tuple[Path, float, float]:
    """A checkpoint whose InsertionAUC is 0.05 below that of the whole one, its fall and scale; the first is tried."""
    said, checkpoint = folder / f"noise-{seed}.json", folder / f"noise-{seed}.ckpt"
    if said.exists():
        found = json.loads(said.read_text())
        return checkpoint, found["fall"], found["scale"]
    low, high = (0.0, 0.0), (np.inf, np.inf)  # scales and their falls
    for attempt in range(_TRIES):
        noisy(checkpoint, seed, scale)
        fall = whole - insertion(folder / f"tuning-{seed}-{attempt}", checkpoint)
        if abs(fall - _FALL) <= _NEAR:
            said.write_text(json.dumps({"scale": scale, "fall": fall}))
            return checkpoint, fall, scale
        low, high = ((scale, fall), high) if fall < _FALL else (low, (scale, fall))
        share = (_FALL - low[1]) / (high[1] - low[1])
        scale = 1.3 * scale if high[0] == np.inf else low[0] + float(np.clip(share, 0.2, 0.8)) * (high[0] - low[0])
    raise SystemExit(f"no noise of seed {seed} lets InsertionAUC fall by {_FALL}")


def compared(baseline: Path, candidate: Path, *options: str) -> int:
    """Exit code of the command; its table, where it found something."""
    command = [sys.executable, "-m", "explainrun", "compare", str(baseline), str(candidate), "--no-maps", *options]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode


def seeds(folder: Path, pairs: int) -> list[Path]:
    """The runs of one checkpoint with several seeds, the first one to compare with."""
    metrics = [_INSERTION, "PointingGame", "IoSR"]
    for seed in range(pairs + 1):
        run(folder / f"seed-{seed}", _RANDOM, metrics, seed=seed, limit=30)
    return [folder / f"seed-{seed}" for seed in range(pairs + 1)]


def noises(folder: Path, pairs: int) -> list[Path]:
    """The run of the whole checkpoint, and those of worse ones."""
    metrics = [_INSERTION, "PointingGame", "IoSR"]
    run(folder / "whole", _FIXED, metrics, limit=60)
    whole = insertion(folder / "tuning-whole", _CHECKPOINT)
    scale = _FIRST_SCALE
    for seed in range(pairs):
        checkpoint, fall, scale = worsened(folder, seed, whole, scale)
        run(folder / f"noise-{seed}", _FIXED, metrics, limit=60, **{"network.checkpoint": str(checkpoint)})
        print(f"noise {seed}: InsertionAUC of Gradient falls by {fall:.3f}", flush=True)
    return [folder / "whole", *(folder / f"noise-{seed}" for seed in range(pairs))]


def main() -> None:
    """Make the runs, compare them and print the exit codes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument(
        "--simulate",
        type=int,
        metavar="PAIRS",
        help="make no runs; make up the scores of this many pairs for each promise",
    )
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--no-compare", action="store_true", help="only make the runs")
    arguments = parser.parse_args()
    if arguments.simulate:
        broken = 0
        for rate in simulated(arguments.simulate):
            print(rate, flush=True)
            broken += not rate.kept
        sys.exit(broken > 0)
    if arguments.folder is None:
        parser.error("name a folder, or --simulate")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    lots = {"seeds": seeds(arguments.folder, arguments.pairs), "noise": noises(arguments.folder, arguments.pairs)}
    if arguments.no_compare:
        return
    expected = {"seeds": 0, "noise": 1, "tolerated": 0}
    judged = ("--explainer", "Gradient", "--explainer", "GuidedBackprop")
    whole, *noisy_ones = lots["noise"]
    found = {
        "seeds": [compared(lots["seeds"][0], other) for other in lots["seeds"][1:]],
        "noise": [compared(whole, other, *judged) for other in noisy_ones],
        "tolerated": [compared(whole, other, *judged, "--tolerance", "0.2") for other in noisy_ones],
    }
    for lot, codes in found.items():
        print(f"{lot}: exit code {expected[lot]} in {codes.count(expected[lot])} of {len(codes)}")
    sys.exit(any(code != expected[lot] for lot, codes in found.items() for code in codes))


if __name__ == "__main__":
    main()
