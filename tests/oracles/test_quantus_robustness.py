"""Stability of maps beside captum and Quantus 0.6.0, the same noise handed in."""

import warnings

import numpy as np
import pytest
import torch
from captum.attr import Saliency
from captum.metrics import sensitivity_max
from mindspore import Tensor

from explainrun.benchmarks import (
    Continuity,
    LocalLipschitz,
    RelativeInputStability,
    RelativeOutputStability,
    RelativeRepresentationStability,
    SensitivityAvg,
    SensitivityMax,
)
from explainrun.explainers import Gradient, Network, View
from explainrun.explainers.network import layer_outputs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import quantus
    import quantus.metrics.robustness.continuity as quantus_continuity
    from quantus.functions.norm_func import fro_norm
    from quantus.functions.similarity_func import difference, distance_euclidean, lipschitz_constant
    from quantus.helpers.model.pytorch_model import PyTorchModel

SAMPLES, RADIUS, PHOTOS = 3, 0.005, 6
OPTIONS = {"nr_samples": SAMPLES, "disable_warnings": True, "normalise": False, "abs": False}
PAIRS = [
    (SensitivityMax, quantus.MaxSensitivity, {"norm_numerator": fro_norm, "norm_denominator": fro_norm,
                                              "similarity_func": difference}),
    (SensitivityAvg, quantus.AvgSensitivity, {"norm_numerator": fro_norm, "norm_denominator": fro_norm,
                                              "similarity_func": difference}),
    (LocalLipschitz, quantus.LocalLipschitzEstimate, {"norm_numerator": distance_euclidean,
                                                      "norm_denominator": distance_euclidean,
                                                      "similarity_func": lipschitz_constant}),
    (RelativeInputStability, quantus.RelativeInputStability, {}),
    (RelativeOutputStability, quantus.RelativeOutputStability, {}),
    (RelativeRepresentationStability, quantus.RelativeRepresentationStability, {"layer_names": ["conv1"]}),
]  # fmt: skip


def made(kind, radius=RADIUS):
    options = {"samples": SAMPLES, "radius": radius}
    return kind("conv1", **options) if kind is RelativeRepresentationStability else kind(**options)


def noise(metric, images):
    """(draws, N, C, H, W) as our metric draws it in a direct call."""
    everyone = np.arange(len(images))
    view = View(None, images, everyone, everyone)
    return np.stack([[metric.noise.drawn(view, row, draw) for row in everyone] for draw in range(SAMPLES)])


def theirs(kind, options, images, labels, draws, network, torch_network):
    """What Quantus gives for our maps, and the class that the other network sees."""
    steps = iter(draws)

    def perturbed(arr, indices, **_):
        return arr + next(steps).reshape(arr.shape)

    def maps(model, inputs, targets, **_):
        return Gradient(network)(Tensor(np.asarray(inputs, np.float32)), targets.astype(np.int32)).asnumpy()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = kind(perturb_func=perturbed, **OPTIONS, **options)
        return np.array(metric(torch_network, images, labels, explain_func=maps, channel_first=True, softmax=False))


@pytest.mark.parametrize(("ours", "kind", "options"), PAIRS, ids=[ours.__name__ for ours, *_ in PAIRS])
def test_beside_quantus(network, torch_network, photos, ours, kind, options, monkeypatch):
    def outputs(_model, inputs, layers, _indices):
        """Ours: rounding in values near 0, by which theirs divides, is of another size in each framework."""
        found = layer_outputs(Network(network), inputs.astype(np.float32), layers)[layers[0]]
        return found.reshape(len(inputs), -1).astype(np.float64)

    monkeypatch.setattr(PyTorchModel, "get_hidden_representations", outputs)
    images, labels = photos[0][:PHOTOS], photos[1][:PHOTOS]
    metric = made(ours)
    found = metric.evaluate(Gradient(network), Tensor(images), labels.astype(np.int32))
    expected = theirs(kind, options, images, labels, noise(metric, images), network, torch_network)
    known = np.isfinite(expected)
    assert known.sum() >= PHOTOS - 2
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-4)


def test_continuity_beside_quantus(network, torch_network, photos, monkeypatch):
    """Its formula is the paper's; it moves the image where we add noise, which is handed in here."""
    images, labels = photos[0][:PHOTOS], photos[1][:PHOTOS]
    metric = made(Continuity)
    draws = iter(noise(metric, images))
    monkeypatch.setattr(quantus_continuity, "batched_translation", lambda arr, *_, **__: arr + next(draws))

    def maps(model, inputs, targets, **_):
        return Gradient(network)(Tensor(np.asarray(inputs, np.float32)), targets.astype(np.int32)).asnumpy()

    options = {"nr_steps": SAMPLES, "disable_warnings": True, "normalise": False, "abs": False}
    expected = quantus.Continuity(**options)(
        torch_network, images, labels, explain_func=maps, channel_first=True, softmax=False
    )
    found = metric.evaluate(Gradient(network), Tensor(images), labels.astype(np.int32))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_beside_captum(network, torch_network, noisy):
    """Maps by the other framework too; photos whose noisy copies keep off kinks."""
    images, labels = noisy[:2]
    metric = made(SensitivityMax, 1e-4)
    draws = torch.tensor(noise(metric, images).swapaxes(0, 1).reshape(-1, *images.shape[1:]))

    def perturbed(inputs):
        return (inputs[0] if isinstance(inputs, tuple) else inputs) + draws

    def maps(inputs, target):
        inputs = inputs[0] if isinstance(inputs, tuple) else inputs
        return (Saliency(torch_network).attribute(inputs.detach().requires_grad_(), target).amax(1),)

    expected = sensitivity_max(
        maps, torch.tensor(images), perturbed, n_perturb_samples=SAMPLES, target=torch.tensor(labels)
    )
    found = metric.evaluate(Gradient(network), Tensor(images), labels.astype(np.int32))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_where_one_draw_leaves_the_class_there_is_no_number(network, torch_network, photos):
    """By hand over the draws that stay, theirs has none."""
    images, labels = photos[0][:PHOTOS], photos[1][:PHOTOS].astype(np.int32)
    metric = made(RelativeInputStability, 0.15)
    draws = noise(metric, images)
    found = metric.evaluate(Gradient(network), Tensor(images), labels)
    expected = theirs(quantus.RelativeInputStability, {}, images, labels, draws, network, torch_network)
    asked = Network(network)
    stays = asked.logits((images + draws).reshape(-1, *images.shape[1:])).argmax(1).reshape(SAMPLES, -1)
    stays = stays == asked.logits(images).argmax(1)
    mixed = stays.any(0) & ~stays.all(0)
    assert mixed.any()
    assert np.isnan(expected[mixed]).all()
    before = Gradient(network)(Tensor(images), labels).asnumpy()[:, 0].astype(np.float64)
    by_hand = np.full((SAMPLES, len(images)), -np.inf)
    for draw in range(SAMPLES):
        after = Gradient(network)(Tensor(images + draws[draw]), labels).asnumpy()[:, 0]
        change = np.sqrt((((after - before) / np.where(before == 0, 1e-6, before)) ** 2).sum((1, 2)))
        moved = np.sqrt(((draws[draw].astype(np.float64) / images) ** 2).sum((1, 2, 3)))
        by_hand[draw] = np.where(stays[draw], change / moved, -np.inf)
    np.testing.assert_allclose(found[mixed], by_hand.max(0)[mixed], rtol=1e-3)
