"""Tolerances, in the command and in files."""

import math
import re
from dataclasses import replace

import pytest

from explainrun.runner.comparison import Rules, RulesError, Tolerance, Tolerances, rules_of, tolerances_of
from explainrun.runner.comparison.rules.floors import Floors
from explainrun.runner.comparison.rules.tolerances import DEFAULTS
from explainrun.summary_format.errors import nearest


def test_absolute_and_per_cent():
    assert Tolerance(0.25).absolute(-3.0) == 0.25
    assert Tolerance(2, per_cent=True).absolute(-0.5) == 0.01
    assert Tolerance(0).absolute(1.0) == 0
    assert math.isnan(Tolerance(2, per_cent=True).absolute(math.nan))
    assert Tolerances().of("any") == Tolerance(0.01)
    assert Tolerances(Tolerance(1.0), {"M": Tolerance(2.0)}).of("M") == Tolerance(2.0)


@pytest.mark.parametrize(
    ("said", "tolerance"),
    [
        ("0.01", Tolerance(0.01)),
        (" 2% ", Tolerance(2, per_cent=True)),
        ("2 %", Tolerance(2, per_cent=True)),
        ("1e-3", Tolerance(0.001)),
        (".5", Tolerance(0.5)),
        ("+1.", Tolerance(1.0)),
        ("0", Tolerance(0.0)),
        (0, Tolerance(0.0)),
        (0.25, Tolerance(0.25)),
    ],
)
def test_what_is_a_tolerance(said, tolerance):
    assert Tolerance.of(said) == tolerance


@pytest.mark.parametrize(
    "said",
    ["", "%", "x", "nan", "inf", "1_0", "2%%", "0,01", "٣", True, None, [1], math.nan, math.inf],
)
def test_what_is_none(raising, said):
    with raising(ValueError, "tolerance-malformed"):
        Tolerance.of(said)


@pytest.mark.parametrize(("said", "number"), [("-0.1", -0.1), ("-2%", -2), ("1e999", math.inf), (-1, -1)])
def test_what_is_out_of_range(raising, said, number):
    with raising(ValueError, "tolerance-out-of-range", given=number):
        Tolerance.of(said)


def test_those_of_the_command():
    found = tolerances_of(["0.5", "M=2%", "a=b = 0.25", "M=3%"])
    assert found == Tolerances(Tolerance(0.5), {"M": Tolerance(3, per_cent=True), "a=b": Tolerance(0.25)})
    assert tolerances_of([]) == Tolerances()
    rules = Tolerances(Tolerance(0.5), {"M": Tolerance(1.0), "L": Tolerance(2.0)})
    assert tolerances_of(["L=0.125"], rules) == Tolerances(Tolerance(0.5), {"M": Tolerance(1.0), "L": Tolerance(0.125)})
    assert rules.by_metric["L"] == Tolerance(2.0)
    with pytest.raises(RulesError) as caught:
        tolerances_of(["x", "M=-1", "=1", "0.1"])
    assert caught.value.codes == ("tolerance-malformed", "tolerance-out-of-range", "tolerance-without-metric")
    assert [problem.values for problem in caught.value.problems] == [
        {"given": "x", "where": "--tolerance 'x'"},
        {"given": -1.0, "where": "--tolerance 'M=-1'"},
        {"given": "=1", "where": "--tolerance '=1'"},
    ]


