"""What is shown, what cannot be decided, and what is required: worked out by hand."""

import json
import math
from xml.etree import ElementTree as Tree

import numpy as np
import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.runner.comparison import NotComparableError, Verdict, compare, scored_run, write_baseline
from explainrun.runner.comparison.formats.junit import as_junit
from explainrun.runner.comparison.formats.markdown import as_markdown
from explainrun.runner.comparison.formats.table import as_table

NETWORK = {"described": {"network": {"class": "Net", "parameters": "abc"}}}
SPREAD = np.linspace(-0.004, 0.004, 24)  # of changes: their mean is known to 0.001


def only(comparison):
    (change,) = comparison.changes
    return change


@pytest.fixture
def pair(make_scored):
    """Two runs of 24 samples whose changes are given."""

    def made(changes, **given):
        base = np.linspace(0.3, 0.9, len(np.asarray(changes)))
        return make_scored(base, **given), make_scored(base + changes, **given)

    return made


def test_three_verdicts(pair):
    shown = only(compare(*pair(SPREAD - 0.004)))
    assert (shown.verdict, shown.verdict.shown, shown.verdict.failing) == (Verdict.NON_INFERIOR, True, False)
    assert shown.fall < shown.fall_at_most <= shown.tolerance
    assert -shown.low == pytest.approx(shown.fall_at_most, abs=3e-4)  # the interval's end, somewhat more cautious
    near = only(compare(*pair(SPREAD - 0.0095)))
    assert (near.verdict, near.verdict.shown, near.verdict.failing) == (Verdict.INCONCLUSIVE, False, False)
    assert near.fall < near.tolerance < near.fall_at_most
    worse = only(compare(*pair(SPREAD - 0.02)))
    assert worse.verdict is Verdict.REGRESSION


