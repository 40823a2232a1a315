"""What scores come to: intervals over samples, rankings with ties, controls that are not beaten."""

import json
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.runner.results.ranking import tied
from explainrun.runner.results.score_tables import differences_table
from explainrun.runner.results.scores import Scores

NAN = float("nan")


def scored(columns, *, samples=None, labels=None, **options):
    """Scores of explainers in one metric "M", on two classes."""
    count = len(next(iter(columns.values())))
    return Scores(
        class_names=("cat", "dog"),
        explainers=tuple(columns),
        metrics=("M",),
        sample_ids=list(range(count)) if samples is None else samples,
        labels=[0] * count if labels is None else labels,
        values={(name, "M"): values for name, values in columns.items()},
        **options,
    )


def test_intervals_draw_samples_and_not_questions():
    scores = scored({"A": [0.0, 0.0, 1.0]}, samples=[4, 4, 9])
    found = scores.aggregate("A", "M")
    # Two samples are drawn: 4 and 4 (mean 0), 4 and 9 (1/3), 9 and 4, or 9 and 9 (1), each with chance 1/4.
    assert (found.mean, found.count, found.unscored) == (pytest.approx(1 / 3), 3, 0)
    assert (found.low, found.high) == (0.0, 1.0)
    narrow = scored({"A": [0.0, 0.0, 1.0] * 40}, samples=[i for n in range(40) for i in (2 * n, 2 * n, 2 * n + 1)])
    found = narrow.aggregate("A", "M")
    # Standard error (2/3) / sqrt(80) / 1.5 = 0.0497, so 0.195 wide; were the 120 questions independent, 0.169.
    assert found.high - found.low == pytest.approx(0.195, abs=0.012)


def test_intervals_by_label_and_of_what_is_too_little():
    scores = scored({"A": [0.5, 0.25, 1.0, NAN], "B": [NAN, 1.0, NAN, NAN]}, samples=[0, 1, 1, 2], labels=[0, 1, 0, 1])
    cat, dog = scores.aggregate("A", "M", "cat"), scores.aggregate("A", "M", "dog")
    assert (cat.mean, cat.count, cat.unscored, cat.low, cat.high) == (0.75, 2, 0, 0.5, 1.0)
    assert (dog.mean, dog.count, dog.unscored) == (0.25, 1, 1)
    assert np.isnan([dog.low, dog.high]).all()  # one sample says nothing of noise
    assert (scores.aggregate("B", "M").mean, scores.aggregate("B", "M").unscored) == (1.0, 3)
    assert "0.7500 [0.500, 1.000]" in scores.label_table("M")
    assert "0.2500 (1 unscored)" in scores.label_table("M")
    assert "not scored in M, of 4 questions: 1 of A, 3 of B" in scores.table()


def test_an_explainer_without_scores():
    scores = Scores(
        class_names=("cat",),
        explainers=("A", "B"),
        metrics=("M",),
        sample_ids=[0, 1],
        labels=[0, 0],
        values={("A", "M"): [0.25, 0.75]},
    )
    assert (scores.aggregate("A", "M").mean, scores.aggregate("B", "M").unscored) == (0.5, 2)
    assert scores.ranking("M").places == ((1, "A"),)


ABOVE = [0.9, 0.8, 0.7, 0.9, 0.8, 0.9, 0.7, 0.8]
LEVEL = [0.5, 0.6, 0.4, 0.5, 0.6, 0.5, 0.4, 0.6]
AGAIN = [0.6, 0.5, 0.5, 0.4, 0.5, 0.6, 0.5, 0.5]


def test_a_ranking_by_hand():
    ranking = scored({"level": LEVEL, "above": ABOVE, "again": AGAIN}).ranking("M")
    assert ranking.places == ((1, "above"), (2, "level"), (2, "again"))
    chances = {(pair.first, pair.second): pair.p_value for pair in ranking.differences}
    # All 8 signs agree in one of 256 assignments, on either side: p = 2/256, times 3 and 2 by Holm.
    assert chances["level", "above"] == pytest.approx(3 * 2 / 256)
    assert chances["above", "again"] == pytest.approx(3 * 2 / 256)
    assert chances["level", "again"] == 1.0
    means = {(pair.first, pair.second): pair.mean for pair in ranking.differences}
    assert means["level", "above"] == pytest.approx(-0.3)


