"""A writer that stood still while another took its folder over changes nothing any more, wherever it stood.

Where there are record locks this cannot happen, so here there are none.
"""

import os
import shutil
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import PointingGame
from explainrun.explainers import Explainer
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.batches import commit_queue
from explainrun.summary_format import FolderInUseError, find_runs, inspect_run, merge
from explainrun.summary_format.archive import results_file
from explainrun.summary_format.storage import durable, lock, writer_folder


class Pixels(Explainer):
    """The image itself: costs no pass."""

    def attribute(self, view):
        return view.asked_images[:, 0]


class InParts(Pixels):
    """The same, which says that it takes more passes than are committed at once."""

    def images_needed(self, images, questions, shape):
        return {"none": 200 * images}


class Inline:
    """An executor without threads, so that a run makes its calls in the same order each time."""

    def __init__(self, *_):
        pass

    def submit(self, function, *arguments):
        done = Future()
        try:
            done.set_result(function(*arguments))
        except Exception as error:
            done.set_exception(error)
        return done

    def map(self, function, items):
        return map(function, items)

    def shutdown(self):
        pass


class Watched:
    """The ``os`` module, which first calls ``before`` for each call that changes what others see of a folder."""

    CHANGING = ("mkdir", "replace", "unlink", "rmdir", "link", "utime")

    def __init__(self):
        self.before = None

    def __getattr__(self, name):
        if name == "fsync":
            return lambda _: None  # nothing here depends on power cuts
        found = getattr(os, name)
        return self.watched(name, found) if callable(found) else found

    def watched(self, name, function):
        def call(*arguments, **options):
            makes = name == "open" and arguments[1] & os.O_CREAT
            claims = name == "pwrite" and b'"token"' in bytes(arguments[1])
            if self.before is not None and (name in self.CHANGING or makes or claims):
                self.before(name, arguments)
            return function(*arguments, **options)

        return call


