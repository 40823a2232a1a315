"""Explainers whose images follow from each other, or from what images show: their passes, parts, shards and growth."""

import numpy as np
import pytest
from mindspore import nn

from explainrun.explainers import (
    IDGI,
    XRAI,
    BlurIG,
    FullGrad,
    Gradient,
    GuidedIG,
    IntegratedGradients,
    PartitionSHAP,
    ShapleyValueSampling,
)
from explainrun.runner.batches import part_sizes
from explainrun.summary_format import Results, merge


def segments(picture):
    """Five to nine segments, by where the picture is bright."""
    height, width = picture.shape[:2]
    rows, columns = np.indices((height, width))
    quarters = (rows > 0.4 * height) + 2 * (columns > 0.5 * width)
    bright = picture.mean(axis=2) > 0.6
    return quarters + 4 * bright


OWN = {
    "GuidedIG": lambda network: GuidedIG(network, 5, max_dist=0.3),
    "BlurIG": lambda network: BlurIG(network, 3, 5.0),
    "IDGI": lambda network: IDGI(GuidedIG(network, 4, baselines=[0.5, "mean"])),
    "Straight": lambda network: IDGI(IntegratedGradients(network, 3), name="Straight"),
    "XRAI": lambda network: XRAI(network, 2, segmentation=segments, min_pixel_diff=9, dilation=1),
    "FullGrad": FullGrad,
    "ShapleyValueSampling": lambda network: ShapleyValueSampling(network, nn.Sigmoid(), 3, segments, hide_color=0.0),
    "PartitionSHAP": lambda network: PartitionSHAP(network, nn.Sigmoid(), 17, segments),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_passes_are_those_needed(name, grow, counting, nearly_fewest, tmp_path):
    """Eight samples in a batch, two images a pass; what is counted is what the network ran."""
    ran, result = counting(grow(explainers=(name, "Gradient"), own=OWN, count=8, metrics=()))
    assert ran == sum(result.costs["made"].values())
    nearly_fewest(result.costs, ragged=1)
    if name == "FullGrad":
        assert result.costs["made"]["differentiate"] == -(-result.questions // 2)  # one pass for both
    assert np.isfinite(Results(tmp_path / "run").maps(name)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "passes"),
    [
        (("GuidedIG", "PartitionSHAP"), 5),
        *(pytest.param((*OWN, "Gradient"), passes, marks=pytest.mark.long) for passes in (256, 5)),
    ],
)
def test_killed_grown_and_in_shards_they_end_alike(
    grow, killed_at, tmp_path, monkeypatch, how_runs_differ, names, passes
):
    monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", passes)
    plan = {"explainers": names, "own": OWN, "metrics": ("PointingGame", "InsertionAUC"), "count": 7}
    grow("whole", **plan)()
    grow(own=OWN, explainers=("GuidedIG",), count=4)()
    for commits in (2, 3):
        killed_at(grow(**plan), commits)
    grow(**plan)()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    folders = [grow("parts/{shard}", **plan)(shard=(number, 3)).summary_dir for number in (1, 2, 3)]
    merge(tmp_path / "merged", folders)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []


def test_paths_that_follow_their_gradients_get_a_pass_of_samples(grow, monkeypatch):
    """A part may take one pass, and every sample takes five images: still as many samples go together as fill one."""
    monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", 1)
    for name, kind in (("GuidedIG", "integrate"), ("BlurIG", "integrate")):
        result = grow(name, own=OWN, explainers=(name,), count=8, metrics=(), pass_size=4, labels="truth")()
        costs = result.costs
        assert costs["made"][kind] <= costs["needed"][kind] + 8
    steps, asked = 5, result.questions
    guided = grow("again", own=OWN, explainers=("GuidedIG",), count=8, metrics=(), pass_size=4, labels="truth")()
    assert guided.costs["images"]["integrate"] == steps * asked
    assert guided.costs["made"]["integrate"] < 1.4 * guided.costs["needed"]["integrate"]


def test_the_archive_has_their_errors(grow, tmp_path):
    result = grow(explainers=("IDGI", "FullGrad", "ShapleyValueSampling"), own=OWN, count=4, metrics=())()
    results = Results(tmp_path / "run")
    assert np.abs(results.errors("IDGI")).max() < 1e-4
    assert np.abs(results.errors("FullGrad")).max() < 1e-4
    assert (results.errors("ShapleyValueSampling") >= 0).all()
    assert "FullGrad misses completeness by" in result.summary_line()


def test_growing_by_another_explainer_makes_its_passes_alone(grow, counting, more, tmp_path, how_runs_differ):
    before = grow(explainers=("GuidedIG",), own=OWN, metrics=())()
    ran, now = counting(grow(explainers=("GuidedIG", "PartitionSHAP"), own=OWN, metrics=()))
    assert more(now, before).keys() <= {"superpixel", "network probe", "infer"}
    assert ran == sum(more(now, before).values())
    grow("whole", explainers=("GuidedIG", "PartitionSHAP"), own=OWN, metrics=())()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []


def test_plans_tell_them_apart(grow):
    described = [grow(own={"One": one}, explainers=("One",)).plan().described.explainers for one in (
        lambda network: GuidedIG(network, 5, name="One"),
        lambda network: GuidedIG(network, 5, max_dist=0.3, name="One"),
        lambda network: IDGI(GuidedIG(network, 5), name="One"),
        lambda network: IDGI(BlurIG(network, 5), name="One"),
        lambda network: Gradient(network, "One"),
    )]  # fmt: skip
    assert len({str(one) for one in described}) == 5
