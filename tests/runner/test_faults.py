"""A fault in any write ends in one clear message, and the folder goes on to the same end."""

import errno
import os
import shutil
import threading

import numpy as np
import pytest
from click.testing import CliRunner
from mindspore import nn

from explainrun.benchmarks import PointingGame
from explainrun.explainers import Explainer
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.cli.main import main
from explainrun.summary_format import inspect_run, merge
from explainrun.summary_format.archive import results_file
from explainrun.summary_format.storage import durable, lock


class Faulty:
    """The ``os`` module, of which the n-th call that changes something fails."""

    CHANGING = ("open", "mkdir", "write", "pwrite", "fsync", "replace", "unlink", "ftruncate", "link")

    def __init__(self, at, number):
        self.at, self.number, self.calls, self.counting = at, number, 0, threading.Lock()

    def __getattr__(self, name):
        found = getattr(os, name)
        return self.failing(found) if name in self.CHANGING else found

    def failing(self, function):
        def call(*arguments, **options):
            with self.counting:
                self.calls += 1
                fails = self.calls == self.at
            if fails:
                raise OSError(self.number, os.strerror(self.number))
            return function(*arguments, **options)

        return call


def fail(monkeypatch, at, number, action):
    """What an action does when the n-th change to the disk fails: its error, if any, and how many changes it made."""
    faulty = Faulty(at, number)
    with monkeypatch.context() as patch:
        for module in (durable, lock, results_file):
            patch.setattr(module, "os", faulty)
        try:
            action()
        except OSError as error:
            return error, faulty.calls
    return None, faulty.calls


class Pixels(Explainer):
    """The image itself: costs no pass."""

    def attribute(self, view):
        return view.asked_images[:, 0]


class InParts(Pixels):
    """The same, which says that it takes more passes than are committed at once."""

    def images_needed(self, images, questions, shape):
        return {"none": 200 * images}


def small_runner(folder, data, network):
    """Two explainers without passes, of which one is committed in parts, one metric."""
    runner = ImageClassificationRunner(folder, (data, ["zero", "one"]), network, nn.Sigmoid(), pass_size=1, jit="off")
    runner.register_saliency([Pixels(network), InParts(network)], [PointingGame(2, tolerance=1)])
    return runner


@pytest.mark.long
def test_a_fault_in_any_write_of_a_merge(linear, dataset, scenes, monkeypatch, tmp_path, how_runs_differ, every):
    network, rows = linear(np.ones((2, 1, 2, 4))), list(scenes(3))
    small_runner(tmp_path / "whole", dataset(rows), network).run()
    for number in (1, 2):
        small_runner(tmp_path / "parts" / "{shard}", dataset(rows), network).run(shard=(number, 2))
    parts, target, mended = sorted((tmp_path / "parts").iterdir()), tmp_path / "merged", 0
    for at in range(1, 1000, every(17)):
        error, calls = fail(monkeypatch, at, errno.ENOSPC, lambda: merge(target, parts))
        if calls < at:
            break
        mended += error is None  # a link that fails becomes a copy
        fail(monkeypatch, at // 2, errno.EIO, lambda: merge(target, parts))  # another one in the second start
        merge(target, parts)
        assert how_runs_differ(tmp_path / "whole", target) == [], at
        durable.remove_tree(target)
    assert at > 50
    assert mended == len(list((tmp_path / "whole").rglob("*.png"))) + 3 or every(17) > 1


@pytest.mark.slow
def test_a_fault_in_any_write(linear, dataset, scenes, monkeypatch, tmp_path, how_runs_differ, every):
    network, rows = linear(np.ones((2, 1, 2, 4))), list(scenes(5))

    def run(folder="run"):
        return small_runner(tmp_path / folder, dataset(rows), network).run()

    run("whole")
    faults = 0
    for at in range(1, 10_000, every(23)):
        error, calls = fail(monkeypatch, at, errno.ENOSPC, run)
        if calls < at:
            break
        assert error is not None, at
        assert error.errno == errno.ENOSPC, at
        error, _ = fail(monkeypatch, at, errno.EIO, run)  # another one in the second start
        faults += error is not None
        assert error is None or error.errno == errno.EIO, at
        run()
        assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == [], at
        durable.remove_tree(tmp_path / "run")
    assert at > 200
    assert faults * every(23) > 100


@pytest.mark.long
def test_a_fault_in_any_write_of_growth(linear, dataset, scenes, monkeypatch, tmp_path, how_runs_differ, every):
    """From the first link of an archive to the last file of the earlier run that goes."""
    network, rows = linear(np.ones((2, 1, 2, 4))), list(scenes(5))

    def run(folder="run"):
        return small_runner(tmp_path / folder, dataset(rows), network).run()

    smaller = ImageClassificationRunner(
        tmp_path / "smaller", (dataset(rows), ["zero", "one"]), network, nn.Sigmoid(), pass_size=1, jit="off"
    )
    smaller.register_saliency([Pixels(network), Pixels(network, name="Hidden")])
    smaller.run(limit=3)
    run("whole")
    mended = 0
    for at in range(1, 10_000, every(19)):
        shutil.copytree(tmp_path / "smaller", tmp_path / "run")
        error, calls = fail(monkeypatch, at, errno.ENOSPC, run)
        if calls < at:
            break
        mended += error is None  # a link that fails becomes a copy
        fail(monkeypatch, at // 2, errno.EIO, run)  # another one in the second start
        run()
        assert [str(hidden.surplus) for hidden in inspect_run(tmp_path / "run").hidden] == ["explainer Hidden"], at
        small_runner(tmp_path / "run", dataset(rows), network).run(prune=True)
        assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == [], at
        durable.remove_tree(tmp_path / "run")
    assert at > 200
    assert mended < at / every(19) / 2


def test_the_command_line_tells_a_fault_in_one_line(monkeypatch, tmp_path):
    arguments = ["run", "configs/quickstart.yaml", "--summary-dir", str(tmp_path), "--limit", "1", "--set"]
    arguments += ["explainers=[Gradient]", "--set", "metrics=[]", "--set", "jit='off'"]
    invoked = []
    faulty = Faulty(40, errno.ENOSPC)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "os", faulty)
        invoked.append(CliRunner().invoke(main, arguments))
    assert invoked[0].exit_code == 3
    told = [line for line in invoked[0].stderr.splitlines() if line.startswith("explainrun:")]
    assert len(told) == 1
    assert "No space left on device: '" in told[0]
    assert told[0].endswith("; what is committed is kept, run again to resume")
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0
    assert "1 sample, " in done.stdout
