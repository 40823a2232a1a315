"""Damage the files of a run in thousands of ways, and see that each reader reports or reads, and nothing worse.

    python scripts/fuzz_readers.py [--cases N] [--seed N] [--only CASE] [--target WORD]

Event files, archives, segments, plan, manifest and lock are damaged raw (flipped bits, cuts, lengths of 2^63, blocks
that are swapped, doubled, lost, zeroed or put in); resealed, with every checksum of ours made right again; forged, with
HDF5's own made right too; and rebuilt, with other values and other HDF5 than we write. So are checkpoints of PyTorch
and of safetensors, whose pickles are also made to ask for things, and files of maps that are imported. Readers run in a
process of their own, which may neither die, nor raise anything but what they document, nor compute for 2 seconds, nor
take more memory than the file's size and 64 MiB.

Exit code 0 if none did.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import fuzz_damage
import numpy as np
from fuzz_checkpoints import (
    FOLDER,
    asking,
    other_header,
    other_pickle,
    read_pytorch,
    read_safetensors,
    write_checkpoints,
)
from fuzz_maps import FOLDER as MAPS_FOLDER
from fuzz_maps import read_maps, rebuilt_maps, write_maps
from fuzz_runs import write_runs
from tabulate import tabulate

from explainrun.summary_format import (
    BrokenRecordError,
    FolderInUseError,
    FolderLock,
    Results,
    RunFolder,
    find_runs,
    read_manifest,
    read_records,
    read_summary,
)
from explainrun.summary_format.imported_maps.map_store import MapsFileError

SECONDS = 2.0
SPARE_BYTES = 64 * 2**20
_HANGS = 30.0  # seconds after which a reader is given up
_DOCUMENTED = (BrokenRecordError, FileNotFoundError, FolderInUseError, MapsFileError, ValueError)


@dataclass(frozen=True)
class Outcome:
    """What came of one case.

    Attributes:
        case: its number.
        target: what was damaged, and whether its checksums were made right again.
        came_to: "refused", "as before", "other values", or "fault".
        told: the reader's words, or what went wrong.
        seconds: of processor time that reading took.
        memory: bytes that it took at most.
    """

    case: int
    target: str
    came_to: str
    told: str = ""
    seconds: float = 0.0
    memory: int = 0


def read_events(run: RunFolder) -> Any:
    """All that an event file says."""
    return list(read_records(run.event_file)), read_summary(run.event_file), find_runs(run.root)


def read_results(run: RunFolder) -> Any:
    """All that a run's results say."""
    results = Results(run.root)
    whole: list[Any] = [
        results.plan,
        results.costs,
        results.class_names,
        results.explainers,
        results.metrics,
        results.outcomes,
    ]
    whole += [
        results.samples,
        results.digests,
        results.truth,
        results.probabilities,
        results.computed,
        results.labels_out_of_range,
    ]
    whole += [results.recorded, results.uncertainty, results.questions, results.sample_pictures]
    whole += [results.nearest_samples and results.nearest_samples.tables]
    for name in results.explainers:
        whole += [results.maps(name), results.maps(name, 1, 2), results.computed_maps(name), results.errors(name)]
        whole += [results.map_pictures(name), *(results.scores(name, metric) for metric in results.metrics)]
        whole += [results.map(name, *question) for question in results.questions[:1].tolist()]
        whole += [results.curves(name, metric) for metric in results.plan_record.curves]
    if results.outcomes is not None:
        whole += [results.revealed(*question) for question in results.questions.tolist()]
    return [*whole, results.curve_bytes, results.frame()]


def read_state(run: RunFolder) -> Any:
    """All that a plan file is asked for."""
    return [run.state(), [found.event_file.name for found in find_runs(run.root)], *read_results(run)]


def write_all(folder: Path) -> None:
    """Runs, and checkpoints and imported maps in the folder of the finished one."""
    write_runs(folder)
    write_maps(folder / "finished" / MAPS_FOLDER)
    write_checkpoints(folder / "finished" / FOLDER)


def take_lock(run: RunFolder) -> Any:
    """Whether the folder can be locked, whoever may be said to hold it."""
    try:
        with FolderLock(run.root) as lock:
            lock.check()
    except FolderInUseError as error:
        return str(error).partition(",")[0]
    return "taken"


@dataclass(frozen=True)
class Target:
    """What is damaged: which run, its files, how, what reads it, and its share of the cases."""

    finished: bool
    pattern: str
    damaged: Callable[[random.Random, bytes], bytes]
    read: Callable[[RunFolder], Any]
    share: int


