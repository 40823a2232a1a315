"""Kill a run at random instants, start it again until it finishes, and compare its end with a run never interrupted.

    python scripts/kill_harness.py CONFIG [--limit N] [--kills N] [--longest SECONDS] [--shards N] [--keep FOLDER]
                                   [--pairs N] [--seed N] [--grow-from KEY=VALUE ...]

With --grow-from each run that is killed grows out of a finished one with these settings. With shards it is also split,
each shard and the merge are killed once, and the merged run is compared.

Then start two processes on one folder at the same moment, several times, and see that exactly one runs.

Exit code 0 if all ends are the same, wall times and pass counts aside, no stray file stays, and no pair ran together.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from explainrun.summary_format import RunFolder, find_runs
from explainrun.summary_format.archive.results_file import check_archive
from explainrun.summary_format.event_file.reader import read_records
from explainrun.summary_format.event_file.records import SampleRecord

_WITHOUT_TIMES = (b".jpg", b".png", b"manifest.json")
_MERGE_SECONDS = 3.0
_TIMES = re.compile(rb"_explain_\d+|events\.summary\.\d+")


def how_runs_differ(first: Path, second: Path) -> list[str]:
    """How the ends of two runs differ, a few words each: records, pictures, archive and names of files.

    Wall times and pass counts do not count, nor do the seconds since the epoch in names and paths.
    """
    stray = [
        f"{folder.name} holds more than one run"
        for folder in (first, second)
        if len(find_runs(folder)) != 1 or len(list(folder.glob("_explain_*"))) != 1
    ]
    runs = [find_runs(folder)[-1] for folder in (first, second)]
    return [*stray, *_files_apart(first, second), *_records_apart(*runs), *_archives_apart(*runs)]


def _files_apart(first: Path, second: Path) -> Iterator[str]:
    files = [
        {
            _TIMES.sub(b"<run>", str(path.relative_to(folder)).encode()): path
            for path in folder.rglob("*")
            if not path.relative_to(folder).parts[0].startswith("shard-")
        }
        for folder in (first, second)
    ]
    for name in sorted(files[0].keys() | files[1].keys()):
        if not all(name in of_run for of_run in files):
            yield f"{name.decode()} is in one folder only"
        elif name.endswith(_WITHOUT_TIMES) and files[0][name].read_bytes() != files[1][name].read_bytes():
            yield f"{name.decode()} differs"


def _records_apart(first: RunFolder, second: RunFolder) -> Iterator[str]:
    records = [list(read_records(run.event_file)) for run in (first, second)]
    plain = [[_TIMES.sub(b"<run>", repr(record).encode()) for record in of_run] for of_run in records]
    if plain[0] != plain[1]:
        yield "the event files differ"
    ids = [record.sample_id for record in records[1] if isinstance(record, SampleRecord)]
    if ids != sorted(set(ids)):
        yield "a sample stands twice in an event file, or out of order"


def _archives_apart(first: RunFolder, second: RunFolder) -> Iterator[str]:
    for run in (first, second):
        check_archive(run.archive)
    archives = [_datasets(run.archive) for run in (first, second)]
    for name in sorted(archives[0].keys() | archives[1].keys()):
        values = [archive.get(name) for archive in archives]
        if values[0] is None or values[1] is None or values[0].dtype != values[1].dtype or _differ(*values):
            yield f"results.h5: {name} differs"


def _differ(first: Any, second: Any) -> bool:
    return bool(first.shape != second.shape or first.tobytes() != second.tobytes())


def _datasets(path: Path) -> dict[str, Any]:
    """All datasets of an archive but its costs, and its plan but for where it was written."""
    found: dict[str, Any] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and name not in ("costs", "plan"):
            found[name] = np.asarray(item.asstr()[...], str) if item.dtype.kind in "OS" else item[...]

    with h5py.File(path) as archive:
        archive.visititems(keep)
    return found


def killed_run(command: list[str], kills: int, life: float, seed: int) -> int:
    """Start a command again and again, killing it at random instants of its life; gives how often it was killed.

    The instants are spread over the life of an uninterrupted run, start-up included, so that early and late stages are
    hit alike; what is committed shortens later lives, and once all kills are spent the command may finish.
    """
    chance, done = random.Random(seed), 0
    while True:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done < kills:
            try:
                process.wait(chance.uniform(0.0, life))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                done += 1
                continue
        _, told = process.communicate()
        if process.returncode != 0:
            raise SystemExit(f"the run failed with {process.returncode} after {done} kills:\n{told.decode()}")
        return done


def started_together(command: list[str]) -> bool:
    """Whether of two processes started at the same moment one runs and the other is refused, to be resumed later."""
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    codes = [process.returncode for process in both]
    refused = said[codes.index(3)] if 3 in codes else b""
    return sorted(codes) == [0, 3] and b"another run is writing to" in refused


def begun_smaller(command: list[str], settings: Sequence[str]) -> None:
    """Have a folder hold a finished run with other settings, such as "limit=4" or "explainers=[Gradient]"."""
    given = [word for setting in settings for word in ("--set", setting)]
    subprocess.run([*command, *given], check=True, stdout=subprocess.DEVNULL)


def split_run(command: list[str], merged: Path, count: int, longest: float) -> int:
    """Run shards in any order, kill each and the merge once, and join them; gives how often something was killed."""
    order, done = random.Random(count).sample(range(1, count + 1), count), 0
    for number in order:
        shard = [*command, "--summary-dir", str(merged / "{shard}"), "--shard", f"{number}/{count}"]
        done += killed_run(shard, 1, longest, number)
    merge = [sys.executable, "-m", "explainrun", "merge", str(merged)]
    return done + killed_run(merge, 1, _MERGE_SECONDS, count)


def compare(whole: Path, target: Path, told: str) -> None:
    differences = how_runs_differ(whole, target)
    print(f"{told}, {len(differences)} differences", *differences, sep="\n  ", flush=True)
    if differences:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--longest", type=float, default=float("inf"), help="let no start live longer before its kill")
    parser.add_argument("--shards", type=int, default=0, help="split the run")
    parser.add_argument("--keep", help="leave the merged run in this folder")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--grow-from", nargs="+", default=(), metavar="KEY=VALUE", help="settings of what runs grow from"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        explainrun = [sys.executable, "-m", "explainrun", "run", options.config, "--limit", str(options.limit)]
        began = time.monotonic()
        subprocess.run([*explainrun, "--summary-dir", str(whole)], check=True, stdout=subprocess.DEVNULL)
        life = time.monotonic() - began
        print(f"uninterrupted: {life:.1f} s", flush=True)
        rounds = done = 0
        while done < options.kills:  # a start that outlives its instant finishes the run: the next one starts over
            rounds += 1
            target, longest = killed / str(rounds), min(life, options.longest)
            command = [*explainrun, "--summary-dir", str(target)]
            if options.grow_from:
                begun_smaller([*explainrun[:-2], "--summary-dir", str(target)], options.grow_from)
            done += killed_run(command, options.kills - done, longest, options.seed + rounds)
            compare(whole, target, f"run {rounds}: {done} kills so far")
        if options.shards:
            merged = Path(options.keep or folder) / "merged"
            done = split_run(explainrun, merged, options.shards, min(life / options.shards, options.longest))
            compare(whole, merged, f"{options.shards} shards, {done} kills, merged")
        alone = [
            started_together([*explainrun[:-1], "4", "--summary-dir", str(Path(folder) / f"pair{pair}")])
            for pair in range(options.pairs)
        ]
        print(f"started together: exactly one ran in {sum(alone)} of {len(alone)} pairs")
        if not all(alone):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
