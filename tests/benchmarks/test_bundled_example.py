"""Scores tell good maps from bad ones on the bundled network and scenes."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import DeletionAUC, Explanation, InsertionAUC, IoSR, NaiveFaithfulness, PointingGame
from explainrun.configs.digit_network import DigitNetwork
from explainrun.configs.digit_scenes import DigitScenes, normalized
from explainrun.explainers import GradCAM, GuidedBackprop, InputXGradient, Needs, Network, View

NAMES = ("InsertionAUC", "DeletionAUC", "NaiveFaithfulness", "PointingGame", "IoSR")
# How many scenes, and steps of covered images: first a few, then as many as a user would take.
FEW, MANY = (3, (4, 4, 4)), (12, (16, 16, 49))


def metrics(insertion, deletion, naive):
    return [
        InsertionAUC(10, nn.Sigmoid(), steps=insertion),
        DeletionAUC(10, nn.Sigmoid(), steps=deletion),
        NaiveFaithfulness(10, nn.Sigmoid(), steps=naive),
        PointingGame(10, tolerance=3),
        IoSR(10),
    ]


@pytest.fixture(
    scope="module",
    params=[pytest.param(FEW, marks=pytest.mark.slow), pytest.param(MANY, marks=pytest.mark.long)],
    ids=["few", "many"],
)
def example(request):
    """Mean scores by explainer and metric."""
    count, steps = request.param
    network = DigitNetwork()
    checkpoint = request.config.rootpath / "configs" / "digit_network.ckpt"
    ms.load_param_into_net(network, ms.load_checkpoint(str(checkpoint)))
    scenes = DigitScenes("test", count, first=300)
    asked = [(row, label) for row, scene in enumerate(scenes) for label in sorted(set(scene.labels))]
    rows, labels = np.array(asked).T
    masks = np.zeros((len(asked), 112, 112), bool)
    for mask, (row, label) in zip(masks, asked, strict=True):
        for of_box, (x, y, width, height) in zip(scenes[row].labels, scenes[row].boxes, strict=True):
            if of_box == label:
                mask[y : y + height, x : x + width] = True
    explainers = [GuidedBackprop(network), GradCAM(network, "block6"), InputXGradient(network)]
    needs = Needs.together(explainer.needs for explainer in explainers)
    images = np.stack([normalized(scene.image) for scene in scenes])
    view = View(Network(network, fill=True), images, rows, labels, needs=needs)
    maps = {explainer.name: explainer.attribute(view) for explainer in explainers}
    maps["random"] = np.random.default_rng(0).random(masks.shape).astype(np.float32)
    maps["inverted"] = maps["GradCAM"].max() - maps["GradCAM"]
    explanations = {name: Explanation(explainers[0], view, of, masks) for name, of in maps.items()}
    scores = {name: {metric.name: metric.score(of) for metric in metrics(*steps)} for name, of in explanations.items()}
    return {name: {metric: np.nanmean(values) for metric, values in of.items()} for name, of in scores.items()}


@pytest.mark.parametrize("explainer", ["GuidedBackprop", "GradCAM", "InputXGradient"])
@pytest.mark.parametrize("metric", NAMES)
def test_explainers_beat_a_random_map(example, explainer, metric):
    assert example[explainer][metric] > example["random"][metric], example


def test_deletion_ranks_good_above_random_above_inverted(example):
    good, random, inverted = (example[name]["DeletionAUC"] for name in ("GradCAM", "random", "inverted"))
    assert good > random > inverted