def test_a_file(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("tolerance: 0.5\ntolerances:\n  M: 2%\n  L: 0\nalpha: 1e-2\n")
    assert rules_of(path) == Rules(
        tolerances=Tolerances(Tolerance(0.5), {"M": Tolerance(2, per_cent=True), "L": Tolerance(0.0)}), alpha=0.01
    )
    path.write_text("alpha: 0.1")
    assert rules_of(path) == Rules(tolerances=Tolerances(), alpha=0.1)
    path.write_text("{}")
    assert rules_of(str(path)) == Rules()


def test_what_is_given_goes_before_a_file(raising):
    tolerances, floors = Tolerances(Tolerance(0.5), {"M": Tolerance(2.0)}), Floors({("", "M"): 0.1})
    rules = Rules(tolerances=tolerances, alpha=0.01, floors=floors, by="label")
    assert rules.with_given() == rules
    assert rules.with_given(alpha=0.2, require="shown") == replace(rules, alpha=0.2, require="shown")
    assert Rules().with_given(by="label") == Rules(by="label")
    found = rules.with_given(tolerance={"L": "2%"}, floors={"E/M": 0.3})
    assert found.tolerances.by_metric == {"M": Tolerance(2.0), "L": Tolerance(2.0, per_cent=True)}
    assert found.floors.by_place == {("", "M"): 0.1, ("E", "M"): 0.3}
    assert rules.with_given(tolerance=0.25).tolerances == replace(tolerances, everywhere=Tolerance(0.25))
    read = {"tolerance": DEFAULTS, "floors": Floors({("E", "M"): 0.3})}  # as a command's, which were joined before
    assert rules.with_given(**read) == replace(rules, tolerances=DEFAULTS, floors=read["floors"])
    for given, code in (
        ({"by": ""}, "choice-unknown"),
        ({"require": ""}, "choice-unknown"),
        ({"alpha": 0}, "alpha-out-of-range"),
    ):
        with raising(ValueError, code):
            rules.with_given(**given)


def test_all_mistakes_in_a_file_at_once(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("tolerence: 1\ntolerance: -1\ntolerances: {M: x, L: 0.5, K: true}\nalpha: 2\n")
    with pytest.raises(RulesError) as caught:
        rules_of(path)
    assert [(problem.code, problem.values) for problem in caught.value.problems] == [
        ("rule-unknown", {"key": "tolerence", "nearest": nearest("tolerence", ("tolerance", "tolerances", "alpha")),
                          "where": str(path)}),
        ("tolerance-out-of-range", {"given": -1.0, "where": f"{path}: tolerance"}),
        ("tolerance-malformed", {"given": "x", "where": f"{path}: tolerances.M"}),
        ("tolerance-malformed", {"given": True, "where": f"{path}: tolerances.K"}),
        ("alpha-out-of-range", {"given": 2, "where": str(path)}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code", "values"),
    [
        ("- 1", "yaml-no-mapping", {"kind": "list"}),
        ("", "yaml-no-mapping", {"kind": "NoneType"}),
        ("a: [", "yaml-unreadable", {}),
        ("tolerances: {M: 1, M: 2}", "yaml-unreadable", {"said": re.compile("'M'")}),
        ("tolerances: [1]", "tolerances-no-mapping", {"given": [1]}),
        ("tolerances: {1: 2}", "tolerances-no-mapping", {"given": {1: 2}}),
        ("tolerances:", "tolerances-no-mapping", {"given": None}),
        ("alpha:", "alpha-out-of-range", {"given": None}),
        ("alpha: yes", "alpha-out-of-range", {"given": True}),
        ("? [1]\n: 2", "yaml-unreadable", {}),
    ],
)
def test_what_is_no_file_of_rules(raising, tmp_path, text, code, values):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with raising(RulesError, code, **values):
        rules_of(path)


def test_a_file_that_is_not_there(raising, tmp_path):
    path = tmp_path / "rules.yaml"
    with raising(RulesError, "yaml-unreadable", file=str(path)):
        rules_of(path)
    path.write_bytes(b"\xff")
    with raising(RulesError, "yaml-unreadable", file=str(path)):
        rules_of(path)


def test_names_of_metrics():
    tolerances = Tolerances(by_metric={"InsertionAUK": Tolerance(1.0), "Leak": Tolerance(1.0), "x": Tolerance(1.0)})
    with pytest.raises(RulesError) as caught:
        tolerances.check(["InsertionAUC", "Leak", "Leak"])
    assert caught.value.codes == ("tolerance-of-no-metric",) * 2
    known = ["InsertionAUC", "Leak"]
    assert [problem.values for problem in caught.value.problems] == [
        {"metric": name, "nearest": nearest(name, known)} for name in ("InsertionAUK", "x")
    ]
    Tolerances(by_metric={"Leak": Tolerance(1.0)}).check(["Leak"])
