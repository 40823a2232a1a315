"""The runner end to end on toys: what is asked, what it costs, what is written, what is left."""

import json

import numpy as np
import pytest
from mindspore import nn
from PIL import Image

from explainrun.benchmarks import Faithfulness, InsertionAUC, IoSR, Localization, Metric, PointingGame
from explainrun.explainers import Explainer, GradCAM, Gradient
from explainrun.runner import ImageClassificationRunner
from explainrun.summary_format import read_summary

NAMES = ["zero", "one"]


class Fixed(Explainer):
    """Maps given by (sample, label)."""

    def __init__(self, network, maps, name=None):
        super().__init__(network, name)
        self.maps = maps

    def attribute(self, view):
        asked = zip(view.sample_ids[view.rows], view.labels, strict=True)
        return np.stack([self.maps.get((int(i), int(label)), np.zeros(view.size)) for i, label in asked]).astype(
            np.float32
        )


def scenes(count, seed=0):
    """Rows on TwoChannels' images: image, labels (padded), boxes in the right column."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        labels = np.array([[0, -1], [1, 0], [-1, 1], [7, 0]][i % 4], np.int32)
        yield rng.normal(size=(1, 2, 4)).astype(np.float32), labels, np.array([[3, 0, 1, 1], [2, 1, 2, 1]], np.int32)


def test_what_is_asked_and_recorded(linear, dataset, tmp_path):
    # Sigmoid of the sum of the left and of the right half, minus 1: labels 0 and 1.
    network = linear([[[[1, 1, 0, 0]]], [[[0, 0, 1, 1]]]], bias=-1.0)
    rows = [
        ([[[3, 0, 0, 0]]], [1, -1]),  # truth 1, predicted 0: both asked
        ([[[0, 0, 3, 0]]], [1, 1]),  # the same label twice, and predicted: asked once
        ([[[0, 0, 0, 0]]], [2, -5]),  # only padding, nothing predicted: nothing to ask
        ([[[2, 0, 2, 0]]], [0, 9]),  # truth 0, predicted both
    ]
    rows = [(np.float32(image), np.int32(labels), np.zeros((2, 4), np.int32)) for image, labels in rows]
    explainer = Gradient(network)
    runner = ImageClassificationRunner(tmp_path, (dataset(rows), NAMES), network, nn.Sigmoid())
    runner.register_saliency([explainer])
    result = runner.run()
    assert list(zip(result.scores.sample_ids, result.scores.labels, strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 1),
        (3, 0),
        (3, 1),
    ]
    assert (result.samples, result.questions, result.unrecorded) == (4, 5, (2,))
    summary = read_summary(tmp_path)
    assert sorted(summary.samples) == [0, 1, 3]
    first = summary.samples[0]
    assert [(p.label, round(p.probability, 4)) for p in first.truth] == [(1, 0.2689)]  # sigmoid(-1)
    assert [(p.label, round(p.probability, 4)) for p in first.predicted] == [(0, 0.8808)]  # sigmoid(2)
    assert [(h.explainer, h.label) for h in first.heatmaps] == [("Gradient", 0), ("Gradient", 1)]
    assert np.asarray(Image.open(tmp_path / first.heatmaps[1].path)).tolist() == [[0, 0, 255, 255]]
    assert np.asarray(Image.open(tmp_path / first.image_path)).shape == (1, 4, 3)
    assert summary.metadata.labels == tuple(NAMES)
    assert "1 sample without any label to explain; 2 labels out of range ignored" in str(result)


def test_boxes_are_x_y_width_height_and_go_with_their_label(linear, dataset, tmp_path):
    # Height 6, width 30. Label 0 has boxes in the top right corner and at the bottom left, label 1 in the middle.
    network = linear(np.zeros((2, 1, 6, 30)))
    boxes = np.array([[26, 0, 4, 2], [12, 3, 2, 3], [0, 5, 3, 1]], np.int32)
    row = (np.zeros((1, 6, 30), np.float32), np.array([0, 1, 0], np.int32), boxes)
    map_ = np.zeros((6, 30), np.float32)
    map_[0:3, 25:30] = 1  # 15 salient pixels, 8 of them in the corner box
    map_[0, 26] = 1.5
    maps = {(0, 0): map_, (0, 1): np.roll(map_, -13, axis=1)}  # peak of label 1 at x 13, y 0: 3 pixels above its box
    fixed = Fixed(network, maps)
    runner = ImageClassificationRunner(tmp_path, (dataset([row]), NAMES), network, nn.Sigmoid())
    near = PointingGame(2, tolerance=2, name="near")
    runner.register_saliency([fixed], [near, Localization(2), IoSR(2, threshold=0.4)])
    scores = runner.run().scores.values
    assert scores["Fixed", "near"] == [1, 0]
    assert scores["Fixed", "PointingGame"] == [1, 1]
    assert scores["Fixed", "IoSR"] == [8 / 15, 0]


@pytest.mark.parametrize("shape", ["N", "NK"])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_inputs_of_every_kind(linear, dataset, tmp_path, shape, batched, channels):
    network = linear(np.zeros((2, channels, 3, 5)))
    labels = [0, 1, -1] if shape == "N" else [[0, 1], [-1, -1], [1, -1]]
    rows = [(np.full((channels, 3, 5), i, np.float32), np.int32(labels[i])) for i in range(3)]
    data = dataset(rows)
    runner = ImageClassificationRunner(tmp_path, (data.batch(2) if batched else data, NAMES), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network)])
    result = runner.run()
    asked = list(zip(result.scores.sample_ids, result.scores.labels, strict=True))
    assert asked == ([(0, 0), (1, 1)] if shape == "N" else [(0, 0), (0, 1), (2, 1)])
    assert len(result.unrecorded) == 1


def test_images_alone(linear, dataset, tmp_path):
    network = linear(np.ones((2, 1, 3, 5)))
    runner = ImageClassificationRunner(
        tmp_path, (dataset([(np.ones((1, 3, 5), np.float32),)]), NAMES), network, nn.Sigmoid()
    )
    runner.register_saliency([Gradient(network)], [InsertionAUC(2, nn.Sigmoid(), steps=2)])
    result = runner.run()
    assert result.scores.labels == [0, 1]
    assert read_summary(tmp_path).samples[0].truth == ()


def test_scores_are_summed_up_by_label_with_what_was_not_scored(linear, dataset, tmp_path):
    network = linear(np.zeros((3, 1, 2, 4)))
    rows = [(np.zeros((1, 2, 4), np.float32), np.int32([label])) for label in (0, 0, 1)]

    class Given(Metric):
        def score(self, explanation):
            return np.array([0.25, np.nan, 0.75])

    runner = ImageClassificationRunner(tmp_path, (dataset(rows), ["a", "b", "c"]), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network)], [Given(3)])
    result = runner.run()
    total = result.scores.aggregate("Gradient", "Given")
    assert (total.mean, total.count, total.unscored) == (0.5, 2, 1)
    by_label = [result.scores.aggregate("Gradient", "Given", label) for label in range(3)]
    assert [(a.count, a.unscored) for a in by_label] == [(1, 1), (1, 0), (0, 0)]
    written = read_summary(tmp_path).scores["Gradient", "Given"]
    np.testing.assert_array_equal([written.total, *written.per_label], [0.5, 0.25, 0.75, np.nan])
    assert "0.5000 [0.250, 0.750]" in str(result)
    assert "not scored in Given, of 3 questions: 1 of Gradient" in str(result)
    assert result._repr_html_().count("not scored in Given") == 1
    assert result.scores.ranking_table() in str(result)
    page = result._repr_html_()
    assert page.count("<table") == 2  # scores, places
    assert "those that share a letter may differ by noise alone" in page


def test_a_number_of_metrics_of_which_the_viewer_has_no_score_is_reported(two_channels, dataset, tmp_path, caplog):
    network = two_channels()
    for metrics in (7, 8):
        runner = ImageClassificationRunner(
            tmp_path / str(metrics), (dataset(list(scenes(1))), NAMES), network, nn.Sigmoid()
        )
        games = [PointingGame(name=f"within {pixels}", tolerance=pixels) for pixels in range(1, metrics + 1)]
        runner.register_saliency([Gradient(network)], games)
        runner.run()
    said = [record.args[0] for record in caplog.records if "comprehensive score" in str(record.args)]
    assert [(problem.code, problem.values) for problem in said] == [
        ("viewer-no-overall-score", {"metrics": 7, "fewer": 6, "more": 8})
    ]


def test_what_is_not_finite_is_counted_and_kept_out_of_the_records(linear, dataset, tmp_path):
    network = linear(np.ones((2, 1, 1, 2)))
    images = [[[[1, 1]]], [[[3e38, 3e38]]], [[[2, 1]]]]  # the sum of the second is infinite
    rows = [(np.float32(image), np.int32([0])) for image in images]
    fixed = Fixed(network, {(0, 0): np.array([[np.nan, 1]]), (0, 1): np.array([[1, 0]]), (2, 0): np.array([[0, 1]])})
    runner = ImageClassificationRunner(tmp_path, (dataset(rows), NAMES), network, nn.Sigmoid())
    runner.register_saliency([fixed], [InsertionAUC(2, nn.Sigmoid(), steps=2)])
    result = runner.run()
    assert result.not_computed == {"network output": 1, "Fixed map": 1}
    assert np.isnan(result.scores.values["Fixed", "InsertionAUC"]).tolist() == [True, False, False, True]
    summary = read_summary(tmp_path)
    assert sorted(summary.samples) == [0, 2]
    assert [h.label for h in summary.samples[0].heatmaps] == [1]
    assert "1 x network output not computed" in str(result)
    assert "1 x Fixed map not computed" in str(result)


class Breaks(Explainer):
    def attribute(self, view):
        raise RuntimeError("in the middle")


@pytest.mark.parametrize("breaks", [False, True])
def test_the_network_is_left_as_found(two_channels, dataset, state, tmp_path, breaks):
    network = two_channels()
    network.set_train(True)
    network.relu.set_train(False)
    network.set_grad(True)
    before = state(network)
    network.set_grad(False)
    network.set_train(False)
    output = network(dataset(list(scenes(4))).batch(4).create_tuple_iterator().__next__()[0]).asnumpy()
    network.set_train(True)
    network.relu.set_train(False)
    network.set_grad(True)
    explainers = [GradCAM(network, "relu"), Gradient(network), *([Breaks(network)] if breaks else [])]
    runner = ImageClassificationRunner(tmp_path, (dataset(list(scenes(4))), NAMES), network, nn.Sigmoid())
    runner.register_saliency(explainers, [InsertionAUC(2, nn.Sigmoid(), steps=2)])
    if breaks:
        with pytest.raises(RuntimeError, match="in the middle"):
            runner.run()
        assert not list(tmp_path.rglob("manifest.json"))
    else:
        runner.run()
    assert state(network) == before
    network.set_grad(False)
    network.set_train(False)
    again = network(dataset(list(scenes(4))).batch(4).create_tuple_iterator().__next__()[0]).asnumpy()
    assert output.tobytes() == again.tobytes()


def test_an_explainer_serves_two_runners(two_channels, dataset, tmp_path):
    network = two_channels()
    explainer, metric = GradCAM(network, "relu"), InsertionAUC(2, nn.Sigmoid(), steps=2)
    found = []
    for folder in ("one", "two"):
        runner = ImageClassificationRunner(tmp_path / folder, (dataset(list(scenes(5))), NAMES), network, nn.Sigmoid())
        runner.register_saliency([explainer], [metric])
        found.append(runner.run().scores.values["GradCAM", "InsertionAUC"])
    np.testing.assert_array_equal(found[0], found[1])


def test_the_result_tells_labels_and_the_resolved_plan(two_channels, dataset, tmp_path):
    network = two_channels()
    runner = ImageClassificationRunner(tmp_path, (dataset(list(scenes(5))), NAMES), network, nn.Sigmoid(), seed=3)
    runner.register_saliency(
        [GradCAM(network, ["relu", "conv"], name="fused")],
        [Faithfulness(2, nn.Sigmoid(), metric="DeletionAUC", steps=2, baseline=0.5), Localization(2)],
    )
    result = runner.run(limit=4)
    assert result.plan["explainers"] == {"fused": {"class": "GradCAM", "layer": ["relu", "conv"], "reshape": None}}
    activation = result.plan["metrics"]["DeletionAUC"]["activation_fn"]
    assert activation["cell"] == "Sigmoid"
    options = {"steps": 2, "baseline": 0.5, "normalized": False, "removal": "value"}
    deletion = {"activation_fn": activation, **options}
    assert result.plan["metrics"] == {
        "DeletionAUC": {"class": "DeletionAUC", **deletion},
        "PointingGame": {"class": "PointingGame", "tolerance": 15},
    }
    assert {name: result.plan[name] for name in ("seed", "limit", "pass_size")} == {
        "seed": 3,
        "limit": 4,
        "pass_size": 16,
    }
    table = result.scores.label_table("DeletionAUC").splitlines()
    assert table[0].split() == ["DeletionAUC", "by", "label", "questions", "fused"]
    asked = result.scores.labels
    assert [line.split()[:2] for line in table[2:]] == [["zero", str(asked.count(0))], ["one", str(asked.count(1))]]
    with pytest.raises(ValueError, match="no metric 'Deletion'; did you mean 'DeletionAUC'"):
        result.scores.label_table("Deletion")


def tied(count):
    """Rows on 2 x 4 pixels whose maps will be tied everywhere but in one pixel."""
    rng = np.random.default_rng(2)
    return [(rng.normal(size=(1, 2, 4)).astype(np.float32), np.int32([0])) for _ in range(count)]


class OnePixel(Explainer):
    """Every pixel but the first is equally unimportant."""

    def attribute(self, view):
        maps = np.zeros((len(view.rows), *view.size), np.float32)
        maps[:, 0, 0] = 1
        return maps


def test_equal_pixels_fall_by_seed_and_sample_and_not_by_place_in_a_batch(linear, dataset, tmp_path):
    network = linear(np.random.default_rng(0).normal(size=(2, 1, 2, 4)))

    def scores(folder, **options):
        data = (dataset(tied(24)), NAMES)
        runner = ImageClassificationRunner(tmp_path / folder, data, network, nn.Sigmoid(), **options)
        runner.register_saliency([OnePixel(network)], [InsertionAUC(2, nn.Sigmoid())])
        result = runner.run()
        asked = zip(result.scores.sample_ids, result.scores.labels, strict=True)
        return dict(zip(asked, result.scores.values["OnePixel", "InsertionAUC"], strict=True))

    whole, cut = scores("whole"), scores("cut", pass_size=2)  # work batches of 64 and of 8 samples
    assert whole.keys() == cut.keys()
    np.testing.assert_allclose(list(whole.values()), list(cut.values()), rtol=1e-5)
    assert sum(a != b for a, b in zip(whole.values(), scores("seed", seed=1).values(), strict=True)) > 12


def test_every_pass_of_a_run_has_the_same_shape(linear, dataset, tmp_path):
    network = linear(np.ones((2, 1, 2, 4)))
    runner = ImageClassificationRunner(tmp_path, (dataset(tied(21)), NAMES), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network), OnePixel(network)], [InsertionAUC(2, nn.Sigmoid(), steps=3)])
    runner.run()
    assert set(network.calls) == {16}


def test_originals_are_shown_in_true_colours_where_statistics_are_given(linear, dataset, tmp_path):
    network = linear(np.zeros((1, 3, 16, 24)))
    colour = np.array([200, 40, 90], np.float32).reshape(3, 1, 1)
    image = np.broadcast_to((colour / 255 - 0.4) / 0.2, (3, 16, 24)).astype(np.float32)
    data = (dataset([(image, np.int32([0]))]), ["only"])
    runner = ImageClassificationRunner(tmp_path, data, network, nn.Sigmoid(), mean=0.4, std=[0.2] * 3)
    runner.register_saliency([Gradient(network)])
    runner.run()
    shown = np.asarray(Image.open(tmp_path / read_summary(tmp_path).samples[0].image_path))
    assert shown.shape == (16, 24, 3)
    np.testing.assert_allclose(shown[7, 9], colour.ravel(), atol=2)


def test_any_box_of_a_label_can_be_hit(linear, dataset, tmp_path):
    network = linear(np.zeros((1, 1, 6, 30)))
    maps = {(i, 0): peaked(6, 30, *place) for i, place in enumerate([(0, 28), (5, 1), (3, 12)])}
    row = (np.zeros((1, 6, 30), np.float32), np.int32([0, 0]), np.int32([[26, 0, 4, 2], [0, 5, 3, 1]]))
    runner = ImageClassificationRunner(tmp_path, (dataset([row] * 3), ["only"]), network, nn.Sigmoid())
    runner.register_saliency([Fixed(network, maps)], [PointingGame(1, tolerance=1)])
    assert runner.run().scores.values["Fixed", "PointingGame"] == [1, 1, 0]


def peaked(height, width, row, column):
    map_ = np.zeros((height, width), np.float32)
    map_[row, column] = 1
    return map_


def test_uncertainty_is_recorded_on_every_prediction(two_channels, dataset, tmp_path):
    network = two_channels()

    def run(folder, **options):
        data = (dataset(list(scenes(9))), NAMES)
        runner = ImageClassificationRunner(tmp_path / folder, data, network, nn.Sigmoid(), **options)
        runner.register_saliency([Gradient(network)])
        runner.register_uncertainty(samples=30)
        return runner.run(), read_summary(tmp_path / folder)

    result, summary = run("a")
    assert result.costs["made"]["dropout"] == 30
    assert json.loads(next((tmp_path / "a").rglob("manifest.json")).read_text())["uncertainty"] is True
    told = [item for sample in summary.samples.values() for item in (*sample.truth, *sample.predicted)]
    assert all(0 <= low <= high <= 1 and sd >= 0 for sd, low, high in (item.spread for item in told))
    assert max(item.spread[0] for item in told) > 0.05
    assert run("b", pass_size=2)[1].samples[3].truth[0].spread == pytest.approx(summary.samples[3].truth[0].spread)
    assert run("c", seed=1)[1].samples[3].truth[0].spread != pytest.approx(summary.samples[3].truth[0].spread)


def test_a_run_without_a_question_says_that_it_has_no_maps(linear, dataset, tmp_path):
    network = linear(np.zeros((2, 1, 2, 4)), bias=-1.0)
    rows = [(np.ones((1, 2, 4), np.float32), np.int32([-1]))] * 2
    runner = ImageClassificationRunner(tmp_path, (dataset(rows), NAMES), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network)], [InsertionAUC(2, nn.Sigmoid())])
    result = runner.run()
    assert (result.questions, result.unrecorded) == (0, (0, 1))
    manifest = json.loads(next(tmp_path.rglob("manifest.json")).read_text())
    assert manifest["saliency_map"] is False
    assert read_summary(tmp_path).samples == {}
