"""Each CAM beside the library that has it, or the paper's formula, at a layer of any network."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
import torchcam.methods
from cam_libraries import seen
from captum.attr import LayerAttribution, LayerGradCam
from captum_comparisons import ours as at_the_images_size
from pytorch_grad_cam import AblationCAM as TheirAblationCAM
from pytorch_grad_cam import EigenCAM as TheirEigenCAM
from pytorch_grad_cam import EigenGradCAM as TheirEigenGradCAM
from pytorch_grad_cam import GradCAM as TheirGradCAM
from pytorch_grad_cam import GradCAMPlusPlus
from pytorch_grad_cam import HiResCAM as TheirHiResCAM
from pytorch_grad_cam import LayerCAM as TheirLayerCAM
from pytorch_grad_cam import ShapleyCAM as TheirShapleyCAM
from pytorch_grad_cam import XGradCAM as TheirXGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputReST, ClassifierOutputTarget

from explainrun.explainers import (
    CAM,
    ISCAM,
    SSCAM,
    AblationCAM,
    AugmentedCAM,
    EigenCAM,
    EigenGradCAM,
    GradCAM,
    GradCAMpp,
    HiResCAM,
    LayerCAM,
    ScoreCAM,
    ShapleyCAM,
    SmoothGradCAMpp,
    XGradCAM,
)
from explainrun.explainers.core.view import keyed_generator

OF_GRAD_CAM = {
    GradCAM: TheirGradCAM, XGradCAM: TheirXGradCAM, LayerCAM: TheirLayerCAM, HiResCAM: TheirHiResCAM,
}  # fmt: skip
MASKS = "masks to 0..1 after resizing"


def beside_torchcam(subject, method, agree):
    theirs = subject.torchcams(getattr(torchcam.methods, method.__name__))
    name = f"torchcam {method.__name__}"
    seen(method.__name__, subject.ours(method), theirs, agree, name, how=subject.how())


def beside_grad_cam(subject, method, agree):
    """It cuts negative values to zero."""
    theirs = OF_GRAD_CAM[method]
    mine, found = subject.ours(method).clip(min=0), subject.grad_cams(theirs)
    how = subject.how("positive part" if method is HiResCAM else "")
    seen(method.__name__, mine, found, agree, f"grad-cam {theirs.__name__}", how=how)


def beside_captum(subject, agree):
    """At the images' size."""
    method = LayerGradCam(subject.torch_network, subject.torch_network.get_submodule(subject.layer))
    theirs = method.attribute(torch.tensor(subject.images), torch.tensor(subject.labels), relu_attributions=True)
    theirs = LayerAttribution.interpolate(theirs, subject.images.shape[2:], "bilinear").detach().numpy()[:, 0]
    mine = at_the_images_size(GradCAM(subject.network, subject.layer), *subject.pair)
    seen("GradCAM", mine, theirs, agree, "captum LayerGradCam", how=subject.how())


def mean_pooled(subject, head, agree):
    theirs = subject.torchcams(torchcam.methods.CAM, fc_layer=head[1])
    seen("CAM", subject.ours(CAM, head=head[0]), theirs, agree, "torchcam CAM", how=subject.how())


def grad_cam_plus_plus(subject, agree):
    louder = subject.louder(300.0)
    mine, theirs = louder.ours(GradCAMpp), louder.grad_cams(GradCAMPlusPlus)
    seen("GradCAMpp", mine, theirs, agree, "grad-cam GradCAMPlusPlus", how=subject.how("logits times 300"))


def grad_cam_plus_plus_by_the_formula(subject, agree):
    """For layers where the divisor passes zero as logits become louder, and grad-cam's constant counts as they are."""
    slopes = subject.slopes(subject.images).astype(np.float64)
    theirs = second_order_maps(subject.output(), slopes, slopes**2, slopes**3)
    name = "the paper's formula in PyTorch"
    seen("GradCAMpp", subject.ours(GradCAMpp), theirs, agree, name, how=subject.how())


