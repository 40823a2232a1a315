"""Comparing scores: numbers by hand, what is never a pass, and what does not matter."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from explainrun.runner.comparison import (
    NotComparableError,
    RulesError,
    Tolerance,
    Tolerances,
    Verdict,
    compare,
    read_baseline,
    scored_run,
    write_baseline,
)
from explainrun.runner.comparison.formats.table import as_table

NAN = math.nan
EXACT = Tolerances(Tolerance(0.0))
TEN = np.linspace(0.25, 0.75, 10)


def only(comparison):
    (change,) = comparison.changes
    return change


def test_a_table_by_hand(make_scored):
    """Signs of +-1 +-1 +-0 +-1 quarters: 8 of 16 sums are at least the observed one; of four quarters one of 16 is.

    Of the 256 resamples of the first row, 1/16 have the change -1/4, 5/256 have more than 1/8, 19/256 at least 1/8.
    """
    baseline = make_scored([[0.5, 0.5], [0.75, 0.75], [1.0, 1.0], [0.25, 0.25]], metrics=("M", "L"))
    candidate = make_scored([[0.25, 0.25], [0.5, 0.5], [1.0, 0.75], [0.5, 0.0]], metrics=("M", "L"))
    found = compare(baseline, candidate, alpha=0.2)
    first, second = found.changes
    assert (first.explainer, first.metric, second.metric) == ("E", "M", "L")
    assert (first.baseline, first.candidate, first.change, first.fall) == (0.625, 0.5625, -0.0625, 0.0625)
    assert (first.low, first.high) == (-0.25, 0.125)
    assert (first.questions, first.lost, first.gained, first.unscored) == (4, 0, 0, 0)
    assert (first.p_value, second.p_value) == (1 / 2, 2 / 16)  # Holm: 1/2 * 1, 1/16 * 2
    assert (second.low, second.high) == (-0.25, -0.25)
    assert (first.verdict, second.verdict) == (Verdict.INCONCLUSIVE, Verdict.REGRESSION)
    assert (found.samples, found.questions, found.exit_code) == (4, 4, 1)
    assert compare(baseline, candidate, alpha=0.125).exit_code == 1
    swapped = compare(candidate, baseline, alpha=0.2)
    assert [change.verdict for change in swapped.changes] == [Verdict.INCONCLUSIVE, Verdict.BETTER]
    assert swapped.passed


def test_means_are_over_questions_and_tests_over_samples(make_scored):
    samples, labels = [4, 4, 4, 6], [0, 1, 2, 1]
    baseline = make_scored([1.0, 0.5, 0.0, 0.5], samples=samples, labels=labels)
    candidate = make_scored([0.5, 0.25, 0.25, 0.25], samples=samples, labels=labels)
    change = only(compare(baseline, candidate, alpha=0.5))
    assert (change.baseline, change.candidate) == (0.5, 0.3125)
    assert change.p_value == 1 / 4  # falls of samples: 1/2 and 1/4
    assert (change.low, change.high) == (-0.25, -1 / 6)
    assert (change.questions, change.verdict) == (4, Verdict.REGRESSION)


def test_lower_is_better_where_the_metric_says_so(make_scored):
    baseline, candidate = (make_scored(TEN + rise, higher=("M",)) for rise in (0.0, 0.125))
    change = only(compare(baseline, candidate))
    assert (change.change, change.fall, change.verdict) == (0.125, 0.125, Verdict.REGRESSION)
    assert not change.higher_is_better
    assert only(compare(candidate, baseline)).verdict is Verdict.BETTER


def test_a_fall_of_the_tolerance_is_none(make_scored):
    baseline, candidate = make_scored(np.full(10, 0.51)), make_scored(np.full(10, 0.5))
    assert np.full(10, 0.51).mean() - 0.5 > 0.01  # by float dust
    assert only(compare(baseline, candidate)).verdict is Verdict.NON_INFERIOR
    assert only(compare(baseline, candidate, Tolerances(Tolerance(0.0099)))).verdict is Verdict.REGRESSION
    assert (
        only(compare(baseline, candidate, Tolerances(Tolerance(100 / 51, per_cent=True)))).verdict
        is Verdict.NON_INFERIOR
    )
    assert only(compare(candidate, baseline)).verdict is Verdict.NON_INFERIOR
    assert only(compare(candidate, baseline, EXACT)).verdict is Verdict.BETTER


def test_tolerances_are_of_metrics_and_may_be_shares_of_the_baseline(make_scored, raising):
    names = {"explainers": ("E", "F"), "metrics": ("M", "L")}
    baseline = make_scored(np.full((10, 2, 2), 0.5), **names)
    candidate = make_scored(np.full((10, 2, 2), 0.4375), **names)
    tolerances = Tolerances(Tolerance(0.01), {"L": Tolerance(20, per_cent=True)})
    found = compare(baseline, candidate, tolerances)
    assert [change.tolerance for change in found.changes] == [0.01, 0.1, 0.01, 0.1]
    assert [change.verdict for change in found.changes] == [Verdict.REGRESSION, Verdict.NON_INFERIOR] * 2
    assert len(found.failures) == 2
    with raising(RulesError, "tolerance-of-no-metric", metric="l"):
        compare(baseline, candidate, Tolerances(by_metric={"l": Tolerance(1.0), "L": Tolerance(1.0)}))
    found = compare(baseline, candidate, tolerances, metrics=["M"], explainers=["F"])
    assert [(change.explainer, change.metric) for change in found.changes] == [("F", "M")]


def test_a_run_is_like_itself(make_scored):
    run = make_scored(np.stack([TEN, [NAN, *TEN[1:]]], axis=1), metrics=("M", "L"))
    found = compare(run, run, EXACT)
    assert found.passed
    assert [(change.change, change.p_value, change.low, change.high) for change in found.changes] == [(0, 1, 0, 0)] * 2
    assert (found.changes[1].questions, found.changes[1].unscored) == (9, 1)
    assert (found.worst, found.flips, found.notes, found.new) == ((), (), (), ())
    assert str(found.changes[0].fall) == "0.0"  # and not -0.0
    assert (found.only_baseline, found.only_candidate) == (0, 0)


def test_lost_scores_never_pass(make_scored):
    lost = np.array([NAN, *TEN[1:]])
    change = only(compare(make_scored(TEN), make_scored(lost), Tolerances(Tolerance(1.0))))
    assert (change.verdict, change.lost, change.questions, change.gained) == (Verdict.SCORES_LOST, 1, 9, 0)
    assert change.baseline == TEN[1:].mean()  # of those that both scored
    gained = compare(make_scored(lost), make_scored(TEN))
    assert gained.passed
    assert (only(gained).gained, only(gained).lost) == (1, 0)
    both = only(compare(make_scored(TEN), make_scored(lost - 0.25)))
    assert (both.verdict, both.lost) == (Verdict.REGRESSION, 1)
    better = only(compare(make_scored(TEN), make_scored(lost + 0.25)))
    assert better.verdict is Verdict.SCORES_LOST
    every = only(compare(make_scored(TEN), make_scored(np.full(10, NAN))))
    assert (every.verdict, every.lost, every.questions) == (Verdict.SCORES_LOST, 10, 0)
    assert all(map(math.isnan, (every.baseline, every.candidate, every.low, every.high, every.p_value)))
    infinite = make_scored([math.inf, *TEN[1:]])
    assert only(compare(make_scored(TEN), infinite)).verdict is Verdict.SCORES_LOST


def test_a_question_that_the_candidate_did_not_ask_is_lost_in_every_row(make_scored):
    """As of a sample for which its network gives no numbers."""
    names = {"explainers": ("E", "F")}
    baseline = make_scored(np.stack([TEN, TEN], axis=1), **names)
    silent = replace(
        baseline,
        questions=baseline.questions[1:],
        scores={row: scores[1:] for row, scores in baseline.scores.items()},
        predicted=((), *baseline.predicted[1:]),
    )
    found = compare(baseline, silent)
    assert [(change.verdict, change.lost) for change in found.changes] == [(Verdict.SCORES_LOST, 1)] * 2
    assert [(flip.sample, flip.baseline, flip.candidate) for flip in found.flips] == [(0, (0,), ())]
    assert found.questions == 9
    back = compare(silent, baseline)
    assert back.passed
    assert [change.gained for change in back.changes] == [1, 1]
    assert (found.only_baseline, back.only_candidate) == (0, 0)  # it is about a true label
    nowhere = compare(silent, silent)
    assert [change.unscored for change in nowhere.changes] == [1, 1]


def test_rows_of_too_few_samples_are_not_tested(make_scored):
    """Five samples give at least 1/32; two rows at 0.05 need 1/40."""
    few = np.where(np.arange(10) < 5, TEN, NAN)
    baseline = make_scored(np.stack([TEN, few], axis=1), metrics=("M", "L"))
    candidate = make_scored(np.stack([TEN, few - 0.25], axis=1), metrics=("M", "L"))
    found = compare(baseline, candidate)
    assert [change.verdict for change in found.changes] == [Verdict.INCONCLUSIVE, Verdict.NOT_TESTED]
    assert math.isnan(found.changes[1].p_value)
    assert found.passed
    assert compare(baseline, candidate, alpha=0.0625).changes[1].verdict is Verdict.REGRESSION
    none = make_scored(np.stack([TEN, np.full(10, NAN)], axis=1), metrics=("M", "L"))
    assert compare(none, none).changes[1].verdict is Verdict.NOT_TESTED
    assert compare(none, none).changes[1].unscored == 10


def test_runs_of_which_no_row_can_fail_are_refused(make_scored, raising):
    names = {"explainers": ("E", "F", "G"), "metrics": ("M", "L")}
    six = make_scored(np.zeros((6, 3, 2)), **names)
    with raising(NotComparableError, "too-few-samples", samples=6, rows=6, alpha=0.05, needed=7):
        compare(six, six)
    seven = make_scored(np.zeros((7, 3, 2)), **names)
    assert compare(seven, seven).passed
    assert compare(make_scored(np.zeros(1)), make_scored(np.zeros(1)), alpha=0.5).passed
    with raising(NotComparableError, "too-few-samples", samples=1, rows=1, alpha=0.49, needed=2):
        compare(make_scored(np.zeros(1)), make_scored(np.zeros(1)), alpha=0.49)
    with raising(NotComparableError, "no-common-scores"):
        compare(make_scored(np.full(9, NAN)), make_scored(np.full(9, NAN)))
    with raising(NotComparableError, "alpha-too-small", alpha=1e-6, rows=1, resamples=99999):
        compare(make_scored(np.zeros(40)), make_scored(np.zeros(40)), alpha=1e-6)
    lost = make_scored([NAN, *np.zeros(3)])
    assert not compare(make_scored(np.zeros(4)), lost).passed  # worse than a refusal would tell


def test_many_rows_and_a_small_alpha_get_more_permutations(make_scored):
    worse = compare(make_scored(np.full(40, 0.5)), make_scored(np.full(40, 0.25)), alpha=1e-4, resamples=999)
    assert only(worse).verdict is Verdict.REGRESSION
    assert only(worse).p_value == 1 / 40_001


def test_the_order_of_samples_and_explainers_does_not_matter(make_scored):
    rng = np.random.default_rng(3)
    samples, labels = np.repeat([2, 3, 5, 7, 11, 13, 17, 19], 2), np.tile([0, 2], 8)
    names = {"explainers": ("E", "F"), "metrics": ("M", "L")}
    before, now = rng.random((16, 2, 2)), rng.random((16, 2, 2))
    baseline = make_scored(before, samples=samples, labels=labels, **names)
    candidate = make_scored(now, samples=samples, labels=labels, **names)
    order = rng.permutation(16)
    ids = rng.permutation(8)
    shuffled = replace(
        candidate,
        explainers=dict(reversed(candidate.explainers.items())),
        metrics=dict(reversed(candidate.metrics.items())),
        questions=candidate.questions[order],
        scores={row: scores[order] for row, scores in reversed(candidate.scores.items())},
        samples=candidate.samples[ids],
        digests=candidate.digests[ids],
        truth=candidate.truth[ids][:, ::-1],
        predicted=tuple(candidate.predicted[i] for i in ids),
    )
    assert (shuffled.questions != candidate.questions).any()
    assert repr(compare(baseline, shuffled)) == repr(compare(baseline, candidate))
    flipped = replace(candidate, predicted=((1,),) * 8)
    assert [flip.sample for flip in compare(shuffled, flipped).flips] == [2, 3, 5, 7, 11, 13, 17, 19]
    moved = replace(shuffled, scores=candidate.scores)  # the test would see scores in a wrong order
    assert repr(compare(baseline, moved)) != repr(compare(baseline, candidate))


def test_questions_about_labels_that_are_not_true_are_counted_apart(make_scored):
    baseline, candidate = make_scored(TEN), make_scored(TEN)

    def asking(run, labels):
        questions = np.concatenate([run.questions, [[sample, label] for sample, label in labels]])
        scores = {row: np.append(of, np.full(len(labels), 9.0)) for row, of in run.scores.items()}
        return replace(run, questions=questions, scores=scores)

    found = compare(asking(baseline, [(0, 1), (0, 2), (4, 1)]), asking(candidate, [(4, 1), (5, 2)]))
    assert (found.only_baseline, found.only_candidate, found.questions) == (2, 1, 10)
    assert only(found).baseline == pytest.approx(0.5)


def test_flips_notes_and_what_is_new(make_scored, raising):
    baseline = make_scored(TEN, described={"seed": 1, "versions": {"mindspore": "2.9"}})
    predicted = ((1, 2), *baseline.predicted[1:])
    both = np.stack([TEN, TEN], axis=1)
    candidate = make_scored(
        both, ("E", "F"), described={"seed": 2, "versions": {"mindspore": "3.0"}}, predicted=predicted
    )
    candidate = replace(candidate, explainers={"E": {"masks": 8}, "F": {}})
    found = compare(baseline, candidate)
    assert [(flip.sample, flip.baseline, flip.candidate) for flip in found.flips] == [(0, (0,), (1, 2))]
    assert found.notes == (
        "seed was 1, is 2",
        "versions.mindspore was '2.9', is '3.0'",
        "E: masks was not there, is 8",
    )
    assert found.new == ("explainer F",)
    assert compare(baseline, candidate, explainers=["E"]).new == ()
    with pytest.raises(NotComparableError) as caught:
        compare(baseline, candidate, explainers=["F"], metrics=["m"])
    assert caught.value.codes == ("run-has-no-such",) * 2
    named = [(problem.values["kind"], problem.values["name"]) for problem in caught.value.problems]
    assert named == [("explainer", "F"), ("metric", "m")]
    with raising(NotComparableError, "nothing-to-compare", kind="metric"):
        compare(baseline, candidate, metrics=[])


def test_the_worst_questions(make_scored):
    """Falls are in units of the metric's spread: M's is 0.5, L's is 2."""
    names = {"explainers": ("E", "F"), "metrics": ("M", "L")}
    before = np.zeros((12, 2, 2))
    before[::2, :, 0], before[::2, :, 1] = 1.0, 4.0
    now = before.copy()
    now[3, 0, 0] -= 0.5  # one spread
    now[3, 1, 1] -= 1.0  # half a spread
    now[4, 1, 1] -= 3.0  # one and a half
    now[5, 1, 0] -= 0.25
    now[6] += 1.0
    found = compare(make_scored(before, **names), make_scored(now, **names))
    assert found.passed
    assert [(one.sample, one.explainer, one.metric, one.baseline, one.candidate) for one in found.worst] == [
        (4, "F", "L", 4.0, 1.0),
        (3, "E", "M", 0.0, -0.5),
        (5, "F", "M", 0.0, -0.25),
    ]
    assert {(one.label, one.baseline_picture, one.candidate_picture) for one in found.worst} == {(0, None, None)}
    now[7, 1, 1] = NAN
    lost = compare(make_scored(before, **names), make_scored(now, **names))
    assert [(one.sample, one.explainer, one.metric) for one in lost.worst] == [
        (7, "F", "L"),
        (4, "F", "L"),
        (3, "F", "L"),
    ]
    assert math.isnan(lost.worst[0].candidate)
    now[:, 0, 0] = before[:, 0, 0] - 0.125
    falling = compare(make_scored(before, **names), make_scored(now, **names), metrics=["M"])
    assert [one.sample for one in falling.worst] == list(range(10))
    assert {(one.explainer, one.metric) for one in falling.worst} == {("E", "M")}


