"""CAM methods on a small vision transformer, its tokens brought to a grid, against torchcam and grad-cam."""

import numpy as np
import pytest
import torch
from cam_comparisons import (
    ablation_cam_by_the_formula,
    augmented_cam,
    beside_grad_cam,
    beside_torchcam,
    eigen_cam,
    eigen_grad_cam,
    grad_cam_plus_plus_by_the_formula,
    is_cam,
    score_cam,
    smooth_grad_cam_plus_plus,
    ss_cam,
)
from cam_libraries import Subject, seen
from captum_comparisons import ours as at_the_images_size
from factorization import from_the_same_start
from mindspore import Tensor
from small_transformer import GRID
from torch.nn.attention import SDPBackend, sdpa_kernel

from explainrun.explainers import CAM, FinerCAM, GradCAM, GuidedGradCAM, HiResCAM, LayerCAM, ShapleyCAM, XGradCAM

LAYER = "blocks.1.norm1"


@pytest.fixture
def tokens(transformers, sixteen):
    (ours, theirs), (images, labels) = transformers, sixteen
    return Subject(
        network=ours, torch_network=theirs, images=images, labels=labels, layer=LAYER, grid=GRID,
        words="tokens of a transformer",
    )  # fmt: skip


def test_logits(transformers, sixteen):
    ours, theirs = transformers
    with torch.no_grad():
        expected = theirs(torch.tensor(sixteen[0])).numpy()
    np.testing.assert_allclose(ours(Tensor(sixteen[0])).asnumpy(), expected, atol=1e-4)


@pytest.mark.parametrize("method", [GradCAM, XGradCAM, LayerCAM, FinerCAM])
def test_torchcam(tokens, method, agree):
    beside_torchcam(tokens, method, agree)


@pytest.mark.parametrize("method", [GradCAM, HiResCAM, LayerCAM])
def test_grad_cam(tokens, method, agree):
    beside_grad_cam(tokens, method, agree)


@pytest.mark.parametrize("comparison", [grad_cam_plus_plus_by_the_formula, eigen_grad_cam, eigen_cam])
def test_weights(tokens, comparison, agree):
    comparison(tokens, agree)


def test_shapley_cam(tokens, agree):
    """By PyTorch's gradients of the residual softmax, since grad-cam's takes no tokens."""
    theirs, kept = tokens.torch_network, []
    with (
        theirs.get_submodule(LAYER).register_forward_hook(lambda *of: kept.append(of[2])),
        sdpa_kernel(SDPBackend.MATH),
    ):
        logits = theirs(torch.tensor(tokens.images))  # fused attention has no second derivative
        asked = torch.arange(len(logits)), torch.tensor(tokens.labels)
        (slopes,) = torch.autograd.grad((logits + logits.log_softmax(1))[asked].sum(), kept, create_graph=True)
        (bent,) = torch.autograd.grad((slopes * kept[0].detach()).sum(), kept)
    weights = tokens.on_grid(slopes - bent / 2).mean((2, 3), keepdim=True)
    found = (weights * tokens.on_grid(kept[0])).sum(1).clamp(min=0).detach().numpy()
    name = "the paper's formula in PyTorch"
    seen("ShapleyCAM", tokens.ours(ShapleyCAM), found, agree, name, how=tokens.how())


def test_augmented_cam(tokens, agree):
    augmented_cam(tokens, GradCAM, {"aug_smooth": True}, agree)


def test_smooth_grad_cam_plus_plus(tokens, agree):
    smooth_grad_cam_plus_plus(tokens, 3, 0.2, agree)


def test_score_cam(tokens, agree):
    score_cam(tokens, agree)


def test_is_cam(tokens, agree):
    is_cam(tokens.of(slice(8)), 2, agree)


def test_ss_cam(tokens, agree):
    ss_cam(tokens.of(slice(8)), 3, 0.7, agree)


def test_ablation_cam(tokens, agree):
    ablation_cam_by_the_formula(tokens, agree)


def test_concepts(tokens, agree):
    from_the_same_start(tokens, 4, agree)


def test_cam_needs_mean_pooling(tokens, undefined):
    """Its classes are made from one token, not from the mean of all."""
    with undefined("CAM", "mean-pooling-missing"):
        tokens.at("norm").ours(CAM, head="head")


def test_guided_grad_cam_needs_rectifiers(tokens, undefined):
    with undefined("GuidedGradCAM", "rectifier-missing"):
        at_the_images_size(GuidedGradCAM(tokens.network, LAYER, reshape=GRID), *tokens.pair)
