"""CAM methods on a small vision transformer, its tokens brought to a grid, against torchcam and grad-cam."""

import numpy as np
import pytest
import torch
import torchcam.methods
from cam_libraries import signed_grad_cams, torchcams
from mindspore import Tensor
from pytorch_grad_cam import EigenGradCAM as TheirEigenGradCAM
from pytorch_grad_cam import GradCAM as TheirGradCAM
from pytorch_grad_cam import HiResCAM as TheirHiResCAM
from pytorch_grad_cam import LayerCAM as TheirLayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from small_transformer import GRID, WIDTH
from torch.nn.attention import SDPBackend, sdpa_kernel

from explainrun.explainers import (
    ISCAM,
    SSCAM,
    AblationCAM,
    EigenCAM,
    EigenGradCAM,
    FinerCAM,
    GradCAM,
    GradCAMpp,
    HiResCAM,
    LayerCAM,
    ScoreCAM,
    ShapleyCAM,
    SmoothGradCAMpp,
    XGradCAM,
)

LAYER = "blocks.1.norm1"


def on_grid(tokens):
    return tokens[:, 1:].reshape(len(tokens), *GRID, WIDTH).permute(0, 3, 1, 2)


def test_logits(transformers, sixteen):
    ours, theirs = transformers
    with torch.no_grad():
        expected = theirs(torch.tensor(sixteen[0])).numpy()
    np.testing.assert_allclose(ours(Tensor(sixteen[0])).asnumpy(), expected, atol=1e-4)


def maps(explainer, sixteen):
    (found,) = explainer.layer_maps(Tensor(sixteen[0]), Tensor(sixteen[1].astype(np.int32))).values()
    return found.asnumpy()[:, 0]


def compared(agree, method, library, mine, theirs):
    there = theirs.max(axis=(1, 2)) > 1e-4
    assert there.sum() >= 8
    agree(method, library, mine[there], theirs[there], how="tokens of a transformer")


@pytest.mark.parametrize("method", [GradCAM, XGradCAM, LayerCAM])
def test_torchcam(transformers, sixteen, method, agree):
    ours, theirs = transformers
    of_theirs = getattr(torchcam.methods, method.__name__)
    with of_theirs(theirs, LAYER, input_shape=(3, 32, 24), reshape_transform=on_grid) as extract:
        (found,) = extract(sixteen[1].tolist(), theirs(torch.tensor(sixteen[0])), normalized=False)
    mine = maps(method(ours, LAYER, reshape=GRID), sixteen)
    compared(agree, method.__name__, f"torchcam {method.__name__}", mine, found.detach().numpy())


@pytest.mark.parametrize(
    ("method", "theirs"), [(GradCAM, TheirGradCAM), (HiResCAM, TheirHiResCAM), (LayerCAM, TheirLayerCAM)]
)
def test_grad_cam(transformers, sixteen, method, theirs, agree):
    network, torch_network = transformers
    targets = [ClassifierOutputTarget(label) for label in sixteen[1].tolist()]
    with theirs(torch_network, [torch_network.get_submodule(LAYER)], reshape_transform=on_grid) as cam:
        found = []
        weigh = cam.get_cam_image
        cam.get_cam_image = lambda *arguments: found.append(weigh(*arguments)) or found[-1]
        cam(torch.tensor(sixteen[0]), targets=targets)
    mine = maps(method(network, LAYER, reshape=GRID), sixteen)
    compared(agree, method.__name__, f"grad-cam {theirs.__name__}", mine.clip(min=0), np.maximum(found[0], 0))


def test_eigen_grad_cam(transformers, sixteen, agree):
    ours, theirs = transformers
    found = signed_grad_cams(TheirEigenGradCAM, sixteen, theirs, LAYER, reshape_transform=on_grid)
    mine = maps(EigenGradCAM(ours, LAYER, reshape=GRID), sixteen)
    sign = np.sign((mine * found).sum(axis=(1, 2), keepdims=True))
    agree("EigenGradCAM", "grad-cam EigenGradCAM", mine, sign * found, how="tokens of a transformer, either sign")


def test_shapley_cam(transformers, sixteen, agree):
    """By PyTorch's gradients of the residual softmax, since grad-cam's takes no tokens."""
    ours, theirs = transformers
    kept = []
    with (
        theirs.get_submodule(LAYER).register_forward_hook(lambda *of: kept.append(of[2])),
        sdpa_kernel(SDPBackend.MATH),
    ):
        logits = theirs(torch.tensor(sixteen[0]))  # fused attention has no second derivative
        asked = torch.arange(len(logits)), torch.tensor(sixteen[1])
        (slopes,) = torch.autograd.grad((logits + logits.log_softmax(1))[asked].sum(), kept, create_graph=True)
        (bent,) = torch.autograd.grad((slopes * kept[0].detach()).sum(), kept)
    weights = on_grid(slopes - bent / 2).mean((2, 3), keepdim=True)
    found = (weights * on_grid(kept[0])).sum(1).clamp(min=0).detach().numpy()
    mine = maps(ShapleyCAM(ours, LAYER, reshape=GRID), sixteen)
    compared(agree, "ShapleyCAM", "the paper's formula in PyTorch", mine, found)


def test_finer_cam(transformers, sixteen, agree):
    ours, theirs = transformers
    found = torchcams(torchcam.methods.FinerCAM, sixteen, theirs, target_layer=LAYER, reshape_transform=on_grid)
    compared(agree, "FinerCAM", "torchcam FinerCAM", maps(FinerCAM(ours, LAYER, reshape=GRID), sixteen), found)


@pytest.mark.parametrize("method", [GradCAMpp, EigenCAM, ScoreCAM, SSCAM, ISCAM, AblationCAM, SmoothGradCAMpp])
def test_all_of_the_family_take_tokens(transformers, sixteen, method):
    options = {"num_samples": 2} if method in (SSCAM, ISCAM, SmoothGradCAMpp) else {}
    images, labels = (of[:2] for of in sixteen)
    found = method(transformers[0], LAYER, reshape=GRID, **options)(Tensor(images), labels).asnumpy()
    assert found.shape == (2, 1, 32, 24)
    assert np.isfinite(found).all()
    assert np.ptp(found, axis=(2, 3)).max() > 0
