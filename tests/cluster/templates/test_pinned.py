"""Which cores and which device a worker gets."""

import importlib.util

import pytest


@pytest.fixture
def pinned(repository):
    spec = importlib.util.spec_from_file_location("pinned", repository / "scripts" / "cluster" / "pinned.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_core_has_one_worker(pinned):
    assert [pinned.own_cores([0, 1, 2, 5, 6, 7, 9], number, 3) for number in (1, 2, 3)] == [[0, 1], [2, 5], [6, 7, 9]]


def test_too_few_cores_are_shared(pinned):
    assert [pinned.own_cores([4, 7], number, 3) for number in (1, 2, 3)] == [[4, 7], [4], [7]]


def test_each_worker_has_a_device(pinned):
    assert [pinned.own_device("", number) for number in (1, 2, 3)] == ["0", "1", "2"]
    assert [pinned.own_device("4,6", number) for number in (1, 2)] == ["4", "6"]


def test_too_few_devices_are_told(pinned):
    with pytest.raises(SystemExit, match="worker 3 has no device of its own, visible are 4,6"):
        pinned.own_device("4,6", 3)
