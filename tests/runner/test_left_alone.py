"""What a run finds, it leaves: the user's dataset, and what one process shares."""

import logging
import os
import random
import signal
import sys
import threading
import warnings
from pathlib import Path

import h5py
import matplotlib as mpl
import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore import nn

from explainrun.explainers import LIME, DeepFeatureFactorization, Gradient
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.config.factories import make
from explainrun.runner.config.schema import load_config
from explainrun.runner.data.file_datasets import hdf5_dataset
from explainrun.runner.data.samples import SampleError, read_samples


class Digits:
    """A user's source, with an attribute of a name that others might take for their own."""

    def __init__(self, bad=None):
        self.wanted, self.bad = ["zero", "one"], bad

    def __len__(self):
        return 6

    def __getitem__(self, index):
        value = np.nan if index == self.bad else 0.1 * index
        return np.full((1, 2, 4), value, np.float32), np.int32(self.wanted.index(["zero", "one"][index % 2]))


class ReadOnly(Digits):
    """One whose attribute cannot be set."""

    @property
    def wanted(self):
        return ("zero", "one")

    @wanted.setter
    def wanted(self, value):
        if value != ["zero", "one"]:
            raise AttributeError("wanted is mine")


def dataset_of(source):
    return ds.GeneratorDataset(source, ["image", "label"], shuffle=False, num_parallel_workers=1)


@pytest.mark.parametrize("kind", [Digits, ReadOnly])
@pytest.mark.parametrize("shard", [None, (2, 2)])
def test_a_source_of_the_users_keeps_its_attributes(two_channels, tmp_path, kind, shard):
    source, network = kind(), two_channels()
    before = dict(vars(source))
    folder = tmp_path / ("whole" if shard is None else "{shard}")
    runner = ImageClassificationRunner(folder, (dataset_of(source), ["zero", "one"]), network, nn.Softmax(), jit="off")
    runner.register_saliency([Gradient(network)])
    assert runner.run(shard=shard).samples == (6 if shard is None else 3)
    assert vars(source) == before
    assert list(source.wanted) == ["zero", "one"]


def test_a_source_of_the_users_keeps_them_where_a_sample_does_not_fit(raising):
    source = Digits(bad=3)
    before = dict(vars(source))
    with raising(SampleError, "sample-not-finite", sample=3):
        list(read_samples(dataset_of(source), 2, wanted=lambda place: place > 1))
    assert vars(source) == before


@pytest.fixture
def numbered(tmp_path):
    """Our own dataset of eight images, each filled with its place."""
    with h5py.File(tmp_path / "numbered.h5", "w") as file:
        file["images"] = np.repeat(np.arange(8.0, dtype=np.float32), 8).reshape(8, 1, 2, 4)
    return hdf5_dataset(tmp_path / "numbered.h5")


def values(samples):
    return [float(sample.image[0, 0, 0]) for sample in samples]


def test_our_own_dataset_gives_all_rows_again_after_a_shard_has_read_it(numbered):
    assert values(read_samples(numbered, 1, wanted=lambda place: place % 2 == 1)) == [1, 3, 5, 7]
    left = read_samples(numbered, 1, wanted=lambda place: place > 5)
    assert values([next(left)]) == [6]  # and nobody asks for the rest
    assert [float(row[0][0, 0, 0]) for row in numbered.create_tuple_iterator(output_numpy=True)] == list(range(8))


