"""Our maps of real photographs against captum's, by EfficientNet-Lite0 as ``configs/photos.yaml`` has it.

The weights go through the files that PyTorch writes of them. Right implementations differ by rounding where an input of
a ReLU6 lies so near to one of its kinks, 0 and 6, that it is on different sides in the two frameworks: photographs with
such an input are left out, and the table says how many are left. Captum's GuidedBackprop knows ReLU alone, so PyTorch's
network has the class of ``conftest`` that captum takes for one, and that has the derivative of ReLU6.
"""

import warnings
from importlib.util import module_from_spec, spec_from_file_location

import captum.attr
import h5py
import numpy as np
import pytest
import saliency.core as saliency
import torch
import torchcam.methods
from cam_libraries import grad_cams, ours, seen, signed_grad_cams, torchcams
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum.attr import LayerAttribution, LayerGradCam, Saliency
from captum.attr import Occlusion as CaptumOcclusion
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR, nonlinear
from draws import all_drawn, gradient_shap
from enumeration import beside_enumeration
from masks import correlations, extremal_masks, meaningful_masks
from mindspore import Tensor, nn
from pair import by_torch, map_of, shared_out
from pytorch_grad_cam import EigenGradCAM as TheirEigenGradCAM
from pytorch_grad_cam import GradCAM as TheirGradCAM
from pytorch_grad_cam import ShapleyCAM as TheirShapleyCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputReST, ClassifierOutputTarget
from scipy.ndimage import gaussian_filter

from explainrun.configs.photo_network import PhotoNetwork
from explainrun.explainers import (
    IDGI,
    XRAI,
    AttentionRelevance,
    AttentionRollout,
    AugmentedCAM,
    BlurIG,
    DeepLift,
    DeepLiftShap,
    EigenGradCAM,
    ExpectedGradients,
    FinerCAM,
    FullGrad,
    GradCAM,
    Gradient,
    GuidedBackprop,
    GuidedIG,
    IntegratedGradients,
    LeGrad,
    Occlusion,
    ShapleyCAM,
)
from explainrun.explainers.gradients.regions import over_segmented, regions_of
from explainrun.runner.checkpoints.loading import load_checkpoint
from explainrun.runner.checkpoints.pytorch_file import pytorch_tensors

STEPS = 3


@pytest.fixture(scope="module")
def lite0(data):
    """The folder of the weights and photographs."""
    folder = data / "lite0"
    if not folder.is_dir():
        pytest.skip(f"NOT COMPARED: EfficientNet-Lite0 and its photographs are not at {folder}")
    return folder


@pytest.fixture(scope="module")
def weights(lite0):
    with np.load(lite0 / "lite0.npz") as file:
        return {name: torch.tensor(file[name]) for name in file.files}


