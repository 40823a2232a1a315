"""KernelSHAP against captum's Shapley values, and LIME against captum's on the same perturbations."""

import pytest
from superpixels import kernel_shap, lime

PHOTOS, WIDTH = 12, 24


@pytest.fixture
def few(photos):
    images, labels = photos
    return images[:PHOTOS, :, :, :WIDTH].copy(), labels[:PHOTOS]


@pytest.mark.parametrize("hide", [None, 0.0, pytest.param(-0.7, marks=pytest.mark.long)])
def test_kernel_shap(network, torch_network, few, hide, agree):
    kernel_shap(network, torch_network, *few, hide, agree)


@pytest.mark.parametrize("hide", [None, pytest.param(0.0, marks=pytest.mark.long)])
def test_lime(network, torch_network, few, hide, agree):
    lime(network, torch_network, *few, hide, agree)