@pytest.fixture
def watched(monkeypatch):
    """Watches all that changes the disk, on a file system without record locks."""

    def unsupported(*_):
        raise OSError(lock.errno.ENOLCK, "no locks available")

    made = Watched()
    for module in (durable, lock, results_file):
        monkeypatch.setattr(module, "os", made)
    monkeypatch.setattr(lock.fcntl, "lockf", unsupported)
    monkeypatch.setattr(lock, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(lock, "BEAT_SECONDS", 1e6)
    monkeypatch.setattr(lock, "changing", threading.RLock())  # the second writer would be in another process
    monkeypatch.setattr(writer_folder, "_making", threading.RLock())
    monkeypatch.setattr(commit_queue, "ThreadPoolExecutor", Inline)
    return made


def lose_lock(root):
    """Make the lock of a folder look as after a minute without a sign of life."""
    lock.held_here.clear()
    if (root / lock.LOCK_FILE).exists():
        os.utime(root / lock.LOCK_FILE, (time.time() - lock.STALE_SECONDS - 1,) * 2)


@contextmanager
def taken_over_at(watched, number, root, second):
    """Have a second writer take a folder over before the n-th call that changes something; gives a count of calls."""
    calls = []

    def before(*call):
        calls.append(call)
        if len(calls) == number:
            watched.before = None
            lose_lock(root)
            second()

    watched.before = before
    try:
        yield calls
    finally:
        watched.before = None


def is_whole(root):
    """Whether a folder holds one run, finished and sound, and nothing that either writer left."""
    assert list(root.glob(".explainrun*")) == []
    found = inspect_run(root)
    assert (found.state, found.faults, found.verified) == ("finished", (), True)
    return True


@pytest.fixture
def make_run(linear, dataset, scenes, tmp_path):
    """Makes a function that runs a tiny plan, with a network of its own, as in another process."""

    def run(folder="run", samples=2, shard=None, explainer=Pixels, **options):
        network = linear(np.ones((2, 1, 2, 4)))
        data = dataset(list(scenes(samples)))
        runner = ImageClassificationRunner(
            tmp_path / folder, (data, ["zero", "one"]), network, nn.Sigmoid(), pass_size=1, jit="off"
        )
        runner.register_saliency([explainer(network)], [PointingGame(2, tolerance=1)])
        return runner.run(shard=shard, **options)

    return run


def ends(first):
    """How a writer ends: True if it comes to its end, False if it tells that it lost its lock."""
    with suppress(FolderInUseError):
        first()
        return True
    return False


@pytest.fixture
def taken_over_at_each(watched, how_runs_differ, tmp_path, every):
    """Runs a first writer again and again, and a second one to its end in the place of ever later calls of the first.

    Gives how many calls there are, and how often the first lost its lock.
    """

    def taken_over(root, first, second, step, begin=lambda: None):
        lost = 0
        for number in count(1, every(step)):
            begin()
            with taken_over_at(watched, number, root, second) as calls:
                lost += not ends(first)
            assert is_whole(root), number
            assert how_runs_differ(tmp_path / "whole", root) == [], number
            if len(calls) < number:
                break
            durable.remove_tree(root)
        return len(calls), lost

    return taken_over


@pytest.mark.slow
def test_a_run_that_was_taken_over(taken_over_at_each, make_run, tmp_path):
    run = partial(make_run, explainer=InParts)
    run("whole")
    calls, lost = taken_over_at_each(tmp_path / "run", run, run, step=7)
    assert calls > 40
    assert lost >= (calls - 10) // 12  # before it has the lock and once it is done, a run ends as ever


@pytest.mark.slow
def test_a_run_that_was_taken_over_while_it_replaced_another(taken_over_at_each, make_run, tmp_path):
    make_run("whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "before")

    def begin():
        shutil.copytree(tmp_path / "before", tmp_path / "run", dirs_exist_ok=True)

    anew = partial(make_run, overwrite=True)
    _, lost = taken_over_at_each(tmp_path / "run", anew, anew, step=11, begin=begin)
    assert lost > 2


@pytest.mark.slow
def test_a_resumed_run_that_was_taken_over(taken_over_at_each, make_run, kill, tmp_path):
    """It has a damaged segment and one whose picture is lost to remove, and then to write again."""
    make_run("whole", samples=5)
    kill(partial(make_run, "before", samples=5), 1, 2)
    [before] = find_runs(tmp_path / "before")
    with open(before.segments / "000001.samples", "r+b") as damaged:
        damaged.write(b"x")
    (before.root / before.heatmap_path("Pixels", 0, 0)).unlink()

    def begin():
        shutil.copytree(tmp_path / "before", tmp_path / "run")

    resume = partial(make_run, samples=5)
    _, lost = taken_over_at_each(tmp_path / "run", resume, resume, step=13, begin=begin)
    assert lost > 1


@pytest.fixture
def shards(make_run, tmp_path):
    """Two finished shards, and the run that they make beside them."""
    make_run("whole", samples=3)
    return [make_run(f"parts/{number}", samples=3, shard=(number, 2)).summary_dir for number in (1, 2)]


@pytest.mark.slow
def test_a_merge_that_was_taken_over(taken_over_at_each, shards, tmp_path):
    root = tmp_path / "merged"
    again = partial(merge, root, shards)
    calls, lost = taken_over_at_each(root, again, again, step=11)
    assert calls > 40
    assert lost >= (calls - 10) // 12


@pytest.mark.slow
def test_a_merge_that_was_taken_over_while_it_replaced_another(taken_over_at_each, shards, tmp_path):
    root = tmp_path / "merged"
    anew = partial(merge, root, shards, overwrite=True)
    _, lost = taken_over_at_each(root, anew, anew, step=23, begin=partial(merge, root, shards))
    assert lost > 1


class SameNumber:
    """Two writers, each of which stands still before it gives the file of a certain number its name.

    The second takes the folder over while the first stands still, and stands still in turn while the first goes on.

    Args:
        watched: what both call.
        number: of the file.
        restart: has files be numbered from 0, as in a process that begins.
    """

    def __init__(self, watched, number, restart):
        self._number, self._restart = str(number), restart
        self._standing, self._going, self.ended = {}, {}, {}
        watched.before = self._before

    def _before(self, name, arguments):
        me = threading.current_thread().name
        if name == "replace" and Path(arguments[0]).name == self._number and not Path(arguments[0]).is_dir():
            self._standing[me].set()
            self._going[me].wait(60)

    def _start(self, name, writer):
        def run():
            self.ended[name] = ends(writer)
            self._standing[name].set()

        self._standing[name], self._going[name] = threading.Event(), threading.Event()
        self._restart()
        thread = threading.Thread(target=run, name=name)
        thread.start()
        assert self._standing[name].wait(60)
        return thread

    def run(self, root, first, second):
        threads = [self._start("first", first)]
        lose_lock(root)
        threads.append(self._start("second", second))
        for name, thread in zip(("first", "second"), threads, strict=True):
            self._going[name].set()
            thread.join(60)


@pytest.mark.parametrize("number", range(2, 24, 7))
def test_two_writers_at_files_of_the_same_number(number, watched, make_run, monkeypatch, tmp_path, how_runs_differ):
    make_run("whole", samples=5)
    root, run = tmp_path / "run", partial(make_run, samples=5)
    both = SameNumber(watched, number, lambda: monkeypatch.setattr(writer_folder, "_serial", count()))
    both.run(root, run, run)
    assert both.ended["second"]
    assert is_whole(root)
    assert how_runs_differ(tmp_path / "whole", root) == []
