"""What MindSpore is told on a CPU, and where its worker threads run."""

import os
import subprocess
import sys

import mindspore as ms
import pytest

from explainrun.explainers.network.tensors import processor

ON_LINUX = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux places threads")


@pytest.fixture
def machine(monkeypatch):
    """Threads by id, each with its name and the cores it may use, in a process that may use three."""
    threads = {
        11: ("python", {0, 2, 5}),
        12: ("ActorThread_0", {0, 2, 5}),
        13: ("KernelThread_0", {0, 2, 5}),
        14: ("KernelThread_1", {0, 2, 5}),
        15: ("frontend_queue", {0, 2, 5}),
    }
    cores = {0: {0, 2, 5}}
    monkeypatch.setattr(processor, "_placed", set())
    monkeypatch.setattr(
        processor, "_threads", lambda: [(thread, name) for thread, (name, _) in reversed(threads.items())]
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda one: threads[one][1] if one else cores[0], raising=False)
    monkeypatch.setattr(
        os, "sched_setaffinity", lambda one, where: threads.update({one: (threads[one][0], where)}), raising=False
    )
    return threads, cores


def _cores(threads):
    return {thread: sorted(where) for thread, (_, where) in threads.items()}


def test_each_worker_gets_a_core_of_its_own(machine):
    threads, _ = machine
    processor.place_workers()
    assert _cores(threads) == {11: [0, 2, 5], 12: [0], 13: [2], 14: [5], 15: [0, 2, 5]}


def test_more_workers_than_cores_share_them_evenly(machine):
    threads, cores = machine
    cores[0] = {0, 2}
    threads.update({thread: (name, {0, 2}) for thread, (name, _) in threads.items()})
    processor.place_workers()
    assert _cores(threads) == {11: [0, 2], 12: [0], 13: [2], 14: [0], 15: [0, 2]}


@pytest.mark.parametrize("why", ["spare cores", "placed by somebody", "one core", "another device", "done before"])
def test_workers_stay_where_they_are(machine, monkeypatch, why):
    threads, cores = machine
    if why == "spare cores":  # which the system can give to whoever waits
        cores[0] = {0, 1, 2, 5}
        threads.update({thread: (name, {0, 1, 2, 5}) for thread, (name, _) in threads.items()})
    elif why == "placed by somebody":
        threads[13] = ("KernelThread_0", {2, 5})
    elif why == "one core":
        cores[0] = {5}
        threads.update({thread: (name, {5}) for thread, (name, _) in threads.items()})
    elif why == "another device":
        monkeypatch.setattr(ms, "get_context", lambda _name: "GPU")
    else:
        processor.place_workers()
        threads.update({thread: (name, {0, 2, 5}) for thread, (name, _) in threads.items()})
    before = _cores(threads)
    processor.place_workers()
    assert _cores(threads) == before


def test_a_system_that_forbids_it_stops_nothing(machine, monkeypatch):
    def refuse(_thread, _cores):
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    processor.place_workers()


@pytest.mark.parametrize(("device", "expected"), [("CPU", [True]), ("GPU", [])])
def test_operations_run_where_they_are_called_on_cpu_alone(monkeypatch, device, expected):
    called = []
    monkeypatch.setattr(ms, "get_context", lambda _name: device)
    monkeypatch.setattr(ms.runtime, "launch_blocking", lambda: called.append(True))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    processor.set_up_processor()
    assert called == expected


_PASSES = """
import os, sys
from pathlib import Path
import numpy as np
import explainrun.explainers
from mindspore import Tensor, nn

network = nn.SequentialCell([nn.Conv2d(3, 2, 3, pad_mode="same"), nn.ReLU(), nn.Flatten(), nn.Dense(40, 2)])
explainrun.explainers.Gradient(network)(Tensor(np.ones((2, 3, 4, 5), np.float32)), np.array([0, 1]), pass_size=2)
found = {}
for task in Path("/proc/self/task").glob("*"):
    found[(task / "comm").read_text().strip()] = sorted(os.sched_getaffinity(int(task.name)))
workers = [cores for name, cores in found.items() if name.startswith(("ActorThread", "KernelThread"))]
print("workers", len(workers), all(len(cores) == 1 for cores in workers), len(os.sched_getaffinity(0)))
print("queues", "frontend_queue" in found)
"""


@ON_LINUX
@pytest.mark.long
def test_a_pass_places_real_workers_and_hands_no_operation_to_a_queue():
    told = subprocess.run([sys.executable, "-c", _PASSES], capture_output=True, text=True, check=True).stdout
    said = {line.split()[0]: line.split()[1:] for line in told.splitlines() if line.startswith(("workers", "queues"))}
    workers, alone, cores = said["workers"]
    assert alone == str(int(workers) >= int(cores) > 1)
    assert said["queues"] == ["False"]
