"""Stop a run anywhere, have another take its folder over and finish, continue the first, and compare the end.

    python scripts/writer_harness.py [--stalls N] [--same N] [--overwrites N] [--merges N] [--seed N]

Both run without record locks, as on some network file systems, and the lock of the one that stands still is made to
look a minute old. Most are stopped before a call at random, among all that reach the folder; some together with the
second, each before it names the temporary file of the same number.

Exit code 0 if each first run ends with 3, or finds the run finished, and each folder equals that of a run never
disturbed and holds nothing else; 77 where there is no C compiler to build the stops with.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import h5py
import numpy as np
from kill_harness import how_runs_differ

from explainrun.summary_format import inspect_run
from explainrun.summary_format.storage.lock_holder import LOCK_FILE, holder_of

_STALE_SECONDS = 61
_serial = count()
_HANGS = 600.0  # seconds after which a run is given up
_CANNOT = 77
_CONFIG = """\
network: {factory: "network.py:Flat"}
activation: sigmoid
data: {hdf5: scenes.h5}
class_names: [left, right]
explainers: [Gradient, RandomMap]
metrics: [{PointingGame: {tolerance: 1}}]
uncertainty: {samples: 2}
hierarchical_occlusion: {window_sides: [4, 2], blur: 2}
pass_size: 1
jit: "off"
"""
_NETWORK = """\
import mindspore as ms
import numpy as np
from mindspore import nn


class Flat(nn.Cell):
    def __init__(self):
        super().__init__()
        self.flatten, self.drop, self.head = nn.Flatten(), nn.Dropout(p=0.5), nn.Dense(144, 2, has_bias=False)
        self.head.weight.set_data(ms.Tensor(np.random.default_rng(1).normal(size=(2, 144)).astype(np.float32)))

    def construct(self, x):
        return self.head(self.drop(self.flatten(x)))
"""


class Writer:
    """A run or merge in a process of its own, which may stop itself.

    Args:
        command: what it runs.
        root: the folder that it writes to.
        shim: the library that stops it.
        stop: where, as variables of the environment; nowhere by default.
    """

    def __init__(self, command: list[str], root: Path, shim: Path, stop: dict[str, str] | None = None) -> None:
        environment = os.environ | {"LD_PRELOAD": str(shim), "STOP_ROOT": str(root)} | (stop or {})
        self._output = root.with_name(f"{root.name}.{next(_serial)}.txt")
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
            )

    def stops(self) -> bool:
        """Wait until it stops itself or ends; whether it does the first."""
        deadline = time.monotonic() + _HANGS
        options = os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG
        while time.monotonic() < deadline:
            found = os.waitid(os.P_PID, self.process.pid, options)
            if found is not None:
                return found.si_code == os.CLD_STOPPED
            time.sleep(0.02)
        raise SystemExit(f"process {self.process.pid} hangs")

    def ends(self) -> tuple[int, str]:
        """Let it run to its end; gives its exit code and what it printed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
        code = self.process.wait(_HANGS)
        return code, self._output.read_text()


@dataclass(frozen=True)
class Case:
    """One way to disturb a writer.

    Attributes:
        name: in words.
        command: makes the command of both writers, of a folder.
        whole: what the folder should equal.
        stop: where the first stops.
        both: whether the second stops there too.
        begin: prepares the folder.
    """

    name: str
    command: Callable[[Path], list[str]]
    whole: Path
    stop: dict[str, str]
    both: bool = False
    begin: Callable[[Path], None] = lambda _: None


def outcome(case: Case, root: Path, shim: Path) -> tuple[str, list[str]]:
    """How the first writer of a case ended, and all that is wrong afterwards."""
    case.begin(root)
    first = Writer(case.command(root), root, shim, case.stop)
    stopped, held = first.stops(), holder_of(root)
    had_lock = held is not None and held.pid == first.process.pid
    if held is not None:
        os.utime(root / LOCK_FILE, (time.time() - _STALE_SECONDS,) * 2)
    second = Writer(case.command(root), root, shim, case.stop if case.both else None)
    if case.both and second.stops():
        code, told = first.ends()
        second_code, second_told = second.ends()
    else:
        second_code, second_told = second.ends()
        code, told = first.ends()
    wrong = [] if second_code == 0 else [f"the second ended with {second_code}: {second_told.strip()[-500:]}"]
    if not stopped:
        wrong += ["it never came to that file"] if case.both else []
        return "was never stopped", wrong + wrong_in(root, case.whole)
    had_finished = "finished before" in second_told or "merged before" in second_told
    found_finished = "finished before" in told or "merged before" in told
    if code == 3 and ("lost the lock on" in told or "another run is writing to" in told):
        how = "lost its lock"
    elif code == 0 and found_finished:
        how = "found the run finished"
    elif code == 0 and (had_finished or not had_lock):
        how = "was done" if had_finished else "ran once the second was done"
    else:
        how = "ended otherwise"
        wrong.append(f"the first ended with {code}: {told.strip()[-500:]}")
    return how, wrong + wrong_in(root, case.whole)


def wrong_in(root: Path, whole: Path) -> list[str]:
    """What is wrong with a folder that should equal another."""
    found = inspect_run(root)
    faults = [str(fault) for fault in found.faults]
    faults += [] if found.state == "finished" else [f"the run is {found.state}"]
    faults += [] if found.verified else ["its pictures were not verified"]
    faults += [f"{path.name} is left behind" for path in root.glob(".explainrun*")]
    return faults or how_runs_differ(whole, root)


