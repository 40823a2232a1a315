"""Segments of images, and what captum says of them: Shapley values, and a linear model on the same perturbations."""

import numpy as np
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import LimeBase, ShapleyValues
from mindspore import Tensor, nn

from explainrun.explainers import LIME, KernelSHAP, Network, View


def four(picture):
    """Four segments of unequal size, from dark to bright."""
    brightness = picture.mean(axis=2)
    return np.digitize(brightness, np.quantile(brightness, (0.1, 0.4, 0.7)))


def sixteen(picture):
    """Those of each quarter apart, the quarters unequal."""
    rows, columns = np.indices(picture.shape[:2])
    return four(picture) + 4 * (rows > 0.375 * len(rows)) + 8 * (columns > 0.375 * columns.shape[1])


def cover(image, segments, hide):
    """What stands where segments are hidden, segment by segment."""
    covering = np.full_like(image, hide or 0.0)
    for segment in range(segments.max() + 1) if hide is None else ():
        inside = segments == segment
        covering[:, inside] = image[:, inside].mean(axis=1, keepdims=True)
    return covering


def probabilities(torch_network):
    return lambda images: torch_network(images).softmax(1)


def kernel_shap(network, torch_network, images, labels, hide, agree, how=""):
    """Beside exact Shapley values of four segments."""
    explainer = KernelSHAP(network, nn.Softmax(), segmentation=four, hide_color=hide)
    found = explainer.explain(Tensor(images), Tensor(labels.astype(np.int32)))
    mine = np.array([one.weights[one.segments] for one in found])
    theirs = np.array([
        _shapley_values(torch_network, image, label, one.segments, hide)
        for one, image, label in zip(found, images, labels, strict=True)
    ])  # fmt: skip
    moved = np.abs(theirs).max(axis=(1, 2)) > 1e-3  # of some photos the network is too sure
    assert moved.mean() > 0.7
    how = ", ".join(filter(None, (f"all coalitions, hide_color {hide}", how)))
    agree("KernelSHAP", "captum ShapleyValues", mine[moved], theirs[moved], how=how)


def _shapley_values(torch_network, image, label, segments, hide):
    """Captum's, (H, W)."""
    values = ShapleyValues(probabilities(torch_network)).attribute(
        torch.tensor(image[None]), torch.tensor(cover(image, segments, hide)[None]), target=int(label),
        feature_mask=torch.tensor(segments)[None, None], perturbations_per_eval=4,
    )  # fmt: skip
    return values.numpy()[0, 0]


def lime(network, torch_network, images, labels, hide, agree, samples=200, how=""):
    """On the same perturbations of sixteen segments."""
    explainer = LIME(network, nn.Softmax(), samples, segmentation=sixteen, hide_color=hide)
    view = View(Network(network), images, np.arange(len(images)), labels)
    mine, theirs = explainer.attribute(view), []
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        segments = explainer.segments(view, row)
        shown, _ = explainer.coalitions(view.generator(row, "LIME"), segments.max() + 1)
        theirs.append(_linear_model(torch_network, image, label, segments, shown, hide)[segments])
    assert (np.abs(theirs).max(axis=(1, 2)) > 1e-4).all()
    how = ", ".join(filter(None, (f"same perturbations, hide_color {hide}", how)))
    agree("LIME", "captum LimeBase", mine, np.array(theirs), tolerance=1e-3, how=how)


def _linear_model(torch_network, image, label, segments, coalitions, hide):
    """Captum's weights of segments, (K,), from given coalitions of them."""
    covering = torch.tensor(cover(image, segments, hide))

    def perturbed(_):
        for shown in coalitions:
            yield torch.tensor(shown[None].astype(np.float32))

    def masked(shown, inputs):
        return torch.where(shown[0][torch.tensor(segments)] > 0, inputs[0], covering)[None]

    def similarity(_, __, shown):
        distance = 1 - torch.nn.functional.cosine_similarity(shown, torch.ones_like(shown))
        return torch.sqrt(torch.exp(-(distance**2) / 0.25**2))

    method = LimeBase(
        probabilities(torch_network), SkLearnRidge(alpha=1.0), similarity, perturbed,
        perturb_interpretable_space=True, from_interp_rep_transform=masked, to_interp_rep_transform=None,
    )  # fmt: skip
    weights = method.attribute(
        torch.tensor(image[None]), target=int(label), n_samples=len(coalitions), perturbations_per_eval=50
    )
    return weights.numpy()[0]
