"""Each method of gradients beside captum's, or PyTorch's own, of any network."""

import warnings

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr import GuidedGradCam, Saliency
from captum.attr import InputXGradient as CaptumInputXGradient
from captum.attr import NoiseTunnel as CaptumNoiseTunnel
from draws import tunnel_draws
from mindspore import Tensor

from explainrun.explainers import (
    Contrast,
    Gradient,
    GuidedBackprop,
    GuidedGradCAM,
    InputXGradient,
)

AS_THEY_COME = "as they come"


def ours(explainer, images, labels):
    """Maps (N, H, W)."""
    return explainer(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]


def attributed(method, images, labels, **options):
    """What a method of captum gives each channel, (N, C, H, W)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum warns that it sets hooks
        found = method.attribute(torch.tensor(images, requires_grad=True), target=torch.tensor(labels), **options)
    return found.detach()


def gradient(network, torch_network, images, labels, agree, how=AS_THEY_COME):
    theirs = attributed(Saliency(torch_network), images, labels).amax(1).numpy()
    agree("Gradient", "captum Saliency", ours(Gradient(network), images, labels), theirs, how=how)


def input_x_gradient(network, torch_network, images, labels, agree, how=AS_THEY_COME):
    theirs = attributed(CaptumInputXGradient(torch_network), images, labels).sum(1).numpy()
    mine = ours(InputXGradient(network), images, labels)
    agree("InputXGradient", "captum InputXGradient", mine, theirs, how=how)


def contrast(network, torch_network, images, labels, agree, against=2, how=""):
    inputs, rows = torch.tensor(images, requires_grad=True), np.arange(len(images))
    logits, seen = torch_network(inputs), labels != against
    (logits[rows, labels] - logits[:, against]).sum().backward()
    theirs = (inputs * inputs.grad).detach().sum(1).numpy()
    mine = ours(Contrast(InputXGradient(network), against), images, labels)
    assert not mine[~seen].any()
    how = ", ".join(filter(None, (f"label less {against}", how)))
    agree("Contrast(InputXGradient)", "PyTorch's gradient", mine[seen], theirs[seen], how=how)


def rectified(network, torch_network, images, labels, explainer, agree, how=AS_THEY_COME):
    """``GuidedBackprop`` or ``Deconvolution``."""
    method, name = getattr(captum.attr, explainer.__name__), explainer.__name__
    theirs = attributed(method(torch_network), images, labels).abs().amax(1).numpy()
    agree(name, f"captum {name}", ours(explainer(network), images, labels), theirs, how=how)


def guided_grad_cam(network, torch_network, images, labels, layer, agree, how="bilinear"):
    method = GuidedGradCam(torch_network, torch_network.get_submodule(layer))
    theirs = attributed(method, images, labels, interpolate_mode="bilinear").abs().amax(1).numpy()
    mine, seen = ours(GuidedGradCAM(network, layer), images, labels), theirs.max(axis=(1, 2)) > 0
    assert seen.mean() > 0.5
    assert not mine[~seen].any()
    agree("GuidedGradCAM", "captum GuidedGradCam", mine[seen], theirs[seen], how=how)


def noise_tunnel(torch_network, explainer, images, labels, agree, how="same noise"):
    """A ``NoiseTunnel``; captum takes sizes before means of Saliency unless ``abs=False`` is given."""
    kind, samples, method = explainer.nt_type, explainer.nt_samples, type(explainer.explainer)
    noise = torch.tensor(np.concatenate(tunnel_draws(images, samples)))
    inner, options = {
        Gradient: (Saliency, {"abs": False}),
        InputXGradient: (CaptumInputXGradient, {}),
        GuidedBackprop: (captum.attr.GuidedBackprop, {}),
    }[method]
    tunnel, given = CaptumNoiseTunnel(inner(torch_network)), {"nt_type": kind, "nt_samples": samples}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "normal", lambda mean, std: mean + std * noise)
        theirs = attributed(tunnel, images, labels, stdevs=explainer.stdevs, **given, **options)
    theirs = (theirs.sum(1) if method is InputXGradient else theirs.abs().amax(1)).numpy()
    mine = ours(explainer, images, labels)
    agree(f"NoiseTunnel({method.__name__})", f"captum NoiseTunnel {kind}", mine, theirs, 1e-3, how)
