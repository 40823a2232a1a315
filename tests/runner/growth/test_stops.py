"""Runs that grow are stopped, resumed, grown again before they are finished, or begin with an unfinished one."""

import pytest

from explainrun.benchmarks import ModelParameterRandomization
from explainrun.runner.batches import part_sizes
from explainrun.runner.comparison.load import scored_run
from explainrun.summary_format import Results, Segments, find_runs, inspect_run, read_summary
from explainrun.summary_format.storage.run_folder import remove_runs

MORE = {"explainers": ("GradCAM", "Gradient"), "metrics": ("PointingGame", "InsertionAUC"), "count": 8}


@pytest.fixture
def ends_as_made_at_once(grow, tmp_path, how_runs_differ):
    def check(**plan):
        grow("whole", **plan)()
        assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []

    return check


def test_the_earlier_run_stays_whole_until_the_end(grow, killed_at, tmp_path, ends_as_made_at_once):
    grow()()
    [first] = find_runs(tmp_path / "run")
    before = {path: path.read_bytes() for path in first.data.rglob("*") if path.is_file()}
    killed_at(grow(**MORE), None)
    assert {path: path.read_bytes() for path in first.data.rglob("*") if path.is_file()} == before
    for place in (first.root, first.data):
        results = Results(place)
        assert (results.finished, len(results.samples)) == (True, 5)
    assert len(read_summary(first.root).samples) == 5
    assert list(scored_run(first.root).explainers) == ["Gradient"]
    grow(**MORE)()
    assert not first.data.exists()
    ends_as_made_at_once(**MORE)


@pytest.mark.slow
@pytest.mark.parametrize("commits", range(1, 12))
def test_goes_on_after_every_commit(commits, grow, killed_at, ends_as_made_at_once):
    grow()()
    killed_at(grow(**MORE), commits)
    grow(**MORE)()
    ends_as_made_at_once(**MORE)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["kept", "removed"])
def test_killed_while_what_it_replaces_goes(step, grow, monkeypatch, tmp_path, ends_as_made_at_once, how_runs_differ):
    """What it hides is kept all the same, whichever plan comes next."""
    grow(**MORE)()

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        where = "explainrun.runner.execution.growing"
        patch.setattr(f"{where}.drop_shown" if step == "kept" else f"{where}.remove_runs", killed)
        if step == "removed":
            patch.setattr(
                f"{where}.remove_runs", lambda root, **how: remove_runs(root, **how) if "finished" in how else killed()
            )
        with pytest.raises(KeyboardInterrupt):
            grow()()
    assert len(find_runs(tmp_path / "run")) == 2
    grow(**MORE)()
    ends_as_made_at_once(**MORE)


@pytest.mark.slow
def test_another_plan_comes_while_it_grows(grow, killed_at, more, tmp_path, ends_as_made_at_once):
    """What is finished of the batches serves too; the rest is taken from the first run."""
    first = grow()()
    killed_at(grow(**MORE), 4)  # the first batch with both explainers
    plan = {**MORE, "metrics": ("InsertionAUC", "IoSR", "PointingGame")}
    result = grow(**plan)()
    grow("direct")()
    direct = grow("direct", **plan)()
    assert more(direct, first) == more(result, first) | {
        "perturb": more(result, first)["perturb"] - 1,  # the covered image of all samples, once a start
        "network probe": 4,
    }
    assert [run.finished for run in find_runs(tmp_path / "run")] == [True]
    ends_as_made_at_once(**plan)


@pytest.mark.slow
def test_no_resume_grows_again_from_the_finished_run(grow, killed_at, counting, more, tmp_path, ends_as_made_at_once):
    first = grow()()
    killed_at(grow(**MORE), 4)
    runs, result = counting(lambda: grow(**MORE)(resume=False))
    assert runs == sum(more(result, first).values())  # nothing of the start that was killed
    assert [run.finished for run in find_runs(tmp_path / "run")] == [True]
    ends_as_made_at_once(**MORE)


@pytest.mark.slow
@pytest.mark.parametrize(("commits", "inferred"), [(1, 5), (4, 5), (None, 6)])
def test_grows_out_of_a_run_that_is_not_finished(commits, inferred, grow, killed_at, ends_as_made_at_once):
    killed_at(grow(**{**MORE, "rows": 10, "count": 9}), commits)
    plan = {**MORE, "rows": 10, "count": 10, "explainers": ("Gradient", "RISE", "GradCAM")}
    result = grow(**plan)()
    assert result.costs["made"]["infer"] == inferred
    ends_as_made_at_once(**plan)


