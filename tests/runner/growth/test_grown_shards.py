"""Shards grow as any run does, and are merged again into the folder that holds what they gave before."""

import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.summary_format import MergeError, Results, find_runs, merge

MORE = {"explainers": ("GradCAM", "Gradient"), "metrics": ("PointingGame", "InsertionAUC"), "count": 8, "masks": 3}


@pytest.fixture
def shards(grow, tmp_path):
    """Runs three shards of a plan, and gives their folders."""

    def run(**plan):
        return [grow("parts/{shard}", **plan)(shard=(number, 3)).summary_dir for number in (1, 2, 3)]

    return run


@pytest.mark.slow
def test_grown_shards_merge_over_what_they_gave_before(grow, shards, checks, tmp_path, how_runs_differ):
    merged = tmp_path / "merged"
    first = merge(merged, shards())
    [before] = find_runs(merged)
    said = CliRunner().invoke(main, ["merge", str(merged), *map(str, shards(**MORE))])
    assert (said.exit_code, said.stdout.splitlines()[-1]) == (0, "merged")
    grow("whole", **MORE)()
    assert how_runs_differ(tmp_path / "whole", merged) == []
    assert Results(merged).costs["made"]["infer"] == first.costs["made"]["infer"] + 3  # a pass of one sample each
    [after] = find_runs(merged)
    assert after.timestamp > before.timestamp
    folders = shards(**MORE)
    checks.clear()
    again = CliRunner().invoke(main, ["merge", str(merged), *map(str, folders)])
    assert list(checks.values()) == [1] * 4  # of the shards, and of what was merged
    assert again.stdout.splitlines()[-1] == "merged before, nothing was done"
    assert find_runs(merged) == [after]


@pytest.mark.slow
def test_a_merge_that_holds_what_the_shards_hide_is_not_replaced(shards, tmp_path, raising):
    merged = tmp_path / "merged"
    merge(merged, shards(**MORE))
    folders = shards(explainers=("Gradient", "RISE"))
    with raising(MergeError, "out-holds-other-run"):
        merge(merged, folders)
    merge(merged, folders, overwrite=True)
    assert Results(merged).explainers == ("Gradient", "RISE")


@pytest.mark.slow
def test_a_grown_shard_beside_one_that_has_not_grown_is_refused(grow, shards, tmp_path, raising):
    folders = shards()
    grow("parts/{shard}", **MORE)(shard=(2, 3))
    with raising(MergeError, "shards-of-two-plans", folder=str(folders[1])):
        merge(tmp_path / "merged", folders)


@pytest.mark.slow
def test_a_shard_gets_its_first_sample(grow, shards, tmp_path, how_runs_differ):
    """Of two samples the third shard has none, so that nothing of it can be taken."""
    merge(tmp_path / "merged", shards(count=2))
    merge(tmp_path / "merged", shards(**MORE))
    grow("whole", **MORE)()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []


@pytest.mark.slow
def test_a_merged_run_grows(grow, shards, more, tmp_path, how_runs_differ):
    merge(tmp_path / "run", shards())
    before = grow()()
    result = grow(**MORE)()
    assert before.finished_before
    assert more(result, before)["infer"] == 2
    grow("whole", **MORE)()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
