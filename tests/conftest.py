"""Toy networks with literal weights, shared by all tests. No image is square, no box is centred."""

from __future__ import annotations

import gc
import importlib.util
import os
import re
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import h5py

if hasattr(os, "sched_setaffinity"):
    CORES = sorted(os.sched_getaffinity(0))
    if "PYTEST_XDIST_WORKER" in os.environ:
        # One each, before MindSpore starts its threads: it takes all cores it sees, and two workers then take turns.
        os.sched_setaffinity(0, {CORES[int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")) % len(CORES)]})

if "EXPLAINRUN_EVERY_CALL" in os.environ:  # as where explainrun is imported too late to choose
    os.environ["EXPLAINRUN_KEEP_THREADS"] = "1"

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun import ExplainrunError
from explainrun.explainers.contract.network_state import network_state
from explainrun.summary_format.problem import Problem


class Linear(nn.Cell):
    """logits[k] = sum of weights[k] * image + bias[k]; counts its calls and remembers how many images each had."""

    def __init__(self, weights, bias=0.0):
        super().__init__()
        self.weights = ms.Parameter(Tensor(np.asarray(weights, np.float32)))
        self.bias = ms.Parameter(Tensor(np.full(len(weights), bias, np.float32)))
        self.calls = []

    def construct(self, x):
        self.calls.append(x.shape[0])
        return ops.matmul(x.reshape(x.shape[0], -1), self.weights.reshape(len(self.weights), -1).T) + self.bias


class TwoChannels(nn.Cell):
    """On images (N, 1, 2, 4): channels x and 2 - x, rectified; logit 0 weighs them, logit 1 adds up the first.

    Its dropout and batch norm (whose statistics make it the identity) have train flags to be kept.
    """

    WEIGHTS = np.array([[[1, 0, 0, 0], [0, 0, 0, 3]], [[0, 0, 0, 0], [-2, 0, 0, 0]]], np.float32)
    IMAGE = np.array([[[[1, 2, 0, 3], [0, 1, 4, 1]]]], np.float32)

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, has_bias=True)
        self.conv.weight.set_data(Tensor(np.array([1, -1], np.float32).reshape(2, 1, 1, 1)))
        self.conv.bias.set_data(Tensor(np.array([0, 2], np.float32)))
        self.norm = nn.BatchNorm2d(2, eps=1e-5)
        self.norm.moving_variance.set_data(Tensor(np.full(2, 1 - 1e-5, np.float32)))
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(p=0.5)
        self.head = nn.Dense(16, 2, has_bias=False)
        only_first = np.concatenate([np.ones(8), np.zeros(8)])
        self.head.weight.set_data(Tensor(np.stack([self.WEIGHTS.ravel(), only_first]).astype(np.float32)))

    def construct(self, x):
        x = self.relu(self.norm(self.conv(x)))
        return self.head(self.dropout(x).reshape(x.shape[0], -1))


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk():
    """Have nothing written through to the disk, since no test cuts the power; what cannot be still raises an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(scope="session")
def linear():
    return Linear


@pytest.fixture(scope="session")
def two_channels():
    return TwoChannels


@pytest.fixture
def state():
    return network_state


def make_dataset(rows, columns=("image", "labels", "bboxes")):
    """A dataset of literal rows."""
    rows = [tuple(np.asarray(value) for value in row) for row in rows]
    return ds.GeneratorDataset(rows, list(columns[: len(rows[0])]), shuffle=False, num_parallel_workers=1)


@pytest.fixture(scope="session")
def dataset():
    return make_dataset


@pytest.fixture(autouse=True)
def no_figure_left():
    """Closes what a test leaves in pyplot, which warns of too many."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture
def repository():
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def earlier(repository, tmp_path):
    """A folder with the folders of an earlier version: whole, parts and unfinished."""
    folder = tmp_path / "earlier"
    shutil.unpack_archive(repository / "tests" / "summary_format" / "data" / "earlier_version" / "folders.zip", folder)
    return folder


@pytest.fixture
def schema_2(repository, tmp_path):
    """A folder with a run, whole and in parts, whose archives are of schema version 2."""
    folder = tmp_path / "schema_2"
    shutil.unpack_archive(repository / "tests" / "summary_format" / "data" / "schema_2" / "folders.zip", folder)
    return folder


@pytest.fixture
def format_2(repository, tmp_path):
    """A folder with an unfinished run and a finished shard of run format 2, whose maps were drawn otherwise."""
    folder = tmp_path / "format_2"
    shutil.unpack_archive(repository / "tests" / "summary_format" / "data" / "run_format_2" / "folders.zip", folder)
    return folder


@pytest.fixture
def how_runs_differ(repository):
    """What tells the ends of two runs apart; the harness that kills runs compares them by it."""
    spec = importlib.util.spec_from_file_location("kill_harness", repository / "scripts" / "kill_harness.py")
    harness = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(harness)
    return harness.how_runs_differ


@pytest.fixture(scope="session")
def raising():
    """Makes a context in which an error of a class is raised that has a problem with a code, and with these values.

    A value may be a pattern, to be found in what the problem has; a problem may have others beside.
    """
    return _raising


@contextmanager
def _raising(kind, code, /, **values):
    with pytest.raises(kind) as caught:
        yield caught
    problems = (
        caught.value.problems if isinstance(caught.value, ExplainrunError) else [Problem.from_error(caught.value)]
    )
    assert code in {problem.code for problem in problems}, problems
    wanted = [problem.values for problem in problems if problem.code == code]
    assert any(_agree(found, values) for found in wanted), (wanted, values)
    del caught  # whose traceback holds this frame: a cycle would keep what the error holds, such as sockets


def _agree(found, values):
    """Whether a problem's values have these among them."""
    return all(
        value.search(str(found[name])) if isinstance(value, re.Pattern) else found[name] == value
        for name, value in values.items()
    )


def pytest_collection_modifyitems(config, items):
    """Leave out what is slow or takes long, unless its marker, a name or ``scripts/test --long`` asks for it.

    What is marked both is asked for by ``-m long``, not by ``-m slow``.
    """
    asked = config.option.keyword or any("::" in argument for argument in config.args)
    if not asked and not {"EXPLAINRUN_LONG", "EXPLAINRUN_EVERY_CALL"} & os.environ.keys():
        marks = [next(filter(item.get_closest_marker, ("long", "slow")), "") for item in items]
        left_out = [item for item, mark in zip(items, marks, strict=True) if mark not in config.option.markexpr]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish():
    """Keep what collecting made out of every later collection of garbage."""
    gc.freeze()


@pytest.fixture
def all_cores():
    """Gives what the test starts all cores of the machine, where its own process is kept to one."""
    kept = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    yield CORES
    os.sched_setaffinity(0, kept)


@pytest.fixture
def every():
    """Makes the steps in which a test goes through many like cases: as given, or 1 for ``scripts/test --all``."""
    return lambda step: 1 if "EXPLAINRUN_EVERY_CALL" in os.environ else step


GATED_NETWORK = """\
import json
from pathlib import Path

import h5py
import mindspore as ms
import numpy as np
from mindspore import nn

HERE = Path(__file__).parent


class Looking(nn.Cell):
    # logit k is one pixel of the image, times 2
    def __init__(self, places):
        super().__init__()
        self.flatten, self.head = nn.Flatten(), nn.Dense(48, 2, has_bias=False)
        weight = np.zeros((2, 6, 8), np.float32)
        for label, (row, column) in enumerate(places):
            weight[label, row, column] = 2
        self.head.weight.set_data(ms.Tensor(weight.reshape(2, 48)))

    def construct(self, x):
        return self.head(self.flatten(x))


def looking(places=None):
    with (HERE / "made.txt").open("a") as file:
        file.write("made\\n")
    return Looking(places or json.loads((HERE / "weights.json").read_text()))
"""

GATED_CONFIG = """\
summary_dir: runs/gate
network: {factory: "gated_network.py:looking"}
activation: softmax
data: {hdf5: scenes.h5}
class_names: [left, right]
explainers: [Gradient, InputXGradient]
metrics: [{PointingGame: {tolerance: 1}}, IoSR]
jit: "off"
"""


class GatedProject:
    """A project with a config to judge, in a folder: 24 scenes (1, 6, 8), classes in turn, and a network for them.

    The pixel (1, 2) is bright where the class is left, whose box covers rows 0 to 1 and columns 1 to 3; (4, 6) where it
    is right, whose box covers rows 3 to 5 and columns 5 to 7. The good network looks at these pixels alone, so that all
    saliency lies in the box and all scores are 1. The bad one looks at pixels that lie in neither: all are 0.
    """

    GOOD, BAD = "[[1, 2], [4, 6]]", "[[5, 0], [0, 7]]"

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        (folder / "gated_network.py").write_text(GATED_NETWORK)
        (folder / "gate.yaml").write_text(GATED_CONFIG)
        self.looks_at(self.GOOD)
        self.write_scenes(24)

    def looks_at(self, places):
        (self.folder / "weights.json").write_text(places)

    def write_scenes(self, count, *, boxed=None, name="scenes.h5"):
        """Scenes, of which only the first ones have boxes."""
        labels = np.arange(count, dtype=np.int32) % 2
        images = np.full((count, 1, 6, 8), 0.1, np.float32)
        images[labels == 0, 0, 1, 2] = images[labels == 1, 0, 4, 6] = 1
        boxes = np.array([[[1, 0, 3, 2]], [[5, 3, 3, 3]]], np.float32)[labels]
        boxes[slice(boxed, None) if boxed is not None else slice(0)] = 0
        with h5py.File(self.folder / name, "w") as file:
            file["images"], file["labels"], file["bboxes"] = images, labels[:, None], boxes

    @property
    def runs(self):
        """How often the network was made."""
        path = self.folder / "made.txt"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture(scope="session")
def gated_project():
    return GatedProject
