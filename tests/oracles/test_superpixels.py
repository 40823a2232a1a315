"""KernelSHAP against captum's Shapley values, and LIME against captum's on the same perturbations."""

import numpy as np
import pytest
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import LimeBase, ShapleyValues
from mindspore import Tensor, nn

from explainrun.explainers import LIME, KernelSHAP, Network, View

PHOTOS, WIDTH = 12, 24


def four(picture):
    """Four segments of unequal size, from dark to bright."""
    brightness = picture.mean(axis=2)
    return np.digitize(brightness, np.quantile(brightness, (0.1, 0.4, 0.7)))


def sixteen(picture):
    """Those of each quarter apart, the quarters unequal."""
    rows, columns = np.indices(picture.shape[:2])
    return four(picture) + 4 * (rows > 12) + 8 * (columns > 9)


@pytest.fixture
def few(photos):
    images, labels = photos
    return images[:PHOTOS, :, :, :WIDTH].copy(), labels[:PHOTOS]


def probabilities(torch_network):
    return lambda images: torch_network(images).softmax(1)


def cover(image, segments, hide):
    """What stands where segments are hidden, segment by segment."""
    covering = np.full_like(image, hide or 0.0)
    for segment in range(segments.max() + 1) if hide is None else ():
        inside = segments == segment
        covering[:, inside] = image[:, inside].mean(axis=1, keepdims=True)
    return covering


@pytest.mark.parametrize("hide", [None, 0.0, pytest.param(-0.7, marks=pytest.mark.long)])
def test_kernel_shap(network, torch_network, few, hide, agree):
    images, labels = few
    explainer = KernelSHAP(network, nn.Softmax(), segmentation=four, hide_color=hide)
    found = explainer.explain(Tensor(images), Tensor(labels.astype(np.int32)))
    ours, theirs = [], []
    for one, image, label in zip(found, images, labels, strict=True):
        method = ShapleyValues(probabilities(torch_network))
        values = method.attribute(
            torch.tensor(image[None]), torch.tensor(cover(image, one.segments, hide)[None]), target=int(label),
            feature_mask=torch.tensor(one.segments)[None, None], perturbations_per_eval=4,
        )  # fmt: skip
        ours.append(one.weights[one.segments])
        theirs.append(values.numpy()[0, 0])
    ours, theirs = np.array(ours), np.array(theirs)
    moved = np.abs(theirs).max(axis=(1, 2)) > 1e-3  # of some photos the network is too sure
    assert moved.mean() > 0.7
    how = f"all coalitions, hide_color {hide}"
    agree("KernelSHAP", "captum ShapleyValues", ours[moved], theirs[moved], how=how)


@pytest.mark.parametrize("hide", [None, pytest.param(0.0, marks=pytest.mark.long)])
def test_lime(network, torch_network, few, hide, agree):
    images, labels = few
    explainer = LIME(network, nn.Softmax(), 200, segmentation=sixteen, hide_color=hide)
    view = View(Network(network), images, np.arange(PHOTOS), labels)
    ours, theirs = explainer.attribute(view), []
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        segments = explainer.segments(view, row)
        count = segments.max() + 1
        rows, _ = explainer.coalitions(view.generator(row, "LIME"), count)
        covering = torch.tensor(cover(image, segments, hide))

        def perturbed(_, rows=rows):
            for shown in rows:
                yield torch.tensor(shown[None].astype(np.float32))

        def masked(shown, inputs, segments=segments, covering=covering):
            return torch.where(shown[0][torch.tensor(segments)] > 0, inputs[0], covering)[None]

        def similarity(_, __, shown):
            distance = 1 - torch.nn.functional.cosine_similarity(shown, torch.ones_like(shown))
            return torch.sqrt(torch.exp(-(distance**2) / 0.25**2))

        method = LimeBase(
            probabilities(torch_network), SkLearnRidge(alpha=1.0), similarity, perturbed,
            perturb_interpretable_space=True, from_interp_rep_transform=masked, to_interp_rep_transform=None,
        )  # fmt: skip
        weights = method.attribute(
            torch.tensor(image[None]), target=int(label), n_samples=len(rows), perturbations_per_eval=50
        )
        theirs.append(weights.numpy()[0][segments])
    theirs = np.array(theirs)
    assert (np.abs(theirs).max(axis=(1, 2)) > 1e-4).all()
    agree("LIME", "captum LimeBase", ours, theirs, tolerance=1e-3, how=f"same perturbations, hide_color {hide}")
