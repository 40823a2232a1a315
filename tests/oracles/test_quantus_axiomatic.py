"""Axioms beside Quantus 0.6.0: where it is right, and where by hand it is not."""

import warnings

import numpy as np
import pytest
import torch
from mindspore import Tensor, nn, ops

from explainrun.benchmarks import Completeness, InputInvariance, NonSensitivity
from explainrun.explainers import Gradient, InputXGradient

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import quantus

WEIGHTS = np.random.default_rng(0).normal(size=(3, 1, 6, 8)).astype(np.float32)
IMAGES = np.random.default_rng(1).normal(size=(4, 1, 6, 8)).astype(np.float32)
LABELS = np.array([0, 2, 1, 2])
OPTIONS = {"disable_warnings": True, "normalise": False, "abs": False}


def in_pytorch(weights):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(weights[0].size, len(weights), bias=False))
    model[1].weight.data = torch.tensor(weights.reshape(len(weights), -1))
    return model.eval()


def theirs(metric, model, maps, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return metric(model, IMAGES, LABELS, a_batch=maps, channel_first=True, softmax=False, **options)


def test_completeness_is_a_residual_not_an_equality(linear):
    """By hand all four maps are complete: weights times image add up to the logit. Theirs says so of some."""
    network, maps = linear(WEIGHTS), WEIGHTS[LABELS] * IMAGES
    explainer = InputXGradient(network)
    by_hand = maps.astype(np.float64).sum((1, 2, 3)) - (WEIGHTS[LABELS].astype(np.float64) * IMAGES).sum((1, 2, 3))
    assert np.abs(by_hand).max() < 1e-5
    found = theirs(quantus.Completeness(**OPTIONS), in_pytorch(WEIGHTS), maps)
    assert not all(found)
    assert Completeness().evaluate(explainer, Tensor(IMAGES), LABELS, saliency=maps) == pytest.approx([0] * 4, abs=1e-4)


def test_non_sensitivity_pixel_by_pixel(linear):
    """Maps without negative values, one pixel a step: theirs counts pixels, ours is their share."""
    weights = np.where(np.arange(8) < 5, WEIGHTS, 0).astype(np.float32)
    maps = np.abs(weights[LABELS] * IMAGES)
    maps[:, :, 2, 1], maps[:, :, 4, 6] = 0, 1  # a pixel that is used and a pixel that is not, each taken for the other
    metric = quantus.NonSensitivity(features_in_step=1, perturb_baseline=9.0, **OPTIONS)
    found = np.array(theirs(metric, in_pytorch(weights), maps))
    explainer = Gradient(linear(weights))
    ours = NonSensitivity(1, 4, 1e-4).evaluate(explainer, Tensor(IMAGES), LABELS, saliency=maps)
    assert found.tolist() == [2] * 4
    assert ours == pytest.approx(found / 48)


def test_non_sensitivity_of_several_pixels_a_step(linear):
    """By hand 0, of a network whose left half alone is used: theirs fails, ours is 0."""
    weights = np.where(np.arange(8) < 4, WEIGHTS, 0).astype(np.float32)
    maps = np.abs(weights[LABELS] * IMAGES)
    metric = quantus.NonSensitivity(features_in_step=4, perturb_baseline=9.0, **OPTIONS)
    with pytest.raises(ValueError, match="broadcast"):
        theirs(metric, in_pytorch(weights), maps)
    explainer = Gradient(linear(weights))
    ours = NonSensitivity(patch_size=4).evaluate(explainer, Tensor(IMAGES), LABELS, saliency=maps)
    assert ours.tolist() == [0] * 4


def test_non_sensitivity_of_negative_values(linear):
    """By hand 0: pixels that speak against the label are used, and have a value. Theirs takes them for zeros."""
    maps = (WEIGHTS[LABELS] * IMAGES).astype(np.float32)
    metric = quantus.NonSensitivity(features_in_step=1, perturb_baseline=9.0, **OPTIONS)
    found = theirs(metric, in_pytorch(WEIGHTS), maps)
    assert np.array(found).tolist() == (maps < 1e-5).sum((1, 2, 3)).tolist()
    assert min(found) > 10
    ours = NonSensitivity(1, 4, 1e-6).evaluate(Gradient(linear(WEIGHTS)), Tensor(IMAGES), LABELS, saliency=maps)
    assert ours.tolist() == [0] * 4


class Padded(nn.Cell):
    def __init__(self, weights, head):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 2, 3, pad_mode="same", has_bias=True), nn.Dense(96, 3)
        self.conv.weight.set_data(Tensor(weights))
        self.conv.bias.set_data(Tensor(np.zeros(2, np.float32)))
        self.head.weight.set_data(Tensor(head))
        self.head.bias.set_data(Tensor(np.zeros(3, np.float32)))

    def construct(self, x):
        return self.head(ops.relu(self.conv(x)).reshape(x.shape[0], -1))


def test_input_invariance_of_a_convolution_that_pads():
    """By hand gradients are invariant: the network is the same function. Theirs changes it at the image's edge."""
    rng = np.random.default_rng(4)
    weights, head = (rng.normal(size=size).astype(np.float32) for size in ((2, 1, 3, 3), (3, 96)))
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(96, 3)
    ).eval()
    for own, values in zip(model.parameters(), (weights, np.zeros(2), head, np.zeros(3)), strict=True):
        own.data = torch.tensor(values, dtype=torch.float32)

    def maps(model, inputs, targets, **_):
        inputs = torch.tensor(inputs, dtype=torch.float32, requires_grad=True)
        (gradient,) = torch.autograd.grad(model(inputs)[torch.arange(4), torch.tensor(targets)].sum(), inputs)
        return gradient.abs().numpy()

    found = theirs(quantus.InputInvariance(**OPTIONS), model, maps(model, IMAGES, LABELS), explain_func=maps)
    assert not np.any(found)
    network = Padded(weights, head)
    assert InputInvariance(-1.0).evaluate(Gradient(network), Tensor(IMAGES), LABELS) == pytest.approx([0] * 4, abs=1e-5)