def test_two_shards_may_read_one_dataset_side_by_side(numbered):
    even = read_samples(numbered, 1, wanted=lambda place: place % 2 == 0)
    odd = read_samples(numbered, 1, wanted=lambda place: place % 2 == 1)
    pairs = list(zip(even, odd, strict=True))
    assert [values(pair) for pair in pairs] == [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.mark.parametrize(
    ("sampler", "rows"),
    [
        (ds.SubsetSampler([1, 6, 4]), [1, 6, 4]),
        (ds.SequentialSampler(5), [5, 6, 7]),
        (ds.SequentialSampler(0, 3), [0, 1, 2]),
    ],
)
def test_a_sampler_that_the_user_adds_counts(numbered, sampler, rows):
    """Places in the dataset are then not those in the file."""
    numbered.use_sampler(sampler)
    found = read_samples(numbered, 1, wanted=lambda place: place % 2 == 0)
    assert values(found) == [rows[0], rows[2]]


DATASET_SETTINGS = ("get_auto_num_workers", "get_num_parallel_workers", "get_prefetch_size", "get_seed")
OF_LIBRARIES = (
    "KMP_INIT_AT_FORK",
    "mindspore/graph",
)  # scikit-learn sets the one, MindSpore adds the other to the path


def settings():
    """What one process shares and a library might change."""
    contexts = ("mode", "device_target", "device_id", "max_call_depth", "pynative_synchronize", "deterministic")
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    loggers = {name: logging.getLogger(name) for name in (None, "explainrun")}
    return {
        "random": random.getstate(),
        "numpy random": [str(part) for part in np.random.get_state()],
        "numpy": (np.geterr(), np.get_printoptions()),
        "mindspore random": (ms.get_seed(), [state.asnumpy().tolist() for state in [ms.get_rng_state()]]),
        "mindspore": {name: ms.get_context(name) for name in contexts},
        "datasets": {name: getattr(ds.config, name)() for name in DATASET_SETTINGS},
        "environment": {name: value for name, value in os.environ.items() if name not in OF_LIBRARIES},
        "warnings": list(warnings.filters),
        "logging": {name: (one.level, list(one.handlers), one.propagate) for name, one in loggers.items()},
        "matplotlib": (dict(mpl.rcParams), mpl.get_backend(auto_select=False)),
        "signals": handlers,
        "folder": Path.cwd(),
        "path": [folder for folder in sys.path if not folder.endswith(OF_LIBRARIES)],
        "profile": (sys.getprofile(), sys.gettrace()),
        "threads": {thread.name for thread in threading.enumerate() if "explainrun" in thread.name},
    }


def changed(before):
    return [name for name, value in settings().items() if value != before[name]]


def test_a_run_of_all_kinds_of_work_leaves_the_process_as_it_was(make_runner, two_channels):
    network = two_channels()
    lime = LIME(network, nn.Sigmoid(), segmentation="slic", segmentation_options={"n_segments": 2}, num_samples=4)
    explainers = [Gradient(network), lime, DeepFeatureFactorization(network, "relu", n_components=1)]
    runner = make_runner(explainers=explainers, jit="auto")
    runner.register_uncertainty(2)
    before = settings()
    runner.run()
    assert changed(before) == []


class Failing(Gradient):
    def attribute(self, view):
        raise KeyError("mine")


def test_a_run_that_fails_leaves_it_as_it_was_too(make_runner, two_channels):
    failing = make_runner(
        explainers=[Failing(two_channels())]
    )  # whose layers draw their weights from NumPy's generator
    before = settings()
    with pytest.raises(KeyError, match="mine"):
        failing.run()
    with pytest.raises(PlanError):
        make_runner("other", mean=(0.1, 0.2)).run()
    assert changed(before) == []


def test_what_a_users_module_adds_to_the_path_stays(tmp_path, monkeypatch):
    """And what was put there to find it goes, also where the user has the folder there already."""
    (tmp_path / "own.py").write_text("import sys\nsys.path.append('/somewhere/else')\ndef net(): return 3\n")
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    found, before = sys.path, list(sys.path)
    assert make("own.py:net", tmp_path) == 3
    assert sys.path is found
    assert sys.path == [*before, "/somewhere/else"]
    sys.path[:] = before[1:]
    assert make("own.py:net", tmp_path) == 3
    assert sys.path == [*before[1:], "/somewhere/else"]


def test_values_that_replace_those_of_a_config_stay_as_they_were(repository):
    """The pytest plugin gives the same ones to every config of a session."""
    given = {
        "data": {"factory": "a:b", "sort": True},
        "explainers": [{"Gradient": {}}],
        "explainers.0.Gradient.loss": True,
    }
    before, quickstart = repr(given), repository / "configs" / "quickstart.yaml"
    problems = [load_config(quickstart, given)[1] for _ in range(2)]
    assert [len(of_one) for of_one in problems] == [1, 1]
    assert repr(given) == before
