"""Kendall's tau between metrics' orders of explainers, by hand and against SciPy."""

import json
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import kendalltau

from explainrun.runner.cli.main import main
from explainrun.runner.results.metric_agreement import MetricAgreement, kendall
from explainrun.runner.results.scores import Scores

NAN = float("nan")


def scored(by_metric, *, samples=None, **options):
    """Scores by metric and explainer."""
    explainers = tuple(next(iter(by_metric.values())))
    count = len(next(iter(by_metric.values()))[explainers[0]])
    return Scores(
        class_names=("cat",),
        explainers=explainers,
        metrics=tuple(by_metric),
        sample_ids=list(range(count)) if samples is None else samples,
        labels=[0] * count,
        values={(name, metric): values for metric, of in by_metric.items() for name, values in of.items()},
        **options,
    )


UP = {"A": [0.9, 0.8], "B": [0.5, 0.6], "C": [0.1, 0.2], "D": [0.0, 0.0]}
SWAPPED = {"A": [5.0, 5.0], "B": [6.0, 6.0], "C": [2.0, 2.0], "D": [1.0, 1.0]}  # one of 6 pairs the other way
TIED = {"A": [1.0, 1.0], "B": [1.0, 1.0], "C": [0.0, 0.0], "D": [0.0, 0.0]}  # 4 of 6 pairs in order


def test_by_hand():
    found = scored({"up": UP, "swapped": SWAPPED, "tied": TIED}).agreement
    assert found.tau[0] == pytest.approx((1, (5 - 1) / 6, 4 / np.sqrt(6 * 4)))
    assert found.tau[1] == pytest.approx(((5 - 1) / 6, 1, 4 / np.sqrt(6 * 4)))
    assert np.array(found.tau).tolist() == np.array(found.tau).T.tolist()
    assert (found.explainers, found.samples) == (("A", "B", "C", "D"), 2)


def test_a_metric_in_which_lower_is_better_is_turned_round():
    down = {name: [-one for one in values] for name, values in UP.items()}
    assert scored({"up": UP, "down": down}).agreement.tau[0][1] == -1
    assert scored({"up": UP, "down": down}, higher_is_better={"down": False}).agreement.tau[0][1] == 1


def test_controls_are_left_out():
    """All metrics agree that a random map is worst, which says nothing of the methods."""
    first = {"A": [0.9, 0.9], "B": [0.8, 0.8], "Random": [0.0, 0.0]}
    second = {"A": [0.8, 0.8], "B": [0.9, 0.9], "Random": [0.0, 0.0]}
    assert scored({"M": first, "N": second}, controls=("Random",)).agreement.tau[0][1] == -1
    assert scored({"M": first, "N": second}).agreement.tau[0][1] == pytest.approx(1 / 3)


def test_intervals_draw_samples_alike_for_both_metrics():
    # A is above B in M in sample 0 by 3, below in sample 1 by 1; in N the same. Drawn twice each in a quarter of cases:
    # both metrics always agree, since they see the same samples.
    both = {"A": [3.0, 0.0], "B": [0.0, 1.0]}
    found = scored({"M": both, "N": both}).agreement
    assert (found.tau[0][1], found.low[0][1], found.high[0][1]) == (1, 1, 1)
    # In N they are apart by as much the other way: opposite wherever both order them.
    found = scored({"M": both, "N": {"A": [0.0, 1.0], "B": [3.0, 0.0]}}).agreement
    assert (found.tau[0][1], found.low[0][1], found.high[0][1]) == (-1, -1, -1)
    # N sees no difference but in sample 1, where M is turned round too: 1 if sample 1 is drawn alone, -1 beside sample
    # 0, and 0 if that is drawn alone.
    found = scored({"M": both, "N": {"A": [0.0, 0.0], "B": [0.0, 1.0]}}).agreement
    assert (found.tau[0][1], found.low[0][1], found.high[0][1]) == (-1, -1, 1)