def test_what_noise_may_part_shares_a_place():
    few = scored({"level": LEVEL[:5], "above": ABOVE[:5]})
    assert few.ranking("M").places == ((1, "above"), (1, "level"))  # of 5 samples p is 2/32 at least
    assert few.ranking("M").ties == (("above", "level"),)
    assert (few.ranking("M").samples, few.ranking("M").samples_needed, few.ranking("M").too_few) == (5, 6, True)
    assert [line.split() for line in few.ranking_table().splitlines()[2:4]] == [
        ["level", "1", "a"],
        ["above", "1", "a"],
    ]
    six = scored({"level": LEVEL[:6], "above": ABOVE[:6]})
    assert six.ranking("M").places == ((1, "above"), (2, "level"))
    assert not six.ranking("M").too_few
    assert "too few samples to show any difference in M: 2 explainers take at least 6" in few.ranking_table()
    assert "too few" not in six.ranking_table()
    assert [line.split() for line in six.ranking_table().splitlines()[2:4]] == [
        ["level", "2", "b"],
        ["above", "1", "a"],
    ]


def test_a_sample_with_the_scores_of_one_explainer_compares_nothing():
    few = scored({"level": LEVEL[:6], "above": [*ABOVE[:5], np.nan]})
    assert (few.ranking("M").samples, few.ranking("M").too_few) == (5, True)


def test_ties_may_overlap():
    """The middle one differs from neither, the outer ones do from each other."""
    assert tied("ABC", {"A": set(), "B": set(), "C": {"A"}}) == (("A", "B"), ("B", "C"))
    assert tied("AB", {"A": set(), "B": {"A"}}) == (("A",), ("B",))
    assert tied("", {}) == ()


@pytest.mark.parametrize("seed", range(20))
def test_ties_are_the_largest_groups_without_a_difference(seed):
    """Against the slow twin: all subsets, looked through."""
    rng, names = np.random.default_rng(seed), "ABCDEFG"
    worse_than = {name: {other for other in names[:i] if rng.random() < 0.5} for i, name in enumerate(names)}
    alike = [
        set(group)
        for size in range(1, len(names) + 1)
        for group in combinations(names, size)
        if not any(worse_than[name] & set(group) for name in group)
    ]
    largest = [group for group in alike if not any(group < other for other in alike)]
    found = tied(names, worse_than)
    assert sorted(map(sorted, found)) == sorted(map(sorted, largest))
    assert list(found) == sorted(found)


def test_a_metric_in_which_lower_is_better():
    scores = scored({"level": LEVEL, "above": ABOVE}, higher_is_better={"M": False}, controls=("above",))
    assert scores.ranking("M").places == ((1, "level"), (2, "above"))
    assert scores.ranking("M").unbeaten == {"level": ()}
    assert "lower is better in M" in scores.table()
    assert "!" not in scores.table()
    few = scored({"above": ABOVE[:5], "level": LEVEL[:5]}, higher_is_better={"M": False})
    assert few.ranking("M").places == ((1, "level"), (1, "above"))  # of equals the better mean stands first


def test_many_explainers_can_be_parted():
    """Of 276 pairs 9,999 assignments of signs would give no p value below 276 * 2 / 10,000."""
    level = np.linspace(0.25, 0.5, 30)
    columns = {f"E{place}": level + 0.001 * np.cos(place + np.arange(30)) for place in range(23)}
    ranking = scored({**columns, "above": level + 0.5}).ranking("M")
    assert ranking.places[0] == (1, "above")
    assert {place for place, _ in ranking.places[1:]} == {2}


def test_samples_count_once_however_many_questions_they_have():
    samples = [0, 0, 0, 0, 1, 1, 1, 1]
    ranking = scored({"level": LEVEL, "above": ABOVE}, samples=samples).ranking("M")
    assert ranking.differences[0].p_value == 2 / 4
    assert ranking.places == ((1, "above"), (1, "level"))


def test_what_does_not_beat_its_controls_is_marked():
    columns = {"above": ABOVE, "level": LEVEL, "RandomMap": AGAIN, "ConstantMap": [NAN] * 8}
    scores = scored(columns, controls=("RandomMap", "ConstantMap"))
    assert scores.ranking("M").unbeaten == {"above": (), "level": ("RandomMap",)}
    assert [name for _, name in scores.ranking("M").places] == ["above", "level", "RandomMap"]
    lines = {line.split("  ")[0]: line for line in scores.table().splitlines()}
    assert lines["level"].endswith(" !")
    assert not lines["above"].endswith("!")
    assert not lines["RandomMap (control)"].endswith("!")
    assert lines["ConstantMap (control)"].split()[-1] == "-"
    assert "! does not beat every control beyond noise" in scores.table()
    without = scored(columns)
    assert "!" not in without.table()
    assert "(control)" not in without.table()