def second_order_maps(activation, first, second, third):
    """Those of Grad-CAM++ from a layer's output and derivatives of any logit, (N, channels, h, w) all."""
    divisor = 2 * second + activation.sum((2, 3), keepdims=True) * third
    alpha = np.divide(second, divisor, out=np.zeros_like(second), where=second != 0)
    weights = (alpha * np.maximum(first, 0)).sum((2, 3), keepdims=True)
    return np.maximum((weights * activation).sum(1), 0)


def eigen_cam(subject, agree):
    """Their sign is that of the decomposition of the day, so both parts of theirs are looked at."""
    mine, theirs = subject.ours(EigenCAM, centered=True), subject.signed_grad_cams(TheirEigenCAM)
    how = subject.how("centered", "either sign")
    agree("EigenCAM", "grad-cam EigenCAM", mine, alike_signed(mine, theirs), how=how)


def eigen_grad_cam(subject, agree):
    mine, theirs = subject.ours(EigenGradCAM), subject.signed_grad_cams(TheirEigenGradCAM)
    how = subject.how("either sign")
    agree("EigenGradCAM", "grad-cam EigenGradCAM", mine, alike_signed(mine, theirs), how=how)


def alike_signed(mine, theirs):
    """Theirs, turned over where they are so beside ours."""
    return np.sign((mine * theirs).sum(axis=(1, 2), keepdims=True)) * theirs


def shapley_cam(subject, utility, agree, words=""):
    target = {"rest": ClassifierOutputReST, "logit": ClassifierOutputTarget}[utility]
    mine, theirs = subject.ours(ShapleyCAM, utility=utility), subject.grad_cams(TheirShapleyCAM, target)
    seen("ShapleyCAM", mine, theirs, agree, "grad-cam ShapleyCAM", how=subject.how(words))


def augmented_cam(subject, method, how, agree):
    """At the images' size, and in 0..1, as theirs are; ``how`` are theirs's options."""
    theirs = OF_GRAD_CAM[method]
    found, copies = smoothed(subject, theirs, **how), {} if "aug_smooth" in how else {"flip": False, "factors": [1.0]}
    inner = method(subject.network, subject.layer, reshape=subject.grid)
    mine = at_the_images_size(AugmentedCAM(inner, **copies, eigen_smooth="eigen_smooth" in how), *subject.pair)
    there = found.max(axis=(1, 2)) > 0.1
    assert there.mean() >= 0.5
    name, how = f"grad-cam {theirs.__name__}", subject.how(" and ".join(how))
    agree(f"AugmentedCAM({method.__name__})", name, mine[there], found[there], how=how)


def smoothed(subject, method, **how):
    """grad-cam's maps at the images' size."""
    targets = [ClassifierOutputTarget(label) for label in subject.labels.tolist()]
    options = {} if subject.grid is None else {"reshape_transform": subject.on_grid}
    network = subject.torch_network
    with method(network, [network.get_submodule(subject.layer)], **options) as cam:
        cam.batch_size = 16
        return cam(torch.tensor(subject.images), targets, **how)


def score_cam(subject, agree):
    with resizing_first():
        theirs = subject.torchcams(torchcam.methods.ScoreCAM)
    seen("ScoreCAM", subject.ours(ScoreCAM), theirs, agree, "torchcam ScoreCAM", how=subject.how(MASKS))


def is_cam(subject, samples, agree):
    with resizing_first():
        theirs = subject.torchcams(torchcam.methods.ISCAM, num_samples=samples)
    mine = subject.ours(ISCAM, num_samples=samples)
    seen("ISCAM", mine, theirs, agree, "torchcam ISCAM", how=subject.how(MASKS))


