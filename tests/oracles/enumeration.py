"""Exact Shapley and Owen values of eight segments, from the probabilities of all 256 coalitions by PyTorch."""

from itertools import product
from math import factorial

import numpy as np
import torch

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
