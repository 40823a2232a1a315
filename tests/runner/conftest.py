"""Runs of one small plan, and ways to end them early."""

import shutil
from collections import Counter

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import InsertionAUC, PointingGame
from explainrun.explainers import GradCAM, Gradient
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.batches.batch_loop import BatchLoop
from explainrun.summary_format.archive import sources


class Killed(BaseException):
    """Stands for SIGKILL: nobody catches it."""


def make_scenes(count, seed=0):
    """Rows on TwoChannels' images: image, labels (padded), boxes in the right column."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        labels = np.array([[0, -1], [1, 0], [-1, 1], [7, 0]][i % 4], np.int32)
        yield rng.normal(size=(1, 2, 4)).astype(np.float32), labels, np.array([[3, 0, 1, 1], [2, 1, 2, 1]], np.int32)


@pytest.fixture
def scenes():
    return make_scenes


def runners_in(root, network, dataset):
    """Makes runners of one plan: two explainers on two batches, of four samples and of two."""

    def make(folder="run", rows=None, explainers=None, **options):
        data = dataset(list(make_scenes(6)) if rows is None else rows)
        options = {"pass_size": 1, "jit": "off", **options}
        explainers = explainers or [Gradient(network), GradCAM(network, "relu")]
        classifier, activation = explainers[0].network, nn.Sigmoid()
        made = ImageClassificationRunner(root / folder, (data, ["zero", "one"]), classifier, activation, **options)
        made.register_saliency(explainers, [InsertionAUC(2, nn.Sigmoid(), steps=2), PointingGame(2, tolerance=1)])
        return made

    return make


@pytest.fixture
def make_runner(two_channels, dataset, tmp_path):
    return runners_in(tmp_path, two_channels(), dataset)


@pytest.fixture
def checks(monkeypatch):
    """Counts, by the bytes of each archive, how often its checksum is compared."""
    counted, check = Counter(), sources.check_archive

    def counting_check(path):
        counted[path.read_bytes()] += 1
        check(path)

    monkeypatch.setattr(sources, "check_archive", counting_check)
    return counted


@pytest.fixture(scope="session")
def finished_once(two_channels, dataset, tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    runners_in(root, two_channels(), dataset)("whole").run()
    return root / "whole"


@pytest.fixture
def whole(finished_once, tmp_path):
    """A copy of the finished run of the plan."""
    return shutil.copytree(finished_once, tmp_path / "whole")


@pytest.fixture
def kill(monkeypatch):
    """Ends a run as a kill would, once so many commits of a batch are on the disk, or before it is finished."""

    def kill_run(run, batch=None, commits=0):
        begin, commit, now = BatchLoop.batch, BatchLoop._commit, {"batch": None, "commits": 0}

        def at_batch(self, index, *rest):
            now["batch"] = index
            begin(self, index, *rest)

        def counted(self, *work, **options):
            commit(self, *work, **options)
            if now["batch"] == batch:
                now["commits"] += 1
                if now["commits"] == commits:
                    self._committer.drain()
                    raise Killed

        def at_the_end(*_):
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(BatchLoop, "batch", at_batch)
            patch.setattr(BatchLoop, "_commit", counted)
            patch.setattr("explainrun.runner.execution.engine.finish", at_the_end)
            with pytest.raises(Killed):
                run()

    return kill_run


@pytest.fixture
def nearly_fewest():
    """Makes sure that a run made the passes that it needed, by kind, and of each so many ragged ones more at most."""

    def check(costs, ragged):
        made, needed = costs["made"], costs["needed"]
        assert made.keys() == needed.keys()
        more = {kind: made[kind] - needed[kind] for kind in made}
        assert all(0 <= one <= ragged for one in more.values()), more

    return check
