"""What is set in MindSpore on a CPU, and where its worker threads run."""

import os
import subprocess
import sys
from types import SimpleNamespace

import mindspore as ms
import pytest

from explainrun.explainers.network.tensors import processor

ON_LINUX = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux places threads")


@pytest.fixture
def machine(monkeypatch):
    """Threads by id, each with its name and the cores it may use, in a process that may use three; and that process."""
    threads = {
        11: ("python", {0, 2, 5}),
        12: ("ActorThread_0", {0, 2, 5}),
        13: ("KernelThread_0", {0, 2, 5}),
        14: ("KernelThread_1", {0, 2, 5}),
        15: ("frontend_queue", {0, 2, 5}),
    }

    def place(thread, cores):
        threads[thread] = threads[thread][0], set(cores)

    process = SimpleNamespace(
        cores={0, 2, 5},
        environ={},
        getpid=lambda: 30,  # a multiple of the number of cores: places begin at the first one
        sched_getaffinity=lambda one: threads[one][1] if one else process.cores,
        sched_setaffinity=place,
    )
    monkeypatch.setattr(processor, "_placed", {})
    monkeypatch.setattr(processor, "os", process)
    monkeypatch.setattr(
        processor, "_threads", lambda: [(thread, name) for thread, (name, _) in reversed(threads.items())]
    )
    return threads, process


def _cores(threads):
    return {thread: sorted(where) for thread, (_, where) in threads.items()}


def test_each_worker_gets_a_core_of_its_own(machine):
    threads, _ = machine
    processor.place_workers()
    assert _cores(threads) == {11: [0, 2, 5], 12: [0], 13: [2], 14: [5], 15: [0, 2, 5]}


def test_more_workers_than_cores_share_them_evenly(machine):
    threads, process = machine
    process.cores = {0, 2}
    threads.update({thread: (name, {0, 2}) for thread, (name, _) in threads.items()})
    processor.place_workers()
    assert _cores(threads) == {11: [0, 2], 12: [0], 13: [2], 14: [0], 15: [0, 2]}


def test_processes_begin_at_different_cores(machine):
    threads, process = machine
    process.getpid = lambda: 31
    processor.place_workers()
    assert _cores(threads) == {11: [0, 2, 5], 12: [2], 13: [5], 14: [0], 15: [0, 2, 5]}


def test_workers_are_placed_again_where_the_process_gets_other_cores(machine):
    threads, process = machine
    processor.place_workers()
    process.cores = {0, 1}
    threads.update({thread: (name, {0, 1}) for thread, (name, _) in threads.items()})
    processor.place_workers()
    assert _cores(threads) == {11: [0, 1], 12: [0], 13: [1], 14: [0], 15: [0, 1]}


@pytest.mark.parametrize(
    "why", ["spare cores", "placed before", "one core", "another device", "the user's wish", "done"]
)
def test_workers_stay_where_they_are(machine, monkeypatch, why):
    threads, process = machine
    if why == "spare cores":  # which the system can give to whoever waits
        process.cores = {0, 1, 2, 5}
        threads.update({thread: (name, {0, 1, 2, 5}) for thread, (name, _) in threads.items()})
    elif why == "placed before":
        threads[13] = ("KernelThread_0", {2, 5})
    elif why == "one core":
        process.cores = {5}
        threads.update({thread: (name, {5}) for thread, (name, _) in threads.items()})
    elif why == "another device":
        monkeypatch.setattr(ms, "get_context", lambda _name: "GPU")
    elif why == "the user's wish":
        process.environ[processor.KEEP_THREADS] = "1"
    else:
        processor.place_workers()
        threads.update({thread: (name, {0, 2, 5}) for thread, (name, _) in threads.items()})
    before = _cores(threads)
    processor.place_workers()
    assert _cores(threads) == before


def test_a_system_that_forbids_it_stops_nothing_and_leaves_all_as_they_were(machine, caplog):
    threads, process = machine
    place = process.sched_setaffinity

    def refuse(thread, cores):
        if thread == 13 and len(cores) == 1:
            raise PermissionError("Operation not permitted")
        place(thread, cores)

    process.sched_setaffinity = refuse
    caplog.set_level("INFO", "explainrun")
    processor.place_workers()
    assert set(map(tuple, _cores(threads).values())) == {(0, 2, 5)}
    assert "Operation not permitted" in caplog.text


def test_names_that_are_no_text_are_other_threads(monkeypatch, tmp_path):
    monkeypatch.setattr(processor, "_THREADS", tmp_path)
    for thread, name in (
        (12, b"ActorThread_0\n"),
        (13, "abcdefghijklmn\u00fc".encode()[:15]),
        (14, b"KernelThread_0\n"),
    ):
        (tmp_path / str(thread)).mkdir()
        (tmp_path / str(thread) / "comm").write_bytes(name)
    (tmp_path / "15").mkdir()  # which has just ended
    assert sorted(processor._threads()) == [(12, "ActorThread_0"), (13, "abcdefghijklmn\ufffd"), (14, "KernelThread_0")]


@pytest.mark.parametrize(("device", "kept", "expected"), [("CPU", "", [True]), ("CPU", "1", []), ("GPU", "", [])])
def test_operations_run_where_they_are_called_on_cpu_alone(monkeypatch, device, kept, expected):
    called = []
    monkeypatch.setattr(ms, "get_context", lambda _name: device)
    monkeypatch.setattr(ms.runtime, "launch_blocking", lambda: called.append(True))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.delenv(processor.KEEP_THREADS, raising=False)
    processor._run_operations_where_called.cache_clear()
    if kept:
        monkeypatch.setenv(processor.KEEP_THREADS, kept)
    processor.set_up_processor()
    processor.set_up_processor()
    assert called == expected


_PASSES = """
import os
from pathlib import Path
import numpy as np
import explainrun.explainers
from mindspore import Tensor, nn

network = nn.SequentialCell([nn.Conv2d(3, 2, 3, pad_mode="same"), nn.ReLU(), nn.Flatten(), nn.Dense(40, 2)])
explainrun.explainers.Gradient(network)(Tensor(np.ones((2, 3, 4, 5), np.float32)), np.array([0, 1]), pass_size=2)
for task in Path("/proc/self/task").glob("*"):
    print("thread", (task / "comm").read_text().strip(), *sorted(os.sched_getaffinity(int(task.name))))
"""


@ON_LINUX
@pytest.mark.long
@pytest.mark.parametrize("kept", [False, True])
def test_a_pass_places_real_workers_and_hands_no_operation_to_a_queue(all_cores, kept):
    if len(all_cores) < 2:
        pytest.skip("one core is all workers' own")
    environment = {name: value for name, value in os.environ.items() if name != processor.KEEP_THREADS}
    environment |= {processor.KEEP_THREADS: "1"} if kept else {}
    done = subprocess.run([sys.executable, "-c", _PASSES], env=environment, capture_output=True, text=True, check=True)
    threads = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("thread ")]
    workers = [tuple(map(int, cores)) for name, *cores in threads if name.startswith(("ActorThread", "KernelThread"))]
    assert len(workers) >= len(all_cores)
    assert set(workers) == ({tuple(all_cores)} if kept else {(core,) for core in all_cores})
    assert ("frontend_queue" in [name for name, *_ in threads]) == kept
