"""``explainrun merge``: the shards of a run to one summary folder."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..summary_format import BrokenRecordError, MergeError
from ..summary_format import merge as merge_shards
from .stopping import EXIT_RESUMABLE
from .telling import EXIT_BAD_INPUT

_SHARDS = "shard-*-of-*"


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.argument("shards", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="[SHARD]...")
@click.option("--overwrite", is_flag=True, help="Replace the run that OUT holds.")
def merge(out: Path, shards: tuple[Path, ...], overwrite: bool) -> None:
    """Join the finished SHARDs of a run to what one run would have written, in OUT.

    Without any SHARD, those named shard-I-of-N in OUT. Shards stay as they are. Exit codes: 0 merged, or merged before;
    2 they do not belong together, or OUT holds something else; 3 shards are missing or unfinished, or the disk failed:
    run the same again once that is mended.
    """
    shards = shards or tuple(sorted(out.glob(_SHARDS)))
    try:
        if not shards:
            raise MergeError([f"no shard is given, and {out} holds no {_SHARDS} yet"], waiting=True)
        merge_shards(out, shards, overwrite=overwrite)
    except MergeError as error:
        _end(str(error), EXIT_RESUMABLE if error.waiting else EXIT_BAD_INPUT)
    except (BrokenRecordError, OSError) as error:
        _end(f"the merge failed: {error}; run it again to begin anew", EXIT_RESUMABLE)
    except KeyboardInterrupt:
        _end("stopped; run it again to begin anew", EXIT_RESUMABLE)
    from ..summary_format import Results  # noqa: PLC0415
    from .result import RunResult  # noqa: PLC0415 - imports MindSpore

    click.echo(f"{RunResult.of(Results(out), out)}\nmerged from {len(shards)} shard{'s' * (len(shards) != 1)}")


def _end(message: str, code: int) -> None:
    click.echo(f"explainrun: {message}", err=True)
    sys.exit(code)
