"""Hierarchical occlusion in a run: searched, committed, recorded, read back."""

import json
import re

import h5py
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.explainers import Gradient, HierarchicalOcclusion, Network
from explainrun.explainers.hierarchical_occlusion.counterfactual import Box, composite
from explainrun.explainers.perturbation.baselines import blurred
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.summary_format import Results, Revealed, Segments, find_runs, merge, read_summary

SHAPE = (3, 56, 70)
NAMES = ["left", "right", "smooth"]


def weights():
    """Logit 0 rises with stripes at the left, logit 1 with those at the lower right, logit 2 with brightness."""
    found = np.zeros((3, *SHAPE), np.float32)
    stripes = np.where(np.arange(10) % 2, -1, 1).astype(np.float32)
    found[0, :, 20:30, 5:15], found[1, :, 44:54, 55:65], found[2] = 0.1 * stripes, 0.1 * stripes, 1e-3
    return found


def scenes(count):
    """Stripes at the left, at the right, at both; every fourth picture is bright and else empty."""
    stripes = np.where(np.arange(10) % 2, -1, 1).astype(np.float32)
    for i in range(count):
        image = np.zeros(SHAPE, np.float32)
        if i % 4 in (0, 2):
            image[:, 20:30, 5:15] = stripes * (1 + i / 50)
        if i % 4 in (1, 2):
            image[:, 44:54, 55:65] = stripes
        if i % 4 == 3:
            image += 2
        yield image, np.int32([i % 3])


def make_runner(dataset, linear, folder, count=7, *, saliency=True, **options):
    network = linear(weights(), bias=-4.0)
    runner = ImageClassificationRunner(folder, (dataset(list(scenes(count))), NAMES), network, nn.Sigmoid(), **options)
    runner.register_hierarchical_occlusion()
    if saliency:
        runner.register_saliency([Gradient(network)])
    return network, runner


@pytest.mark.parametrize("batch", [64, 2])
def test_shards_merged_are_as_never_split(dataset, linear, tmp_path, how_runs_differ, monkeypatch, batch):
    """Layers and boxes, of which samples have any number, across the batches of a merge too."""
    monkeypatch.setattr("explainrun.summary_format.shards.sharded_batches._SAMPLES_A_BATCH", batch)
    make_runner(dataset, linear, tmp_path / "whole", jit="off")[1].run()
    for number in (2, 1):
        make_runner(dataset, linear, tmp_path / "parts" / "{shard}", jit="off")[1].run(shard=(number, 2))
    merge(tmp_path / "merged", (tmp_path / "parts").iterdir())
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []
    assert Results(tmp_path / "merged").outcomes.count("found") == 8


def test_what_is_found_is_recorded_and_archived(dataset, linear, tmp_path):
    network, runner = make_runner(dataset, linear, tmp_path, jit="off")
    result = runner.run()
    results, summary = Results(tmp_path), read_summary(tmp_path)
    assert json.loads(find_runs(tmp_path)[-1].manifest.read_text())["hierarchical_occlusion"] is True
    assert dict(zip(map(tuple, results.questions.tolist()), results.outcomes, strict=True)) == {
        (0, 0): "found",
        (1, 1): "found",
        (2, 0): "found",
        (2, 1): "found",
        (2, 2): "below threshold",
        (3, 0): "below threshold",
        (3, 2): "blur suffices",
        (4, 0): "found",
        (4, 1): "below threshold",
        (5, 1): "found",
        (5, 2): "below threshold",
        (6, 0): "found",
        (6, 1): "found",
    }
    assert result.outcomes == {"found": 8, "below threshold": 4, "blur suffices": 1}
    assert "hierarchical occlusion: 8 x found, 4 x below threshold, 1 x blur suffices" in result.summary_line()
    search = HierarchicalOcclusion(network, nn.Sigmoid())
    for sample_id, label in results.questions[[outcome == "found" for outcome in results.outcomes]].tolist():
        image = list(scenes(7))[sample_id][0]
        direct = search.search(image, label)
        recorded = next(found for found in summary.samples[sample_id].revealed if found.label == label)
        archived = results.revealed(sample_id, label)
        for found in (recorded, archived):
            assert (found.sigma, len(found.layers)) == (2, len(direct.layers) or 1)
            for layer, expected in zip(found.layers, direct.layers, strict=True):
                assert layer.boxes == tuple((box.x, box.y, box.width, box.height) for box in expected.boxes)
                assert layer.probability == pytest.approx(expected.probability, abs=1e-6)
                shown = composite(image, blurred(image, 2), [Box(*box) for box in layer.boxes])
                again = nn.Sigmoid()(network(Tensor(shown[None]))).asnumpy()[0, label]
                assert again == pytest.approx(layer.probability, abs=1e-5)
                assert layer.probability >= 0.5
    assert summary.samples[3].revealed == ()
    assert results.revealed(3, 2) is None
    with pytest.raises(ValueError, match="did not ask label 1 of sample 0"):
        results.revealed(0, 1)
    assert result.costs["made"] == result.costs["needed"]
    assert result.costs["made"]["search"] > 0


