"""Stop a run anywhere, start it again: the end is that of a run never interrupted."""

import os
import shutil
import signal

import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore import nn

from explainrun.explainers import GradCAM, Gradient
from explainrun.runner import ImageClassificationRunner, NotComputedError, PlanError, RunStopped
from explainrun.runner.batches.batch_loop import BatchLoop
from explainrun.runner.batches.explaining import BatchExplainer
from explainrun.runner.execution import engine
from explainrun.summary_format import FolderInUseError, FolderLock, Results, Segments, find_runs
from explainrun.summary_format.event_file.frames import read_frames

FEW, OTHERS = ((0, 1), (0, 3), (1, 2)), ((0, 2), (1, 1), (1, 3))


@pytest.mark.parametrize(("batch", "commits"), [*FEW, *(pytest.param(*at, marks=pytest.mark.long) for at in OTHERS)])
def test_goes_on_after_every_commit(make_runner, kill, tmp_path, how_runs_differ, batch, commits):
    whole = make_runner("whole").run()
    kill(make_runner().run, batch, commits)
    [half] = find_runs(tmp_path / "run")
    assert not half.finished
    so_far = Results(tmp_path / "run")
    assert not so_far.finished
    assert len(so_far.samples) == ([0, 4] if commits < 3 else [4, 6])[batch]
    result = make_runner().run()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    assert str(result).splitlines()[:4] == str(whole).splitlines()[:4]
    assert result.costs["made"]["infer"] == whole.costs["made"]["infer"] == 6
    assert result.costs["needed"] == whole.costs["made"]  # what was lost is made again, but not needed again


def test_committed_passes_are_not_made_again(make_runner, kill, two_channels):
    whole = make_runner("whole").run().costs["made"]
    kill(make_runner().run, 1, 3)
    runs, result = counted(two_channels, make_runner().run)
    assert runs == 6  # to see that it is the same network
    assert result.costs["made"] == whole


@pytest.mark.parametrize(("commits", "read"), [(None, []), (1, []), (2, [1]), (3, [])])
def test_records_are_read_from_the_disk_only_for_a_batch_begun_earlier(make_runner, kill, monkeypatch, commits, read):
    """Of the second batch samples alone, one explainer too, or all that there are was committed before."""
    found, results, begin = [], Segments.results, BatchLoop.run
    if commits is not None:
        kill(make_runner().run, 1, commits)
    with monkeypatch.context() as patch:
        patch.setattr(Segments, "results", lambda self, batch: found.append(batch) or results(self, batch))
        patch.setattr(BatchLoop, "run", lambda *given: (found.clear(), begin(*given)))
        patch.setattr(engine, "finish", lambda *_, **__: pytest.fail("all batches are done"))
        with pytest.raises(pytest.fail.Exception, match="all batches are done"):
            make_runner().run()
    assert found == read


def counted(network, action):
    """How often a network of that class runs during an action, and what that gives; its code stays as it is."""
    runs, called = [], nn.Cell.__call__

    def counting(cell, *arguments, **options):
        runs.append(1) if type(cell) is network else None
        return called(cell, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Cell, "__call__", counting)
        result = action()
    return len(runs), result


@pytest.mark.slow
def test_an_event_file_cut_at_every_byte_is_made_whole(linear, dataset, kill, tmp_path, how_runs_differ, every):
    network = linear(np.ones((2, 1, 1, 3)), bias=-9.0)

    def run(folder):
        rows = [(np.full((1, 1, 3), i, np.float32), np.int32([i % 2])) for i in range(4)]
        runner = ImageClassificationRunner(folder, (dataset(rows), ["a", "b"]), network, nn.Sigmoid(), jit="off")
        runner.register_saliency([Gradient(network, name="G")])
        return runner.run()

    run(tmp_path / "whole")
    kill(lambda: run(tmp_path / "kept"))
    [kept] = find_runs(tmp_path / "kept")
    data, starts = kept.event_file.read_bytes(), [frame.offset for frame in read_frames(kept.event_file)]
    assert len(starts) == 1 + 4
    for cut in range(starts[-3], len(data) + 1, every(29)):
        folder = tmp_path / "run"
        shutil.copytree(tmp_path / "kept", folder)
        os.truncate(folder / kept.event_file.name, cut)
        run(folder)
        assert how_runs_differ(tmp_path / "whole", folder) == [], cut
        shutil.rmtree(folder)


def test_a_finished_run_is_told_of_and_left_alone(make_runner, tmp_path, caplog):
    first = make_runner().run()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    caplog.set_level("INFO", "explainrun")
    again = make_runner().run()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before
    assert again.finished_before
    assert "finished before, nothing was done; overwrite to run again" in str(again)
    assert "finished before: nothing to do" in caplog.text
    assert str(again.scores.table()) == str(first.scores.table())
    assert make_runner().run(resume=False).finished_before


