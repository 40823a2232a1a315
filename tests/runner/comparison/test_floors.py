"""Floors under a candidate's means: by hand, in both directions, and what is none."""

import math
from xml.etree import ElementTree as Tree

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from explainrun.runner.cli.main import main
from explainrun.runner.comparison import Floors, RulesError, Verdict, compare, floors_of
from explainrun.runner.comparison.formats.json_report import comparison_as_json
from explainrun.runner.comparison.formats.junit import as_junit
from explainrun.runner.comparison.formats.markdown import as_markdown
from explainrun.runner.comparison.formats.table import as_table
from explainrun.runner.comparison.formats.wording import headlines
from explainrun.runner.comparison.rules.rules_file import rules_of

EVEN = np.linspace(0.4, 0.6, 21)  # mean 0.5, standard error 0.0135


def checks(run, floors, **options):
    return compare(run, run, floors=floors, maps=False, **options).floors


def verdict(run, floor, **options):
    (check,) = checks(run, {"M": floor}, **options)
    return check.verdict


def test_beyond_noise_within_it_and_met(make_scored):
    """Half of alpha is for floors: a mean of 0.5 misses what lies more than t(0.975) errors above it."""
    run = make_scored(EVEN)
    error = EVEN.std(ddof=1) / math.sqrt(21)
    reach = stats.t.ppf(0.975, 20) * error
    for floor, expected in (
        (0.5 + 1.02 * reach, Verdict.FLOOR_MISSED),
        (0.5 + 0.98 * reach, Verdict.INCONCLUSIVE),
        (0.5 - 0.98 * reach, Verdict.INCONCLUSIVE),
        (0.5 - 1.02 * reach, Verdict.FLOOR_MET),
    ):
        assert verdict(run, floor) is expected, floor
    (check,) = checks(run, {"M": 0.5})
    assert (check.candidate, check.floor, check.samples, check.questions) == (pytest.approx(0.5), 0.5, 21, 21)
    assert check.low < 0.5 < check.high


def test_several_floors_take_wider_intervals(make_scored):
    run = make_scored(np.stack([EVEN] * 4, axis=1), ("A", "B", "C", "D"))
    error = EVEN.std(ddof=1) / math.sqrt(21)
    floor = 0.5 + 2.4 * error  # t(1 - 0.025 / 4) is 2.74
    assert [check.verdict for check in checks(run, {"M": floor})] == [Verdict.INCONCLUSIVE] * 4
    assert [check.verdict for check in checks(run, {"A/M": floor})] == [Verdict.FLOOR_MISSED]


def test_what_must_not_exceed_it(make_scored):
    """Of a metric that is better the lower it is."""
    run = make_scored(EVEN, higher=("M",))
    found = [verdict(run, floor) for floor in (0.4, 0.49, 0.51, 0.6)]
    assert found == [Verdict.FLOOR_MISSED, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE, Verdict.FLOOR_MET]
    (check,) = checks(run, {"M": 0.4})
    assert not check.higher_is_better
    table = as_table(compare(run, run, floors={"M": 0.4}))
    assert "at most 0.4" in table
    assert table.splitlines()[-2].startswith("FLOOR MISSED: E, M: 0.5000 where at most 0.4 is set")


def test_hits_of_few_samples_meet_no_high_floor(make_scored):
    """All of 24 hit: every seventh of all there are may miss, at 2.5 %."""
    assert verdict(make_scored(np.ones(24)), 0.9) is Verdict.INCONCLUSIVE
    assert verdict(make_scored(np.ones(24)), 0.85) is Verdict.FLOOR_MET
    assert verdict(make_scored(np.ones(200)), 0.9) is Verdict.FLOOR_MET
    assert verdict(make_scored(np.zeros(24)), 0.1) is Verdict.INCONCLUSIVE
    assert verdict(make_scored(np.zeros(24)), 0.2) is Verdict.FLOOR_MISSED


def test_the_baseline_does_not_matter(make_scored):
    before, now = make_scored(EVEN + 0.3), make_scored([*EVEN[:-1], math.nan])
    found = compare(before, now, 1.0, floors={"M": 0.2}, maps=False)
    assert [check.verdict for check in found.floors] == [Verdict.FLOOR_MET]
    assert (found.floors[0].samples, found.floors[0].candidate) == (20, pytest.approx(EVEN[:-1].mean()))
    rows = found.changes[0].p_value
    assert rows == compare(before, now, 1.0, maps=False).changes[0].p_value
    nothing = compare(before, make_scored(np.full(21, math.nan)), floors={"M": 0.2})
    assert nothing.floors[0].verdict is Verdict.NOT_TESTED