@pytest.mark.slow
def test_a_run_of_which_no_batch_is_complete_starts_over(grow, killed_at, tmp_path, ends_as_made_at_once):
    killed_at(grow(), 1)
    grow(**MORE)()
    ends_as_made_at_once(**MORE)


@pytest.mark.slow
@pytest.mark.parametrize("jit", ["auto", "on"])
def test_compiled_as_the_run_began(jit, grow, more, ends_as_made_at_once):
    first = grow(jit=jit)()
    nothing = grow(jit=jit, metrics=("PointingGame", "IoSR"))()
    assert more(nothing, first).keys() == {"network probe"}  # not even to compile
    plan = {**MORE, "metrics": ("PointingGame", "InsertionAUC", "IoSR"), "jit": jit, "masks": 3}
    result = grow(**plan)()
    assert more(result, nothing)["compile"] == 2
    ends_as_made_at_once(**plan)


@pytest.mark.slow
def test_pictures_become_links(grow, killed_at, tmp_path):
    grow()()
    killed_at(grow(**MORE), None)
    first, second = find_runs(tmp_path / "run")
    paths = [path.relative_to(first.data) for path in first.data.rglob("*.*g")]
    assert len(paths) > 5
    assert all((first.data / path).stat().st_ino == (second.data / path).stat().st_ino for path in paths)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["gone", "another", "a link"])
def test_a_picture_that_is_not_as_it_was_is_drawn_again(wrong, grow, tmp_path, ends_as_made_at_once):
    grow()()
    [run] = find_runs(tmp_path / "run")
    for path in (run.root / run.image_path(1), next(run.data.glob("heatmap/Gradient/0/*.png"))):
        data = path.read_bytes()
        path.unlink()
        if wrong == "another":
            path.write_bytes(data[::-1])
        if wrong == "a link":
            (tmp_path / path.name).write_bytes(data)
            path.symlink_to(tmp_path / path.name)
    grow(**MORE)()
    ends_as_made_at_once(**MORE)
    assert not any(path.is_symlink() for path in tmp_path.rglob("run/**/*"))


@pytest.mark.slow
def test_maps_of_added_questions_are_committed_in_parts(
    grow, killed_at, more, monkeypatch, tmp_path, ends_as_made_at_once
):
    """A metric that asks for other labels, of an explainer that takes many passes: those labels alone, part by part."""
    monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", 4)
    plan = {"explainers": ("RISE", "Occlusion")}
    first = grow(**plan)()
    plan["metrics"] = ("PointingGame", "ClassSensitivity")
    killed_at(grow(**plan), 3)
    parts = Segments(find_runs(tmp_path / "run")[-1], plan["explainers"]).parts.all()
    assert {part.what for part in parts} >= {"maps"}
    result = grow(**plan)()
    whole = grow("once", **plan)()
    assert 0 < more(result, first)["mask"] <= whole.costs["made"]["mask"]
    ends_as_made_at_once(**plan)


def test_scores_of_known_maps_that_are_made_again_are_committed_in_parts(
    grow, killed_at, monkeypatch, tmp_path, ends_as_made_at_once
):
    """How often a metric has maps made again may depend on the network, as the number of its layers with weights."""
    monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", 4)
    grow(explainers=("RISE",))()
    own = {"randomized": lambda _: ModelParameterRandomization()}
    plan = {"explainers": ("RISE",), "metrics": ("PointingGame", "randomized"), "own": own}
    killed_at(grow(**plan), 3)
    parts = Segments(find_runs(tmp_path / "run")[-1], plan["explainers"]).parts.all()
    assert {part.what for part in parts} == {"scores"}
    grow(**plan)()
    ends_as_made_at_once(**plan)


@pytest.mark.parametrize("said", [3, {"began": "then"}])
def test_an_unfinished_run_is_inspected_whatever_it_says_of_what_it_grew_from(said, grow, killed_at, tmp_path):
    grow()()
    killed_at(grow(**MORE), 4)
    run = find_runs(tmp_path / "run")[-1]
    whole = inspect_run(tmp_path / "run")
    run.write_state({**run.state(), "grows": said})
    found = inspect_run(tmp_path / "run")
    assert whole.grown_from is not None
    assert (found.state, found.grown_from, found.faults) == ("unfinished", None, ())
    assert (found.samples, found.questions) == (whole.samples, whole.questions)
    assert 0 < found.costs["made"]["network probe"] < whole.costs["made"]["network probe"]  # those before are unknown