def test_the_tables_of_a_run(snapshot):
    """With a control, lower and higher scores, labels, what has no score, and a metric that no control counts in."""
    columns = {"above": ABOVE, "level": LEVEL, "RandomMap": AGAIN, "half": [NAN, 0.125] * 4}
    values = {(name, metric): scores for metric in ("M", "Leak") for name, scores in columns.items()}
    scores = Scores(
        class_names=("cat", "dog"),
        explainers=tuple(columns),
        metrics=("M", "Leak"),
        sample_ids=[*range(8)],
        labels=[0, 1] * 4,
        values=values,
        controls=("RandomMap",),
        higher_is_better={"M": True, "Leak": False},
        control_insensitive=("Leak",),
    )
    assert scores.table() == snapshot(name="scores")
    assert scores.ranking_table() == snapshot(name="ranking")
    assert scores.label_table("M") == snapshot(name="labels")
    assert differences_table(scores, "M") == snapshot(name="differences")


def test_nothing_is_marked_where_controls_do_best_by_their_making():
    columns = {"level": LEVEL, "RandomMap": ABOVE}
    assert scored(columns, controls=("RandomMap",)).ranking("M").unbeaten == {"level": ("RandomMap",)}
    scores = scored(columns, controls=("RandomMap",), control_insensitive=("M",))
    assert not any(scores.ranking("M").unbeaten.values())
    assert " !" not in scores.table()
    assert "nothing is marked in M: a map that ignores the image does best there" in scores.table()


def test_pairs_of_what_only_one_scored_do_not_count():
    half = [value if i % 2 else NAN for i, value in enumerate(LEVEL)]
    difference = scored({"above": ABOVE, "half": half}).ranking("M").differences[0]
    assert difference.questions == 4
    assert difference.mean == pytest.approx(np.mean([0.8 - 0.6, 0.9 - 0.5, 0.9 - 0.5, 0.8 - 0.6]))
    assert difference.p_value == 2 / 16


def test_wide_tables_are_cut_into_blocks():
    metrics = tuple("MNOPQ")
    values = {("A", metric): [0.25, 0.75] for metric in metrics}
    scores = Scores(
        class_names=("cat",),
        explainers=("A",),
        metrics=metrics,
        sample_ids=[0, 1],
        labels=[0, 0],
        values=values,
    )
    heads = [line.split() for line in scores.table().splitlines() if line.startswith("explainer")]
    assert heads == [["explainer", *"MNOP"], ["explainer", "Q"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a run with a control, on the bundled example."""
    folder = tmp_path_factory.mktemp("scores")
    fewer = ["--set", "metrics.0.InsertionAUC.steps=2", "--set", "metrics.1.DeletionAUC.steps=2"]
    command = ["run", "configs/quickstart.yaml", "--limit", "4", "--summary-dir", str(folder), *fewer]
    told = CliRunner().invoke(main, command)
    assert told.exit_code == 0, told.output
    return folder


@pytest.mark.slow
def test_the_command_tells_what_the_run_told_and_loads_no_mindspore(folder):
    script = (
        "import sys; from explainrun.runner.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('mindspore' in sys.modules)"
    )
    arguments = ["scores", str(folder), "--label-table", "IoSR", "--differences"]
    told = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[-1] == "False"
    for words in ("RandomMap (control)", "IoSR by label", "IoSR: difference", "share a letter", "over 4 samples"):
        assert words in told.stdout


@pytest.mark.slow
def test_the_command_as_json(folder):
    told = CliRunner().invoke(main, ["scores", str(folder), "--json"])
    found = json.loads(told.stdout)
    assert found["finished"]
    assert found["samples"] == 4
    assert found["controls"] == ["RandomMap"]
    assert found["higher_is_better"]["IoSR"] is True
    gradient = found["scores"]["Gradient"]["IoSR"]
    assert gradient["low"] <= gradient["mean"] <= gradient["high"]
    assert gradient["count"] + gradient["unscored"] == found["questions"]
    assert sum(one["count"] for one in gradient["labels"].values()) == gradient["count"]
    assert {name for _, name in found["rankings"]["IoSR"]["places"]} == set(found["scores"])


@pytest.mark.slow
def test_the_command_on_what_it_cannot_read(folder, tmp_path):
    told = CliRunner().invoke(main, ["scores", str(tmp_path)])
    assert told.exit_code == 2
    assert "no run in" in told.stderr
    told = CliRunner().invoke(main, ["scores", str(folder), "--label-table", "IoS"])
    assert told.exit_code == 2
    assert "the run has no metric 'IoS'; did you mean 'IoSR'?" in told.stderr
