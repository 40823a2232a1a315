"""What makes two plans the same, and what a folder that holds a run of one says to the other."""

import importlib.util
import json
import shutil
import sys

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import DeletionAUC, InsertionAUC
from explainrun.explainers import Gradient, InputXGradient
from explainrun.runner import ImageClassificationRunner, NotComputedError, PlanError
from explainrun.runner.execution import engine
from explainrun.runner.plan.fingerprint import Description
from explainrun.runner.plan.network_fingerprint import structure_digest
from explainrun.summary_format import FolderInUseError, find_runs
from explainrun.summary_format.lifecycle import finish
from explainrun.summary_format.plan_diff import plan_differences
from explainrun.summary_format.storage import durable


def test_the_order_of_names_counts(linear, dataset, scenes, tmp_path):
    network = linear(np.ones((2, 1, 2, 4)))

    def plan(explainers, metrics):
        made = ImageClassificationRunner(tmp_path, (dataset(list(scenes(3))), ["a", "b"]), network, nn.Sigmoid())
        made.register_saliency(
            [kind(network) for kind in explainers], [kind(2, nn.Sigmoid(), steps=2) for kind in metrics]
        )
        return made.plan().described

    first = plan([Gradient, InputXGradient], [InsertionAUC, DeletionAUC])
    assert plan_differences(first, plan([Gradient, InputXGradient], [InsertionAUC, DeletionAUC])) == []
    assert plan_differences(first, plan([Gradient, InputXGradient], [DeletionAUC, InsertionAUC])) == [
        "order of metrics was ['InsertionAUC', 'DeletionAUC'], is ['DeletionAUC', 'InsertionAUC']"
    ]
    [told] = plan_differences(first, plan([InputXGradient, Gradient], [InsertionAUC, DeletionAUC]))
    assert told.startswith("order of explainers was ")


def layers(*inner):
    return nn.SequentialCell([nn.Dense(4, 3, weight_init="ones", has_bias=False), *inner])


def test_the_options_of_layers_count():
    kinds = [(), (nn.Dropout(p=0.1),), (nn.Dropout(p=0.9),), (nn.LeakyReLU(0.1),), (nn.LeakyReLU(0.2),)]
    kinds += [(nn.Softmax(axis=0),), (nn.Softmax(axis=1),), (nn.MaxPool2d(2, 1),), (nn.MaxPool2d(2, 2),)]
    found = [structure_digest(layers(*inner)) for inner in kinds]
    assert len(set(found)) == len(kinds)
    assert found == [structure_digest(layers(*inner)) for inner in kinds]
    trained = layers()
    trained.set_train(True)
    assert structure_digest(trained) == found[0]  # as it is found, it is explained in inference mode


def test_the_seeds_of_dropout_layers_do_not_count():
    before = ms.get_seed()
    try:
        ms.set_seed(1)  # from now on every new layer gets another seed
        assert structure_digest(nn.Dropout(p=0.5)) == structure_digest(nn.Dropout(p=0.5))
        assert structure_digest(nn.Dropout(p=0.5)) != structure_digest(nn.Dropout(p=0.4))
    finally:
        ms.set_seed(before if before is not None else 0)


CLASS = """\
from explainrun.benchmarks import Metric

class Theirs(Metric):
    def score(self, explanation):
        return {formula}
"""


def test_the_code_of_other_peoples_classes_counts(tmp_path):
    def written(formula):
        path = tmp_path / f"theirs{len(list(tmp_path.iterdir()))}.py"
        path.write_text(CLASS.format(formula=formula))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        return component_options(module.Theirs(None))

    assert written("1") == written("1") != written("2")
    assert "code" not in component_options(InsertionAUC(2, nn.Sigmoid()))  # ours has a version


def test_the_dataset_may_be_batched_otherwise(kill, linear, dataset, scenes, tmp_path, how_runs_differ):
    def run(folder, batch):
        data = dataset(list(scenes(6)))
        network = linear(np.ones((2, 1, 2, 4)))
        made = ImageClassificationRunner(
            tmp_path / folder, (data.batch(batch) if batch else data, ["a", "b"]), network, nn.Sigmoid(), pass_size=1
        )
        made.register_saliency([Gradient(network)])
        return made.run()

    run("whole", None)
    kill(lambda: run("run", 4), 1, 1)
    assert run("run", 5).samples == 6
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    assert run("run", None).finished_before


def plain(value):
    return Description().to_jsonable(value)


def component_options(thing):
    return Description().component_options(thing)


