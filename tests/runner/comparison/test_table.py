"""A comparison as people read it in a terminal."""

import re
from dataclasses import replace

import pytest

from explainrun.runner.comparison import Flip, Similarity
from explainrun.runner.comparison.formats import wording
from explainrun.runner.comparison.formats.findings import Verdict
from explainrun.runner.comparison.formats.table import as_table


def row_of(text, *words):
    """Cells of the one row that begins with these words, behind its mark."""
    (found,) = [line for line in text.splitlines() if re.match(r"(FAIL)? *" + " +".join(words) + "  ", line)]
    return re.split(" {2,}", found.strip())


def test_a_run_that_passes_has_no_line_about_what_is_not_there(passed):
    text = as_table(passed)
    assert not any(word in text for word in ("FAIL", "maps", "predictions", "fell", "differs", "new", "not compared"))


def test_failing_rows_are_marked_and_told_last(failed):
    text = as_table(failed)
    marked = [line.split()[1:4] for line in text.splitlines() if line.startswith("FAIL ")]
    assert [(words[0], words[2]) for words in marked] == [
        ("InsertionAUC", "GradCAM"), ("Infidelity", "GradCAM"), ("IoSR", "a|b"),
    ]  # fmt: skip
    last = [line.split(": ")[1] for line in text.splitlines()[-4:-1]]
    assert last == ["GradCAM, InsertionAUC", "GradCAM, Infidelity", r"a|b `<i>`\n\x1b[31m *x*, IoSR"]


def test_counts_and_directions_where_there_are_any(failed):
    text = as_table(failed)
    assert row_of(text, "metric")[1:4] == ["better is", "explainer", "baseline"]
    assert row_of(text, "metric")[-4:] == ["lost", "gained", "unscored", "verdict"]
    assert row_of(text, "Infidelity", "lower", "Gradient")[-3:] == ["52", "4", "better"]
    lost = next(line for line in text.splitlines() if line.startswith("FAIL  IoSR"))
    assert re.split(" {2,}", lost)[-4:] == ["40", "12", "3", "SCORES LOST"]


def test_nothing_known_is_a_dash(failed):
    text = as_table(failed)
    assert row_of(text, "IoSR", "higher", "GradCAM")[3:] == [*"------", "0", "too few samples"]
    assert "nan" not in text


def test_grouped_by_metric(change, passed):
    rows = [change(explainer, metric) for explainer in ("A", "B") for metric in ("M", "N")]
    lines = as_table(replace(passed, changes=tuple(rows))).splitlines()
    begin = next(index for index, line in enumerate(lines) if line.startswith("metric"))
    table = [line.split()[:2] if line[0] != "-" else "-" for line in lines[begin + 1 : begin + 7]]
    assert table == ["-", ["M", "A"], ["M", "B"], "-", ["N", "A"], ["N", "B"]]


def test_maps(failed):
    text = as_table(failed)
    assert len(row_of(text, "maps", "of", "both", "runs")) == 5
    assert row_of(text, "Gradient")[1:] == ["0.9877", "0.8000", "52"]
    alike = replace(
        failed,
        similarities=(
            Similarity(explainer="Gradient", spearman=1.0, top_intersection=1.0, compared=52, not_compared=0),
        ),
    )
    assert "not comparable" not in as_table(alike)


def test_flips(failed):
    text = as_table(failed)
    assert "  sample 9: 0 (cat)" in text
    assert "  sample 10: " not in text
    digits = replace(failed, class_names=("0", "1"), flips=(Flip(7, (0,), ()), Flip(8, (2,), (1,))))
    assert "\n  sample 7: 0 -> none\n  sample 8: 2 -> 1\n\n" in as_table(digits)


def test_no_row_at_all(passed):
    assert as_table(replace(passed, changes=())).endswith("\n\npassed: no regression in 0 rows")


@pytest.mark.parametrize(
    ("value", "scale", "told"),
    [(0.0, 1, "0.0000"), (0.5, 1, "+0.5000"), (-0.00001, 0.01, "-0.0000"), (-0.00001, 0.009, "-1e-05"),
     (0.00423456, 0.0042, "+0.00423"), (123456.0, 123456.0, "+1.23e+05"), (float("nan"), 1, "-")],
)  # fmt: skip
def test_numbers(value, scale, told):
    assert wording.number(value, scale, sign="+") == told


def test_small_scores_keep_their_digits(change, passed):
    row = change("E", "M", baseline=0.00123, candidate=0.00456, low=-0.0001, high=0.0042, p_value=0.00012)
    assert row_of(as_table(replace(passed, changes=(row,))), "M", "E")[2:8] == [
        "0.00123", "0.00456", "+0.00333", "-0.0001 to +0.0042", "0.02", "0.0001",
    ]  # fmt: skip


def test_a_fall_that_may_be_noise_is_not_hidden(change, passed):
    undecided = {"verdict": Verdict.INCONCLUSIVE, "fall_at_most": 0.3, "samples": 24}
    rows = (change("E", "M", candidate=0.7, **undecided), change("E", "N", candidate=0.89, **undecided),
            change("E", "L", candidate=1.2))  # fmt: skip
    text = as_table(replace(passed, changes=rows))
    assert [row_of(text, metric, "E")[-1] for metric in "MNL"] == [
        "worse, within noise", "inconclusive", "non-inferior",
    ]  # fmt: skip
    assert text.endswith(
        "passed: no regression in 3 rows; 1 worse than tolerated, but within noise; 1 shown not worse than tolerated; "
        "2 inconclusive"
    )
