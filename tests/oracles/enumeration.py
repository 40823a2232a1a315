"""Exact Shapley and Owen values of eight segments, from the probabilities of all 256 coalitions by PyTorch."""

from itertools import product
from math import factorial

import numpy as np
import torch
from mindspore import Tensor, nn

from explainrun.explainers import PartitionSHAP, ShapleyValueSampling
from explainrun.explainers.perturbation.segment_tree import SegmentTree

HIDE = 0.0


def eight(picture):
    """Eight segments of unequal size and shape: quarters, each parted where it is brighter than its median."""
    brightness, (rows, columns) = picture.mean(axis=2), np.indices(picture.shape[:2])
    quarters = (rows > 0.4 * len(rows)) + 2 * (columns > 0.6 * columns.shape[1])
    brighter = np.zeros(quarters.shape, int)
    for quarter in range(4):
        inside = quarters == quarter
        brighter[inside] = brightness[inside] > np.median(brightness[inside])
    return quarters + 4 * brighter


def game(torch_network, image, label, segments):
    """The probability of a label for each of the coalitions of segments, by their bits."""
    coalitions = np.array(list(product((False, True), repeat=8)))[:, ::-1]
    shown = coalitions[:, segments][:, None]
    with torch.no_grad():
        parts = [torch_network(torch.tensor(np.where(some, image, np.float32(HIDE)))).softmax(1)[:, int(label)]
                 for some in np.array_split(shown, 8)]  # fmt: skip
    return torch.cat(parts).numpy().astype(np.float64)


def shapley_values(says):
    """The sum over coalitions without a segment of what it adds, weighed by how many orders come past."""
    bits = np.arange(256)
    sizes = np.array([number.bit_count() for number in bits.tolist()])
    weights = np.array([factorial(size) * factorial(max(7 - size, 0)) / factorial(8) for size in sizes])
    without = [bits[(bits >> segment) % 2 == 0] for segment in range(8)]
    return np.array([
        (weights[some] * (says[some + 2**segment] - says[some])).sum() for segment, some in enumerate(without)
    ])  # fmt: skip


def owen_values(says, tree):
    """The mean over all orders in which groups stay together of what each segment adds."""
    orders, found = orders_of(tree), np.zeros(8)
    for order in orders:
        bits = np.cumsum([0, *(2**segment for segment in order)])
        found[list(order)] += np.diff(says[bits]) / len(orders)
    return found


def orders_of(tree, group=0):
    """Every order of a group's segments in which its halves, and theirs, stay together."""
    first, second = tree.halves[group].tolist()
    if first < 0:
        return [tuple(np.flatnonzero(tree.members[group]).tolist())]
    pairs = [(one, other) for one in orders_of(tree, first) for other in orders_of(tree, second)]
    return [order for one, other in pairs for order in (one + other, other + one)]


def beside_enumeration(network, torch_network, images, labels, samples):
    """Weights by PartitionSHAP and by ShapleyValueSampling, each with exact ones; of the latter what is allowed, too.

    That is 4 standard errors, as a share of an image's largest weight.
    """
    owen = PartitionSHAP(network, nn.Softmax(), segmentation=eight, hide_color=HIDE)
    drawn = ShapleyValueSampling(network, nn.Softmax(), samples, segmentation=eight, hide_color=HIDE)
    ours = [one.explain(Tensor(images), Tensor(labels.astype(np.int32))) for one in (owen, drawn)]
    says = [game(torch_network, image, label, one.segments)
            for image, label, one in zip(images, labels, ours[0], strict=True)]  # fmt: skip
    trees = [SegmentTree.of(one.segments) for one in ours[0]]
    whole = np.array([owen_values(*pair) for pair in zip(says, trees, strict=True)])
    exact, errors = np.array([shapley_values(one) for one in says]), np.array([one.errors for one in ours[1]])
    allowed = float((4 * errors / np.abs(exact).max(axis=1, keepdims=True)).max())
    weights = [np.array([one.weights for one in found]) for found in ours]
    return (weights[0], whole), (weights[1], exact, round(allowed, 3))