@pytest.fixture(scope="module")
def network(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "lite0.pth"
    torch.save(weights, path)
    made = PhotoNetwork()
    load_checkpoint(made, path)
    made.set_train(False)
    return made


@pytest.fixture(scope="module")
def torch_network(lite0, torch_relu6):
    place = spec_from_file_location("lite0", lite0 / "lite0.py")
    module = module_from_spec(place)
    place.loader.exec_module(module)
    made = module.torch_net(lite0 / "lite0.npz")
    for parent in list(made.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.ReLU6):
                setattr(parent, name, torch_relu6())
    return made


@pytest.fixture(scope="module")
def all_photos(lite0):
    """48 photographs as the network takes them, and their labels."""
    with h5py.File(lite0 / "photos_48.h5") as file:
        images, labels = file["images"][:], file["labels"][:]
    return ((images.astype(np.float32) - 127) / 128), labels.astype(np.int64)


def theirs_with_sides(network, images, relu6):
    """Logits, and for each ReLU6 on which side of its kinks each of its inputs lies."""
    found = []
    hooks = [
        module.register_forward_pre_hook(lambda _, inputs: found.append(side(inputs[0].numpy())))
        for module in network.modules()
        if isinstance(module, relu6)
    ]
    with torch.no_grad():
        logits = network(torch.tensor(images)).numpy()
    for hook in hooks:
        hook.remove()
    return logits, found


def ours_with_sides(network, images):
    found = []
    hooks = [
        cell.register_forward_pre_hook(lambda _, inputs: found.append(side(inputs[0].asnumpy())))
        for _, cell in network.cells_and_names()
        if isinstance(cell, nn.ReLU6)
    ]
    logits = network(Tensor(images)).asnumpy()
    for hook in hooks:
        hook.remove()
    return logits, found


def side(inputs):
    return (inputs > 0).astype(np.int8) + (inputs >= 6)


@pytest.fixture(scope="module")
def both(network, torch_network, torch_relu6):
    """Logits of images in both frameworks, and which have all inputs of ReLU6s on the same side of kinks in both."""

    def run(images):
        ours, our_sides = ours_with_sides(network, images)
        theirs, their_sides = theirs_with_sides(torch_network, images, torch_relu6)
        assert len(our_sides) == len(their_sides) == 33
        pairs = zip(our_sides, their_sides, strict=True)
        return ours, theirs, np.all([(a == b).all(axis=(1, 2, 3)) for a, b in pairs], axis=0)

    return run


@pytest.fixture(scope="module")
def of_all(all_photos, both):
    """What ``both`` gives of all photographs."""
    parts = [both(all_photos[0][start : start + 8]) for start in range(0, 48, 8)]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


@pytest.fixture(scope="module")
def photos(all_photos, of_all):
    """Two photographs that keep to the same sides, their labels, and words on how many do."""
    (images, labels), kept = all_photos, of_all[2]
    chosen = np.flatnonzero(kept)
    assert len(chosen) >= 2
    how = f"photographs, {kept.sum()} of 48 on the same side of all kinks"
    return images[chosen[:2]], labels[chosen[:2]], how


def targets(labels):
    return Tensor(labels.astype(np.int32))


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_pytorch_are_read(weights, tmp_path, zipped):
    """Both of its forms, of all weights; and tensors that are views, or of other kinds of numbers."""
    others = {
        "columns": torch.arange(12.0).reshape(3, 4).T, "part": torch.arange(12.0)[3:9:2],
        "half": torch.tensor([1.5, -2.5], dtype=torch.bfloat16), "one": torch.tensor(7),
        "yes": torch.tensor([True, False]), "none": torch.zeros(0, 3),
    }  # fmt: skip
    path = tmp_path / "weights.pt"
    torch.save(weights | others, path, _use_new_zipfile_serialization=zipped)
    found = pytorch_tensors(path.read_bytes())
    for name, tensor in (weights | others).items():
        np.testing.assert_array_equal(found[name].values(), tensor.float().numpy(), err_msg=name)
    assert len(found) == len(weights) + 6


def test_logits(of_all, all_photos):
    ours, theirs, _ = of_all
    assert np.abs(ours - theirs).max() <= 1e-4
    assert (ours.argmax(1) == all_photos[1]).sum() >= 40


def test_gradient(network, torch_network, photos, agree):
    images, labels, how = photos
    theirs = Saliency(torch_network).attribute(torch.tensor(images, requires_grad=True), torch.tensor(labels))
    ours = Gradient(network)(Tensor(images), targets(labels)).asnumpy()[:, 0]
    agree("Gradient", "captum Saliency", ours, theirs.amax(1).numpy(), how=how)


def test_guided_backprop(network, torch_network, photos, agree):
    images, labels, how = photos
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum warns that it sets hooks
        theirs = captum.attr.GuidedBackprop(torch_network).attribute(
            torch.tensor(images, requires_grad=True), torch.tensor(labels)
        )
    ours = GuidedBackprop(network)(Tensor(images), targets(labels)).asnumpy()[:, 0]
    agree("GuidedBackprop", "captum GuidedBackprop", ours, theirs.abs().amax(1).numpy(), how=how)


def test_deep_lift(network, torch_network, all_photos, torch_relu6, agree, monkeypatch):
    """Captum's rule for ReLU is that for ReLU6, once this is in its table. Lines have no kinks to keep off."""
    monkeypatch.setitem(SUPPORTED_NON_LINEAR, torch_relu6, nonlinear)
    images, labels = (of[:3] for of in all_photos)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum warns that it sets hooks
        theirs = captum.attr.DeepLift(torch_network).attribute(torch.tensor(images), target=torch.tensor(labels))
    maps, errors = DeepLift(network).completeness_error(Tensor(images), targets(labels))
    agree("DeepLift", "captum DeepLift", maps.asnumpy()[:, 0], theirs.detach().sum(1).numpy(), how="photographs, ReLU6")
    print(f"errors of completeness: {np.abs(errors).max():.1e} of a logit")
    assert np.abs(errors).max() < 1e-4


def test_deep_lift_shap(network, torch_network, all_photos, torch_relu6, agree, monkeypatch):
    monkeypatch.setitem(SUPPORTED_NON_LINEAR, torch_relu6, nonlinear)
    (images, labels), others = (of[:2] for of in all_photos), all_photos[0][-3:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        method = captum.attr.DeepLiftShap(torch_network)
        theirs = method.attribute(torch.tensor(images), torch.tensor(others), torch.tensor(labels))
    mine = DeepLiftShap(network, others)(Tensor(images), targets(labels)).asnumpy()[:, 0]
    agree("DeepLiftShap", "captum DeepLiftShap", mine, theirs.detach().sum(1).numpy(), how="photographs, ReLU6")


def test_expected_gradients(network, torch_network, parts, on_ways, agree, monkeypatch):
    """The draws of the first two samples, for whichever parts keep to the same sides under both."""
    others, samples = parts[0][-2:, :, ::-1].copy(), 2  # upside down, so that none is a part itself
    which, places = all_drawn(2, 2, samples)

    def way(image, _):
        return np.stack([others[one] + at * (image - others[one]) for one, at in zip(which, places, strict=True)])

    images, labels, how = on_ways(way)
    theirs = gradient_shap(torch_network, images, labels, others, samples, monkeypatch)
    mine = ExpectedGradients(network, others, samples)(Tensor(images), targets(labels)).asnumpy()[:, 0]
    agree("ExpectedGradients", "captum GradientShap", mine, theirs, how=f"same draws, {how}")


@pytest.mark.parametrize("layer", ["head", "blocks.10"])
def test_gradcam(network, torch_network, photos, layer, agree):
    images, labels, how = photos
    method = LayerGradCam(torch_network, torch_network.get_submodule(layer))
    theirs = method.attribute(torch.tensor(images), torch.tensor(labels), relu_attributions=True)
    theirs = LayerAttribution.interpolate(theirs, images.shape[2:], "bilinear").detach().numpy()[:, 0]
    ours = GradCAM(network, layer=layer)(Tensor(images), targets(labels)).asnumpy()[:, 0]
    agree("GradCAM", "captum LayerGradCam", ours, theirs, how=how)


@pytest.mark.parametrize("layer", ["head", "blocks.10"])
def test_cams_of_grad_cam_and_torchcam(network, torch_network, photos, layer, agree):
    images, labels, how = photos
    pair = images, labels
    theirs = signed_grad_cams(TheirEigenGradCAM, pair, torch_network, layer)
    mine = ours(EigenGradCAM(network, layer), pair)
    sign = np.sign((mine * theirs).sum(axis=(1, 2), keepdims=True))
    agree("EigenGradCAM", "grad-cam EigenGradCAM", mine, sign * theirs, how=f"either sign, {how}")
    theirs = grad_cams(TheirShapleyCAM, pair, torch_network, layer, ClassifierOutputReST)
    seen("ShapleyCAM", ours(ShapleyCAM(network, layer), pair), theirs, agree, "grad-cam ShapleyCAM", how=how)
    theirs = torchcams(torchcam.methods.FinerCAM, pair, torch_network, target_layer=layer)
    seen("FinerCAM", ours(FinerCAM(network, layer), pair), theirs, agree, "torchcam FinerCAM", how=how)


def test_augmented_cam(network, torch_network, photos, agree):
    images, labels, how = photos
    with TheirGradCAM(torch_network, [torch_network.get_submodule("head")]) as cam:
        asked = [ClassifierOutputTarget(label) for label in labels.tolist()]
        theirs = cam(torch.tensor(images), asked, aug_smooth=True)
    mine = AugmentedCAM(GradCAM(network, "head"))(Tensor(images), targets(labels)).asnumpy()[:, 0]
    agree("AugmentedCAM(GradCAM)", "grad-cam GradCAM", mine, theirs, how=f"aug_smooth, {how}")


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
    ours = explainer(Tensor(images), targets(labels)).asnumpy()[:, 0]
    theirs = theirs.numpy().mean(axis=1)
    moved = np.abs(theirs).max(axis=(1, 2)) > 1e-3  # of some photos the network is too sure for a window to matter
    assert moved.sum() >= count / 2
    agree("Occlusion", "captum Occlusion", ours[moved], theirs[moved], how="photographs")


def test_integrated_gradients(network, torch_network, all_photos, both, agree):
    """On parts of 96 x 80: of a whole photograph some image on the way is too near to a kink."""
    images, labels = all_photos[0][:8, :, 60:156, 70:150].copy(), all_photos[1][:8]
    places = (np.polynomial.legendre.leggauss(STEPS)[0].astype(np.float32) + 1) / 2
    kept = np.all([both(place * images)[2] for place in places], axis=0)
    chosen = np.flatnonzero(kept)[:2]
    assert len(chosen) >= 2
    theirs = CaptumIntegratedGradients(torch_network).attribute(
        torch.tensor(images[chosen]), 0.0, torch.tensor(labels[chosen]), n_steps=STEPS
    )
    explainer = IntegratedGradients(network, steps=STEPS)
    ours = explainer(Tensor(images[chosen]), targets(labels[chosen])).asnumpy()[:, 0]
    how = f"parts of photographs, {kept.sum()} of 8 on the same side of all kinks"
    agree("IntegratedGradients", "captum IntegratedGradients", ours, theirs.detach().sum(1).numpy(), how=how)


def test_full_grad(network, torch_network, photos, full_gradient, agree):
    """With what ReLU6 adds, which grad-cam leaves out."""
    images, labels, how = photos
    maps, sums, logits = full_gradient(torch_network, images, labels)
    np.testing.assert_allclose(sums, logits, atol=1e-3)
    ours = FullGrad(network)(Tensor(images), targets(labels)).asnumpy()[:, 0]
    agree("FullGrad", "PyTorch's gradients", ours, maps, how=how)


@pytest.fixture(scope="module")
def parts(all_photos):
    """Eight parts of 96 x 80, and their labels: of a whole photograph some image on a way is too near to a kink."""
    return all_photos[0][:8, :, 60:156, 70:150].copy(), all_photos[1][:8]


@pytest.fixture(scope="module")
def on_ways(parts, both):
    """Two of the parts whose images on ways keep to the same sides in both frameworks, and how many do."""

    def chosen(way_of):
        kept = np.array([both(np.float32(way_of(image, label)))[2].all() for image, label in zip(*parts, strict=True)])
        places = np.flatnonzero(kept)[:2]
        assert len(places) == 2
        return *(of[places] for of in parts), f"parts of photographs, {kept.sum()} of 8 on the same side of all kinks"

    return chosen


def blurs(image, sigmas):
    return [gaussian_filter(image.astype(np.float64), (0, sigma, sigma), mode="constant") for sigma in sigmas]


def test_blur_ig(network, torch_network, on_ways, agree):
    images, labels, how = on_ways(lambda image, _: blurs(image, [0.0, 2.0, 4.0]))
    options = {"max_sigma": 6.0, "steps": STEPS}
    theirs = [map_of(saliency.BlurIG(), image, by_torch(torch_network, label), **options).sum(axis=0)
              for image, label in zip(images, labels, strict=True)]  # fmt: skip
    ours = BlurIG(network, STEPS, 6.0)(Tensor(images), targets(labels)).asnumpy()[:, 0]
    agree("BlurIG", "saliency BlurIG", ours, np.array(theirs), how=how)


def test_guided_ig(network, torch_network, on_ways, agree):
    options, found = {"x_steps": STEPS, "fraction": 0.25, "max_dist": 0.1}, {}

    def way(image, label):
        places = []
        map_ = map_of(saliency.GuidedIG(), image, by_torch(torch_network, label), places, **options)
        found[image.tobytes()] = map_.sum(axis=0)
        return places

    images, labels, how = on_ways(way)
    ours = GuidedIG(network, STEPS, 0.25, 0.1)(Tensor(images), targets(labels)).asnumpy()[:, 0]
    agree("GuidedIG", "saliency GuidedIG", ours, np.array([found[image.tobytes()] for image in images]), how=how)


def test_idgi(network, torch_network, on_ways, agree):
    sigmas = [9.0, 6.0, 3.0]
    images, labels, how = on_ways(lambda image, _: blurs(image, sigmas))
    theirs = [shared_out(torch_network, blurs(image, [*sigmas, 0.0]), label).sum(axis=0)
              for image, label in zip(images, labels, strict=True)]  # fmt: skip
    ours = IDGI(BlurIG(network, STEPS, 9.0))(Tensor(images), targets(labels)).asnumpy()[:, 0]
    agree("IDGI(BlurIG)", "PyTorch's gradients", ours, np.array(theirs), how=how)


def test_xrai(network, torch_network, on_ways, agree):
    """From black, on the same segments; of a step of the quadrature, since more meet kinks."""
    images, labels, how = on_ways(lambda image, _: image[None] / 2)
    theirs, method = [], CaptumIntegratedGradients(torch_network)
    for image, label in zip(images, labels, strict=True):
        attribution = method.attribute(torch.tensor(image[None]), 0.0, int(label), n_steps=1).detach().numpy()[0]
        found = saliency.XRAI().GetMask(
            image.transpose(1, 2, 0), None, segments=list(regions_of(over_segmented(image), 5)),
            base_attribution=attribution.transpose(1, 2, 0),
        )  # fmt: skip
        theirs.append(found)
    ours = XRAI(network, 1, 0.0)(Tensor(images), targets(labels)).asnumpy()[:, 0]
    agree("XRAI", "saliency XRAI", ours, np.array(theirs), how=how)


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


@pytest.mark.parametrize("method", [AttentionRollout, LeGrad, AttentionRelevance])
def test_methods_that_read_attention(network, all_photos, method, undefined):
    with undefined(method.__name__, "attention-missing"):
        method(network)(Tensor(all_photos[0][:1]), targets(all_photos[1][:1]))
