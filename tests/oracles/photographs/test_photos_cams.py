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
    grad_cam_plus_plus_by_the_formula,
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
RECTIFIED = "blocks.11.expand"  # 14 x 14; of layers that give negative values too, sums that divide come near to zero


@pytest.fixture
def subject(at, photos):
    return at("head", *photos)


@pytest.fixture
def one_by_one(at, parts):
    """For methods that take an image a channel: 16 of them, and no derivative, so there are no kinks to keep off."""
    return at("blocks.0", *(of[:2] for of in parts), "parts of photographs")


@pytest.mark.parametrize("layer", LAYERS)
def test_captum(subject, layer, agree):
    beside_captum(subject.at(layer), agree)


@pytest.mark.parametrize("layer", LAYERS)
def test_finer_cam(subject, layer, agree):
    beside_torchcam(subject.at(layer), FinerCAM, agree)


@pytest.mark.parametrize("method", [XGradCAM, LayerCAM])
def test_torchcam(subject, method, agree):
    beside_torchcam(subject.at(RECTIFIED), method, agree)


def test_hires_cam(subject, agree):
    beside_grad_cam(subject.at(RECTIFIED), HiResCAM, agree)


@pytest.mark.parametrize("layer", LAYERS)
def test_eigen_grad_cam(subject, layer, agree):
    eigen_grad_cam(subject.at(layer), agree)


def test_grad_cam_plus_plus(subject, agree):
    grad_cam_plus_plus(subject, agree)
    grad_cam_plus_plus_by_the_formula(subject.at(RECTIFIED), agree)


def test_eigen_cam(subject, agree):
    eigen_cam(subject.at(RECTIFIED), agree)


@pytest.mark.parametrize("layer", LAYERS)
def test_shapley_cam(subject, layer, agree):
    shapley_cam(subject.at(layer), "rest", agree)


def test_augmented_cam(subject, agree):
    augmented_cam(subject, GradCAM, {"aug_smooth": True}, agree)


def test_cam(subject, agree):
    mean_pooled(subject, ("classifier", "fc"), agree)


def test_smooth_grad_cam_plus_plus(at, parts, on_ways, agree):
    """The draws of the first two samples, for whichever parts keep to the same sides under both."""
    samples, std = 2, 0.2
    noise = smooth_noise(parts[0][:2], samples, std).reshape(-1, *parts[0].shape[1:])
    chosen = on_ways(lambda image, _: np.concatenate([image[None], image + noise]))
    smooth_grad_cam_plus_plus(at(RECTIFIED, *chosen), samples, std, agree)


def test_score_cam(one_by_one, agree):
    score_cam(one_by_one, agree)


def test_is_cam(one_by_one, agree):
    is_cam(one_by_one, 2, agree)


def test_ss_cam(one_by_one, agree):
    ss_cam(one_by_one, 2, 0.7, agree)


def test_ablation_cam(one_by_one, agree):
    """Of a layer that gives no negative values: see ``ablation_cam_by_the_formula``."""
    ablation_cam(one_by_one.at("blocks.0.depthwise"), agree)


def test_concepts(subject, agree):
    from_the_same_start(subject.at("blocks.10"), 4, agree)
