"""Tolerances, in the command and in files."""

import math

import pytest

from explainrun.runner.comparison import Rules, RulesError, Tolerance, Tolerances, rules_of, tolerances_of


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
    ["", "%", "x", "-0.1", "-2%", "nan", "inf", "1e999", "1_0", "2%%", "0,01", "٣", True, None, [1], -1, math.nan,
     math.inf],
)  # fmt: skip
def test_what_is_none(said):
    with pytest.raises(ValueError, match="a tolerance is a number of at least 0"):
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
    assert len(caught.value.problems) == 3
    assert caught.value.problems[1] == "--tolerance 'M=-1': a tolerance is a number of at least 0, got -1.0"


def test_a_file(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("tolerance: 0.5\ntolerances:\n  M: 2%\n  L: 0\nalpha: 1e-2\n")
    assert rules_of(path) == Rules(
        Tolerances(Tolerance(0.5), {"M": Tolerance(2, per_cent=True), "L": Tolerance(0.0)}), 0.01
    )
    path.write_text("alpha: 0.1")
    assert rules_of(path) == Rules(Tolerances(), 0.1)
    path.write_text("{}")
    assert rules_of(str(path)) == Rules()


def test_all_mistakes_in_a_file_at_once(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("tolerence: 1\ntolerance: -1\ntolerances: {M: x, L: 0.5, K: true}\nalpha: 2\n")
    with pytest.raises(RulesError) as caught:
        rules_of(path)
    told = caught.value.problems
    assert len(told) == 5
    assert told[0] == f"{path}: unknown key 'tolerence'; did you mean 'tolerance' or 'tolerances'?"
    assert [problem.split(": ")[1] for problem in told[1:4]] == ["tolerance", "tolerances.M", "tolerances.K"]
    assert told[4] == f"{path}: alpha is a chance above 0 and below 1, got 2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 1", "must hold a mapping, it holds list"),
        ("", "must hold a mapping, it holds NoneType"),
        ("a: [", "cannot read"),
        ("tolerances: {M: 1, M: 2}", "the key 'M' stands twice"),
        ("tolerances: [1]", "tolerances are a mapping from metrics to tolerances"),
        ("tolerances: {1: 2}", "tolerances are a mapping"),
        ("tolerances:", "tolerances are a mapping"),
        ("alpha:", "alpha is a chance"),
        ("alpha: yes", "alpha is a chance"),
        ("? [1]\n: 2", "cannot read|unknown key"),
    ],
)
def test_what_is_no_file_of_rules(tmp_path, text, words):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(RulesError, match=words):
        rules_of(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RulesError, match=r"cannot read .*rules\.yaml"):
        rules_of(tmp_path / "rules.yaml")
    (tmp_path / "rules.yaml").write_bytes(b"\xff")
    with pytest.raises(RulesError, match=r"cannot read .*rules\.yaml"):
        rules_of(tmp_path / "rules.yaml")


def test_names_of_metrics():
    tolerances = Tolerances(by_metric={"InsertionAUK": Tolerance(1.0), "Leak": Tolerance(1.0), "x": Tolerance(1.0)})
    with pytest.raises(RulesError) as caught:
        tolerances.check(["InsertionAUC", "Leak", "Leak"])
    assert caught.value.problems == (
        "tolerance: no run has a metric 'InsertionAUK'; did you mean 'InsertionAUC'?",
        "tolerance: no run has a metric 'x'; known: InsertionAUC, Leak",
    )
    Tolerances(by_metric={"Leak": Tolerance(1.0)}).check(["Leak"])
