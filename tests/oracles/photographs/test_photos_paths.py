"""Methods that differentiate along ways of images, on parts of photographs."""

import numpy as np
import saliency.core as saliency
import torch
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum_comparisons import ours
from draws import all_drawn, gradient_shap
from pair import by_torch, map_of, shared_out
from scipy.ndimage import gaussian_filter

from explainrun.explainers import IDGI, XRAI, BlurIG, ExpectedGradients, GuidedIG, IntegratedGradients
from explainrun.explainers.gradients.regions import over_segmented, regions_of

STEPS = 3


def test_expected_gradients(network, torch_network, parts, on_ways, agree, monkeypatch):
    """The draws of the first two samples, for whichever parts keep to the same sides under both."""
    others, samples = parts[0][-2:, :, ::-1].copy(), 2  # upside down, so that none is a part itself
    which, places = all_drawn(2, 2, samples)

    def way(image, _):
        return np.stack([others[one] + at * (image - others[one]) for one, at in zip(which, places, strict=True)])

    images, labels, how = on_ways(way)
    theirs = gradient_shap(torch_network, images, labels, others, samples, monkeypatch)
    mine = ours(ExpectedGradients(network, others, samples), images, labels)
    agree("ExpectedGradients", "captum GradientShap", mine, theirs, how=f"same draws, {how}")


def test_integrated_gradients(network, torch_network, on_ways, agree):
    places = (np.polynomial.legendre.leggauss(STEPS)[0].astype(np.float32) + 1) / 2
    images, labels, how = on_ways(lambda image, _: [place * image for place in places])
    method = CaptumIntegratedGradients(torch_network)
    theirs = method.attribute(torch.tensor(images), 0.0, torch.tensor(labels), n_steps=STEPS)
    mine = ours(IntegratedGradients(network, steps=STEPS), images, labels)
    agree("IntegratedGradients", "captum IntegratedGradients", mine, theirs.detach().sum(1).numpy(), how=how)


def blurs(image, sigmas):
    return [gaussian_filter(image.astype(np.float64), (0, sigma, sigma), mode="constant") for sigma in sigmas]


def test_blur_ig(network, torch_network, on_ways, agree):
    images, labels, how = on_ways(lambda image, _: blurs(image, [0.0, 2.0, 4.0]))
    options = {"max_sigma": 6.0, "steps": STEPS}
    theirs = [map_of(saliency.BlurIG(), image, by_torch(torch_network, label), **options).sum(axis=0)
              for image, label in zip(images, labels, strict=True)]  # fmt: skip
    mine = ours(BlurIG(network, STEPS, 6.0), images, labels)
    agree("BlurIG", "saliency BlurIG", mine, np.array(theirs), how=how)


def test_guided_ig(network, torch_network, on_ways, agree):
    options, found = {"x_steps": STEPS, "fraction": 0.25, "max_dist": 0.1}, {}

    def way(image, label):
        places = []
        map_ = map_of(saliency.GuidedIG(), image, by_torch(torch_network, label), places, **options)
        found[image.tobytes()] = map_.sum(axis=0)
        return places

    images, labels, how = on_ways(way)
    mine = ours(GuidedIG(network, STEPS, 0.25, 0.1), images, labels)
    agree("GuidedIG", "saliency GuidedIG", mine, np.array([found[image.tobytes()] for image in images]), how=how)


def test_idgi(network, torch_network, on_ways, agree):
    sigmas = [9.0, 6.0, 3.0]
    images, labels, how = on_ways(lambda image, _: blurs(image, sigmas))
    theirs = [shared_out(torch_network, blurs(image, [*sigmas, 0.0]), label).sum(axis=0)
              for image, label in zip(images, labels, strict=True)]  # fmt: skip
    mine = ours(IDGI(BlurIG(network, STEPS, 9.0)), images, labels)
    agree("IDGI(BlurIG)", "PyTorch's gradients", mine, np.array(theirs), how=how)


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
    mine = ours(XRAI(network, 1, 0.0), images, labels)
    agree("XRAI", "saliency XRAI", mine, np.array(theirs), how=how)
