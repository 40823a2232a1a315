"""GuidedIG, BlurIG and XRAI against PAIR's saliency package, and IDGI against a few lines of PyTorch.

The ways differ by rounding where an input of a ReLU is near zero, so photos are chosen by how far those of all places
on their way keep off it, as PyTorch alone sees them.
"""

import numpy as np
import pytest
import saliency.core as saliency
import torch
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from mindspore import Tensor
from pair import by_torch, map_of, shared_out
from saliency.core import xrai as pairs_xrai
from scipy.ndimage import gaussian_filter

from explainrun.explainers import IDGI, XRAI, BlurIG, GuidedIG, IntegratedGradients, Network
from explainrun.explainers.gradients.regions import over_segmented, regions_of

KEPT, TRIED = 16, 100


def off_kinks(torch_network, images, labels, ways):
    """Those whose ReLU inputs keep off zero the most on their ways, as ``ways`` gives these for each image."""
    nearest = []
    for way in ways:
        found = torch.inf

        def note(_module, inputs, _output):
            nonlocal found
            found = min(found, float(inputs[0].abs().min()))

        hooks = [one.register_forward_hook(note) for one in torch_network.modules() if isinstance(one, torch.nn.ReLU)]
        with torch.no_grad():
            torch_network(torch.tensor(np.float32(way)))
        for hook in hooks:
            hook.remove()
        nearest.append(found)
    best = np.sort(np.argsort(nearest)[-KEPT:])
    return images[best], labels[best]


@pytest.fixture
def tried(narrow):
    """100 photos of 32 x 24, and their labels."""
    images, labels = narrow
    return images[:TRIED], labels[:TRIED]


def by_mindspore(network, label):
    service = Network(network)
    return lambda images: service.differentiate(images, np.full(len(images), label)).input_gradient


def ours(explainer, images, labels):
    return explainer(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]


GUIDED = {"x_steps": 6, "fraction": 0.25, "max_dist": 0.1}


def test_guided_ig_on_the_same_gradients(network, sixteen, agree):
    """Where the path leads depends on which gradients are smaller, so both get those of one framework."""
    images, labels = sixteen
    theirs = [
        map_of(saliency.GuidedIG(), image, by_mindspore(network, label), **GUIDED).sum(axis=0)
        for image, label in zip(images, labels, strict=True)
    ]
    mine = ours(GuidedIG(network, 6, 0.25, 0.1), images, labels)
    agree("GuidedIG", "saliency GuidedIG", mine, np.array(theirs), how="the same gradients")


def test_guided_ig(network, torch_network, tried, agree):
    images, labels = tried
    ways, maps = [], []
    for image, label in zip(images, labels, strict=True):
        way = []
        maps.append(map_of(saliency.GuidedIG(), image, by_torch(torch_network, label), way, **GUIDED).sum(axis=0))
        ways.append(np.stack(way))
    chosen, asked = off_kinks(torch_network, images, labels, ways)
    of_chosen = [next(map_ for map_, one in zip(maps, images, strict=True) if np.array_equal(one, image))
                 for image in chosen]  # fmt: skip
    agree("GuidedIG", "saliency GuidedIG", ours(GuidedIG(network, 6, 0.25, 0.1), chosen, asked), np.array(of_chosen))


@pytest.mark.parametrize("sqrt", [False, pytest.param(True, marks=pytest.mark.long)])
def test_blur_ig(network, torch_network, tried, sqrt, agree):
    steps, most = 6, 4.0
    places = np.arange(steps) * most / steps
    sigmas = np.sqrt(places) if sqrt else places
    ways = [[gaussian_filter(np.float64(image), (0, one, one), mode="constant") for one in sigmas]
            for image in tried[0]]  # fmt: skip
    images, labels = off_kinks(torch_network, *tried, ways)
    options = {"max_sigma": most, "steps": steps, "sqrt": sqrt}
    theirs = [
        map_of(saliency.BlurIG(), image, by_torch(torch_network, label), **options).sum(axis=0)
        for image, label in zip(images, labels, strict=True)
    ]
    mine = ours(BlurIG(network, steps, most, sqrt=sqrt), images, labels)
    agree("BlurIG", "saliency BlurIG", mine, np.array(theirs), how="sqrt" if sqrt else "as they come")


