"""The ``explainrun`` command."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from .baseline_command import baseline
from .command_group import CommandGroup
from .compare_command import compare
from .explain_command import explain
from .inspect_command import inspect
from .merge_command import merge
from .scores_command import scores
from .sharding import PLACE, Shard, shard_of
from .standard_streams import echo_after, echo_or_exit
from .telling import interrupted_by_sigterm, setting, told

# MindSpore takes seconds to import, so commands import what needs it: --help answers at once.


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="explainrun")
def main() -> None:
    """Explain image classifiers in batches on MindSpore, and score the explanations.

    Exit codes: 0 fine; 1 only of compare: the explanations got worse; 2 bad input, or what a command is there to show
    cannot be written to standard output; 3 it failed or was stopped, and can be run again as it is. inspect and scores
    also end with 3 where a run is unfinished.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)


main.add_command(explain)
main.add_command(merge)
main.add_command(inspect)
main.add_command(scores)
main.add_command(baseline)
main.add_command(compare)


@main.command(short_help="Run what a config describes.")
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--summary-dir", metavar="DIR", help="Write here instead of where the config says.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N samples.")
@click.option("--shard", metavar="I/N", help="Only every N-th sample from the I-th on; auto asks the launcher.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a value: data.options.count=20.")
@click.option("--overwrite", is_flag=True, help="Begin anew and replace the run that the folder holds.")
@click.option("--no-resume", is_flag=True, help="Begin anew where the folder holds this run, unfinished.")
@click.option("--profile", is_flag=True, help="Show passes made and needed, and where the time went.")
def run(
    config: Path,
    summary_dir: str | None,
    limit: int | None,
    shard: str | None,
    settings: tuple[str, ...],
    overwrite: bool,
    no_resume: bool,
    profile: bool,
) -> None:
    """Run what CONFIG, a YAML file, describes.

    An unfinished run of the same config in the same folder is resumed; a finished one is left as it is. Exit codes: 0
    finished, now or before; 2 bad input; 3 it failed or was stopped, or another run is writing to the folder: run the
    same again to resume, but without --overwrite and --no-resume, which begin anew each time.

    A shard writes to a folder of its own: without --summary-dir to shard-I-of-N in the config's, else where {shard} in
    DIR, which stands for that name, puts it. `explainrun merge` joins shards. With --shard auto msrun, a Slurm array or
    a Kubernetes indexed job (with EXPLAINRUN_SHARDS, its completions) says which one a process is.
    """
    anew = [flag for flag, given in (("--overwrite", overwrite), ("--no-resume", no_resume)) if given]
    overrides = dict(map(setting, settings))
    overrides |= {key: value for key, value in (("summary_dir", summary_dir), ("limit", limit)) if value is not None}
    with told(f" without {' and '.join(anew)}" if anew else ""), interrupted_by_sigterm():
        from .config import build_runner, load_config  # noqa: PLC0415

        loaded, problems = load_config(config, overrides)
        own = _own(shard)
        if own is not None and "summary_dir" not in overrides and PLACE not in loaded.summary_dir:
            loaded = loaded.model_copy(update={"summary_dir": f"{loaded.summary_dir}/{PLACE}"})
        how = {"overwrite": overwrite, "resume": not no_resume}
        runner = build_runner(loaded, problems, config.parent, shard=own, **how)
        result = runner.run(limit=loaded.limit, shard=own, **how)
        shown = f"{result}\n\n{result.profile()}" if profile else str(result)
    echo_after(shown, f"the run in {result.summary_dir} is finished")


def _own(shard: str | None) -> Shard | None:
    try:
        return shard_of(shard)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--shard") from None


@main.command(short_help="List the layers of a network.")
@click.argument("network")
@click.option("--input-shape", metavar="C,H,W", help="Shape of an image; for a config its first sample's.")
def layers(network: str, input_shape: str | None) -> None:
    """List the layers of NETWORK: names, kinds and output shapes.

    NETWORK is a config (.yaml), package.module:factory, file.py:factory or mindcv:NAME.
    """
    with told(committed=False):
        import numpy as np  # noqa: PLC0415

        from ..explainers import Network  # noqa: PLC0415

        cell, shape = _cell_and_shape(network, input_shape)
        rows = Network(cell).layers(np.zeros((1, *shape), np.float32))
        shown = [
            (name, kind, "not run" if found is None else "x".join(map(str, found[1:]))) for name, kind, found in rows
        ]
        table = tabulate(shown, ["layer", "kind", f"output for {'x'.join(map(str, shape))}"])
    echo_or_exit(table)


@main.command(name="list", short_help="List explainers, metrics and their options.")
def list_() -> None:
    """List the explainers and metrics that can be named in a config, with their options."""
    with told(committed=False):
        from ..benchmarks import METRICS  # noqa: PLC0415
        from ..explainers import EXPLAINERS  # noqa: PLC0415

        explainers = _options_table("explainer", EXPLAINERS, ("network",))
        metrics = _options_table("metric", METRICS, ("num_labels", "activation_fn"))
    echo_or_exit(f"{explainers}\n\n{metrics}")


def _cell_and_shape(network: str, input_shape: str | None) -> tuple[Any, tuple[int, ...]]:
    """The network that was named and the shape of an image for it."""
    from .config import network_of, sample_shape  # noqa: PLC0415
    from .networks import load_network  # noqa: PLC0415
    from .plan import PlanError  # noqa: PLC0415

    shape = None if input_shape is None else _shape(input_shape)
    if network.endswith((".yaml", ".yml")):
        return network_of(Path(network)), shape or sample_shape(Path(network))
    if shape is None:
        raise click.UsageError("give the shape of an image with --input-shape C,H,W, or name a config")
    try:
        return load_network(network), shape
    except (ValueError, TypeError, ImportError, OSError) as error:
        raise PlanError([f"network: {error}"]) from error


def _shape(text: str) -> tuple[int, ...]:
    parts = text.replace("x", ",").split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise click.UsageError(f"--input-shape must be three positive numbers C,H,W, got {text!r}")
    return tuple(int(part) for part in parts)


def _options_table(kind: str, registry: Mapping[str, Any], given: tuple[str, ...]) -> str:
    from inspect import Parameter, signature  # noqa: PLC0415

    rows = []
    for name in registry:
        try:
            made = registry[name]
        except Exception as error:  # of another package
            rows.append((name, "", f"cannot be loaded: {type(error).__name__}: {error}"))
            continue
        parameters = signature(made).parameters.values()
        options = (
            option.name if option.default is Parameter.empty else f"{option.name}={option.default!r}"
            for option in parameters
            if option.name not in given
        )
        what = (made.__doc__ or "").strip().splitlines() or [""]
        rows.append((name, ", ".join(options), what[0]))
    return str(tabulate(rows, [kind, "options", "what it does"], maxcolwidths=[None, 40, 70]))
