"""A run grows: what is new is computed, and its end is that of a run made at once."""

from itertools import permutations

import pytest

from explainrun.summary_format import Results

MANY = ("Gradient", "GradCAM", "Automatic", "RISE")
METHODS = {"explainers": MANY, "metrics": ("InsertionAUC", "PointingGame", "Robustness")}
STEPS = {
    "methods": METHODS,
    "predictions": {"masks": 3, "search": True},
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


@pytest.mark.slow
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
