"""How much faster two workers of Ray on two cores are than one on one core; in the environment of scripts/test_ray.

    .venv-ray/bin/python scripts/measure_ray.py [SCENES]

Runs the quickstart in one shard, then in two, on a Ray that was started before; what counts is starting workers, the
work and the merge.
On a machine where nothing else runs. Exit code 1 if two work less than 1.7 times as fast, or less than a minute.
"""

from __future__ import annotations

import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config

_LEAST_SECONDS, _LEAST_GAIN = 60.0, 1.7


def seconds(shards: int, scenes: int, folder: Path) -> float:
    """What so many shards take, each with a core of its own."""
    configs = Path(__file__).resolve().parent.parent / "configs"
    config, problems = load_config(
        configs / "quickstart.yaml", {"summary_dir": str(folder), "data.options.count": scenes}
    )
    runner = build_runner(config, problems, configs, computes=False)
    began = time.monotonic()
    runner.run(engine="ray", shards=shards)
    return time.monotonic() - began


def main() -> None:
    scenes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    import_module("ray").init("local", num_cpus=2, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        one, two = (seconds(shards, scenes, Path(folder) / str(shards)) for shards in (1, 2))
    print(f"{scenes} scenes: one worker {one:.1f} s, two {two:.1f} s, {one / two:.2f} times as fast")
    sys.exit(two < _LEAST_SECONDS or one / two < _LEAST_GAIN)


if __name__ == "__main__":
    main()
