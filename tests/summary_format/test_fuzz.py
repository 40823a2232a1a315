"""A share of ``scripts/test_damage``: the same readers on the same damage, fewer cases."""

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by /proc")


@pytest.fixture
def harness(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "scripts"))
    return __import__("fuzz_readers")


@pytest.mark.slow
def test_damage_is_told_or_read_and_nothing_worse(harness, tmp_path, every):
    found = list(harness.outcomes(range(0, 1200, every(4)), tmp_path, seed=3))
    assert [one for one in found if one.came_to == "fault"] == []
    assert {one.target for one in found} == set(harness.TARGETS)
    raw = [one for one in found if one.target in ("event file", "archive", "segment")]
    assert {one.came_to for one in raw} <= {"refused", "as before"}  # with checksums, nothing passes for other values
    assert sum(one.came_to == "refused" for one in raw) > 0.8 * len(raw)


def test_the_harness_notices_what_it_looks_for(harness, tmp_path, monkeypatch):
    harness.write_all(tmp_path)
    cases = harness.Cases(tmp_path, seed=0)
    assert cases.outcome(1).came_to != "fault"

    def reader(read):
        target = harness.Target(True, "events.summary.*", lambda _, data: data[:-1], read, 1)
        monkeypatch.setattr(harness, "TARGETS", {"event file": target})
        return cases.outcome(1)

    def refusing(run):
        raise ValueError(f"{run.root} says nothing")

    def breaking(run):
        raise KeyError(str(run.root))

    def unclear(_):
        raise ValueError("of no file")

    assert reader(refusing).came_to == "refused"
    assert "KeyError" in reader(breaking).told
    assert reader(unclear).came_to == "fault"
    assert "MemoryError" in reader(lambda _: len(bytearray(4 * harness.SPARE_BYTES))).told
    mapped = 40 * 2**20  # more than what may come from memory that was used before
    assert reader(lambda _: len(b"x" * mapped)).memory > mapped // 2


@pytest.mark.long
def test_a_reader_that_dies_or_hangs_is_a_fault_and_another_goes_on(harness, tmp_path, monkeypatch):
    worker = harness.Worker(tmp_path, seed=0)
    monkeypatch.setattr(harness, "_HANGS", 1.0)
    worker._process.send_signal(harness.signal.SIGSTOP)
    assert worker.outcome(3).told == "hangs"
    worker._process.send_signal(harness.signal.SIGSEGV)
    monkeypatch.undo()
    assert worker.outcome(3).told == "died of SIGSEGV"
    assert worker.outcome(3).came_to != "fault"
    worker.stop()
