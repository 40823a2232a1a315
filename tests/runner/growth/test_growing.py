"""A run grows: what is new is computed, and its end is that of a run made at once."""

from dataclasses import replace
from itertools import permutations

import pytest
from mindspore import nn

from explainrun.benchmarks import InputInvariance, ModelParameterRandomization, NonSensitivity, SensitivityMax
from explainrun.runner import PlanError
from explainrun.runner.execution.engine import execute
from explainrun.summary_format import Results

MANY = ("Gradient", "GradCAM", "Automatic", "RISE")
METHODS = {"explainers": MANY, "metrics": ("InsertionAUC", "PointingGame", "Robustness")}
STEPS = {
    "methods": METHODS,
    "predictions": {"masks": 3, "search": True, "nearest": {}},
    "samples": {"count": 8},
    "explainers": {"explainers": MANY},
    "metrics": {"metrics": ("InsertionAUC", "PointingGame", "ClassSensitivity", "Robustness")},
    "uncertainty": {"masks": 3},
    "search": {"search": True},
}
THREE = list(permutations(("methods", "predictions", "samples")))
FINE = list(permutations(("explainers", "metrics", "uncertainty", "search", "samples"), 3))


@pytest.fixture
def is_made_at_once(grow, tmp_path, how_runs_differ):
    """Makes sure that the run in the folder ends as one of a plan that is made at once."""

    def check(**plan):
        grow("whole", **plan)()
        assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
        plans = [{**Results(tmp_path / folder).plan, "summary_dir": None} for folder in ("whole", "run")]
        assert plans[0] == plans[1]
        orders = [[list(plan[key]) for key in ("explainers", "metrics", "chosen_layers", "errors")] for plan in plans]
        assert orders[0] == orders[1]

    return check


def grown_in_order(order, grow, counting, killed_at, more):
    """Grow a run step by step, each killed after the first on the way; gives the last plan.

    What each start made is what is counted, and but for what a kill takes no more than what the step needs.
    """
    before, plan = grow()(), {}
    for place, step in enumerate(order):
        plan |= STEPS[step]
        if place:
            killed_at(grow(**plan), 2 + place)
        runs, result = counting(grow(**plan))
        made = more(result, before)
        assert runs <= sum(made.values())
        assert runs == sum(made.values()) or place  # what was committed before the kill counts too
        lost = {kind: result.costs["made"][kind] - result.costs["needed"].get(kind, 0) for kind in made}
        assert all(times >= 0 for times in lost.values()), lost
        before = result
    return plan


@pytest.mark.long
@pytest.mark.parametrize("order", THREE, ids=" ".join)
def test_grows_in_any_order_killed_twice(order, grow, counting, killed_at, more, is_made_at_once):
    is_made_at_once(**grown_in_order(order, grow, counting, killed_at, more))


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("order", FINE, ids=" ".join)
def test_grows_by_single_things_in_any_order_killed_twice(order, grow, counting, killed_at, more, is_made_at_once):
    is_made_at_once(**grown_in_order(order, grow, counting, killed_at, more))


