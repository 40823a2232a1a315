"""A pool is the same samples in every run of a dataset, and a plan says which."""

import re

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import Metric
from explainrun.explainers import NoiseTunnel, PixelAttribution, SamplePool, View
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.summary_format import Results, merge


class FromPool(PixelAttribution):
    """The image less the mean of a pool, summed over channels."""

    signed = True

    def __init__(self, network, baselines="pool", name=None):
        super().__init__(network, name)
        self.baselines = SamplePool.of(baselines)

    def by_channel(self, view):
        pooled = view.pooled(self.baselines)
        assert pooled.images.dtype == np.float32
        return view.asked_images - pooled.images.mean(axis=0)

    def reduced(self, values):
        return values.sum(axis=1)


class Known(Metric):
    """How many samples of a pool have the question's label."""

    def __init__(self, partners="pool", name=None):
        super().__init__(name=name)
        self.partners = SamplePool.of(partners)

    def score(self, explanation):
        truth = explanation.view.pooled(self.partners).truth
        return np.array([(truth == label).any(axis=1).sum() for label in explanation.view.labels], float)


def images(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 1, 2, 4)).astype(np.float32)


@pytest.fixture
def run(two_channels, dataset, tmp_path):
    """Runs a plan whose explainers and metrics are given as functions of the network."""
    network = two_channels()

    def make(folder, pictures, *explainers, metrics=(), limit=None, shard=None, **options):
        rows = [(image, np.array([place % 2], np.int32)) for place, image in enumerate(pictures)]
        data = rows if options.pop("given", False) else dataset(rows)
        runner = ImageClassificationRunner(
            tmp_path / folder, (data, ["zero", "one"]), network, nn.Sigmoid(), pass_size=1, jit="off", **options
        )
        runner.register_saliency([one(network) for one in explainers], list(metrics))
        runner.run(limit=limit, shard=shard)
        return Results(tmp_path / folder)

    return make


def of_three(network):
    return FromPool(network, {"pool": 3})


def of_twenty(network):
    return FromPool(network)


def test_the_first_samples_whatever_the_limit_is(run):
    pictures = images(7)
    results = run("run", pictures, of_three, limit=2)
    for sample in range(2):
        expected = (pictures[sample] - pictures[:3].mean(axis=0)).sum(axis=0)
        np.testing.assert_allclose(results.map("FromPool", sample, sample % 2), expected, atol=1e-6)
    assert results.plan["explainers"]["FromPool"]["resolved"]["baselines"]["samples"].startswith("3 samples ")


def test_a_smaller_dataset_gives_all_that_it_has(run):
    pictures = images(5)
    results = run("run", pictures, of_twenty, limit=1)
    expected = (pictures[0] - pictures.mean(axis=0)).sum(axis=0)
    np.testing.assert_allclose(results.map("FromPool", 0, 0), expected, atol=1e-6)


def test_shards_have_the_pool_of_the_whole(run, tmp_path, how_runs_differ):
    pictures, known = images(7), [Known({"pool": 3})]
    run("whole", pictures, of_three, metrics=known)
    for number in (1, 2, 3):
        run(f"parts/{number}", pictures, of_three, metrics=known, shard=(number, 3))
    merge(tmp_path / "merged", [tmp_path / "parts" / str(number) for number in (1, 2, 3)])
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []
    scores = Results(tmp_path / "merged").scores("FromPool", "Known")
    assert scores[:2].tolist() == [2.0, 1.0]  # the first three samples have the labels 0, 1 and 0


def test_growing_by_samples_keeps_the_pool(run, tmp_path, how_runs_differ, monkeypatch):
    pictures, made = images(7), []
    run("grown", pictures, of_three, limit=2)
    pooled = View.pooled
    monkeypatch.setattr(View, "pooled", lambda view, pool: made.extend(view.sample_ids) or pooled(view, pool))
    run("grown", pictures, of_three, limit=6)
    assert {2, 5} <= set(made)
    assert 0 not in made  # what was there is taken
    run("whole", pictures, of_three, limit=6)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "grown") == []


def test_other_first_samples_make_another_plan(run, raising):
    pictures = images(7)
    run("run", pictures, of_three, limit=1)
    others = pictures.copy()
    others[2] += 1  # not among those that were explained
    with raising(PlanError, "folder-holds-other-plan", differences=re.compile("baselines.samples was '3 samples")):
        run("run", others, of_three, limit=1)
    pictures[3] += 1  # in no pool
    assert run("run", pictures, of_three, limit=1).samples.tolist() == [0]


@pytest.mark.parametrize("given", ["pool", {"pool": 20}, SamplePool()])
def test_however_a_pool_is_given_the_plan_has_its_samples(run, given, tmp_path):
    plan = run("run", images(4), lambda network: NoiseTunnel(FromPool(network, given), nt_samples=1)).plan
    assert "4 samples " in str(plan["explainers"]["NoiseTunnel"])


def test_the_pool_of_a_metric_is_in_the_plan(run):
    results = run("run", images(4), of_three, metrics=[Known(SamplePool(3))])
    assert results.plan["metrics"]["Known"]["partners"]["samples"].startswith("3 samples ")


def test_broken_samples_are_in_no_pool(run, raising):
    pictures = images(6)
    pictures[1, 0, 0, 0] = np.nan
    results = run("run", pictures, of_three, skip_broken=True, limit=3)
    expected = (pictures[0] - pictures[[0, 2, 3]].mean(axis=0)).sum(axis=0)
    np.testing.assert_allclose(results.map("FromPool", 0, 0), expected, atol=1e-6)
    with raising(PlanError, "sample-not-finite", sample=1) as caught:
        run("other", pictures, of_three, of_twenty_named, limit=1)
    assert len(caught.value.problems) == 1


def of_twenty_named(network):
    return FromPool(network, name="Twenty")


def test_a_dataset_of_broken_samples_alone(run, raising):
    with raising(PlanError, "samples-all-broken", samples=2) as caught:
        run("run", np.full((2, 1, 2, 4), np.nan, np.float32), of_three, skip_broken=True)
    assert len(caught.value.problems) == 1


def test_a_direct_call_has_none(two_channels, raising):
    with raising(ValueError, "pool-without-dataset", size=20):
        FromPool(two_channels())(two_channels.IMAGE, 0)


@pytest.mark.parametrize("size", [0, 2.0, True, "3", None])
def test_sizes_are_whole_numbers(raising, size):
    with raising(ValueError, "not-a-whole-number", name="pool"):
        SamplePool.of({"pool": size})


@pytest.mark.parametrize("other", [0.0, "blur", [1], {"pools": 3}, {"pool": 3, "seed": 1}, None])
def test_other_arguments_are_none(other):
    assert SamplePool.of(other) is None
