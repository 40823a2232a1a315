"""What goes on beside the passes: reading ahead, and putting work on the disk."""

import threading
import time

import pytest

from explainrun.runner.committing import Committer
from explainrun.runner.reading import read_ahead
from explainrun.summary_format import RunFolder


def until(condition):
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def test_values_come_in_order_and_no_more_are_drawn_than_asked_for():
    drawn = []

    def values():
        for i in range(20):
            drawn.append(i)
            yield i

    with read_ahead(values(), ahead=2) as ahead:
        until(lambda: len(drawn) == 3)  # two wait, one is held
        time.sleep(0.05)
        assert len(drawn) == 3
        assert list(ahead) == list(range(20))
    assert not [thread for thread in threading.enumerate() if thread.name == "explainrun-reader"]


def test_an_error_comes_where_the_value_would_have():
    def values():
        yield 1
        raise KeyError("third row")

    with read_ahead(values()) as ahead:
        assert next(ahead) == 1
        with pytest.raises(KeyError, match="third row"):
            next(ahead)


def test_reading_ends_when_nobody_asks_any_more():
    def endless():
        while True:
            yield 0

    with read_ahead(endless()) as ahead:
        next(ahead)
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "explainrun-reader"])


def test_waiting_for_a_slow_source_can_be_ended():
    def slow():
        yield 1
        time.sleep(2)
        yield 2

    asked = []

    def check():
        if asked:
            raise KeyboardInterrupt

    began = time.monotonic()
    with read_ahead(slow(), check=check) as ahead:
        assert next(ahead) == 1
        asked.append(1)
        with pytest.raises(KeyboardInterrupt):
            next(ahead)
        assert time.monotonic() - began < 1


def test_work_is_committed_in_order_after_its_pictures(tmp_path):
    run, done = RunFolder.create(tmp_path, "CPU"), []
    folder = run.data.name

    def picture(name):
        return f"{folder}/{name}/a.png", name.encode

    def step(name):
        assert (tmp_path / folder / name / "a.png").read_bytes() == name.encode()
        done.append(name)

    with Committer(run, lambda: done.append("check")) as committer:
        for name in ("one", "two", "three", "four"):
            committer.commit([picture(name)], lambda name=name: step(name))
    assert done == ["check", "one", "check", "two", "check", "three", "check", "four"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("explainrun")]


def test_nothing_is_committed_after_a_failure_and_it_is_told(tmp_path):
    run, done, go = RunFolder.create(tmp_path, "CPU"), [], threading.Event()

    def draw():
        go.wait(10)
        raise OSError(28, "no space")

    def hand_in():
        with Committer(run, lambda: None) as committer:
            committer.commit([(f"{run.data.name}/a.png", draw)], lambda: done.append("first"))
            committer.commit([], lambda: done.append("second"))
            go.set()
            committer.drain()

    with pytest.raises(OSError, match="no space"):
        hand_in()
    assert done == []


def test_a_lost_folder_is_not_written_to(tmp_path):
    def lost():
        raise OSError("lost the lock")

    def hand_in():
        with Committer(RunFolder.create(tmp_path, "CPU"), lost) as committer:
            committer.commit([], lambda: pytest.fail("committed"))

    with pytest.raises(OSError, match="lost the lock"):
        hand_in()


def test_passes_wait_while_too_much_is_on_its_way(tmp_path):
    go, handed = threading.Event(), []

    def hand_in():
        with Committer(RunFolder.create(tmp_path, "CPU"), lambda: None) as committer:
            for i in range(4):
                committer.commit([], lambda: go.wait(10))
                handed.append(i)

    thread = threading.Thread(target=hand_in)
    thread.start()
    until(lambda: len(handed) == 2)
    time.sleep(0.05)
    assert len(handed) == 2
    go.set()
    thread.join()
    assert handed == [0, 1, 2, 3]
