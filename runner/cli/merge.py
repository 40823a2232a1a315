"""``explainrun merge``: the shards of a run to one summary folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...summary_format.exit_codes import EXIT_RESUMABLE
from .process.errors import ended_by_signals, exit_with
from .process.standard_streams import echo_after

if TYPE_CHECKING:
    from ...summary_format import Results
    from ..execution.run_result import RunResult


@click.command(short_help="Join the shards of a run.")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.argument("shards", nargs=-1, type=click.Path(path_type=Path), metavar="[SHARD]...")
@click.option("--overwrite", is_flag=True, help="Replace the run that OUT holds.")
def merge(out: Path, shards: tuple[Path, ...], overwrite: bool) -> None:
    """Join the finished SHARDs of a run to what one run would have written, in OUT.

    Without any SHARD it joins those named shard-I-of-N in OUT. Shards stay as they are, and may be removed afterwards.
    Where OUT holds what they gave before they have grown, that is replaced.
    Exit codes: 0 merged, or merged before; 2 they do not belong together, are damaged, or OUT holds something else; 3
    shards are missing or unfinished, the disk failed, or it was stopped: run the same again once that is mended.
    """
    with ended_by_signals():
        from ...summary_format import BrokenRecordError, FolderInUseError, MergeError, find_runs  # noqa: PLC0415
        from ...summary_format import merge as merge_shards  # noqa: PLC0415

    try:
        before = {run.event_file.name for run in find_runs(out) if run.finished}
        results = merge_shards(out, shards or None, overwrite=overwrite)
        merged_before = find_runs(out)[-1].event_file.name in before
    except MergeError as error:
        exit_with(str(error), error.exit_code)
    except FolderInUseError as error:
        exit_with(f"{error}; wait for it, then merge again", error.exit_code)
    except BrokenRecordError as error:  # shards are checked before, so it is what was merged earlier
        exit_with(f"{error}; merge again with --overwrite")
    except OSError as error:
        exit_with(f"the merge failed: {error}; run it again to start over", EXIT_RESUMABLE)
    except KeyboardInterrupt:
        exit_with("stopped; run it again to start over", EXIT_RESUMABLE)
    outcome = "merged before, nothing was done" if merged_before else "merged"
    echo_after(f"{_result(results, out)}\n{outcome}", f"{out} is merged")


def _result(results: Results, out: Path) -> RunResult:
    """What a merge made, for people; ends the process where it cannot be read again."""
    with ended_by_signals():
        from ...summary_format import BrokenRecordError  # noqa: PLC0415
        from ..execution.run_result import RunResult  # noqa: PLC0415 - with MindSpore, which merging does without

    try:
        return RunResult.of(results, out)
    except BrokenRecordError as error:
        exit_with(f"{out} is merged, but damaged since: {error}; merge again with --overwrite")
    except OSError as error:
        exit_with(f"{out} is merged, but cannot be read: {error}; run the same again", EXIT_RESUMABLE)
