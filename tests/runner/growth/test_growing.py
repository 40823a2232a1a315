"""A run grows: what is new is computed, and its end is that of a run made at once."""

from itertools import permutations

import pytest

from explainrun.runner.batches.batch_loop import BatchLoop
from explainrun.runner.execution import engine
from explainrun.summary_format import Results, find_runs

STEPS = {
    "methods": {"explainers": ("Gradient", "GradCAM", "Automatic", "RISE"), "metrics": ("InsertionAUC", "PointingGame", "Robustness")},
    "predictions": {"masks": 3, "search": True},
    "samples": {"count": 8},
    "explainers": {"explainers": ("Gradient", "GradCAM", "Automatic", "RISE")},
    "metrics": {"metrics": ("InsertionAUC", "PointingGame", "ClassSensitivity", "Robustness")},
    "uncertainty": {"masks": 3},
    "search": {"search": True},
}


class Killed(BaseException):
    """Stands for SIGKILL: nobody catches it."""


@pytest.fixture
def killed_at(monkeypatch):
    """Ends a run as a kill would after so many commits, or before it is finished; says whether it was."""

    def kill(run, commits):
        commit, done = BatchLoop._commit, []

        def counted(self, pictures, *then):
            commit(self, pictures, *then)
            done.append(1)
            if len(done) == commits:
                self._committer.drain()
                raise Killed

        def at_the_end(*_):
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(BatchLoop, "_commit", counted)
            patch.setattr(engine, "finish", at_the_end)
            with pytest.raises(Killed):
                run()

    return kill


def assert_same(first, second, how_runs_differ):
    """Make sure that two ends are the same, the plans too."""
    assert how_runs_differ(first, second) == []
    plans = [{**Results(folder).plan, "summary_dir": None} for folder in (first, second)]
    assert plans[0] == plans[1]
    assert [list(plan["explainers"]) for plan in plans][0] == list(plans[1]["explainers"])


@pytest.mark.parametrize("order", list(permutations(("methods", "predictions", "samples"))), ids=" ".join)
def test_grows_in_any_order_killed_twice(grow, counting, killed_at, nearly_fewest, more, tmp_path, how_runs_differ, order):
    before, plan = grow()(), {}
    for place, step in enumerate(order):
        plan |= STEPS[step]
        if place:
            killed_at(grow(**plan), 3 + place)
        runs, result = counting(grow(**plan))
        print(step, more(result, before), runs)
        before = result
    grow("whole", **plan)()
    assert_same(tmp_path / "whole", tmp_path / "run", how_runs_differ)
    print(result.costs["made"], result.costs["needed"])
