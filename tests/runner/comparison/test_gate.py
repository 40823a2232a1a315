"""What the gate promises, on scores drawn so that the truth is known."""

import numpy as np
import pytest

from explainrun.runner.comparison import Tolerance, Tolerances, Verdict, compare

EXPLAINERS, METRICS = ("First", "Second"), ("Smooth", "Heavy", "Hit")
EXACT = Tolerances(Tolerance(0.0))


def pair(rng, scored, *, samples=30, fall=0.0, noise=0.1, lower=()):
    """Two runs of the same questions: what a question's score is, and noise that either run might have had.

    Noise of a question is shared by its sample, by an explainer's metrics and by a metric's explainers. Of the three
    metrics one is smooth, one heavy-tailed, one hits or misses; some scores neither run has. ``fall`` makes the second
    run worse.
    """
    counts = rng.integers(1, 4, samples)
    ids = np.repeat(np.arange(samples), counts)
    labels = np.concatenate([np.arange(count) for count in counts])
    shape = (len(ids), len(EXPLAINERS), len(METRICS))
    shared = rng.normal(size=shape) + rng.normal(size=(samples, 1, 1))[ids]
    absent = rng.random(shape) < 0.05
    runs = []
    for run in range(2):
        own = rng.normal(size=(samples, 1, 1))[ids] + rng.normal(size=(len(ids), len(EXPLAINERS), 1))
        own = own + rng.normal(size=(len(ids), 1, len(METRICS))) + rng.normal(size=shape)
        own[:, :, 1] += 0.5 * rng.standard_t(1.5, size=shape[:2])
        values = 0.5 + 0.1 * shared + noise * own / 2
        values[:, :, 2] = values[:, :, 2] > 0.45
        for place, metric in enumerate(METRICS):
            values[:, :, place] += run * fall * (1 if metric in lower else -1)
        values[absent] = np.nan
        runs.append(scored(values, EXPLAINERS, METRICS, samples=ids, labels=labels, higher=lower))
    return runs


@pytest.mark.slow
def test_false_alarms(make_scored, every):
    """Of tables of alike runs, at most so many fail at zero tolerance as alpha allows, and not next to none.

    999 assignments of signs are enough for six rows: the least p value is 0.001, Holm needs 0.05 / 6.
    """
    rng, tables = np.random.default_rng(11), 1000 // every(4)
    failed = sum(not compare(*pair(rng, make_scored), EXACT, maps=False, resamples=999).passed for _ in range(tables))
    assert 0.015 <= failed / tables <= 0.065


@pytest.mark.parametrize("lower", [(), METRICS])
def test_a_true_fall_is_found(make_scored, lower):
    rng = np.random.default_rng(12)
    for _ in range(20):
        worse = compare(*pair(rng, make_scored, samples=100, fall=0.05, noise=0.05, lower=lower), maps=False)
        smooth = [change for change in worse.changes if change.metric == "Smooth"]
        assert [change.verdict for change in smooth] == [Verdict.REGRESSION] * 2
        assert worse.exit_code == 1
        assert all(change.fall == pytest.approx(0.05, abs=0.04) for change in smooth)
        assert all((change.change > 0) is bool(lower) for change in smooth)


@pytest.mark.parametrize("lower", [(), METRICS])
@pytest.mark.slow
def test_a_fall_below_the_tolerance_passes(make_scored, lower):
    rng, tolerances = np.random.default_rng(13), Tolerances(Tolerance(0.1), {"Heavy": Tolerance(3.0)})
    for _ in range(20):
        runs = pair(rng, make_scored, samples=100, fall=0.03, noise=0.05, lower=lower)
        assert compare(*runs, tolerances, maps=False).passed
        assert not compare(*runs, EXACT, maps=False).passed


def test_a_rise_is_better(make_scored):
    rng = np.random.default_rng(14)
    better = compare(*pair(rng, make_scored, samples=100, fall=-0.05, noise=0.05), maps=False)
    assert better.passed
    assert [change.verdict for change in better.changes if change.metric == "Smooth"] == [Verdict.BETTER] * 2
    assert all(change.p_value == 1 for change in better.changes if change.metric == "Smooth")
    assert not better.worst or better.worst[0].candidate < better.worst[0].baseline


def test_intervals_hold_the_change(make_scored):
    rng, held, tables = np.random.default_rng(15), 0, 150
    for _ in range(tables):
        for change in compare(*pair(rng, make_scored, fall=0.02), maps=False, resamples=499).changes:
            held += change.metric == "Smooth" and change.low <= -0.02 <= change.high
    assert 0.88 <= held / (2 * tables) <= 0.98