def test_a_folder_with_another_plans_run_is_refused_with_what_differs(make_runner, kill, tmp_path, raising):
    kill(make_runner().run, 1, 1)
    before = sorted(tmp_path.rglob("*"))
    network = make_runner()._network

    def refused(runner):
        told = []
        for resume in (True, False):
            with raising(PlanError, "folder-holds-other-plan", folder=str(tmp_path / "run")) as caught:
                runner.run(resume=resume)
            told.append(caught.value.problems[0].values)
        assert told[0] == told[1]
        return told[0]["differences"]

    assert refused(make_runner(seed=3)) == "seed was 0, is 3"
    other_layer = [Gradient(network), GradCAM(network, "norm")]
    assert refused(make_runner(explainers=other_layer)) == "explainers.GradCAM.layer was 'relu', is 'norm'"
    network.conv.bias.set_data(network.conv.bias + 1)
    assert refused(make_runner()).startswith("network.parameters was ")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("options", [{"resume": False}, {"overwrite": True}])
def test_begins_anew_when_told_to(make_runner, whole, kill, two_channels, tmp_path, how_runs_differ, options):
    kill(make_runner().run, 1, 2)
    kept = [tmp_path / "run" / name for name in ("notes.txt", "_explain_mine", "events.out.1.CPU.a_explain")]
    for path in kept:
        path.write_text("mine")
    runs, result = counted(two_channels, lambda: make_runner().run(**options))
    assert runs == sum(result.costs["made"].values())  # nothing was taken over
    for path in kept:
        assert path.read_text() == "mine"
        path.unlink()
    assert how_runs_differ(whole, tmp_path / "run") == []


def test_an_overwriting_run_that_was_stopped_still_replaces_the_first(make_runner, kill, tmp_path):
    make_runner().run()
    [first] = find_runs(tmp_path / "run")
    kill(lambda: make_runner().run(overwrite=True), 1, 1)
    assert [run.finished for run in find_runs(tmp_path / "run")] == [True, False]
    assert first.archive.is_file()
    make_runner().run()
    [run] = find_runs(tmp_path / "run")
    assert run.finished
    assert run.timestamp != first.timestamp
    assert not first.data.exists()


def test_other_samples_than_those_of_the_first_start_are_refused(make_runner, kill, scenes, raising):
    kill(make_runner().run, 1, 1)
    rows = list(scenes(6))
    rows[2] = rows[1]
    with raising(PlanError, "dataset-changed", sample=2):
        make_runner(rows=rows).run()
    rows = list(scenes(6))
    rows[5] = (*rows[5][:2], rows[5][2] - 1)  # another box
    with raising(PlanError, "dataset-changed", sample=5):
        make_runner(rows=rows).run()


def test_a_dataset_that_ends_earlier_is_refused(linear, kill, scenes, tmp_path, raising):
    network, count = linear(np.ones((2, 1, 2, 4))), [10]

    def runner():
        data = ds.GeneratorDataset(lambda: scenes(count[0]), ["a", "b", "c"], shuffle=False, num_parallel_workers=1)
        made = ImageClassificationRunner(tmp_path, (data, ["x", "y"]), network, nn.Sigmoid(), pass_size=1, jit="off")
        made.register_saliency([Gradient(network)])
        return made

    kill(runner().run, 2, 1)
    for count[0], code in ((9, "dataset-changed"), (8, "dataset-ends-earlier"), (4, "dataset-ends-earlier")):
        with raising(PlanError, code, **({"sample": 8} if count[0] == 9 else {})):
            runner().run()