# By what is added to five samples of eight questions, explained by Gradient and judged by the PointingGame, in passes
# of two: the passes that this takes by hand. Nothing is inferred again; the probe of the network is always two passes
# of two images.
PROBE = {"network probe": 4}
ADDED = {
    "a metric that asks nothing": ({"metrics": ("IoSR", "PointingGame")}, {}),
    "a metric that covers pixels": ({"metrics": ("PointingGame", "InsertionAUC")}, {"perturb": 4 + 1}),
    "an explainer of the same kind of pass": ({"explainers": ("Gradient", "GradCAM")}, {"differentiate": 4}),
    "an explainer whose layer is chosen": (
        {"explainers": ("Gradient", "Automatic")},
        {"differentiate": 4, "layer choice": 1},
    ),
    "an explainer with passes of its own": ({"explainers": ("Occlusion", "Gradient")}, {"occlude": 5 * 6 // 2}),
    "samples": ({"count": 8}, {"infer": 2, "differentiate": 3}),
    "uncertainty": ({"masks": 3}, {"dropout trial": 4, "dropout": 3}),
    "nearest samples": ({"nearest": {"layer": "relu"}}, {"nearest": 3, "nearest pool": 2 * 3}),
    "nearest samples whose layer is chosen": (
        {"nearest": {}},
        {"nearest": 3, "nearest pool": 2 * 3, "layer choice": 1},
    ),
}


@pytest.mark.parametrize("added", ADDED)
def test_only_what_is_added_takes_passes(added, grow, counting, more, is_made_at_once):
    plan, passes = {**ADDED[added][0], "labels": "truth"}, ADDED[added][1]
    first = grow(labels="truth")()
    runs, result = counting(grow(**plan))
    assert more(result, first) == PROBE | passes
    assert runs == sum((PROBE | passes).values())
    now, before = (one.costs["needed"] for one in (result, first))
    assert {kind: now[kind] - before.get(kind, 0) for kind in PROBE | passes} == PROBE | passes
    is_made_at_once(**plan)


class NoNetwork(nn.Cell):
    """Stands for a network that is not there."""

    def construct(self, x):
        raise AssertionError("nothing asks")


def test_a_plan_of_what_a_folder_says_needs_no_network(grow, counting, more, is_made_at_once):
    """As ``explainrun score`` makes one: the record is given, the network a stand-in."""
    first = grow(nearest={"layer": "relu"})()
    plan = {"metrics": ("IoSR", "PointingGame"), "nearest": {"layer": "relu"}}
    wanted = grow(**plan).plan()
    wanted = replace(wanted, record=wanted.described, network=NoNetwork(), asks_network=False)
    runs, result = counting(lambda: execute(wanted))
    assert (runs, more(result, first)) == (0, {})
    is_made_at_once(**plan)
    assert grow(**plan)().finished_before  # its network is known again


def test_a_plan_without_a_network_that_asks_one_fails(grow):
    grow()()
    wanted = grow(metrics=("PointingGame", "InsertionAUC")).plan()
    wanted = replace(wanted, record=wanted.described, network=NoNetwork(), asks_network=False)
    with pytest.raises(AssertionError, match="nothing asks"):
        execute(wanted)


def test_a_measured_pass_size_is_kept(grow, more):
    first = grow(pass_size="auto")()
    result = grow(pass_size="auto", explainers=("GradCAM", "Gradient"))()
    assert result.plan["pass_size"] == first.plan["pass_size"]
    assert more(result, first).keys() == {"network probe", "differentiate"}  # and no measurement


AGAIN = {
    "SensitivityMax": lambda _: SensitivityMax(samples=2),
    "ModelParameterRandomization": lambda _: ModelParameterRandomization(layers=1),
    "InputInvariance": lambda _: InputInvariance(),
    "NonSensitivity": lambda _: NonSensitivity(patch_size=28, samples=1),
}


def test_metrics_that_have_maps_made_again_are_added(grow, counting, more, is_made_at_once):
    before = grow()()
    runs, result = counting(grow(metrics=("PointingGame", *AGAIN), own=AGAIN))
    made = more(result, before)
    assert runs == sum(made.values())
    once = {"weight order": 1, "shift trial": 4}
    of_maps = 13 + 7 + 7  # 13 questions, in passes of two: of two noisy copies each, random weights and shifted images
    assert made == {**PROBE, **once, "differentiate": of_maps, "perturb": 5 * 6 // 2}
    is_made_at_once(metrics=("PointingGame", *AGAIN), own=AGAIN)


def test_a_metric_that_the_network_does_not_allow_is_not_added(grow, tmp_path, monkeypatch):
    def refuse(*_):
        raise ValueError("not this network")

    grow()()
    monkeypatch.setattr(InputInvariance, "try_on", refuse)
    with pytest.raises(PlanError, match="not this network"):
        grow(metrics=("PointingGame", "InputInvariance"), own=AGAIN)()
    assert Results(tmp_path / "run").metrics == ("PointingGame",)