def test_the_two_labels_of_a_picture_have_their_own_boxes(dataset, linear, tmp_path):
    make_runner(dataset, linear, tmp_path)[1].run()
    left, right = (Results(tmp_path).revealed(2, label) for label in (0, 1))
    assert isinstance(left, Revealed)
    (x, y, width, height), *_ = left.layers[0].boxes
    assert x < 15 < x + width
    assert y < 30 < y + height + 10
    assert right.layers[0].boxes[0][0] > 30


def test_the_archive_knows_parents_and_blurred_probabilities(dataset, linear, tmp_path):
    network = linear(weights(), bias=-4.0)
    runner = ImageClassificationRunner(tmp_path, (dataset(list(scenes(7))), NAMES), network, nn.Sigmoid(), jit="off")
    runner.register_hierarchical_occlusion(window_sides=[28, 14], strides=[5, 3])
    runner.run()
    search = HierarchicalOcclusion(network, nn.Sigmoid(), window_sides=[28, 14], strides=[5, 3])
    results, images = Results(tmp_path), [image for image, _ in scenes(7)]
    with h5py.File(find_runs(tmp_path)[-1].archive) as file:
        tables = {name: values[...] for name, values in file["hierarchical_occlusion"].items()}
    asked = zip(results.questions.tolist(), results.outcomes, tables["blurred"], strict=True)
    expected = []
    for (sample, label), outcome, blurred_probability in asked:
        if outcome == "below threshold":
            assert np.isnan(blurred_probability)
            continue
        found = search.search(images[sample], label)
        assert blurred_probability == pytest.approx(found.blurred_probability, abs=1e-6)
        expected += [
            [sample, label, number, box.x, box.y, box.width, box.height, box.parent]
            for number, layer in enumerate(found.layers)
            for box in layer.boxes
        ]
    assert tables["boxes"].tolist() == expected
    assert {row[2] for row in expected} == {0, 1}
    assert {row[7] for row in expected} >= {-1, 0}


