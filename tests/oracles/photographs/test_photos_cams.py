"""The CAM family on photographs: gradients on those that keep to the same sides of kinks, the others on any."""

import numpy as np
import pytest
from cam_comparisons import (
    ablation_cam,
    augmented_cam,
    beside_captum,
    beside_grad_cam,
    beside_torchcam,
    eigen_cam,
    eigen_grad_cam,
    grad_cam_plus_plus,
    is_cam,
    mean_pooled,
    score_cam,
    shapley_cam,
    smooth_grad_cam_plus_plus,
    smooth_noise,
    ss_cam,
)
from factorization import from_the_same_start

from explainrun.explainers import FinerCAM, GradCAM, HiResCAM, LayerCAM, XGradCAM

LAYERS = ["head", "blocks.10"]
FEW_CHANNELS = "blocks.0.depthwise"  # 32, none of whose values is negative


@pytest.fixture
def subject(at, photos):
    return at("head", *photos)


@pytest.fixture
def one_by_one(at, all_photos):
    """For methods that take an image a channel, and no derivative: there are no kinks to keep off."""
    return at(FEW_CHANNELS, *(of[:1] for of in all_photos))


@pytest.mark.parametrize("layer", LAYERS)
def test_captum(subject, layer, agree):
    beside_captum(subject.at(layer), agree)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", [XGradCAM, LayerCAM, FinerCAM])
def test_torchcam(subject, method, layer, agree):
    beside_torchcam(subject.at(layer), method, agree)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", [GradCAM, XGradCAM, LayerCAM, HiResCAM])
def test_grad_cam(subject, method, layer, agree):
    beside_grad_cam(subject.at(layer), method, agree)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("comparison", [grad_cam_plus_plus, eigen_grad_cam, eigen_cam])
def test_weights_of_grad_cam(subject, comparison, layer, agree):
    comparison(subject.at(layer), agree)


@pytest.mark.parametrize("layer", LAYERS)
def test_shapley_cam(subject, layer, agree):
    shapley_cam(subject.at(layer), "rest", agree)


def test_augmented_cam(subject, agree):
    augmented_cam(subject, GradCAM, {"aug_smooth": True}, agree)


def test_cam(at, all_photos, agree):
    mean_pooled(at("head", *(of[:4] for of in all_photos)), ("classifier", "fc"), agree)


def test_smooth_grad_cam_plus_plus(at, parts, on_ways, agree):
    """The draws of the first two samples, for whichever parts keep to the same sides under both."""
    samples, std = 2, 0.2
    noise = smooth_noise(parts[0][:2], samples, std).reshape(-1, *parts[0].shape[1:])
    chosen = on_ways(lambda image, _: np.concatenate([image[None], image + noise]))
    smooth_grad_cam_plus_plus(at("blocks.10", *chosen), samples, std, agree)


def test_score_cam(one_by_one, agree):
    score_cam(one_by_one, agree)


def test_is_cam(one_by_one, agree):
    is_cam(one_by_one, 2, agree)


def test_ss_cam(one_by_one, agree):
    ss_cam(one_by_one, 2, 0.7, agree)


def test_ablation_cam(one_by_one, agree):
    ablation_cam(one_by_one, agree)


@pytest.mark.parametrize("layer", LAYERS)
def test_concepts(at, all_photos, layer, agree):
    from_the_same_start(at(layer, *(of[:2] for of in all_photos)), 4, agree)