def test_a_metric_that_never_varied_has_the_spread_of_both(make_scored):
    """M's fall of 0.125 is the only thing that it varies by, 5 of its spreads; L's of 0.5 is one."""
    before = np.ones((12, 1, 2))
    before[::2, 0, 1] = 0.0
    now = before.copy()
    now[4, 0, 0], now[7, 0, 1] = 0.875, 0.5
    found = compare(*(make_scored(values, metrics=("M", "L")) for values in (before, now)))
    assert [(one.sample, one.metric, one.candidate) for one in found.worst] == [(4, "M", 0.875), (7, "L", 0.5)]
    alone = compare(make_scored(np.ones(12)), make_scored([1.0] * 11 + [0.0]))
    assert [(one.sample, one.candidate) for one in alone.worst] == [(11, 0.0)]


def test_rows_take_turns_among_the_worst_questions(make_scored):
    """Each row shows its worst, though all falls of one are larger; a question stands once, in its larger fall."""
    before = np.tile([[0.9, 0.5]], (20, 1)) + 0.001 * np.arange(20)[:, None]
    now = before - [[0.8, 0.1]] - 0.002 * np.arange(20)[:, None]
    found = compare(make_scored(before, metrics=("M", "L")), make_scored(now, metrics=("M", "L")))
    assert len(found.failures) == 2
    assert [(one.sample, one.metric) for one in found.worst] == [
        (19 - i, ("M", "L")[i % 2]) for i in range(10)
    ]  # fmt: skip