@pytest.mark.parametrize("which", [0, 2, 4, *(pytest.param(at, marks=pytest.mark.long) for at in (1, 3, 5))])
def test_a_damaged_segment_is_made_anew(make_runner, whole, kill, tmp_path, how_runs_differ, which, caplog):
    kill(make_runner().run)
    [run] = find_runs(tmp_path / "run")
    segments = sorted(run.segments.iterdir())
    assert len(segments) == 6
    data = bytearray(segments[which].read_bytes())
    data[len(data) * 2 // 3] ^= 4
    segments[which].unlink()
    segments[which].write_bytes(data)
    make_runner().run()
    told, *_ = [message for message in caplog.messages if "computed again" in message]
    assert segments[which].name in told
    assert "the CRC of its payload does not match" in told
    assert how_runs_differ(whole, tmp_path / "run") == []


def test_maps_damaged_after_what_is_said_of_them_are_made_anew(make_runner, whole, kill, tmp_path, how_runs_differ):
    """The second record of an explainer's segment, which is read only when all is joined."""
    kill(make_runner().run, 1, 1)
    [run] = find_runs(tmp_path / "run")
    path = next(run.segments.glob("000000.GradCAM.maps"))
    data = bytearray(path.read_bytes())
    data[-9] ^= 4
    path.unlink()
    path.write_bytes(data)
    make_runner().run()
    assert how_runs_differ(whole, tmp_path / "run") == []


@pytest.mark.parametrize("pattern", ["origin_images/0/1.jpg", "heatmap/Gradient/0/0_0.png", "heatmap/GradCAM/0/*.png"])
def test_lost_pictures_are_drawn_again(make_runner, whole, kill, tmp_path, how_runs_differ, pattern, caplog):
    kill(make_runner().run, 1, 2)
    [run] = find_runs(tmp_path / "run")
    lost = list(run.data.glob(pattern))
    assert lost
    for path in lost:
        path.unlink()
    make_runner().run()
    which = "1 picture that is" if len(lost) == 1 else f"{len(lost)} pictures that are"
    assert f"belongs to {which} missing" in caplog.text
    assert how_runs_differ(whole, tmp_path / "run") == []


@pytest.fixture
def heard_signals():
    """Signals as a program in the foreground has them; those in the background ignore SIGINT."""
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, found)


@pytest.mark.usefixtures("heard_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_the_commit_at_hand(
    make_runner, whole, monkeypatch, tmp_path, how_runs_differ, number, caplog
):
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    explain = BatchExplainer._scores

    def interrupted(self, explanation, *rest):
        if explanation.explainer.name == "Gradient":
            os.kill(os.getpid(), number)
            assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == [signal.SIG_DFL] * 2
        return explain(self, explanation, *rest)

    caplog.set_level("INFO", "explainrun")
    with monkeypatch.context() as patch:
        patch.setattr(BatchExplainer, "_scores", interrupted)
        with pytest.raises(RunStopped, match="stopped by a signal; run again to resume") as caught:
            make_runner().run()
    assert caught.value.code == 3
    assert "stopping once the work at hand is committed; another signal stops at once" in caplog.text
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == handlers
    [run] = find_runs(tmp_path / "run")
    assert sorted(path.name for path in run.segments.iterdir()) == ["000000.Gradient.maps", "000000.samples"]
    make_runner().run()
    assert how_runs_differ(whole, tmp_path / "run") == []


def test_a_folder_that_another_run_writes_to_is_refused(make_runner, tmp_path, raising):
    with FolderLock(tmp_path / "run"), raising(FolderInUseError, "folder-in-use", folder=str(tmp_path / "run")):
        make_runner().run()
    make_runner().run()
    assert not (tmp_path / "run" / ".explainrun.lock").exists()


def test_what_is_not_finite_is_an_error_of_a_strict_run(linear, dataset, tmp_path, raising):
    network = linear(np.ones((2, 1, 1, 2)))

    class Broken(Gradient):
        def attribute(self, view):
            maps = super().attribute(view)
            maps[(view.rows == 2) & (view.labels == 1), 0, 0] = np.inf
            return maps

    def run(images, folder, *, strict):
        rows = [(np.float32(image), np.int32([0])) for image in images]
        data = (dataset(rows), ["a", "b"])
        runner = ImageClassificationRunner(tmp_path / folder, data, network, nn.Sigmoid(), strict=strict)
        runner.register_saliency([Broken(network)])
        return runner.run()

    good, infinite = [[[1, 1]]], [[[3e38, 3e38]]]
    with raising(NotComputedError, "output-not-finite", sample=1):
        run([good, infinite], "output", strict=True)
    with raising(NotComputedError, "map-not-finite", explainer="Broken", label=1, sample=2):
        run([good] * 3, "map", strict=True)
    result = run([good] * 3, "map", strict=False)  # goes on with the same run
    assert result.not_computed == {"Broken map": 1}
    assert "1 x Broken map not computed" in str(result)
    assert Results(tmp_path / "map").computed_maps("Broken").tolist() == [True] * 5 + [False]


def test_pictures_lost_beside_and_after_damaged_samples_are_drawn_again(
    make_runner, whole, kill, tmp_path, how_runs_differ
):
    kill(make_runner().run)
    [run] = find_runs(tmp_path / "run")
    path = run.segments / "000000.samples"
    data = bytearray(path.read_bytes())
    data[-9] ^= 4
    path.unlink()
    path.write_bytes(data)
    for lost in ("heatmap/Gradient/0/0_0.png", "origin_images/0/5.jpg"):
        (run.data / lost).unlink()
    make_runner().run()
    assert how_runs_differ(whole, tmp_path / "run") == []