def way_to(image, cover, steps):
    return [cover + i / steps * (image - cover) for i in range(steps + 1)]


@pytest.mark.parametrize("algorithm", ["full", pytest.param("fast", marks=pytest.mark.long)])
def test_xrai(network, torch_network, tried, algorithm, agree):
    steps = 4
    places = (np.polynomial.legendre.leggauss(steps)[0] + 1) / 2
    ways = [[end + place * (image - end) for end in (image.min(), image.max()) for place in places]
            for image in tried[0]]  # fmt: skip
    images, labels = (of[:8] for of in off_kinks(torch_network, *tried, ways))
    parameters = saliency.XRAIParameters(algorithm=algorithm)
    parameters.experimental_params["min_pixel_diff"] = 5
    theirs = []
    for image, label in zip(images, labels, strict=True):
        inputs, method = torch.tensor(image[None]), CaptumIntegratedGradients(torch_network)
        ends = (torch.full_like(inputs, float(end)) for end in (image.min(), image.max()))
        attributions = [method.attribute(inputs, end, int(label), n_steps=steps).detach().numpy()[0] for end in ends]
        picture = image.transpose(1, 2, 0).astype(np.float64)
        masks = pairs_xrai._get_segments_felzenszwalb(picture)
        own = regions_of(over_segmented(image), 5)
        np.testing.assert_array_equal([mask for mask in masks if mask.any()], own)
        found = saliency.XRAI().GetMask(
            picture, None, segments=masks, base_attribution=np.mean(attributions, axis=0).transpose(1, 2, 0),
            extra_parameters=parameters,
        )  # fmt: skip
        theirs.append(found)
    mine = ours(XRAI(network, steps, algorithm=algorithm, min_pixel_diff=5), images, labels)
    agree("XRAI", "saliency XRAI", mine, np.array(theirs), how=f"{algorithm}, attributions by captum")


def test_idgi_on_the_straight_way(network, torch_network, tried, agree):
    steps = 6
    images, labels = off_kinks(torch_network, *tried, [way_to(image, 0.0, steps) for image in tried[0]])
    theirs = [shared_out(torch_network, way_to(image, 0.0, steps), label) for image, label in
              zip(images, labels, strict=True)]  # fmt: skip
    mine = ours(IDGI(IntegratedGradients(network, steps)), images, labels)
    agree("IDGI(IntegratedGradients)", "PyTorch's gradients", mine, np.array(theirs).sum(axis=1))


def test_idgi_out_of_the_blur(network, torch_network, tried, agree):
    steps, most = 6, 4.0

    def way(image):
        sigmas = [most * (steps - i) / steps for i in range(steps + 1)]
        return [gaussian_filter(np.float64(image), (0, one, one), mode="constant") for one in sigmas]

    images, labels = off_kinks(torch_network, *tried, [way(image) for image in tried[0]])
    theirs = [shared_out(torch_network, way(image), label) for image, label in zip(images, labels, strict=True)]
    mine = ours(IDGI(BlurIG(network, steps, most)), images, labels)
    agree("IDGI(BlurIG)", "PyTorch's gradients", mine, np.array(theirs).sum(axis=1))


def test_idgi_on_the_guided_way(network, sixteen, agree):
    """The places are those that PAIR's method asks about, with the gradients of one framework."""
    images, labels, theirs = *sixteen, []
    for image, label in zip(images, labels, strict=True):
        way, service = [], Network(network)
        map_of(saliency.GuidedIG(), image, by_mindspore(network, label), way, **GUIDED)
        found = service.differentiate(np.stack([*way, image]), np.full(len(way) + 1, label))
        squares = found.input_gradient[:-1].astype(np.float64) ** 2
        falls = np.diff(found.logits[:, label].astype(np.float64)) / squares.sum(axis=(1, 2, 3))
        theirs.append((squares * falls[:, None, None, None]).sum(axis=(0, 1)))
    mine = ours(IDGI(GuidedIG(network, 6, 0.25, 0.1)), images, labels)
    agree("IDGI(GuidedIG)", "saliency GuidedIG", mine, np.array(theirs), how="its way, the same gradients")
