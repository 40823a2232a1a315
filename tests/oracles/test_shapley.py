"""ShapleyValueSampling and PartitionSHAP against exact values on eight segments, and shap's partition explainer."""

import warnings

import numpy as np
import pytest
import torch
from enumeration import HIDE, eight, game, owen_values, shapley_values
from mindspore import Tensor, nn

from explainrun.explainers import PartitionSHAP, ShapleyValueSampling
from explainrun.explainers.perturbation.segment_tree import SegmentTree

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the packages that it imports
    import shap

PHOTOS = 12


@pytest.fixture
def few(narrow):
    images, labels = narrow
    return images[:PHOTOS], labels[:PHOTOS]


def seen(explainer, library, mine, theirs, agree, **how):
    """Photos of which the network is not too sure for a segment to matter."""
    mine, theirs = np.array(mine), np.array(theirs)
    moved = np.abs(theirs).max(axis=1) > 1e-3
    assert moved.mean() > 0.7
    agree(explainer, library, mine[moved], theirs[moved], **how)


def test_partition_shap_by_enumeration(network, torch_network, few, agree):
    images, labels = few
    explainer = PartitionSHAP(network, nn.Softmax(), segmentation=eight, hide_color=HIDE)
    found = explainer.explain(Tensor(images), Tensor(labels.astype(np.int32)))
    exact = [
        owen_values(game(torch_network, image, label, one.segments), SegmentTree.of(one.segments))
        for one, image, label in zip(found, images, labels, strict=True)
    ]
    mine = [one.weights for one in found]
    seen("PartitionSHAP", "PyTorch's probabilities", mine, exact, agree, how="all orders of eight segments")


class SegmentMasker(shap.maskers.Masker):
    """Hides segments of an image, whose hierarchy is given; its samples are the segments' numbers."""

    def __init__(self, image, segments, tree):
        self.image, self.segments = image, segments
        self.shape, self.clustering = (1, 8), np.array(clustering(tree))
        self.mask_shapes = lambda _: [(8,)]

    def __call__(self, mask, _):
        return (np.where(mask[self.segments], self.image, np.float32(HIDE))[None],)


def clustering(tree):
    """The hierarchy as scipy writes it: of each group its halves, a distance, and how many segments it holds."""
    numbers, rows = {}, []
    for group in reversed(range(len(tree.halves))):
        halves = tree.halves[group].tolist()
        if halves[0] < 0:
            numbers[group] = int(np.flatnonzero(tree.members[group])[0])
            continue
        numbers[group] = 8 + len(rows)
        rows.append([numbers[halves[0]], numbers[halves[1]], 1.0, float(tree.members[group].sum())])
    return rows


@pytest.mark.parametrize("samples", [500, pytest.param(3, marks=pytest.mark.long)])
def test_partition_shap_by_shap(network, torch_network, few, samples, agree):
    """With three images ours halves all segments once, which is shap's budget of four."""
    images, labels = few
    explainer = PartitionSHAP(network, nn.Softmax(), samples, segmentation=eight, hide_color=HIDE)
    found = explainer.explain(Tensor(images), Tensor(labels.astype(np.int32)))
    theirs = []
    for one, image, label in zip(found, images, labels, strict=True):

        def says(images, label=label):
            with torch.no_grad():
                return torch_network(torch.tensor(images)).softmax(1)[:, int(label)].numpy().astype(np.float64)

        masker = SegmentMasker(image, one.segments, SegmentTree.of(one.segments))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            method = shap.PartitionExplainer(says, masker)
            theirs.append(method(np.arange(8)[None], max_evals=samples + 1, batch_size=2, silent=True).values[0])
    how = "exact, on eight segments" if samples > 42 else "two halves of eight segments"
    seen("PartitionSHAP", "shap PartitionExplainer", [one.weights for one in found], theirs, agree, how=how)


def test_shapley_value_sampling(network, torch_network, few, agree):
    """Draws: off by 0.8 standard errors in the mean of a normal distribution, and hardly ever by more than 4."""
    images, labels = few
    explainer = ShapleyValueSampling(network, nn.Softmax(), 10_000, segmentation=eight, hide_color=HIDE)
    found, kept = explainer.explain(Tensor(images), Tensor(labels.astype(np.int32))), []
    for one, image, label in zip(found, images, labels, strict=True):
        exact = shapley_values(game(torch_network, image, label, one.segments))
        if np.abs(exact).max() > 1e-3:  # of some photos the network is too sure
            kept.append((one.weights, exact, one.errors))
    weights, exact, errors = np.array(kept).swapaxes(0, 1)
    assert len(weights) > 0.7 * PHOTOS
    off = np.abs(weights - exact) / errors
    assert off.max() < 4.5
    assert 0.5 < off.mean() < 1.1
    allowed = float((4 * errors / np.abs(exact).max(axis=1, keepdims=True)).max())
    how = "10,000 orders of eight segments; allowed are 4 standard errors"
    agree("ShapleyValueSampling", "PyTorch's probabilities", weights, exact, round(allowed, 3), how=how)
