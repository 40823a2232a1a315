"""Mistakes in plans and samples: what is told, and that nothing is written or lost."""

import json
import re

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import Faithfulness, Metric, PointingGame
from explainrun.explainers import GradCAM, Gradient
from explainrun.runner import ImageClassificationRunner, PlanError, SampleError
from explainrun.summary_format import find_runs, read_summary

NAMES = ["zero", "one"]


def scenes(count, seed=0):
    """Rows on TwoChannels' images: image, labels (padded), boxes in the right column."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        labels = np.array([[0, -1], [1, 0], [-1, 1], [7, 0]][i % 4], np.int32)
        yield rng.normal(size=(1, 2, 4)).astype(np.float32), labels, np.array([[3, 0, 1, 1], [2, 1, 2, 1]], np.int32)


def test_one_run_a_folder_unless_it_is_to_be_replaced(two_channels, dataset, tmp_path, raising):
    network = two_channels()

    def runner(seed=0):
        made = ImageClassificationRunner(tmp_path, (dataset(list(scenes(3))), NAMES), network, nn.Sigmoid(), seed=seed)
        made.register_saliency([Gradient(network)])
        return made

    runner().run()
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with raising(PlanError, "folder-holds-other-plan", kind="a finished", differences="seed was 0, is 2"):
        runner(seed=2).run()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == first
    result = runner().run(overwrite=True, limit=2)
    assert result.samples == 2
    assert len(list(tmp_path.glob("events*"))) == 1
    assert json.loads(next(tmp_path.rglob("manifest.json")).read_text())["saliency_map"] is True


def test_wrong_plans_say_everything_at_once_and_write_nothing(two_channels, linear, dataset, tmp_path):
    network, other = two_channels(), linear(np.zeros((2, 1, 2, 4)))
    target = tmp_path / "summary"
    rows = [row[:2] for row in scenes(3)]
    runner = ImageClassificationRunner(target, (dataset(rows), ["same", "same", " "]), network, nn.Sigmoid(), mean=0.5)
    runner.register_saliency(
        [Gradient(network), Gradient(other), GradCAM(network, "relu", name="a/b")],
        [PointingGame(2), Faithfulness(3, nn.Sigmoid(), metric="InsertionAUC")],
    )
    with pytest.raises(PlanError) as caught:
        runner.run()
    assert [(problem.code, problem.values) for problem in caught.value.problems] == [
        ("no-boxes", {"metrics": ["PointingGame"], "columns": ["image", "labels"]}),
        ("name-blank", {"kind": "class name", "place": 2}),
        ("name-repeated", {"kind": "explainer name", "name": "Gradient", "times": 2}),
        ("name-no-folder", {"kind": "explainer name", "name": "a/b"}),
        ("network-not-the-runners", {"explainer": "Gradient"}),
        ("metric-for-other-classes", {"metric": "PointingGame", "labels": 2, "classes": 3}),
        ("mean-without-std", {}),
        ("outputs-not-classes", {"outputs": 2, "classes": 3}),
    ]
    assert not target.exists()
    assert other.calls == []


def row_of(image, labels=(0,), boxes=((0, 0, 1, 1),)):
    return np.float32(image), np.int32(labels), np.float32(boxes)


@pytest.mark.parametrize(
    ("rows", "code", "values"),
    [
        ([row_of(np.zeros((2, 2, 4)))], "sample-channels", {"sample": 0, "shape": (2, 2, 4)}),
        ([row_of(np.zeros((2, 4)))], "images-not-3d", {"shape": (2, 4)}),
        ([row_of(np.full((1, 2, 4), np.nan))], "sample-not-finite", {"sample": 0}),
        ([row_of(np.zeros((1, 2, 4)), (0, 1))], "sample-box-count", {"sample": 0, "labels": 2, "shape": (1, 4)}),
        (
            [row_of(np.zeros((1, 2, 4)), boxes=((0, 0, 1),))],
            "sample-box-count",
            {"sample": 0, "labels": 1, "shape": (1, 3)},
        ),
        (
            [row_of(np.zeros((1, 2, 4))), row_of(np.zeros((1, 4, 2)))],
            "sample-of-other-size",
            {"sample": 1, "shape": (1, 4, 2), "before": (1, 2, 4)},
        ),
        (
            [row_of(np.zeros((1, 2, 4)), boxes=((0.1, 0.1, 0.5, 0.4),))],
            "box-below-a-pixel",
            {"sample": 0, "box": [0.1, 0.1, 0.5, 0.4]},
        ),
        (
            [row_of(np.zeros((1, 2, 4)), boxes=((4, 0, 1, 1),))],
            "box-outside",
            {"sample": 0, "box": [4, 0, 1, 1], "width": 4, "height": 2},
        ),
        ([row_of(np.zeros((1, 2, 4)), boxes=((0, 0, -1, 1),))], "box-not-finite", {"sample": 0, "box": [0, 0, -1, 1]}),
        ([], "dataset-empty", {}),
    ],
)
def test_samples_that_do_not_fit(two_channels, dataset, tmp_path, rows, code, values, raising):
    network = two_channels()
    data = dataset(rows) if rows else dataset([row_of(np.zeros((1, 2, 4)))]).filter(lambda *_: False)
    runner = ImageClassificationRunner(tmp_path / "out", (data, NAMES), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network)])
    with raising(PlanError, code, **values):
        runner.run()
    assert not (tmp_path / "out").exists()


def test_a_late_sample_that_does_not_fit_stops_the_run_without_a_manifest(two_channels, dataset, tmp_path, raising):
    network = two_channels()
    rows = [row_of(np.zeros((1, 2, 4)))] * 20 + [row_of(np.zeros((1, 3, 4)))]
    runner = ImageClassificationRunner(tmp_path, (dataset(rows), NAMES), network, nn.Sigmoid(), pass_size=4)
    runner.register_saliency([Gradient(network)])
    with raising(SampleError, "sample-of-other-size", sample=20):
        runner.run()
    assert len(read_summary(tmp_path).samples) == 16  # what was committed before can be read
    assert not list(tmp_path.rglob("manifest.json"))


def test_class_names_and_statistics_are_checked_with_the_first_pass(two_channels, dataset, tmp_path):
    network = two_channels()
    names = ["a", "b", "c"]
    runner = ImageClassificationRunner(
        tmp_path / "out", (dataset(list(scenes(2))), names), network, nn.Sigmoid(), mean=[1, 2, 3], std=1
    )
    runner.register_saliency([Gradient(network)])
    with pytest.raises(PlanError) as caught:
        runner.run()
    statistics, outputs = caught.value.problems
    assert statistics.code == "statistics-count"
    assert statistics.values == {"name": "mean", "channels": 1, "given": [1.0, 2.0, 3.0]}
    assert (outputs.code, outputs.values) == ("outputs-not-classes", {"outputs": 2, "classes": 3})
    assert not (tmp_path / "out").exists()


def test_constructor_and_registration_are_checked(two_channels, dataset, tmp_path, raising):
    network, data = two_channels(), (dataset(list(scenes(2))), NAMES)
    for wrong, error, words in (
        ({"data": data[0]}, TypeError, "data must be a pair"),
        (
            {"data": (list(scenes(2)), NAMES)},
            TypeError,
            r"data\[0\] must be a .*DataLoader.* got list",
        ),
        ({"data": (data[0], [0, 1])}, TypeError, r"data\[1\]\[0\] must be a text, got int"),
        ({"network": "net"}, TypeError, "network must be a mindspore.nn.Cell, got str"),
        ({"activation_fn": "sigmoid"}, TypeError, "activation_fn must be a Cell or a function, got str"),
        ({"pass_size": 0}, ValueError, "pass_size must be a whole number from 1, got 0"),
    ):
        arguments = {"data": data, "network": network, "activation_fn": nn.Sigmoid()} | wrong
        with pytest.raises(error, match=words):
            ImageClassificationRunner(tmp_path, **arguments)
    runner = ImageClassificationRunner(tmp_path, data, network, nn.Sigmoid())
    with raising(PlanError, "nothing-registered"):
        runner.run()
    with pytest.raises(TypeError, match="explainers must be a list of Explainer objects, got Gradient"):
        runner.register_saliency(Gradient(network))
    with pytest.raises(TypeError, match=r"benchmarkers\[0\] must be a Metric object, got str"):
        runner.register_saliency([Gradient(network)], ["IoSR"])
    with pytest.raises(ValueError, match="at least one explainer"):
        runner.register_saliency([])
    runner.register_saliency([Gradient(network)])
    with pytest.raises(ValueError, match="register_saliency was called before"):
        runner.register_saliency([Gradient(network)])


def test_mistyped_keywords_are_answered_with_the_nearest(two_channels, dataset, tmp_path):
    network, data = two_channels(), (dataset(list(scenes(2))), NAMES)
    with pytest.raises(
        TypeError, match="ImageClassificationRunner takes no keyword 'activation'; did you mean 'activation_fn'"
    ):
        ImageClassificationRunner(tmp_path, data, network, activation=nn.Sigmoid())
    runner = ImageClassificationRunner(tmp_path, data, network, nn.Sigmoid())
    with pytest.raises(TypeError, match=r"takes no keyword 'limit'; it belongs to ImageClassificationRunner\.run$"):
        ImageClassificationRunner(tmp_path, limit=3)
    with pytest.raises(TypeError, match=r"takes no keyword 'samples'; it belongs to .*register_uncertainty$"):
        runner.run(samples=3)
    with pytest.raises(TypeError, match="register_saliency takes no keyword 'expaliners'; did you mean 'explainers'"):
        runner.register_saliency(expaliners=[Gradient(network)])
    with pytest.raises(TypeError, match="run takes no keyword 'overwite'; did you mean 'overwrite'"):
        runner.run(overwite=True)


def test_labels_that_are_all_out_of_range_are_a_problem_but_padding_is_not(two_channels, dataset, tmp_path, raising):
    network = two_channels()

    def run(labels, folder):
        rows = [(np.zeros((1, 2, 4), np.float32), np.int32(label)) for label in labels]
        runner = ImageClassificationRunner(tmp_path / folder, (dataset(rows), NAMES), network, nn.Sigmoid())
        runner.register_saliency([Gradient(network)])
        return runner.run()

    with raising(PlanError, "labels-beyond-classes", samples=2, last=1, largest=7):
        run([[2, -1], [7, 3]], "a")
    assert run([[2, -1], [7, 1]], "b").samples == 2
    assert run([[-1, -1], [-1, -1]], "c").samples == 2


def test_graph_mode_and_a_folder_that_is_none_are_problems(two_channels, dataset, tmp_path, raising):
    network = two_channels()
    (tmp_path / "file").write_text("")
    runner = ImageClassificationRunner(
        tmp_path / "file" / "deep", (dataset(list(scenes(2))), NAMES), network, nn.Sigmoid()
    )
    runner.register_saliency([Gradient(network)])
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        with pytest.raises(PlanError) as caught:
            runner.run()
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)
    mode, folder, *_ = caught.value.problems
    assert (mode.code, mode.values) == ("graph-mode", {"what": "a gradient explainer"})
    assert (folder.code, folder.values) == ("folder-under-file", {"folder": str(tmp_path / "file" / "deep")})
    wide = dataset([(np.zeros((1, 2, 4), np.float32),) + (np.int32([0]),) * 3], "abcd")
    runner = ImageClassificationRunner(tmp_path / "x", (wide, NAMES), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network)])
    with raising(PlanError, "wrong-columns", columns=["a", "b", "c", "d"]):
        runner.run()


def test_a_layer_without_maps_is_a_problem_and_costs_no_earlier_run(two_channels, dataset, tmp_path, raising):
    network = two_channels()

    def runner(explainer):
        made = ImageClassificationRunner(tmp_path, (dataset(list(scenes(3))), NAMES), network, nn.Sigmoid())
        made.register_saliency([explainer])
        return made

    runner(Gradient(network)).run()
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with raising(PlanError, "layer-shape", where="GradCAM", layer="head"):
        runner(GradCAM(network, "head")).run(overwrite=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_an_earlier_run_is_removed_only_once_the_new_one_is_finished(two_channels, dataset, tmp_path, raising):
    network = two_channels()

    def runner(rows, seed=0):
        given = (dataset(rows), NAMES), network, nn.Sigmoid()
        made = ImageClassificationRunner(tmp_path, *given, pass_size=1, seed=seed)
        made.register_saliency([Gradient(network)])
        return made

    good = list(scenes(6))
    runner(good).run()
    with pytest.raises(SampleError):
        runner([*good[:5], row_of(np.zeros((1, 4, 2)), (0, 1), ((0, 0, 1, 1),) * 2)]).run(overwrite=True)
    assert [run.finished for run in find_runs(tmp_path)] == [True, False]
    with raising(PlanError, "folder-holds-other-plan", kind="an unfinished"):
        runner(good, seed=2).run()
    runner(good).run()  # goes on, and still replaces the first
    assert [run.finished for run in find_runs(tmp_path)] == [True]


def test_outputs_of_activations_and_metrics_are_checked(two_channels, dataset, tmp_path, raising):
    network = two_channels()

    class Short(Metric):
        def score(self, explanation):
            return np.zeros(1)

    def runner(activation_fn, metrics=()):
        made = ImageClassificationRunner(tmp_path / "x", (dataset(list(scenes(9))), NAMES), network, activation_fn)
        made.register_saliency([Gradient(network)], metrics)
        return made

    with raising(PlanError, "probability-out-of-range", lowest=re.compile("^-")):
        runner(lambda logits: logits).run()
    assert runner(lambda logits: 1 / (1 + np.exp(-logits.asnumpy()))).run(limit=2).samples == 2
    with pytest.raises(TypeError, match=r"activation_fn must be an object, got the class; write Softmax\(\)"):
        runner(nn.Softmax)
    with pytest.raises(ValueError, match=r"Short gave scores \(1,\) for"):
        runner(nn.Sigmoid(), [Short(2)]).run(overwrite=True)
    with raising(ValueError, "not-a-whole-number", name="seed", least=0, given=-1):
        ImageClassificationRunner(tmp_path, (dataset(list(scenes(2))), NAMES), network, nn.Sigmoid(), seed=-1)


def test_rows_of_zeros_and_ones_are_no_label_indices(linear, dataset, tmp_path, raising):
    network = linear(np.zeros((4, 1, 2, 4)))
    rows = [(np.zeros((1, 2, 4), np.float32), np.int32(hot)) for hot in ([0, 0, 1, 0], [1, 0, 0, 1])]
    runner = ImageClassificationRunner(tmp_path, (dataset(rows), list("abcd")), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network)])
    with raising(PlanError, "labels-multi-hot"):
        runner.run()


def test_padded_labels_and_several_boxes_are_not_taken_for_rows_of_zeros_and_ones(linear, dataset, tmp_path):
    network = linear(np.zeros((3, 1, 2, 4)))

    def asked(folder, rows):
        runner = ImageClassificationRunner(tmp_path / folder, (dataset(rows), list("abc")), network, nn.Sigmoid())
        runner.register_saliency([Gradient(network)])
        scores = runner.run().scores
        return list(zip(scores.sample_ids, scores.labels, strict=True))

    image = np.zeros((1, 2, 4), np.float32)
    padded = [(image, np.int32([0, 1, -1])), (image, np.int32([1, -1, -1]))]
    assert asked("padded", padded) == [(0, 0), (0, 1), (1, 1)]
    boxed = [(image, np.int32([0, 0, 1]), np.int32([[0, 0, 1, 1], [1, 0, 1, 1], [2, 0, 1, 1]]))]
    assert asked("boxed", boxed) == [(0, 0), (0, 1)]


def test_names_in_the_scores_are_checked(two_channels, dataset, tmp_path):
    network = two_channels()
    runner = ImageClassificationRunner(tmp_path, (dataset(list(scenes(5))), NAMES), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network)], [PointingGame(2)])
    scores = runner.run().scores
    assert scores.aggregate("Gradient", "PointingGame", "one") == scores.aggregate("Gradient", "PointingGame", 1)
    with pytest.raises(ValueError, match="the run has no explainer 'gradient'; did you mean 'Gradient'"):
        scores.aggregate("gradient", "PointingGame")
    with pytest.raises(ValueError, match="the run has no metric 'Pointing'; did you mean 'PointingGame'"):
        scores.aggregate("Gradient", "Pointing")
    for label in (2, "two"):
        with pytest.raises(ValueError, match=r"no label .*; give an index below 2 or a class name"):
            scores.aggregate("Gradient", "PointingGame", label)


def test_uncertainty_needs_saliency_and_a_layer_to_act_on(two_channels, linear, dataset, tmp_path, raising):
    def runner(network):
        return ImageClassificationRunner(tmp_path / "x", (dataset(list(scenes(3))), NAMES), network, nn.Sigmoid())

    alone = runner(two_channels())
    alone.register_uncertainty()
    with raising(PlanError, "uncertainty-alone"):
        alone.run()
    with pytest.raises(ValueError, match="register_uncertainty was called before"):
        alone.register_uncertainty()
    with raising(ValueError, "not-a-whole-number", name="samples", least=2, given=1):
        runner(two_channels()).register_uncertainty(1)
    network = linear(np.zeros((2, 1, 2, 4)))
    without = runner(network)
    without.register_saliency([Gradient(network)])
    without.register_uncertainty()
    with raising(PlanError, "no-dropout-layer"):
        without.run()
    assert not (tmp_path / "x").exists()


def test_metrics_of_one_name_and_a_folder_that_cannot_be_written(two_channels, dataset, tmp_path, monkeypatch):
    network = two_channels()
    runner = ImageClassificationRunner(tmp_path / "x", (dataset(list(scenes(3))), NAMES), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network)], [PointingGame(2), PointingGame(2, tolerance=3)])
    monkeypatch.setattr("explainrun.runner.plan.checks.os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(PlanError) as caught:
        runner.run()
    repeated, folder = caught.value.problems
    assert repeated.code == "name-repeated"
    assert repeated.values == {"kind": "metric name", "name": "PointingGame", "times": 2}
    assert (folder.code, folder.values) == ("folder-not-writable", {"folder": str(tmp_path / "x")})