def ss_cam(subject, samples, std, agree):
    """With the same noise."""
    mine, channels = subject.ours(SSCAM, num_samples=samples, std=std), subject.output().shape[1]
    found = []
    for row in range(len(subject.images)):
        draws = keyed_generator(0, row, "SSCAM").standard_normal(
            (channels, samples, *subject.images.shape[2:]), np.float32
        )
        given = iter(torch.tensor(std * draws.swapaxes(0, 1)))

        class SameNoise(torchcam.methods.SSCAM):
            def __init__(self, *arguments, given=given, **options):
                super().__init__(*arguments, **options)
                self._distrib.sample = lambda size: next(given).reshape(size)

        with resizing_first():
            found.append(subject.of(slice(row, row + 1)).torchcams(SameNoise, num_samples=samples, std=std))
    how = subject.how("same noise", MASKS)
    seen("SSCAM", mine, np.concatenate(found), agree, "torchcam SSCAM", tolerance=1e-3, how=how)


def smooth_noise(images, samples, std):
    """(samples, N, C, H, W), as our SmoothGradCAMpp draws it."""
    draws = [
        keyed_generator(0, row, "SmoothGradCAMpp").standard_normal((samples, *images.shape[1:]), np.float32)
        for row in range(len(images))
    ]
    return std * np.stack(draws, axis=1)


def smooth_grad_cam_plus_plus(subject, samples, std, agree):
    """With the same noise, by the paper's formula."""
    mine = subject.ours(SmoothGradCAMpp, num_samples=samples, std=std)
    slopes = [subject.slopes(subject.images + noise) for noise in smooth_noise(subject.images, samples, std)]
    moments = (np.mean([slope.astype(np.float64) ** power for slope in slopes], axis=0) for power in (1, 2, 3))
    theirs = second_order_maps(subject.output(), *moments)
    how = subject.how("same noise", "the paper's formula")
    seen("SmoothGradCAMpp", mine, theirs, agree, "PyTorch's gradients", tolerance=1e-3, how=how)


def ablation_cam(subject, agree):
    """Where logits are positive: elsewhere theirs turn the map over, as the paper's formula does."""
    chosen = surely_positive(subject)
    theirs = chosen.grad_cams(TheirAblationCAM)
    seen("AblationCAM", chosen.ours(AblationCAM), theirs, agree, "grad-cam AblationCAM", how=subject.how())


def ablation_cam_by_the_formula(subject, agree):
    """For layers that give negative values, where grad-cam puts less than their least in the place of zero.

    Of tokens the one for the class stays. Shares are of the logit's size.
    """
    activation, whole = subject.output(), asked_logits(subject)
    falls = np.stack([whole - _without(subject, channel) for channel in range(activation.shape[1])], axis=1)
    weights = falls / np.abs(whole)[:, None]
    theirs = np.maximum((weights[:, :, None, None] * activation).sum(1), 0)
    name = "the paper's formula in PyTorch"
    seen("AblationCAM", subject.ours(AblationCAM), theirs, agree, name, how=subject.how())


def _without(subject, channel):
    """The logits (N,) where a channel of the layer's output is zero everywhere."""

    def ablate(_module, _inputs, output):
        output = output.clone()
        subject.on_grid(output)[:, channel] = 0  # a view of it
        return output

    hook = subject.torch_network.get_submodule(subject.layer).register_forward_hook(ablate)
    logits = asked_logits(subject)
    hook.remove()
    return logits


def surely_positive(subject):
    positive = asked_logits(subject) > 0.5
    assert positive.mean() > 0.6
    return subject.of(positive)


def asked_logits(subject):
    with torch.no_grad():
        logits = subject.torch_network(torch.tensor(subject.images)).numpy()
    return logits[np.arange(len(logits)), subject.labels]


@contextmanager
def resizing_first():
    """Within, torchcam's masks are brought to 0..1 after they are resized, as in the paper, instead of before."""
    upsample = torchcam.methods.ScoreCAM._upsample
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torchcam.methods.ScoreCAM, "_upsample", lambda self, a: self._normalize(upsample(self, a), 2))
        yield
