"""Mean curves of a report, worked out by hand."""

import numpy as np
import pytest

from explainrun.runner.report.mean_curves import PLACES, mean_curves
from explainrun.summary_format.plan_record import PlanRecord

PLAN = {"class_names": ["a"], "explainers": {"First": {}, "Second": {}}, "metrics": {"IoSR": {}, "SRG": {}}}
NOTHING = [[np.nan] * 3] * 2


class Kept:
    """Results of which the report asks for curves."""

    def __init__(self, first, second, names=("morf",)):
        self.plan_record = PlanRecord.of({**PLAN, "curves": {"SRG": list(names)}})
        self.explainers, self.metrics = ("First", "Second"), ("IoSR", "SRG")
        self._found = {"First": first, "Second": second}

    def curves(self, explainer, metric):
        assert metric == "SRG"
        return {
            name: np.array(self._found[explainer][name], float).reshape(-1, 2, 3) for name in self._found[explainer]
        }


def test_means_of_what_reaches_a_place():
    straight, early = [[0, 0.5, 1], [1, 0.5, 0]], [[0, 0.5, np.nan], [0, 1, np.nan]]
    holed = [[0, 0.25, 1], [0.5, np.nan, 0.5]]  # of which the point in the middle is not known
    found = mean_curves(Kept({"morf": [straight, early, NOTHING]}, {"morf": [holed]}))
    assert list(found) == ["SRG"]
    across, means = np.array(found["SRG"]["across"]), found["SRG"]["curves"]["morf"]
    np.testing.assert_allclose(across, np.linspace(0, 1, PLACES))
    half = across <= 0.5
    np.testing.assert_allclose(means[0], np.where(half, (1 - across + 2 * across) / 2, 1 - across), atol=1e-5)
    np.testing.assert_allclose(means[1], np.full(PLACES, 0.5))


def test_jumps_and_curves_that_begin_late():
    jump, late = [[0.2, 0.61, 0.61], [0, 0, 1]], [[0.5, 0.75, 1], [1, 1, 1]]
    found = mean_curves(Kept({"one": [jump], "two": [late]}, {"one": [], "two": [NOTHING]}, ("one", "two")))["SRG"]
    across = np.array(found["across"])
    assert (across[0], across[-1]) == (0.2, 1)
    one, two = (np.array(found["curves"][name][0], float) for name in ("one", "two"))
    np.testing.assert_array_equal(np.isnan(one), across > 0.61)
    assert np.nanmax(one) == 0
    np.testing.assert_array_equal(np.isnan(two), across < 0.5)
    assert found["curves"]["one"][1] == found["curves"]["two"][1] == [None] * PLACES


@pytest.mark.parametrize("curves", [{"morf": []}, {"morf": [NOTHING]}])
def test_no_question_has_a_curve(curves):
    found = mean_curves(Kept(curves, curves))["SRG"]
    assert found["curves"] == {"morf": [[None] * PLACES] * 2}
    assert len(found["across"]) == PLACES
