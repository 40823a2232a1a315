"""Methods that hide parts of photographs, and those that optimise masks; and edges. None has kinks to keep off."""

import numpy as np
import pytest
import torch
from captum.attr import Occlusion as CaptumOcclusion
from captum_comparisons import ours
from edges import sobel_edges
from enumeration import beside_enumeration
from masks import correlations, extremal_masks, meaningful_masks
from mindspore import nn
from superpixels import kernel_shap, lime

from explainrun.explainers import Occlusion


@pytest.mark.parametrize("count", [2, pytest.param(16, marks=pytest.mark.long)])
def test_occlusion(network, torch_network, all_photos, count, agree):
    """It takes no derivative, so there are no kinks to keep off."""
    images, labels = (of[:count] for of in all_photos)
    window = (3, 56, 112)
    theirs = CaptumOcclusion(lambda some: torch_network(some).softmax(1)).attribute(
        torch.tensor(images), sliding_window_shapes=window, strides=window, target=torch.tensor(labels),
        perturbations_per_eval=8,
    )  # fmt: skip
    explainer = Occlusion(network, nn.Softmax(), window=window, stride=window)
    mine = ours(explainer, images, labels)
    theirs = theirs.numpy().mean(axis=1)
    moved = np.abs(theirs).max(axis=(1, 2)) > 1e-3  # of some photos the network is too sure for a window to matter
    assert moved.sum() >= count / 2
    agree("Occlusion", "captum Occlusion", mine[moved], theirs[moved], how="photographs")


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.long)])
def test_shapley_values(network, torch_network, all_photos, count, agree):
    """They take no derivative, so there are no kinks to keep off."""
    images, labels = (of[:count] for of in all_photos)
    owen, sampled = beside_enumeration(network, torch_network, images, labels, 10_000)
    agree("PartitionSHAP", "PyTorch's probabilities", *owen, how="photographs, all orders of eight segments")
    how = "photographs, 10,000 orders of eight segments; allowed are 4 standard errors"
    agree("ShapleyValueSampling", "PyTorch's probabilities", *sampled, how=how)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_masks(network, torch_network, parts, agree, monkeypatch):
    """After few steps: kinks of ReLU6 on the way part implementations."""
    images, labels = (of[:1] for of in parts)
    mine, theirs, words = extremal_masks(
        network, torch_network, images, labels, "preserve", 5, monkeypatch, step=4, sigma=12
    )
    assert min(correlations(mine, theirs)) >= 0.99
    words = f"parts of photographs, {words}"
    agree("ExtremalPerturbation", "torchray extremal_perturbation", mine, theirs, tolerance=0.05, how=words)
    mine, theirs = meaningful_masks(network, torch_network, images, labels, 5, 4)
    assert min(correlations(mine, theirs)) >= 0.99
    words = "parts of photographs, 5 steps"
    agree("MeaningfulPerturbation", "PyTorch's gradients and Adam", mine, theirs, tolerance=0.1, how=words)


def test_kernel_shap(network, torch_network, all_photos, agree):
    kernel_shap(network, torch_network, *(of[:2] for of in all_photos), None, agree, how="photographs")


def test_lime(network, torch_network, parts, agree):
    lime(network, torch_network, *(of[:1] for of in parts), None, agree, how="parts of photographs")


def test_sobel_edges(network, all_photos, agree):
    sobel_edges(network, *(of[:4] for of in all_photos), agree, how="photographs")
