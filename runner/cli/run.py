"""The ``run`` command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..plan.sharding import Shard, shard_of, with_place
from .process.errors import interrupted_by_sigterm, reported_errors, setting
from .process.standard_streams import echo_after

if TYPE_CHECKING:
    from ..config.schema import RunConfig
    from ..execution.run_result import RunResult
    from ..plan.engine_options import EngineOptions


def _shard(_context: click.Context, _option: click.Parameter, given: str | None) -> Shard | None:
    try:
        return shard_of(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_shard_option = click.option(
    "--shard",
    metavar="I/N",
    callback=_shard,
    help="Work on every N-th sample from the I-th on; auto asks the launcher.",
)


def _engine_asked(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of an engine, in the order in which its help shows them."""
    for option in (
        click.option("--address", metavar="ADDRESS", help="Of the engine's cluster; else one is found or started."),
        click.option("--shards", type=click.IntRange(min=1), metavar="N", help="Shards that an engine works on."),
        click.option("--engine", metavar="NAME", help="Have an engine work on all shards, then merge them: ray."),
    ):
        command = option(command)
    return command


def _engine_options(given: Mapping[str, Any], shard: Shard | None, config: RunConfig) -> EngineOptions | None:
    """Those of --engine, --shards and --address; None where no engine is named."""
    from ..plan.engine_options import engine_options  # noqa: PLC0415

    resources = None if given["engine"] is None else config.engine.resources
    try:
        return engine_options(**given, resources=resources, shard=shard, summary_dir=config.summary_dir)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@click.command(short_help="Run what a config describes.")
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--summary-dir", metavar="DIR", help="Write here instead of where the config says.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Work on the first N samples only.")
@_shard_option
@_engine_asked
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a value: data.options.count=20.")
@click.option("--overwrite", is_flag=True, help="Start over and replace the run that the folder holds.")
@click.option("--no-resume", is_flag=True, help="Start over if the folder holds this run, unfinished.")
@click.option("--prune", is_flag=True, help="Remove what the folder holds of earlier runs and this config hides.")
@click.option("--report", "page", is_flag=True, help="Write a page that shows the run, report/ in its folder.")
@click.option("--profile", is_flag=True, help="Show passes made and needed, and where the time went.")
def run(
    config: Path,
    summary_dir: str | None,
    limit: int | None,
    shard: Shard | None,
    settings: tuple[str, ...],
    overwrite: bool,
    no_resume: bool,
    prune: bool,
    page: bool,
    profile: bool,
    **engine: Any,
) -> None:
    """Run what CONFIG, a YAML file, describes.

    An unfinished run of the same config in the same folder is resumed; a finished one is left as it is. Where the
    config has explainers, metrics, uncertainty, hierarchical occlusion, nearest samples or samples (--limit) that the
    run in the folder lacks, the run grows: what is there is kept, and only the rest is computed. What the config no
    longer names is hidden: it stays in the folder until --prune.

    Exit codes: 0 finished, now or before; 2 bad input; 3 it failed or was stopped, or another run is writing to the
    folder: run the same again to resume, but without --overwrite and --no-resume, which start over each time.

    A shard writes to a folder of its own: without --summary-dir to shard-I-of-N in the config's, else where {shard} in
    DIR, which stands for that name, puts it. `explainrun merge` joins shards. With --shard auto msrun, a Slurm array or
    a Kubernetes indexed job (with EXPLAINRUN_SHARDS, its completions) says which one a process is.

    With --engine ray, which needs explainrun[ray], a Ray cluster works on all N shards at once, and the merged run is
    where CONFIG says: at ADDRESS, else at RAY_ADDRESS, else Ray is started on this host. The same command resumes it.
    """
    not_again = [flag for flag, given in (("--overwrite", overwrite), ("--no-resume", no_resume)) if given]
    overrides = dict(map(setting, settings))
    overrides |= {key: value for key, value in (("summary_dir", summary_dir), ("limit", limit)) if value is not None}
    with reported_errors(f" without {' and '.join(not_again)}" if not_again else ""), interrupted_by_sigterm():
        from ..config.build import build_runner  # noqa: PLC0415
        from ..config.schema import load_config  # noqa: PLC0415
        from ..report.write import page_place  # noqa: PLC0415

        loaded, problems = load_config(config, overrides)
        if shard is not None and "summary_dir" not in overrides:
            loaded = loaded.model_copy(update={"summary_dir": with_place(loaded.summary_dir)})
        asked = _engine_options(engine, shard, loaded)
        how: dict[str, Any] = {"overwrite": overwrite, "resume": not no_resume}
        runner = build_runner(loaded, problems, config.parent, shard=shard, computes=asked is None, **how)
        pages = page_place(Path(loaded.summary_dir), shard) if page else None
        result = runner.run_on(asked, runner.plan(loaded.limit, shard), prune=prune, **how)
        shown = _shown(result, pages, profile=profile)
    echo_after(shown, f"the run in {result.summary_dir} is finished")


def _shown(result: RunResult, pages: Path | None, *, profile: bool) -> str:
    """What is shown of a result, its page written where one is wanted."""
    shown = f"{result}\n\n{result.profile()}" if profile else str(result)
    return shown if pages is None else f"{shown}\nreport: {result.report(pages)}"
