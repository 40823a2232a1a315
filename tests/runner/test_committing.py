"""Putting work on the disk beside the passes."""

import threading
import time
from functools import partial

import google_crc32c
import pytest
from mindspore import nn

from explainrun.explainers import GradCAM, Gradient
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.batches.commit_queue import Committer, Picture
from explainrun.summary_format import RunFolder


def until(condition):
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_work_is_committed_in_order_after_its_pictures(tmp_path):
    run, done = RunFolder.create(tmp_path, "CPU"), []
    folder = run.data.name

    def picture(name):
        return Picture(f"{folder}/{name}/a.png", name.encode)

    def step(name, checksums):
        assert checksums == [google_crc32c.value(name.encode())]
        assert (tmp_path / folder / name / "a.png").read_bytes() == name.encode()
        done.append(name)

    with Committer(run, lambda: done.append("check")) as committer:
        for name in ("one", "two", "three", "four"):
            committer.commit([picture(name)], partial(step, name))
    assert done == ["check", "one", "check", "two", "check", "three", "check", "four"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("explainrun")]


def test_nothing_is_committed_after_a_failure_and_it_is_told(tmp_path):
    run, done, go = RunFolder.create(tmp_path, "CPU"), [], threading.Event()

    def draw():
        go.wait()
        raise OSError(28, "no space")

    def hand_in():
        with Committer(run, lambda: None) as committer:
            committer.commit([Picture(f"{run.data.name}/a.png", draw)], lambda _: done.append("first"))
            committer.commit([], lambda _: done.append("second"))
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
            committer.commit([], lambda _: pytest.fail("committed"))

    with pytest.raises(OSError, match="lost the lock"):
        hand_in()


def test_passes_wait_while_too_much_is_on_its_way(tmp_path):
    go, handed = threading.Event(), []

    def hand_in():
        with Committer(RunFolder.create(tmp_path, "CPU"), lambda: None) as committer:
            for i in range(4):
                committer.commit([], lambda _: go.wait())
                handed.append(i)

    thread = threading.Thread(target=hand_in)
    thread.start()
    try:
        until(lambda: len(handed) >= 2)
        time.sleep(0.05)
        assert len(handed) == 2
    finally:
        go.set()
        thread.join()
    assert handed == [0, 1, 2, 3]


def test_what_is_light_does_not_wait_for_pictures(tmp_path):
    go, done, run = threading.Event(), [], RunFolder.create(tmp_path, "CPU")
    give_up = threading.Timer(60, go.set)
    give_up.start()

    def draw():
        go.wait()
        return b""

    with Committer(run, lambda: None) as committer:
        for place in range(2):
            committer.commit([Picture(f"{run.data.name}/{place}.png", draw)], lambda _: done.append("pictured"))
        committer.commit([], lambda _: done.append("light"), light=True)  # returns although nothing is drawn
        assert done == []
        go.set()
    give_up.cancel()
    assert done == ["pictured", "pictured", "light"]


def test_of_a_run_records_alone_are_light(two_channels, dataset, scenes, tmp_path, monkeypatch):
    pieces, commit = [], Committer.commit

    def noted(self, pictures, then, *, light=False):
        pictures = list(pictures)
        pieces.append((light, len(pictures)))
        commit(self, pictures, then, light=light)

    monkeypatch.setattr(Committer, "commit", noted)
    network, data = two_channels(), dataset(list(scenes(5)))
    runner = ImageClassificationRunner(tmp_path, (data, ["zero", "one"]), network, nn.Sigmoid(), pass_size=2, jit="off")
    runner.register_saliency([Gradient(network), GradCAM(network, "relu")])
    runner.run()
    # Of each batch its originals, the maps of two explainers, and its records.
    assert [light for light, _ in pieces] == [False, False, False, True]
    assert [pictures > 0 for _, pictures in pieces] == [True, True, True, False]