def test_what_is_written_shortly_means_the_same(make_scored, raising):
    before, now = make_scored([[0.5, 0.4]] * 12, ("E", "F")), make_scored([[0.48, 0.1]] * 12, ("E", "F"))
    assert [one.explainer for one in compare(before, now).failures] == ["E", "F"]
    for tolerance in (0.03, "0.03", "6%", {"M": 0.03}, Tolerances(Tolerance(0.03))):
        assert [one.explainer for one in compare(before, now, tolerance).failures] == ["F"]
    assert compare(before, now, 0.03, explainers="E").passed
    found = compare(before, now, metrics="M")
    assert str(found) == as_table(found)
    with raising(ValueError, "tolerance-malformed", given="much"):
        compare(before, now, "much")


def test_wrong_alphas_are_refused(make_scored, raising):
    for alpha in (0, 1, -0.5, NAN, True, "x"):
        with raising(ValueError, "alpha-out-of-range"):
            compare(make_scored(TEN), make_scored(TEN), alpha=alpha)


def test_folders_and_their_baselines_give_the_same(make_run, tmp_path):
    one, two = make_run("one"), make_run("two", fall=0.123456789123, seed=3)
    write_baseline(scored_run(one.root), tmp_path / "baseline.json")
    whole, kept = (compare(baseline, two.root, alpha=0.3) for baseline in (one.root, tmp_path / "baseline.json"))
    assert not whole.passed
    assert [change.verdict for change in whole.changes] == [Verdict.REGRESSION, *[Verdict.NON_INFERIOR] * 3]
    assert whole.changes[0].fall == pytest.approx(0.123457, abs=1e-6)
    assert whole.notes == kept.notes == ()
    assert (whole.baseline, kept.baseline) == (str(one.root), str(tmp_path / "baseline.json"))
    assert kept.similarities == ()
    assert [similarity.compared for similarity in whole.similarities] == [12, 12]
    pictures = {(worst.sample, worst.baseline_picture, worst.candidate_picture) for worst in whole.worst}
    expected = [str(run.root / run.heatmap_path("GradCAM", 3, 0)) for run in (one, two)]
    assert (3, *expected) in pictures
    assert all(both == [None, None] for sample, *both in pictures if sample != 3)
    assert (whole.left_out, kept.left_out) == ((), (f"maps, of which {kept.baseline} keeps none",))
    alike = replace(whole, baseline=kept.baseline, similarities=(), left_out=kept.left_out,
                    worst=tuple(replace(worst, baseline_picture=None) for worst in whole.worst))  # fmt: skip
    assert repr(alike) == repr(kept)
    assert read_baseline(tmp_path / "baseline.json").results is None


@pytest.mark.slow
def test_nothing_loads_mindspore(make_run, tmp_path):
    one, two = make_run("one"), make_run("two", seed=3)
    code = f"""
import sys
from explainrun.runner import compare
from explainrun.runner.comparison import scored_run, write_baseline, baseline_difference
write_baseline(scored_run({str(one.root)!r}), {str(tmp_path / "kept.json")!r})
compare({str(tmp_path / "kept.json")!r}, {str(two.root)!r})
baseline_difference(scored_run({str(one.root)!r}), scored_run({str(two.root)!r}))
print(compare({str(one.root)!r}, {str(two.root)!r}).similarities)
print([name for name in sys.modules if name.split(".")[0] == "mindspore"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert "compared=12" in done.stdout