class Cases:
    """All cases, made from undisturbed runs.

    Args:
        folder: where those are written.
        config: what they run.
        shim: the library that stops writers.
        seed: what random choices start from.
    """

    def __init__(self, folder: Path, config: Path, shim: Path, seed: int) -> None:
        self._run = [sys.executable, "-m", "explainrun", "run", str(config)]
        self._chance, self._shim, self._folder = random.Random(seed), shim, folder
        self.whole, self._parts = folder / "whole", folder / "parts"
        self.calls = self._undisturbed(self.run(self.whole), self.whole)

    def run(self, root: Path) -> list[str]:
        """The command that runs in a folder."""
        return [*self._run, "--summary-dir", str(root)]

    def _undisturbed(self, command: list[str], root: Path) -> int:
        """Let a writer come to its end; gives how many calls it makes."""
        path = self._folder / "calls"
        code, told = Writer(command, root, self._shim, {"STOP_COUNT": str(path)}).ends()
        if code:
            raise SystemExit(f"an undisturbed run ended with {code}:\n{told}")
        return int(path.read_text())

    def _at_random(self, calls: int) -> dict[str, str]:
        return {"STOP_AT": str(self._chance.randint(1, calls))}

    def stalls(self, times: int) -> Iterator[Case]:
        """Stops before any call."""
        for _ in range(times):
            stop = self._at_random(self.calls)
            yield Case(f"call {stop['STOP_AT']} of {self.calls}", self.run, self.whole, stop)

    def same(self, times: int) -> Iterator[Case]:
        """Both stop before they name the file of the same number."""
        for number in self._chance.sample(range(2, 2 + 3 * times), times):
            yield Case(f"both at file {number}", self.run, self.whole, {"STOP_NUMBER": str(number)}, both=True)

    def overwrites(self, times: int) -> Iterator[Case]:
        """Both replace a finished run."""

        def command(root: Path) -> list[str]:
            return [*self.run(root), "--overwrite"]

        for _ in range(times):
            stop = self._at_random(self.calls)
            begin = lambda root: shutil.copytree(self.whole, root)  # noqa: E731
            yield Case(f"call {stop['STOP_AT']} of an overwriting run", command, self.whole, stop, begin=begin)

    def merges(self, times: int) -> Iterator[Case]:
        """Both merge the same shards."""
        if not times:
            return
        shards = [self._parts / str(number) for number in (1, 2)]
        self._parts.mkdir()
        for number, shard in enumerate(shards, 1):
            self._undisturbed([*self.run(shard), "--shard", f"{number}/2"], shard)

        def command(root: Path) -> list[str]:
            return [sys.executable, "-m", "explainrun", "merge", str(root), *map(str, shards)]

        merged = self._folder / "merged"
        calls = self._undisturbed(command(merged), merged)
        for _ in range(times):
            stop = self._at_random(calls)
            yield Case(f"call {stop['STOP_AT']} of {calls} of a merge", command, self.whole, stop)


def project(folder: Path, samples: int) -> Path:
    """A config of a tiny run of two explainers, uncertainty and hierarchical occlusion."""
    rng = np.random.default_rng(0)
    boxes = np.tile(np.array([3, 1, 4, 2], np.float32), (samples, 1, 1))
    with h5py.File(folder / "scenes.h5", "w") as file:
        file["images"] = rng.normal(size=(samples, 3, 6, 8)).astype(np.float32)
        file["labels"], file["bboxes"] = np.arange(samples, dtype=np.int32)[:, None] % 2, boxes
    (folder / "network.py").write_text(_NETWORK)
    (folder / "config.yaml").write_text(_CONFIG)
    return folder / "config.yaml"


def built(folder: Path) -> Path | None:
    """The library that stops writers; None where nothing can compile it."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    shim = folder / "stop_at_call.so"
    source = Path(__file__).with_name("stop_at_call.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"], check=True)
    return shim


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=9, help="of each run")
    parser.add_argument("--stalls", type=int, default=30)
    parser.add_argument("--same", type=int, default=10)
    parser.add_argument("--overwrites", type=int, default=4)
    parser.add_argument("--merges", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        shim = built(folder)
        if shim is None:
            print("!!! NOT RUN: two writers; there is no C compiler (cc) on Linux to stop them with", file=sys.stderr)
            sys.exit(_CANNOT)
        cases = Cases(folder, project(folder, options.samples), shim, options.seed)
        print(f"undisturbed: {cases.calls} calls", flush=True)
        kinds = [cases.stalls(options.stalls), cases.same(options.same)]
        kinds += [cases.overwrites(options.overwrites), cases.merges(options.merges)]
        told, failed = Counter[str](), 0
        for number, case in enumerate(case for kind in kinds for case in kind):
            how, wrong = outcome(case, folder / str(number), shim)
            print(f"{case.name}: the first {how}, {len(wrong)} differences", *wrong, sep="\n  ", flush=True)
            told[how] += 1
            failed += bool(wrong)
            shutil.rmtree(folder / str(number))
    print(
        f"{sum(told.values())} cases, {failed} wrong: " + ", ".join(f"{n} x the first {how}" for how, n in told.items())
    )
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
