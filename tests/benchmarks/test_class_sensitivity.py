"""ClassSensitivity: maps of the most and the least likely class."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.benchmarks import ClassSensitivity, InsertionAUC
from explainrun.explainers import RISE, Gradient, InputXGradient, Occlusion
from explainrun.runner import ImageClassificationRunner
from explainrun.summary_format import Results

# Logits of the pictures: 6, 0, -4 and 3, 3, 4.
WEIGHTS = np.array([[[[1, 2, 3], [0, 0, 0]]], [[[1, -1, 0], [0, 0, 0]]], [[[0, 0, -4], [-2, 2, 0]]]], np.float32)
PICTURES = np.array([[[[1, 1, 1], [1, 1, 1]]], [[[2, -1, 1], [-1, 3, 0]]]], np.float32)


def pearson(first, second):
    return np.corrcoef(np.ravel(first), np.ravel(second))[0, 1]


def test_maps_of_the_two_ends_are_correlated_by_hand(linear):
    scores = ClassSensitivity().evaluate(InputXGradient(linear(WEIGHTS)), Tensor(PICTURES))
    first = (1 - pearson([1, 2, 3, 0, 0, 0], [0, 0, -4, -2, 2, 0])) / 2
    second = (1 - pearson([0, 0, -4, 2, 6, 0], [2, -2, 3, 0, 0, 0])) / 2  # the first of two that are equally unlikely
    np.testing.assert_allclose(scores, [first, second], atol=1e-6)


def test_maps_that_are_the_same_score_0_and_opposite_ones_1(linear):
    same = linear(np.stack([WEIGHTS[0], WEIGHTS[0] * 0.5]))
    assert ClassSensitivity().evaluate(InputXGradient(same), Tensor(PICTURES[:1])).tolist() == pytest.approx([0])
    opposite = linear(np.stack([WEIGHTS[0], -WEIGHTS[0]]))
    assert ClassSensitivity().evaluate(InputXGradient(opposite), Tensor(PICTURES[:1])).tolist() == pytest.approx([1])
    assert np.isnan(ClassSensitivity().evaluate(InputXGradient(linear(WEIGHTS * 0)), Tensor(PICTURES))).all()
    assert np.isnan(ClassSensitivity().evaluate(InputXGradient(linear(WEIGHTS[:1])), Tensor(PICTURES))).all()


def test_given_maps_are_taken(linear):
    explainer = RISE(linear(WEIGHTS), nn.Softmax(), num_masks=40, grid=2)
    maps = explainer(Tensor(PICTURES), [[0, 2], [2, 0]])  # of both pictures the ends
    network = explainer.network
    network.calls.clear()
    given = ClassSensitivity().evaluate(explainer, Tensor(PICTURES), saliency=maps)
    assert sum(network.calls) == 2  # the two pictures, to know their ends
    np.testing.assert_array_equal(given, ClassSensitivity().evaluate(explainer, Tensor(PICTURES)))


def test_in_a_run_it_takes_the_maps_and_masks_that_are_there(linear, dataset, tmp_path):
    network = linear(WEIGHTS, bias=-2.0)
    rise = RISE(network, nn.Sigmoid(), num_masks=33, grid=2)
    explainers = [Gradient(network), InputXGradient(network), Occlusion(network, nn.Sigmoid(), window=1), rise]
    data = dataset([(picture, np.int32([1])) for picture in PICTURES])
    runner = ImageClassificationRunner(tmp_path, (data, ["a", "b", "c"]), network, nn.Sigmoid(), jit="off", seed=0)
    runner.register_saliency(explainers, [ClassSensitivity(), InsertionAUC(3, nn.Sigmoid(), steps=2)])
    result = runner.run()
    results = Results(tmp_path)
    # Logits of 4, -2, -6 and 1, 1, 2: asked are true and likely labels, the ends are 0 and 2, 2 and 0.
    assert results.questions.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [1, 2]]
    assert result.costs["images"]["differentiate"] == 5 + 1
    assert result.costs["images"]["mask"] == 2 * 33
    assert result.costs["images"]["occlude"] == 2 * 6
    assert result.costs["images"]["perturb"] == 4 * 5 + 1  # each explainer's by themselves, and the baseline
    assert result.costs["made"] == {**result.costs["needed"], "perturb": 5}
    for explainer in explainers:
        alone = ClassSensitivity().evaluate(explainer, Tensor(PICTURES))
        of_run = results.scores(explainer.name, "ClassSensitivity")
        np.testing.assert_allclose(of_run, alone[results.questions[:, 0]], atol=1e-6)
        assert len(results.maps(explainer.name)) == 5
    assert (results.errors("RISE") > 0).all()
    assert np.isnan(results.errors("Occlusion")).all()
    assert result.errors == {"RISE": pytest.approx(results.errors("RISE").mean())}
    assert f"RISE maps off by {result.errors['RISE']:.0%} of their range" in result.summary_line()