def test_functions_are_told_apart_by_what_they_do():
    def scaled(factor):
        return lambda logits: logits * factor

    assert plain(scaled(2)) == plain(scaled(2)) != plain(scaled(3))
    assert plain(lambda x: x + 1) != plain(lambda x: x + 2)
    assert plain(nn.Softmax(axis=1)) != plain(nn.Softmax(axis=0))
    assert plain({1: np.float32(0.5), "b": {3, 1}, "c": b"x"}) == [[1, 0.5], ["b", ["1", "3"]], ["c", "b'x'"]]
    assert plain(np.eye(2)) == plain(np.eye(2)) != plain(np.ones((2, 2)))


def test_a_finished_run_of_other_data_is_not_this_run(make_runner, scenes, raising):
    make_runner().run()
    with raising(PlanError, "folder-holds-other-data"):
        make_runner(rows=list(scenes(6, seed=1))).run()
    assert make_runner(rows=list(scenes(6, seed=1))).run(overwrite=True).samples == 6


@pytest.fixture
def run_with_an_infinite_output(linear, dataset, tmp_path):
    network = linear(np.ones((2, 1, 1, 2)))
    rows = [(np.float32(image), np.int32([0])) for image in ([[[1, 1]]], [[[3e38, 3e38]]])]

    def run(*, strict):
        made = ImageClassificationRunner(tmp_path, (dataset(rows), ["a", "b"]), network, nn.Sigmoid(), strict=strict)
        made.register_saliency([Gradient(network)])
        return made.run()

    return run


def test_a_finished_run_is_held_to_what_is_strict(run_with_an_infinite_output, raising):
    run_with_an_infinite_output(strict=False)
    with raising(NotComputedError, "results-not-finite", what=["the network's output"]):
        run_with_an_infinite_output(strict=True)
    assert run_with_an_infinite_output(strict=False).finished_before


def test_committed_work_is_held_to_what_is_strict(run_with_an_infinite_output, kill, raising):
    kill(lambda: run_with_an_infinite_output(strict=False))
    with raising(NotComputedError, "output-not-finite", sample=1):
        run_with_an_infinite_output(strict=True)


def test_a_damaged_finished_run_is_told_and_nothing_is_removed(make_runner, tmp_path, raising):
    make_runner().run()
    [run] = find_runs(tmp_path / "run")
    data = bytearray(run.archive.read_bytes())
    data[-5] ^= 1
    run.archive.unlink()
    run.archive.write_bytes(data)
    (run.segments).mkdir()
    with raising(PlanError, "run-damaged"):
        make_runner().run()
    assert run.segments.exists()
    assert not make_runner().run(overwrite=True).finished_before


def test_starts_that_begin_anew_do_not_pile_up(make_runner, kill, tmp_path):
    make_runner().run()
    for _ in range(3):
        kill(lambda: make_runner().run(overwrite=True), 1, 2)
        assert [run.finished for run in find_runs(tmp_path / "run")] == [True, False]


def test_overwriting_removes_what_runs_wrote_and_nothing_else(make_runner, tmp_path):
    make_runner().run()
    [first] = find_runs(tmp_path / "run")
    mine = [first.data / "notes.txt", tmp_path / "run" / "_explain_7" / "notes.txt"]
    mine.append(tmp_path / "run" / "events.summary.1600000000.CPU.host_explain")
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    make_runner().run(overwrite=True)
    assert [path.read_text() for path in mine] == ["mine"] * 3
    assert [path.name for path in first.data.iterdir()] == ["notes.txt"]
    assert not first.event_file.exists()


def test_a_lost_lock_ends_the_run_before_it_says_that_it_is_finished(make_runner, monkeypatch, tmp_path, raising):
    write = finish.write_archive

    def lose(segments, plan, check):
        write(segments, plan, check)
        engine_lock[0].path.write_text(json.dumps({"host": "elsewhere", "pid": 7, "token": "another"}))

    engine_lock, enter = [], engine.FolderLock.__enter__
    monkeypatch.setattr(engine.FolderLock, "__enter__", lambda self: engine_lock.append(self) or enter(self))
    monkeypatch.setattr(finish, "write_archive", lose)
    with raising(FolderInUseError, "lock-lost", folder=str(tmp_path / "run")):
        make_runner().run()
    [run] = find_runs(tmp_path / "run")
    assert not run.finished


def test_the_comparison_of_runs_sees_a_stray_one(make_runner, tmp_path, how_runs_differ):
    make_runner("a").run()
    make_runner("b").run()
    assert how_runs_differ(tmp_path / "a", tmp_path / "b") == []
    [run] = find_runs(tmp_path / "b")
    shutil.copytree(run.data, tmp_path / "b" / "_explain_5")
    assert how_runs_differ(tmp_path / "a", tmp_path / "b") == ["b holds more than one run"]
    durable.remove_tree(tmp_path / "b" / "_explain_5")
    (run.data / "partial").mkdir()
    assert how_runs_differ(tmp_path / "a", tmp_path / "b") == ["<run>/partial is in one folder only"]
