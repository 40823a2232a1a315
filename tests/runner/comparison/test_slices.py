"""The same rows label by label."""

from dataclasses import fields, replace
from xml.etree import ElementTree as Tree

import numpy as np
import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.runner.comparison import Slice, Verdict, compare
from explainrun.runner.comparison.formats.json_report import comparison_as_json
from explainrun.runner.comparison.formats.junit import as_junit
from explainrun.runner.comparison.formats.markdown import as_markdown
from explainrun.runner.comparison.formats.table import as_table
from explainrun.runner.comparison.formats.wording import headlines

LABELS = np.repeat([0, 1, 2], [24, 24, 3])
BASE = np.linspace(0.2, 0.8, len(LABELS))
SPREAD = np.tile([-0.002, 0.002, 0.001], 17)


@pytest.fixture
def pair(make_scored):
    """Two runs of labels with 24, 24 and 3 samples; the second label fell, the others hardly changed."""

    def made(fall=0.05, metrics=("M",), **given):
        now = BASE + SPREAD - np.where(LABELS == 1, fall, 0.0)
        columns = [np.stack([values] * len(metrics), axis=1) for values in (BASE, now)]
        return [make_scored(values, metrics=metrics, labels=LABELS, **given) for values in columns]

    return made


def by_label(found):
    return {one.label: one.change for one in found.slices}


def test_a_label_that_fell_is_found(pair):
    """Over all samples the fall is within the tolerance, and shown to be so."""
    runs = pair(fall=0.015)
    whole, sliced = compare(*runs), compare(*runs, by="label")
    assert (whole.passed, whole.slices, whole.by) == (True, (), None)
    assert [change.verdict for change in sliced.changes] == [Verdict.NON_INFERIOR]
    assert (sliced.passed, sliced.exit_code, sliced.by) == (False, 1, "label")
    assert sliced.slices[0].label == 1
    verdicts = {label: change.verdict for label, change in by_label(sliced).items()}
    assert verdicts == {0: Verdict.NON_INFERIOR, 1: Verdict.REGRESSION, 2: Verdict.NOT_TESTED}
    assert [one.label for one in sliced.failing_slices] == [1]


def test_a_slice_is_what_its_label_alone_gives(pair, make_scored):
    """But for the correction: two slices are tested, at half of alpha."""
    runs = pair()
    change = by_label(compare(*runs, by="label"))[1]
    own = LABELS == 1
    alone = compare(*(make_scored(run.scores["E", "M"][own], labels=LABELS[own]) for run in runs)).changes[0]
    for name in ("baseline", "candidate", "low", "high", "questions", "samples", "fall", "tolerance"):
        assert getattr(change, name) == pytest.approx(getattr(alone, name)), name
    assert change.p_value >= alone.p_value


def test_labels_of_few_samples_weaken_no_other(pair, make_scored):
    runs = pair()
    few = LABELS < 2
    without = [make_scored(run.scores["E", "M"][few], labels=LABELS[few]) for run in runs]
    whole, fewer = (by_label(compare(*two, by="label")) for two in (runs, without))
    assert whole[1].p_value == fewer[1].p_value
    assert repr(whole[0]) == repr(fewer[0])
    assert whole[2].verdict is Verdict.NOT_TESTED
    assert compare(*runs, 0.1, by="label", require="shown").exit_code == 1


def test_slices_are_corrected_for_their_number(make_scored):
    """Six samples fall: a p of 1/64 is within half of 0.05, and not beside a second label."""
    base, now = np.linspace(0.4, 0.6, 24), np.linspace(0.4, 0.6, 24)
    now[:6] -= 0.3
    labels = np.repeat([0, 1], [6, 18])
    alone = compare(make_scored(base[:6]), make_scored(now[:6]), by="label")
    assert alone.slices[0].change.verdict is Verdict.REGRESSION
    both = compare(*(make_scored(values, labels=labels) for values in (base, now)), by="label")
    verdicts = {label: change.verdict for label, change in by_label(both).items()}
    assert verdicts == {0: Verdict.NOT_TESTED, 1: Verdict.INCONCLUSIVE}
    assert both.slices[-1].change.samples == 18