read_plain, read_gzip = (partial(read_maps, name=f"{form}.h5") for form in ("plain", "gzip"))
read_stream, read_zip = (partial(read_pytorch, name=f"{form}.pth") for form in ("stream", "zip"))

TARGETS = {
    "event file": Target(True, "events.summary.*", fuzz_damage.raw, read_events, 20),
    "event file, resealed": Target(True, "events.summary.*", fuzz_damage.resealed_frames, read_events, 14),
    "archive": Target(True, "_explain_*/results.h5", fuzz_damage.raw, read_results, 10),
    "archive, resealed": Target(True, "_explain_*/results.h5", fuzz_damage.resealed_archive, read_results, 12),
    "archive, forged": Target(True, "_explain_*/results.h5", fuzz_damage.forged_archive, read_results, 8),
    "archive, rebuilt": Target(True, "_explain_*/results.h5", fuzz_damage.rebuilt_archive, read_results, 8),
    "segment": Target(False, "_explain_*/segments/*", fuzz_damage.raw, read_results, 10),
    "segment, resealed": Target(False, "_explain_*/segments/*", fuzz_damage.resealed_segment, read_results, 12),
    "plan": Target(False, "_explain_*/plan.json", fuzz_damage.raw, read_state, 2),
    "plan, other values": Target(False, "_explain_*/plan.json", fuzz_damage.other_json, read_state, 2),
    "manifest": Target(True, "_explain_*/manifest.json", fuzz_damage.raw, read_manifest, 1),
    "lock": Target(False, ".explainrun.lock", fuzz_damage.raw, take_lock, 1),
    "checkpoint, stream": Target(True, f"{FOLDER}/stream.pth", fuzz_damage.raw, read_stream, 4),
    "checkpoint, stream, asking": Target(True, f"{FOLDER}/stream.pth", asking, read_stream, 4),
    "checkpoint, zip": Target(True, f"{FOLDER}/zip.pth", fuzz_damage.raw, read_zip, 3),
    "checkpoint, other pickle": Target(True, f"{FOLDER}/zip.pth", other_pickle, read_zip, 5),
    "imported maps": Target(True, f"{MAPS_FOLDER}/plain.h5", fuzz_damage.raw, read_plain, 2),
    "imported maps, compressed": Target(True, f"{MAPS_FOLDER}/gzip.h5", fuzz_damage.raw, read_gzip, 1),
    "imported maps, rebuilt": Target(True, f"{MAPS_FOLDER}/plain.h5", rebuilt_maps, read_plain, 1),
    "safetensors": Target(True, f"{FOLDER}/*.safetensors", fuzz_damage.raw, read_safetensors, 3),
    "safetensors, other header": Target(True, f"{FOLDER}/*.safetensors", other_header, read_safetensors, 4),
}