def test_a_row_says_what_its_samples_can_show(pair):
    changes = 10 * SPREAD
    found = only(compare(*pair(changes)))
    error = changes.std(ddof=1) / math.sqrt(24)
    assert found.samples == 24
    assert 2.4 * error < found.detectable_fall < 3.0 * error + found.tolerance
    larger = only(compare(*pair(np.tile(changes, found.samples_needed // 24 + 1))))
    assert larger.verdict is Verdict.NON_INFERIOR
    assert larger.detectable_fall < found.detectable_fall


def test_hits_that_did_not_change_show_little(make_scored):
    """Of 24 samples that all hit as before, every ninth of all there are may miss now."""
    hits = make_scored(np.ones(24))
    found = only(compare(hits, hits))
    assert (found.verdict, found.low, found.high) == (Verdict.INCONCLUSIVE, 0, 0)
    assert found.fall_at_most == pytest.approx(1 - 0.025 ** (1 / 24))
    assert only(compare(hits, hits, 0.15)).verdict is Verdict.NON_INFERIOR
    many = make_scored(np.ones(400))
    assert only(compare(many, many)).verdict is Verdict.NON_INFERIOR


def test_the_same_network_and_options_do_nothing_that_no_sample_shows(make_scored):
    """All scores alike, or but for dust: what other networks might do to other samples does not count."""
    hits, dust = np.ones(24), np.where(np.arange(24) == 3, 1.0 - 1e-6, 1.0)
    for values in (hits, dust):
        runs = make_scored(hits, **NETWORK), make_scored(values, **NETWORK)
        found = only(compare(*runs, 1e-5))
        assert (found.verdict, found.fall_at_most < 1e-6) == (Verdict.NON_INFERIOR, True)
    other = make_scored(hits, described={"network": {"class": "Net", "parameters": "xyz"}})
    assert only(compare(runs[0], other)).verdict is Verdict.INCONCLUSIVE
    options = make_scored(hits, **NETWORK)
    options.explainers["E"]["masks"] = 8
    assert only(compare(runs[0], options)).verdict is Verdict.INCONCLUSIVE
    assert only(compare(make_scored(hits), make_scored(hits))).verdict is Verdict.INCONCLUSIVE  # nobody knows
    same = make_scored(hits, **NETWORK)
    assert only(compare(same, same, 0.0)).verdict is Verdict.NON_INFERIOR


def test_a_smaller_alpha_shows_less(pair):
    runs = pair(SPREAD - 0.0083)
    assert only(compare(*runs, alpha=0.2)).verdict is Verdict.NON_INFERIOR
    assert only(compare(*runs, alpha=0.001)).verdict is Verdict.INCONCLUSIVE


def test_what_is_better_is_shown_too(pair):
    better = only(compare(*pair(SPREAD + 0.05)))
    assert (better.verdict, better.verdict.shown) == (Verdict.BETTER, True)


def test_requiring_that_all_is_shown(pair, raising):
    shown, near = pair(SPREAD - 0.004), pair(SPREAD - 0.0095)
    assert compare(*shown, require="shown").exit_code == 0
    assert compare(*near).exit_code == 0
    required = compare(*near, require="shown")
    assert (required.passed, required.exit_code, len(required.failures)) == (False, 1, 1)
    assert str(required).endswith("FAILED: 1 row not shown, of 1 row; 1 inconclusive")
    with raising(ValueError, "choice-unknown", name="require", given="all"):
        compare(*near, require="all")


def test_every_format_has_it(pair, tmp_path):
    found = compare(*pair(SPREAD - 0.0095), require="shown")
    row = next(line for line in as_table(found).splitlines() if line.startswith("FAIL "))
    assert row.split()[-1] == "inconclusive"
    assert f"(has {found.changes[0].samples})" in row
    assert "| inconclusive |" in as_markdown(found)
    case = next(Tree.fromstring(as_junit(found).encode()).iter("testcase"))
    assert [child.tag for child in case] == ["failure"]
    open_gate = compare(*pair(SPREAD - 0.0095))
    case = next(Tree.fromstring(as_junit(open_gate).encode()).iter("testcase"))
    assert [child.tag for child in case] == ["skipped"]
    assert "samples would find one of the tolerance" in case[0].get("message")


def command(*arguments):
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_the_command_requires(make_run, tmp_path):
    """Twelve samples of another network that scores alike show nothing."""
    runs = make_run("a").root, make_run("b", network={"class": "Net", "weights and layers": "other"}).root
    told = json.loads(command(*runs, "--format=json", "--no-maps", "--require=shown").stdout)
    assert (told["require"], told["exit_code"], told["passed"]) == ("shown", 1, False)
    assert {(row["verdict"], row["failing"], row["shown"]) for row in told["changes"]} == {
        ("inconclusive", True, False)
    }
    rules = tmp_path / "rules.yaml"
    rules.write_text("require: shown\n")
    for options, code in (((), 0), (("--require", "shown"), 1), (("--rules", rules), 1)):
        assert command(*runs, "--no-maps", *options).exit_code == code
    assert command(runs[0], runs[0], "--require", "shown").exit_code == 0


def test_too_few_samples_to_be_tested_are_not_shown_either(make_scored):
    """Five samples that did not move prove nothing beside ten that did not."""
    moved = 1e-5 * np.arange(10)
    few = np.where(np.arange(10) < 5, 0.5, np.nan)
    values = np.stack([np.linspace(0.2, 0.8, 10), few], axis=1)
    runs = [make_scored(values + change[:, None], metrics=("M", "L")) for change in (0 * moved, moved)]
    found = compare(*runs, require="shown")
    assert [change.verdict for change in found.changes] == [Verdict.NON_INFERIOR, Verdict.NOT_TESTED]
    assert found.exit_code == 1
    assert math.isnan(found.changes[1].detectable_fall)
    assert found.changes[1].samples_needed >= 6
    with pytest.raises(NotComparableError):
        compare(*runs, metrics=["L"], alpha=0.01)


def test_baselines_of_earlier_versions_give_the_same(make_run, tmp_path):
    """A baseline keeps all scores, so verdicts, slices and floors are those of the run itself."""
    one, two = make_run("one"), make_run("two", seed=1, fall=0.004)
    write_baseline(scored_run(one.root), tmp_path / "kept.json")
    assert json.loads((tmp_path / "kept.json").read_text())["version"] == 1
    how = {"by": "label", "floors": {"InsertionAUC": 0.3}, "maps": False}
    whole, kept = (compare(baseline, two.root, **how) for baseline in (one.root, tmp_path / "kept.json"))
    assert repr(whole.changes) == repr(kept.changes)
    assert repr(whole.slices) == repr(kept.slices)
    assert repr(whole.floors) == repr(kept.floors)