def test_alpha_is_shared(make_scored):
    """A fall with a p of 1/32 fails alone, and not where floors have half of alpha."""
    before, now = make_scored(np.linspace(0.5, 0.6, 5)), make_scored(np.linspace(0.3, 0.4, 5))
    assert compare(before, now).changes[0].verdict is Verdict.REGRESSION
    with pytest.raises(ValueError, match="at least 6 samples"):
        compare(before, now, floors={"M": 0.1})


def test_the_named_explainer_goes_before_all(make_scored):
    run = make_scored(np.stack([EVEN, EVEN], axis=1), ("A", "B"))
    floors = Floors.of_given({"M": 0.2, "B/M": 0.8})
    assert [(check.explainer, check.floor) for check in checks(run, floors)] == [("A", 0.2), ("B", 0.8)]
    assert [check.explainer for check in checks(run, {"B/M": 0.8})] == ["B"]


BOTH, METRICS = ("First", "Second"), ("Smooth", "Sharp")


def found_places(found):
    return [(check.explainer, check.metric, check.verdict) for check in found.floors]


def test_an_explainer_that_the_candidate_alone_has_is_judged(make_scored):
    before, now = make_scored(EVEN, ("First",)), make_scored(np.stack([EVEN, EVEN], axis=1), BOTH)
    missed = ("Second", "M", Verdict.FLOOR_MISSED)
    found = compare(before, now, floors={"Second/M": 0.99})
    assert (found.passed, found_places(found)) == (False, [missed])
    assert found_places(compare(before, now, floors={"M": 0.99})) == [("First", "M", Verdict.FLOOR_MISSED), missed]
    assert [change.explainer for change in found.changes] == ["First"]


def test_a_metric_that_the_candidate_alone_has_is_judged(make_scored):
    before = make_scored(EVEN, ("First",), ("Smooth",))
    now = make_scored(np.stack([EVEN, EVEN + 1], axis=1), ("First",), METRICS)
    for name in ("Sharp", "First/Sharp"):
        found = compare(before, now, floors={name: 1.99})
        assert (found.passed, found_places(found)) == (False, [("First", "Sharp", Verdict.FLOOR_MISSED)])
    assert compare(before, now, floors={"Sharp": 1.01}).passed


def test_a_control_is_judged_where_a_floor_names_it(make_scored):
    """Whether both runs have it or the candidate alone; what holds for all explainers says nothing of controls."""
    alone = make_scored(EVEN, ("First",))
    beside = make_scored(np.stack([EVEN, EVEN], axis=1), BOTH, controls=("Second",))
    for before in (alone, beside):
        found = compare(before, beside, floors={"Second/M": 0.99})
        assert (found.passed, found_places(found)) == (False, [("Second", "M", Verdict.FLOOR_MISSED)])
        assert [place[0] for place in found_places(compare(before, beside, floors={"M": 0.99}))] == ["First"]
        assert [place[0] for place in found_places(compare(before, beside, floors={"M": 0.99, "Second/M": 0}))] == [
            "First", "Second",
        ]  # fmt: skip
    only = compare(beside, beside, floors={"M": 0.99}, explainers=["Second"])
    assert found_places(only) == [("Second", "M", Verdict.FLOOR_MISSED)]


def test_what_is_not_chosen_has_no_floor_and_that_is_said(make_scored):
    run = make_scored(np.stack([EVEN] * 4, axis=1), BOTH, METRICS)
    floors = {"Smooth": 0.99, "Second/Smooth": 0.98, "Sharp": 0.97}
    missed = Verdict.FLOOR_MISSED
    for chosen, places, left in (
        ({"explainers": "First"}, [("First", "Smooth"), ("First", "Sharp")], ["Second/Smooth"]),
        ({"metrics": "Smooth"}, [("First", "Smooth"), ("Second", "Smooth")], ["Sharp"]),
        ({"explainers": "First", "metrics": "Sharp"}, [("First", "Sharp")], ["Smooth", "Second/Smooth"]),
    ):
        found = compare(run, run, floors=floors, maps=False, **chosen)
        assert found_places(found) == [(*place, missed) for place in places], chosen
        assert [text.split()[2] for text in found.left_out if "floor" in text] == left
    fewer = make_scored(np.stack([EVEN] * 2, axis=1), ("First",), METRICS)
    new = compare(fewer, run, floors={"Second/Smooth": 0.99}, explainers=["First"])
    assert (new.passed, new.floors) == (True, ())
    assert "not judged    the floor Second/Smooth" in as_table(new)


