"""Our maps against captum's on the same trained network and real photos."""

import numpy as np
import pytest
import torch
from cam_comparisons import beside_captum
from cam_libraries import Subject
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum.attr import LayerAttribution, LayerGradCam
from captum.attr import Occlusion as CaptumOcclusion
from captum_comparisons import (
    gradient,
    guided_grad_cam,
    input_x_gradient,
    noise_tunnel,
    ours,
    rectified,
)
from mindspore import Tensor, nn

from explainrun.explainers import (
    Deconvolution,
    GradCAM,
    Gradient,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    Network,
    NoiseTunnel,
    Occlusion,
)


def test_logits(network, torch_network, photos):
    images, labels = photos
    with torch.no_grad():
        theirs = torch_network(torch.tensor(images)).numpy()
    ours = Network(network).logits(images)
    assert np.abs(ours - theirs).max() <= 1e-4
    assert (ours.argmax(1) == labels).mean() > 0.6  # the network sees what it was trained on, though cropped


def test_gradient(network, torch_network, photos, agree):
    gradient(network, torch_network, *photos, agree)


def test_input_x_gradient(network, torch_network, photos, agree):
    input_x_gradient(network, torch_network, *photos, agree)


@pytest.mark.parametrize("layer", ["layer1", "layer2", "layer3", "layer3.1"])
def test_gradcam(network, torch_network, photos, layer, agree):
    images, labels = photos
    beside_captum(
        Subject(network=network, torch_network=torch_network, images=images, labels=labels, layer=layer), agree
    )


@pytest.mark.parametrize("explainer", [GuidedBackprop, Deconvolution])
def test_rectified_rules(variant, explainer, agree):
    rectified(*variant, explainer, agree)


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


@pytest.mark.parametrize("layer", ["layer2", "layer3"])
def test_guided_gradcam(network, torch_network, sixteen, layer, agree):
    guided_grad_cam(network, torch_network, *sixteen, layer, agree)


def captum_integrated(torch_network, sixteen, baseline, steps):
    images, labels = (torch.tensor(of) for of in sixteen)
    attributed, delta = CaptumIntegratedGradients(torch_network).attribute(
        images, torch.as_tensor(baseline).broadcast_to(images.shape), labels,
        n_steps=steps, internal_batch_size=16, return_convergence_delta=True,
    )  # fmt: skip
    return attributed.detach().numpy(), delta.numpy()


def means_of(images):
    return images.mean(axis=(2, 3), keepdims=True)


@pytest.mark.parametrize("baseline", [0.0, *(pytest.param(one, marks=pytest.mark.long) for one in (-0.5, "mean"))])
def test_integrated_gradients_and_their_completeness_error(network, torch_network, on_the_way, baseline, agree):
    cover = means_of if baseline == "mean" else lambda _images: baseline
    chosen = on_the_way([cover], 6)
    theirs, delta = captum_integrated(torch_network, chosen, cover(chosen[0]), 6)
    explainer = IntegratedGradients(network, steps=6, baselines=baseline)
    agree("IntegratedGradients", "captum IntegratedGradients", ours(explainer, *chosen), theirs.sum(1))
    error = explainer.completeness_error(Tensor(chosen[0]), Tensor(chosen[1].astype(np.int32)))[1][:, 0]
    print(f"completeness errors are {np.abs(error - delta).max():.1e} apart, at most {np.abs(delta).max():.2f}")
    assert np.abs(error - delta).max() < 1e-3
    assert np.abs(delta).max() > 0.5  # there is an error to agree on


@pytest.mark.long
def test_several_baselines_are_a_mean(network, torch_network, on_the_way, agree):
    chosen = on_the_way([lambda _: 0.0, lambda _: 1.0], 3)
    theirs = np.mean([captum_integrated(torch_network, chosen, of, 3)[0] for of in (0.0, 1.0)], axis=0)
    mine = ours(IntegratedGradients(network, steps=3, baselines=[0.0, 1.0]), *chosen)
    agree("IntegratedGradients", "captum IntegratedGradients", mine, theirs.sum(1), how="mean of two baselines")


@pytest.mark.long
def test_completeness_error_falls_as_steps_grow(network, sixteen):
    images, labels = (of[:8] for of in sixteen)
    medians = []
    for steps in (4, 32, 256):
        _, error = IntegratedGradients(network, steps=steps).completeness_error(Tensor(images), labels)
        medians.append(float(np.median(np.abs(error))))
    print("median completeness error at 4, 32, 256 steps:", " ".join(f"{median:.4f}" for median in medians))
    assert medians == sorted(medians, reverse=True)
    assert medians[-1] < medians[0] / 10


@pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq", "vargrad"])
@pytest.mark.parametrize("method", [Gradient, InputXGradient, GuidedBackprop])
def test_noise_tunnel_with_the_same_noise(network, torch_network, noisy, kind, method, agree):
    images, labels, std, draws = noisy
    noise_tunnel(torch_network, NoiseTunnel(method(network), kind, draws.shape[1], std), images, labels, agree)


def test_noise_tunnel_over_integrated_gradients_and_gradcam(network, torch_network, noisy, agree):
    images, labels, std, draws = noisy
    samples = draws.shape[1]
    copies = (images[:, None] + np.float32(std) * draws).swapaxes(0, 1)
    theirs = [captum_integrated(torch_network, (copy, labels), np.float32(0), 8)[0] for copy in copies]
    mine = ours(NoiseTunnel(IntegratedGradients(network, steps=8), nt_samples=samples, stdevs=std), images, labels)
    theirs = np.mean(theirs, axis=0).sum(1)
    agree("NoiseTunnel(IntegratedGradients)", "captum NoiseTunnel smoothgrad", mine, theirs, 1e-3, "same noise")
    method = LayerGradCam(torch_network, torch_network.layer3)
    maps = [method.attribute(torch.tensor(copy), torch.tensor(labels), relu_attributions=True) for copy in copies]
    theirs = torch.stack([LayerAttribution.interpolate(one, (32, 24), "bilinear") for one in maps]).mean(0)
    mine = ours(NoiseTunnel(GradCAM(network, "layer3"), nt_samples=samples, stdevs=std), images, labels)
    theirs = theirs.detach().numpy()[:, 0]
    agree("NoiseTunnel(GradCAM)", "captum LayerGradCam", mine, theirs, 1e-3, "same noise, mean")


def test_gradient_of_the_loss(network, torch_network, sixteen, agree):
    images, labels = sixteen
    inputs = torch.tensor(images, requires_grad=True)
    torch.nn.functional.cross_entropy(torch_network(inputs), torch.tensor(labels), reduction="sum").backward()
    theirs = inputs.grad.abs().amax(1).numpy()
    doubting = theirs.max(axis=(1, 2)) > 1e-2  # where it is surer the loss is a small difference of large numbers
    assert doubting.sum() >= 6
    mine = ours(Gradient(network, loss=True), *sixteen)
    np.testing.assert_allclose(mine, theirs, atol=1e-5 * theirs.max())
    agree("Gradient", "PyTorch's cross entropy", mine[doubting], theirs[doubting], how="loss=True")
