"""Hierarchical occlusion against a slow twin: plain loops over masks, one image at a time."""

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import HierarchicalOcclusion
from explainrun.explainers.hierarchical_occlusion.counterfactual import composite


def slow_blur(image, sigma):
    """Along rows, then along columns, with the border's pixels repeated outwards; cut at four sigma."""
    reach = 4 * sigma
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(image.astype(float), [(0, 0), (reach, reach), (reach, reach)], mode="edge")
    down = sum(k * padded[:, i : i + image.shape[1]] for i, k in enumerate(kernel))
    return sum(k * down[:, :, i : i + image.shape[2]] for i, k in enumerate(kernel)).astype(np.float32)


def flat(lists):
    return [window for windows in lists for window in windows]


def places(begin, extent, side):
    starts = [begin]
    while starts[-1] + side < begin + extent:
        starts.append(min(starts[-1] + side // 5, begin + extent - side))
    return starts


def slow_search(probability, image, sides):
    """The method in plain loops over masks, one image at a time: per layer [(x, y, side, parent)]."""
    _, height, width = image.shape
    blurred = slow_blur(image, round(min(height, width) / 25))

    def shown(windows):
        mask = np.zeros((height, width), bool)
        for x, y, side, _ in windows:
            mask[y : y + side, x : x + side] = True
        return probability(np.where(mask, image, blurred))

    layers, above = [], [(0, 0, height, width, -1)]
    for side in sides:
        present = [[] if not layers else [(x, y, h, 0)] for x, y, h, w, _ in above]  # what shows now, by parent
        for number, (x, y, h, w, name) in enumerate(above):
            present[number] = []
            free = [(left, top) for top in places(y, h, side) for left in places(x, w, side)]
            while shown(flat(present)) < 0.5:
                best, best_probability = None, -1
                for left, top in free:
                    found = shown([*flat(present), (left, top, side, name)])
                    if found > best_probability:
                        best, best_probability = (left, top), found
                free.remove(best)
                present[number].append((*best, side, name))
        layers.append(flat(present))
        above = [(x, y, side, side, number) for number, (x, y, side, _) in enumerate(layers[-1])]
    return layers


@pytest.fixture
def wide(linear):
    """A wide image and a network with evidence for and against, far from the centre."""
    rng = np.random.default_rng(11)
    dots = {(int(y), int(x)): 1.0 for y, x in zip(rng.integers(0, 224, 7), rng.integers(0, 448, 7), strict=True)}
    for dot in list(dots)[5:]:
        dots[dot] = -1.0
    image = rng.normal(size=(3, 224, 448)).astype(np.float32)
    for y, x in dots:
        image[0, y, x] = rng.uniform(1, 2)
    weights = np.zeros((2, *image.shape), np.float32)
    for (y, x), weight in dots.items():
        weights[1, 0, y, x] = weight
    return linear(weights, -3.6), image


@pytest.mark.long
def test_a_slow_twin_finds_the_same(wide):
    cell, image = wide

    def probability(one):
        return float(ops.sigmoid(cell(Tensor(one[None])))[0, 1])

    found = HierarchicalOcclusion(cell, nn.Sigmoid()).search(image, 1)
    expected = slow_search(probability, image, (112, 56, 28))
    assert [[(b.x, b.y, b.width, b.parent) for b in layer.boxes] for layer in found.layers] == expected
    assert [len(layer) for layer in expected] == [2, 3, 3]
    assert found.rounds[:3] == (1, 119, 118)
    blurred = slow_blur(image, 9)
    assert found.blurred_probability == pytest.approx(probability(blurred), abs=1e-5)
    assert found.probability == pytest.approx(probability(image), abs=1e-6)
    for layer in found.layers:
        assert layer.probability >= 0.5
        assert probability(composite(image, blurred, layer.boxes)) == pytest.approx(layer.probability, abs=1e-5)
    for above, layer in zip(found.layers, found.layers[1:], strict=False):
        for box in layer.boxes:
            parent = above.boxes[box.parent]
            assert parent.x <= box.x <= box.x + box.width <= parent.x + parent.width
            assert parent.y <= box.y <= box.y + box.height <= parent.y + parent.height
