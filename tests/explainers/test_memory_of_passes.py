"""How much memory there is, from the files in which Linux says it."""

import math
import os

import pytest

from explainrun.explainers.core.memory import DeviceMemory, HostMemory, pass_memory

MEMINFO = "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:    8000 kB\n"
KB = 1024


@pytest.fixture
def machine(tmp_path):
    """Writes files of a made-up machine; gives its memory."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return HostMemory(tmp_path)

    return write


def test_without_groups_it_is_what_the_machine_has(machine):
    assert machine({"proc/meminfo": MEMINFO}).available() == 8000 * KB


@pytest.mark.parametrize("place", ["/jobs/mine", "/outside/the/container"])
def test_a_group_leaves_its_limit_less_what_cannot_be_dropped(machine, place):
    inner = "sys/fs/cgroup/jobs/mine/"
    memory = machine(
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": f"0::{place}\n",
            "sys/fs/cgroup/memory.max": f"{7000 * KB}\n",
            "sys/fs/cgroup/memory.current": f"{1500 * KB}\n",
            "sys/fs/cgroup/memory.stat": f"anon 5\ninactive_file {500 * KB}\n",
            f"{inner}memory.max": "max\n",
            f"{inner}memory.current": f"{1 * KB}\n",
            "sys/fs/cgroup/jobs/memory.max": f"{3000 * KB}\n",
            "sys/fs/cgroup/jobs/memory.current": f"{1000 * KB}\n",
        }
    )
    assert memory.available() == (2000 * KB if place == "/jobs/mine" else 6000 * KB)


def test_the_first_version_of_groups_is_read_too(machine):
    memory = machine(
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/task\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(0x7FFFFFFFFFFFF000),
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "5",
            "sys/fs/cgroup/memory/task/memory.limit_in_bytes": str(4000 * KB),
            "sys/fs/cgroup/memory/task/memory.usage_in_bytes": str(3900 * KB),
            "sys/fs/cgroup/memory/task/memory.stat": f"inactive_file 1\ntotal_inactive_file {400 * KB}\n",
        }
    )
    assert memory.available() == 500 * KB


def test_a_group_that_is_full_leaves_nothing(machine):
    files = {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "100"}
    assert machine({**files, "sys/fs/cgroup/memory.current": "120"}).available() == 0


def test_what_is_not_said_is_unknown(machine):
    assert math.isnan(machine({}).available())
    assert math.isnan(machine({"proc/meminfo": "MemAvailable: much\n"}).available())
    assert machine({}).used() == 0


def test_resident_memory_is_counted_in_pages(machine):
    assert machine({"proc/self/statm": "900 25 3 1 0 20 0\n"}).used() == 25 * os.sysconf("SC_PAGE_SIZE")


def test_on_cpu_it_is_the_process_and_else_the_device(monkeypatch):
    assert isinstance(pass_memory(), HostMemory)
    monkeypatch.setattr("explainrun.explainers.core.memory.ms.get_context", {"device_target": "Ascend"}.get)
    assert isinstance(pass_memory(), DeviceMemory)


def test_a_device_says_what_tensors_took_since_the_last_call(monkeypatch):
    took = [5e6]
    monkeypatch.setattr("mindspore.runtime.max_memory_allocated", lambda: took[-1])
    monkeypatch.setattr("mindspore.runtime.reset_max_memory_allocated", lambda: took.append(1e6))
    assert [DeviceMemory().used() for _ in range(2)] == [5e6, 1e6]


def test_a_device_has_free_what_tensors_do_not_take(monkeypatch):
    class Properties:
        total_memory = 9e9

    monkeypatch.setattr("mindspore.runtime.memory_allocated", lambda: 2e9)
    monkeypatch.setattr("mindspore.hal.get_device_properties", lambda _: Properties)
    assert DeviceMemory().available() == 7e9
    monkeypatch.setattr("mindspore.hal.get_device_properties", lambda _: None)
    assert math.isnan(DeviceMemory().available())
