"""The archive of a real run says what the records, the pictures, the dataset and direct calls say."""

import numpy as np
import pytest
from mindspore import Tensor, nn
from PIL import Image

from explainrun.benchmarks import InsertionAUC, PointingGame
from explainrun.explainers import GradCAM, Gradient, GuidedBackprop
from explainrun.runner import ImageClassificationRunner
from explainrun.summary_format import Results, heatmap_picture, read_summary

EXPLAINERS = {
    "Gradient": Gradient,
    "GuidedBackprop": GuidedBackprop,
    "GradCAM": lambda network: GradCAM(network, "relu"),
}


@pytest.fixture
def finished(two_channels, dataset, scenes, tmp_path):
    """A run over two work batches, its rows and its network."""
    network, rows = two_channels(), list(scenes(11))
    runner = ImageClassificationRunner(
        tmp_path, (dataset(rows), ["zero", "one"]), network, nn.Sigmoid(), pass_size=2, jit="off"
    )
    metrics = [InsertionAUC(2, nn.Sigmoid(), steps=2), PointingGame(2, tolerance=1)]
    runner.register_saliency([make(network) for make in EXPLAINERS.values()], metrics)
    runner.register_uncertainty(samples=5)
    return runner.run(), rows, network


def test_samples_are_those_of_the_dataset_and_the_records(finished, tmp_path):
    result, rows, network = finished
    results, records = Results(tmp_path), read_summary(tmp_path).samples
    for place, (image, labels, _) in enumerate(rows):
        truth = sorted({int(label) for label in labels if 0 <= label < 2})
        assert results.samples[place] == place
        assert [label for label in results.truth[place].tolist() if label >= 0] == truth
        assert results.labels_out_of_range[place] == (labels > 1).sum()
        expected = nn.Sigmoid()(network.set_train(False)(Tensor(image[None]))).asnumpy()[0]
        np.testing.assert_allclose(results.probabilities[place], expected, atol=1e-6)
        for told in (*records[place].truth, *records[place].predicted):
            assert told.probability == pytest.approx(results.probabilities[place, told.label])
            assert told.spread == pytest.approx(results.uncertainty[:, place, told.label])
    assert result.labels_out_of_range == results.labels_out_of_range.sum() > 0
    assert np.ptp(results.uncertainty[0]) > 0


def test_maps_are_those_of_direct_calls_and_of_the_pictures(finished, tmp_path):
    _, rows, network = finished
    results, records = Results(tmp_path), read_summary(tmp_path).samples
    pictures = {
        (heatmap.explainer, sample.sample_id, heatmap.label): np.asarray(Image.open(tmp_path / heatmap.path))
        for sample in records.values()
        for heatmap in sample.heatmaps
    }
    assert len(pictures) == 3 * len(results.questions) > 30
    for (name, sample, label), picture in pictures.items():
        found = results.map(name, sample, label)
        direct = EXPLAINERS[name](network)(Tensor(rows[sample][0][None]), label, show=False).asnumpy()[0, 0]
        np.testing.assert_allclose(found, direct, atol=1e-6)
        np.testing.assert_array_equal(picture, np.asarray(heatmap_picture(found)))


def test_scores_are_those_of_direct_calls_on_the_archived_maps(finished, tmp_path):
    result, rows, network = finished
    results, metric = Results(tmp_path), InsertionAUC(2, nn.Sigmoid(), steps=2)
    for name, make in EXPLAINERS.items():
        scores = results.scores(name, "InsertionAUC")
        np.testing.assert_array_equal(scores, result.scores.values[name, "InsertionAUC"])
        for score, map_, (sample, label) in zip(scores, results.maps(name), results.questions.tolist(), strict=True):
            if len(set(map_.ravel().tolist())) < map_.size:
                continue  # equal pixels fall by the sample's generator, which a direct call does not know
            image = Tensor(rows[sample][0][None])
            direct = metric.evaluate(make(network), image, label, saliency=map_[None, None])
            assert score == pytest.approx(direct[0], abs=1e-6)
