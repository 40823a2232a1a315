"""The ``explainrun`` command.

Exit codes: 0 fine, 2 bad input, 3 the run failed.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click
import yaml

EXIT_BAD_INPUT = 2
EXIT_RUN_FAILED = 3


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="explainrun")
def main() -> None:
    """Explain image classifiers in batches on MindSpore, and score the explanations."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)


@main.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--summary-dir", metavar="DIR", help="Write here instead of where the config says.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N samples.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a value, as in data.options.count=20."
)
@click.option("--overwrite", is_flag=True, help="Replace the run that the folder holds.")
def run(config: Path, summary_dir: str | None, limit: int | None, settings: tuple[str, ...], overwrite: bool) -> None:
    """Run what CONFIG, a YAML file, describes."""
    # MindSpore takes seconds to import: not for --help.
    from .config import build_runner, load_config  # noqa: PLC0415
    from .plan import PlanError  # noqa: PLC0415
    from .samples import SampleError  # noqa: PLC0415

    overrides = dict(map(_setting, settings))
    overrides |= {key: value for key, value in (("summary_dir", summary_dir), ("limit", limit)) if value is not None}
    try:
        loaded = load_config(config, overrides)
        result = build_runner(loaded).run(overwrite=overwrite, limit=loaded.limit)
    except PlanError as error:
        click.echo(f"explainrun: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except (SampleError, OSError) as error:
        click.echo(f"explainrun: the run failed: {error}", err=True)
        sys.exit(EXIT_RUN_FAILED)
    click.echo(result)


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        raise click.BadParameter(f"the value of {text!r} is no YAML", param_hint="--set") from None