@pytest.mark.parametrize("graph", [False, True], ids=["pynative", "graph"])
def test_alone_it_runs_in_both_modes(dataset, linear, tmp_path, graph, caplog):
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    make_runner(dataset, linear, beside)[1].run()
    try:
        ms.set_context(mode=ms.GRAPH_MODE if graph else ms.PYNATIVE_MODE)
        result = make_runner(dataset, linear, alone, saliency=False)[1].run()
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)
    results, expected = Results(alone), Results(beside)
    assert results.outcomes == expected.outcomes
    found = results.questions[[outcome == "found" for outcome in results.outcomes]].tolist()
    for question in found:
        layers, others = results.revealed(*question).layers, expected.revealed(*question).layers
        assert [layer.boxes for layer in layers] == [layer.boxes for layer in others]
        np.testing.assert_allclose(
            [layer.probability for layer in layers], [layer.probability for layer in others], 1e-5
        )
    assert result.costs["made"] == result.costs["needed"]
    manifest = json.loads(find_runs(alone)[-1].manifest.read_text())
    assert manifest == {
        "saliency_map": False,
        "benchmark": False,
        "uncertainty": False,
        "hierarchical_occlusion": True,
    }
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@pytest.mark.parametrize("saliency", [True, pytest.param(False, marks=pytest.mark.long)])
@pytest.mark.long
def test_a_run_that_stopped_before_a_search_was_committed_goes_on(
    dataset, linear, tmp_path, monkeypatch, how_runs_differ, saliency
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    make_runner(dataset, linear, whole, 70, saliency=saliency)[1].run()
    write = Segments.write_searched

    def fail(segments, index, searched):
        if index:
            raise OSError("stopped")
        write(segments, index, searched)

    with monkeypatch.context() as patched:
        patched.setattr(Segments, "write_searched", fail)
        with pytest.raises(OSError, match="stopped"):
            make_runner(dataset, linear, broken, 70, saliency=saliency)[1].run()
    part = Results(broken)
    assert len(part.outcomes) == len(part.questions) > 64
    assert part.revealed(0, 0) == Results(whole).revealed(0, 0)
    result = make_runner(dataset, linear, broken, 70, saliency=saliency)[1].run()
    assert how_runs_differ(whole, broken) == []
    assert result.costs["made"]["search"] >= result.costs["needed"]["search"]


def test_other_options_are_another_plan(dataset, linear, tmp_path, raising):
    make_runner(dataset, linear, tmp_path)[1].run()
    network = linear(weights(), bias=-4.0)
    runner = ImageClassificationRunner(tmp_path, (dataset(list(scenes(7))), NAMES), network, nn.Sigmoid())
    runner.register_hierarchical_occlusion(threshold=0.6)
    runner.register_saliency([Gradient(network)])
    with raising(
        PlanError, "folder-holds-other-plan", differences=re.compile("hierarchical_occlusion.threshold was 0.5, is 0.6")
    ):
        runner.run()


def test_what_the_viewer_or_the_search_cannot_take_is_told(dataset, linear, two_channels, tmp_path, raising):
    rows = [(np.ones((3, 55, 70), np.float32), np.int32([0]))]
    network = linear(np.ones((2, 3, 55, 70)))
    runner = ImageClassificationRunner(tmp_path, (dataset(rows), ["an_animal", "b"]), network, nn.Sigmoid())
    runner.register_hierarchical_occlusion()
    with pytest.raises(PlanError) as error:
        runner.run()
    underscore, size = error.value.problems
    assert (underscore.code, underscore.values) == ("class-name-underscore", {"name": "an_animal"})
    assert size.code == "hierarchical-occlusion-size"
    assert size.values == {"least": 56, "height": 55, "width": 70}
    network = two_channels()
    runner = ImageClassificationRunner(
        tmp_path, (dataset([(two_channels.IMAGE[0],)]), ["a", "b"]), network, nn.Sigmoid()
    )
    runner.register_hierarchical_occlusion(window_sides=[2], strides=[1])
    with raising(PlanError, "hierarchical-occlusion-channels", shape=(1, 2, 4)):
        runner.run()
    with pytest.raises(ValueError, match="register_hierarchical_occlusion was called before"):
        runner.register_hierarchical_occlusion()
    with pytest.raises(ValueError, match="threshold must lie above 0 and below 1, got 2"):
        ImageClassificationRunner(
            tmp_path, (dataset(rows), ["a", "b"]), network, nn.Sigmoid()
        ).register_hierarchical_occlusion(threshold=2)
    assert Network(network).passes.made == {}