def test_the_worst_first(pair):
    """Falls are in units of a metric's spread; what fails stands before what fell further."""
    found = compare(*pair(), by="label")
    failing = [one.change.verdict.failing for one in found.slices]
    assert failing == sorted(failing, reverse=True)
    rest = [one.change.fall for one in found.slices if not one.change.verdict.failing]
    assert rest == sorted(rest, reverse=True)


def test_questions_of_several_labels(make_scored):
    samples, labels = np.repeat(np.arange(12), 2), np.tile([0, 2], 12)
    base = np.linspace(0.1, 0.9, 24)
    now = base - 0.2 * (labels == 2)
    found = compare(*(make_scored(values, samples=samples, labels=labels) for values in (base, now)), by="label")
    assert {label: (change.samples, change.questions) for label, change in by_label(found).items()} == {
        0: (12, 12), 2: (12, 12),
    }  # fmt: skip
    assert by_label(found)[2].fall == pytest.approx(0.2)


def test_every_format_has_them(pair):
    found = compare(*pair(metrics=("M", "N")), 0.01, by="label")
    table = as_table(found)
    assert "by label, the worst of 6 slices first:" in table
    assert "\nREGRESSION: E, M, label 1 (b): " in table
    assert table.splitlines()[-1].startswith("FAILED: 2 regressions, of 2 rows, and 2 slices failing, of 6 slices;")
    assert "By label, of 6 slices:" in as_markdown(found)
    suite = next(one for one in Tree.fromstring(as_junit(found).encode()) if one.get("name") == "by label")
    assert [suite.get(key) for key in ("tests", "failures", "skipped")] == ["6", "2", "2"]
    told = comparison_as_json(found)
    assert (told["by"], len(told["slices"])) == ("label", 6)
    first = told["slices"][0]
    assert (first["label"], first["class_name"], first["verdict"], first["failing"]) == (1, "b", "regression", True)
    assert {field.name for field in fields(Slice)} - {"change"} <= set(first)


def test_what_fails_and_what_is_not_shown_are_counted_apart(pair):
    """In both metrics the second label fell, and the third has too few samples."""
    found = compare(*pair(metrics=("M", "N")), 0.02, by="label", require="shown")
    failing = "2 slices failing, 2 slices not shown, of 6 slices"
    assert headlines(found)[0] == f"FAILED: 2 regressions, of 2 rows, and {failing}"
    shown = replace(found, changes=())
    assert headlines(shown)[0] == f"FAILED: {failing}"


def test_a_long_table_is_cut(make_scored):
    labels = np.repeat(np.arange(20), 6)
    names = tuple(f"class {label}" for label in range(20))
    runs = [make_scored(np.linspace(0, 1, 120), labels=labels, class_names=names) for _ in range(2)]
    found = compare(*runs, by="label")
    assert "and 10 slices more; --format json names all" in as_table(found)
    assert len(comparison_as_json(found)["slices"]) == 20


def test_the_command(make_run, tmp_path, raising):
    runs = [str(make_run(name, fall=fall).root) for name, fall in (("a", 0), ("b", 0.2))]
    done = CliRunner().invoke(main, ["compare", *runs, "--no-maps", "--by", "label"])
    assert (done.exit_code, "by label, the worst of 12 slices first:" in done.stdout) == (1, True)
    assert CliRunner().invoke(main, ["compare", *runs, "--by", "class"]).exit_code == 2
    rules = tmp_path / "rules.yaml"
    rules.write_text("by: label\n")
    done = CliRunner().invoke(main, ["compare", *runs, "--no-maps", "--rules", str(rules)])
    assert "by label, the worst of 12 slices first:" in done.stdout
    with raising(ValueError, "choice-unknown", name="by"):
        compare(*runs, by="class")