class Cases:
    """Makes cases and reads them, in this process.

    Args:
        folder: where ``write_runs`` wrote.
        seed: what all damage starts from.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._seed = seed
        self._runs = {name == "finished": find_runs(folder / name)[0] for name in ("finished", "unfinished")}
        self._before = {name: _seen(target.read(self._runs[target.finished])) for name, target in TARGETS.items()}

    def outcome(self, case: int) -> Outcome:
        """Damage, read and mend again."""
        rng = random.Random(f"{self._seed} {case}")
        name = rng.choices([*TARGETS], [target.share for target in TARGETS.values()])[0]
        target = TARGETS[name]
        run = self._runs[target.finished]
        path = rng.choice(sorted(run.root.glob(target.pattern)))
        whole = path.read_bytes()
        damaged = target.damaged(rng, whole)
        try:
            _put(path, damaged)
            return self._read(case, name, run, len(damaged))
        finally:
            _put(path, whole)

    def _read(self, case: int, name: str, run: RunFolder, size: int) -> Outcome:
        told, began = "", time.process_time()
        with Measured(SPARE_BYTES + size) as memory:
            try:
                found = TARGETS[name].read(run)
            except _DOCUMENTED as error:
                documented = type(error) in _DOCUMENTED and str(run.root) in str(error)
                came_to, told = "refused" if documented else "fault", f"{type(error).__name__}: {error}"
            except Exception as error:
                came_to, told = "fault", f"{type(error).__name__}: {error}"
            else:
                came_to = "as before" if _seen(found) == self._before[name] else "other values"
        return Outcome(case, name, came_to, told, time.process_time() - began, memory())


def _put(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _seen(value: Any) -> str:
    """A checksum of all that was read, types and shapes included."""
    if isinstance(value, np.ndarray):
        said = f"{value.dtype} {value.shape} ".encode() + value.tobytes()
    elif hasattr(value, "to_csv"):
        said = value.to_csv().encode()
    elif isinstance(value, list):
        said = "".join(map(_seen, value)).encode()
    else:
        said = repr(value).encode("utf-8", "surrogatepass")
    return hashlib.sha256(said).hexdigest()


class Measured:
    """Limits the memory that may be taken within, and afterwards gives the most that was, both in bytes."""

    def __init__(self, spare: int) -> None:
        self._spare = spare

    def __enter__(self) -> Callable[[], int]:
        self._limits = resource.getrlimit(resource.RLIMIT_DATA)
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        self._before = _status("VmRSS")
        resource.setrlimit(resource.RLIMIT_DATA, (_status("VmData") + self._spare, self._limits[1]))
        return lambda: self._most

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_DATA, self._limits)
        self._most = max(_status("VmHWM") - self._before, 0)


def _status(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def work(folder: Path, seed: int) -> None:
    """Answer each number of a case on the input with its outcome."""
    cases = Cases(folder, seed)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(cases.outcome(int(line)))), flush=True)


class Worker:
    """A process that reads damaged files; another takes its place when it dies or hangs.

    Args:
        folder: where ``write_runs`` wrote; copied for each process.
        seed: what all damage starts from.
        target: a word that the targets' names have; None for all of them.
    """

    def __init__(self, folder: Path, seed: int, target: str | None = None) -> None:
        self._folder, self._seed, self._only = folder, seed, [] if target is None else ["--target", target]
        self._start()

    def outcome(self, case: int) -> Outcome:
        """What comes of a case."""
        print(case, file=self._process.stdin, flush=True)
        if not select.select([self._answers], [], [], _HANGS)[0]:
            self.stop()
            self._start()
            return Outcome(case, "unknown", "fault", "hangs", _HANGS)
        line = self._answers.readline()
        if not line:
            self._process.communicate()
            code = self._process.returncode
            self._start()
            return Outcome(case, "unknown", "fault", f"died of {signal.Signals(-code).name if code < 0 else code}")
        return Outcome(**json.loads(line))

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _start(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        write_all(folder)
        command = [sys.executable, __file__, "--work", str(folder), "--seed", str(self._seed), *self._only]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self._process.stdout is not None
        self._answers = self._process.stdout
        if self._answers.readline() != "ready\n":
            raise SystemExit("what is whole cannot be read")


def outcomes(cases: Iterable[int], folder: Path, seed: int, target: str | None = None) -> Iterator[Outcome]:
    """What comes of each case."""
    worker = Worker(folder, seed, target)
    try:
        for case in cases:
            yield worker.outcome(case)
    finally:
        worker.stop()


def report(found: list[Outcome]) -> str:
    """A table of what came of all cases, by target."""
    kinds = ("refused", "as before", "other values", "fault")
    groups = [(name, [one for one in found if one.target == name]) for name in (*TARGETS, "unknown")]
    rows = [
        [name, len(of), *(sum(one.came_to == kind for one in of) for kind in kinds),
         f"{max(one.seconds for one in of):.3f}", f"{max(one.memory for one in of) / 2**20:.1f}"]
        for name, of in [*groups, ("all", found)] if of
    ]  # fmt: skip
    return str(tabulate(rows, ["damaged", "cases", *kinds, "slowest, s", "most memory, MiB"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="CASE", help="One case, in full words.")
    parser.add_argument("--target", metavar="WORD", help="Only files whose name among the targets has this word.")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.target is not None:
        for name in [name for name in TARGETS if options.target not in name]:
            del TARGETS[name]
    if options.work is not None:
        work(options.work, options.seed)
        return
    cases = range(options.cases) if options.only is None else [options.only]
    with tempfile.TemporaryDirectory() as folder:
        found = list(outcomes(cases, Path(folder), options.seed, options.target))
    wrong = [one for one in found if one.came_to == "fault" or one.seconds > SECONDS]
    for one in wrong if options.only is None else found:
        print(f"case {one.case}, {one.target}: {one.came_to} after {one.seconds:.2f} s: {one.told}")
    print(report(found))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