def test_a_metric_that_one_sample_makes_order_anything_is_not_sure_of_it():
    # All hit but B in sample 0, which is not drawn in (9/10)^10 = 35 % of resamples; in N the order is sure.
    hits = {"A": [1.0] * 10, "B": [0.0, *[1.0] * 9]}
    found = scored({"M": hits, "N": {"A": [1.0] * 10, "B": [0.0] * 10}}).agreement
    assert (found.tau[0][1], found.low[0][1], found.high[0][1]) == (1, 0, 1)
    assert (found.low[1][1], found.high[1][1]) == (1, 1)


def test_an_interval_narrows_with_samples():
    rng, widths = np.random.default_rng(0), []
    for count in (10, 1000):
        truth = np.array([0.0, 0.1, 0.2, 0.3])
        values = {metric: dict(zip("ABCD", (truth[:, None] + rng.normal(0, 0.5, (4, count))).tolist(), strict=True))
                  for metric in "MN"}  # fmt: skip
        found = scored(values).agreement
        assert found.low[0][1] <= found.tau[0][1] <= found.high[0][1]
        widths.append(found.high[0][1] - found.low[0][1])
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize("seed", range(10))
def test_against_scipy(seed):
    rng = np.random.default_rng(seed)
    means = rng.integers(0, 4, (1, 3, 6)).astype(float)  # with ties
    means[0, 2] = 1.0 if seed % 3 == 0 else means[0, 2]  # one that orders nothing
    found = kendall(means)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [[kendalltau(a, b).statistic for b in means[0]] for a in means[0]]
    assert found == pytest.approx(np.array(expected), nan_ok=True)


def test_intervals_against_a_slow_twin():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(8, 2, 3))
    found = MetricAgreement.of(["M", "N"], list("ABC"), np.arange(8), values, [True, True])
    drawn = rng.integers(8, size=(800, 8))
    taus = [kendalltau(*values[rows].mean(axis=0)).statistic for rows in drawn]
    # Of three explainers tau is -1, -1/3, 1/3 or 1: the ends are met unless a chance lies close to 2.5 %.
    assert [found.low[0][1], found.high[0][1]] == pytest.approx(np.quantile(taus, [0.025, 0.975]))


def test_what_is_missing():
    found = scored({"M": {"A": [NAN, NAN], "B": [1.0, 2.0]}, "N": {"A": [1.0, 0.0], "B": [0.0, 1.0]}}).agreement
    assert np.isnan(found.tau).all()  # M does not order them, and in N they are alike
    alone = scored({"M": {"A": [1.0], "B": [0.0]}, "N": {"A": [1.0], "B": [0.0]}}).agreement
    assert (alone.tau[0][1], alone.samples) == (1, 1)
    assert np.isnan(alone.low).all()  # one sample says nothing of noise
    words = "agreement of metrics needs two metrics, and two explainers that are not controls"
    assert scored({"M": {"A": [1.0], "B": [0.0]}}).agreement_table() == words
    assert scored({"M": {"A": [1.0]}, "N": {"A": [1.0]}}).agreement_table() == words
    nothing = Scores(class_names=("cat",), explainers=(), metrics=()).agreement
    assert nothing.tau == ()


def test_the_table():
    lines = scored({"up": UP, "swapped": SWAPPED}).agreement_table().splitlines()
    assert lines[2].split() == ["up", "+1.00", "+0.67", "[+0.67,", "+0.67]"]
    assert lines[3].split() == ["swapped", "+0.67", "[+0.67,", "+0.67]", "+1.00"]
    assert "4 explainers (controls aside)" in lines[4]
    assert "over 2 samples" in lines[4]


def test_the_command(whole):
    shown = CliRunner().invoke(main, ["scores", str(whole), "--agreement"])
    assert shown.exit_code == 0
    assert "Kendall's tau" in shown.output
    assert "Kendall's tau" not in CliRunner().invoke(main, ["scores", str(whole)]).output
    told = json.loads(CliRunner().invoke(main, ["scores", str(whole), "--json"]).output)["agreement"]
    assert told["metrics"] == ["InsertionAUC", "PointingGame"]
    assert told["explainers"] == ["Gradient", "GradCAM"]
    assert np.shape(told["tau"]) == np.shape(told["low"]) == np.shape(told["high"]) == (2, 2)
