"""Gradients of the image, on photographs."""

import captum.attr
import full_gradients
import numpy as np
import pytest
import torch
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR, nonlinear
from captum_comparisons import (
    attributed,
    contrast,
    gradient,
    guided_grad_cam,
    input_x_gradient,
    noise_tunnel,
    ours,
    rectified,
)
from draws import tunnel_draws
from mindspore import Tensor

from explainrun.explainers import (
    Deconvolution,
    DeepLift,
    DeepLiftShap,
    FullGrad,
    Gradient,
    GuidedBackprop,
    NoiseTunnel,
)


@pytest.mark.parametrize("comparison", [gradient, input_x_gradient])
def test_gradients(network, torch_network, photos, comparison, agree):
    *photos, how = photos
    comparison(network, torch_network, *photos, agree, how=how)


def test_contrasts(network, torch_network, photos, agree):
    *photos, how = photos
    contrast(network, torch_network, *photos, agree, how=how)


@pytest.mark.parametrize("explainer", [GuidedBackprop, Deconvolution])
def test_rectified_rules(network, torch_network, photos, explainer, agree):
    *photos, how = photos
    rectified(network, torch_network, *photos, explainer, agree, how)


def test_guided_grad_cam(network, torch_network, photos, agree):
    *photos, how = photos
    guided_grad_cam(network, torch_network, *photos, "blocks.10", agree, f"bilinear, {how}")


def test_noise_tunnel(network, torch_network, parts, on_ways, agree):
    """The draws of the first two samples, for whichever parts keep to the same sides under both."""
    samples, stdevs = 2, 0.2
    noise = stdevs * tunnel_draws(parts[0][:2], samples).reshape(-1, *parts[0].shape[1:])
    images, labels, how = on_ways(lambda image, _: image + noise)
    explainer = NoiseTunnel(Gradient(network), "smoothgrad", samples, stdevs)
    noise_tunnel(torch_network, explainer, images, labels, agree, f"same noise, {how}")


@pytest.fixture
def rule_for_relu6(torch_relu6, monkeypatch):
    """Captum's rule for ReLU is that for ReLU6, once this is in its table. Lines have no kinks to keep off."""
    monkeypatch.setitem(SUPPORTED_NON_LINEAR, torch_relu6, nonlinear)


def test_deep_lift(network, torch_network, all_photos, rule_for_relu6, agree):
    images, labels = (of[:3] for of in all_photos)
    theirs = attributed(captum.attr.DeepLift(torch_network), images, labels).sum(1).numpy()
    maps, errors = DeepLift(network).completeness_error(Tensor(images), Tensor(labels.astype(np.int32)))
    agree("DeepLift", "captum DeepLift", maps.asnumpy()[:, 0], theirs, how="photographs, ReLU6")
    print(f"errors of completeness: {np.abs(errors).max():.1e} of a logit")
    assert np.abs(errors).max() < 1e-4


def test_deep_lift_shap(network, torch_network, all_photos, rule_for_relu6, agree):
    (images, labels), others = (of[:2] for of in all_photos), all_photos[0][-3:]
    method = captum.attr.DeepLiftShap(torch_network)
    theirs = attributed(method, images, labels, baselines=torch.tensor(others)).sum(1).numpy()
    mine = ours(DeepLiftShap(network, others), images, labels)
    agree("DeepLiftShap", "captum DeepLiftShap", mine, theirs, how="photographs, ReLU6")


def test_full_grad(network, torch_network, photos, agree):
    """With what ReLU6 adds, which grad-cam leaves out."""
    images, labels, how = photos
    maps, sums, logits = full_gradients.by_torch(torch_network, images, labels)
    np.testing.assert_allclose(sums, logits, atol=1e-3)
    agree("FullGrad", "PyTorch's gradients", ours(FullGrad(network), images, labels), maps, how=how)
