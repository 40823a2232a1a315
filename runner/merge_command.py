"""``explainrun merge``: the shards of a run to one summary folder."""

from __future__ import annotations

from pathlib import Path

import click

from .stopping import EXIT_RESUMABLE
from .telling import EXIT_BAD_INPUT, end, ended_by_signals


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.argument("shards", nargs=-1, type=click.Path(path_type=Path), metavar="[SHARD]...")
@click.option("--overwrite", is_flag=True, help="Replace the run that OUT holds.")
def merge(out: Path, shards: tuple[Path, ...], overwrite: bool) -> None:
    """Join the finished SHARDs of a run to what one run would have written, in OUT.

    Without any SHARD, those named shard-I-of-N in OUT. Shards stay as they are, and may be removed afterwards. Exit
    codes: 0 merged, or merged before; 2 they do not belong together, are damaged, or OUT holds something else; 3 shards
    are missing or unfinished, or the disk failed: run the same again once that is mended.
    """
    with ended_by_signals():
        from ..summary_format import (  # noqa: PLC0415
            BrokenRecordError,
            FolderInUseError,
            MergeError,
            find_runs,
        )
        from ..summary_format import merge as merge_shards  # noqa: PLC0415

    before = any(run.finished for run in find_runs(out)) and not overwrite
    try:
        results = merge_shards(out, shards or None, overwrite=overwrite)
    except MergeError as error:
        end(str(error), EXIT_RESUMABLE if error.waiting else EXIT_BAD_INPUT)
    except FolderInUseError as error:
        end(f"{error}; wait for it, then merge again", EXIT_RESUMABLE)
    except (BrokenRecordError, OSError) as error:
        end(f"the merge failed: {error}; run it again to begin anew", EXIT_RESUMABLE)
    except KeyboardInterrupt:
        end("stopped; run it again to begin anew", EXIT_RESUMABLE)
    with ended_by_signals():
        from .result import RunResult  # noqa: PLC0415 - with MindSpore, which merging does without

    result = RunResult.of(results, out)
    click.echo(f"{result}\n{'merged before, nothing was done' if before else 'merged'}")