def test_every_format_has_them(make_scored):
    run = make_scored(EVEN)
    found = compare(run, run, floors={"M": 0.6})
    assert (found.exit_code, found.failures, len(found.failing_floors)) == (1, (), 1)
    assert str(found).splitlines()[-1].startswith("FAILED: 1 floor missed, of 1 floor;")
    assert "floor missed" in as_markdown(found).lower()
    case = next(case for case in Tree.fromstring(as_junit(found).encode()).iter("testcase")
                if case.get("classname") == "explainrun.M.floor")  # fmt: skip
    assert case.find("failure").get("type") == "floor missed"
    (told,) = comparison_as_json(found)["floors"]
    keys = ("explainer", "metric", "floor", "samples", "questions", "verdict", "failing", "shown")
    assert [told[key] for key in keys] == ["E", "M", 0.6, 21, 21, "floor missed", True, False]
    near = compare(run, run, 0.1, floors={"M": 0.5}, require="shown")
    assert near.exit_code == 1
    assert str(near).splitlines()[-1].startswith("FAILED: 1 floor not shown to be met, of 1 floor;")
    assert compare(run, run, 0.1, floors={"M": 0.5}).exit_code == 0


def test_what_is_missed_and_what_is_not_shown_are_counted_apart(make_scored):
    """The floor of A is missed, those of B and C are not shown to be met."""
    run = make_scored(np.stack([EVEN] * 3, axis=1), ("A", "B", "C"))
    found = compare(run, run, 0.1, floors={"A/M": 0.9, "M": 0.5}, require="shown")
    assert [check.verdict for check in found.floors] == [Verdict.FLOOR_MISSED, *[Verdict.INCONCLUSIVE] * 2]
    verdict, *others = headlines(found)
    assert verdict == "FAILED: 1 floor missed, 2 floors not shown to be met, of 3 floors"
    assert others == ["3 shown not worse than tolerated", "2 of 3 floors inconclusive"]


def test_those_of_the_command():
    assert floors_of(["M=0.6", " E / M = -1", "M=0.7"]).by_place == {("", "M"): 0.7, ("E", "M"): -1.0}
    assert floors_of(["M=1"], Floors({("", "M"): 0.5, ("", "L"): 2.0})).by_place == {("", "M"): 1.0, ("", "L"): 2.0}
    assert not floors_of([])
    with pytest.raises(RulesError) as caught:
        floors_of(["M", "=1", "M=much", "M=nan", "M=1"])
    assert caught.value.codes == ("floor-malformed",) * 2 + ("floor-not-a-number",) * 2


def test_those_of_nothing_are_refused(make_scored, raising):
    run = make_scored(EVEN)
    with raising(RulesError, "floor-of-none", kind="metric", name="m"):
        compare(run, run, floors={"m": 0.5})
    with raising(RulesError, "floor-of-none", kind="explainer", name="F"):
        compare(run, run, floors={"F/M": 0.5})
    for said in (True, None, "x", math.inf):
        with raising(ValueError, "floor-not-a-number"):
            compare(run, run, floors={"M": said})


def test_a_file_of_rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("floors: {M: 0.5, E/M: 1e-1}\nby: label\nrequire: shown\n")
    rules = rules_of(path)
    assert (rules.floors.by_place, rules.by, rules.require) == ({("", "M"): 0.5, ("E", "M"): 0.1}, "label", "shown")
    path.write_text("floors: {M: much}\nby: class\nrequire: all\n")
    with pytest.raises(RulesError) as caught:
        rules_of(path)
    assert caught.value.codes == ("floor-not-a-number", "choice-unknown", "choice-unknown")
    path.write_text("floors: [0.5]\n")
    with pytest.raises(RulesError) as caught:
        rules_of(path)
    assert caught.value.codes == ("floors-no-mapping",)


def test_the_command(make_run, tmp_path):
    runs = [str(make_run(name).root) for name in "ab"]
    rules = tmp_path / "rules.yaml"
    rules.write_text("floors: {InsertionAUC: 5}\n")
    for options, code in (
        (["--floor", "InsertionAUC=0.01"], 0),
        (["--floor", "RISE/InsertionAUC=3"], 1),
        (["--floor", "Leak=0.01"], 1),  # lower is better
        (["--floor", "Leak=3"], 0),
        (["--rules", str(rules)], 1),
        (["--rules", str(rules), "--floor", "InsertionAUC=0"], 0),
        (["--floor", "InsertionAUC"], 2),
        (["--floor", "InsertionAuc=1"], 2),
    ):
        done = CliRunner().invoke(main, ["compare", *runs, "--no-maps", *options])
        assert done.exit_code == code, (options, done.output)
