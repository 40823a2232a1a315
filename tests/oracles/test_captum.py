"""Our maps against captum's on the same trained network and real photos."""

import warnings

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr import InputXGradient as CaptumInputXGradient
from captum.attr import LayerAttribution, LayerGradCam, Saliency
from captum.attr import Occlusion as CaptumOcclusion
from mindspore import Tensor, nn

from explainrun.explainers import Deconvolution, GradCAM, Gradient, GuidedBackprop, InputXGradient, Network, Occlusion


def test_logits(network, torch_network, photos):
    images, labels = photos
    with torch.no_grad():
        theirs = torch_network(torch.tensor(images)).numpy()
    ours = Network(network).logits(images)
    assert np.abs(ours - theirs).max() <= 1e-4
    assert (ours.argmax(1) == labels).mean() > 0.6  # the network sees what it was trained on, though cropped


def test_gradient(network, torch_network, photos, agree):
    images, labels = photos
    theirs = Saliency(torch_network).attribute(torch.tensor(images, requires_grad=True), torch.tensor(labels))
    ours = Gradient(network)(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]
    agree("Gradient", "captum Saliency", ours, theirs.amax(1).numpy())


def test_input_x_gradient(network, torch_network, photos, agree):
    images, labels = photos
    method = CaptumInputXGradient(torch_network)
    theirs = method.attribute(torch.tensor(images, requires_grad=True), torch.tensor(labels)).detach()
    ours = InputXGradient(network)(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]
    agree("InputXGradient", "captum InputXGradient", ours, theirs.sum(1).numpy())


@pytest.mark.parametrize("layer", ["layer1", "layer2", "layer3", "layer3.1"])
def test_gradcam(network, torch_network, photos, layer, agree):
    images, labels = photos
    method = LayerGradCam(torch_network, torch_network.get_submodule(layer))
    theirs = method.attribute(torch.tensor(images), torch.tensor(labels), relu_attributions=True)
    theirs = LayerAttribution.interpolate(theirs, images.shape[2:], "bilinear").detach().numpy()[:, 0]
    ours = GradCAM(network, layer=layer)(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]
    seen = theirs.max(axis=(1, 2)) > 0  # an all-zero map has no scale: there ours must be zero too
    assert seen.mean() > 0.5
    assert not ours[~seen].any()
    agree("GradCAM", "captum LayerGradCam", ours[seen], theirs[seen])


@pytest.mark.parametrize("explainer", [GuidedBackprop, Deconvolution])
def test_rectified_rules(variant, explainer, agree):
    network, torch_network, images, labels = variant
    method = getattr(captum.attr, explainer.__name__)(torch_network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum warns that it sets hooks
        theirs = method.attribute(torch.tensor(images, requires_grad=True), torch.tensor(labels))
    ours = explainer(network)(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]
    agree(explainer.__name__, f"captum {explainer.__name__}", ours, theirs.abs().amax(1).numpy())


# Where windows overlap captum's sum runs over the same ones, so it agrees there too; channels of ours are averaged.
@pytest.mark.parametrize(
    ("window", "stride", "baseline"),
    [
        ((3, 8, 6), (3, 8, 6), 0.0),
        ((3, 4, 8), (3, 4, 8), "mean"),
        ((1, 16, 4), (1, 16, 4), -0.7),
        ((3, 8, 6), (3, 3, 5), 0.3),
    ],
    ids=["black", "mean", "single channels", "overlapping"],
)
def test_occlusion(network, torch_network, photos, window, stride, baseline, agree):
    images, labels = (of[:16] for of in photos)
    images = images[..., :24].copy()
    means = np.broadcast_to(images.mean(axis=(2, 3), keepdims=True), images.shape).copy()
    theirs = CaptumOcclusion(lambda some: torch_network(some).softmax(1)).attribute(
        torch.tensor(images), sliding_window_shapes=window, strides=stride, target=torch.tensor(labels),
        baselines=torch.tensor(means) if baseline == "mean" else baseline, perturbations_per_eval=8,
    )  # fmt: skip
    explainer = Occlusion(network, nn.Softmax(), window=window, stride=stride, baseline=baseline)
    ours = explainer(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]
    theirs = theirs.numpy().mean(axis=1)
    moved = np.abs(theirs).max(axis=(1, 2)) > 1e-3  # of some photos the network is too sure for a window to matter
    assert moved.mean() > 0.8
    assert np.abs(ours - theirs)[~moved].max(initial=0) < 1e-6
    agree("Occlusion", "captum Occlusion", ours[moved], theirs[moved])
