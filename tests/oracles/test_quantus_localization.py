"""Localization and complexity beside Quantus 0.6.0: GradCAM-like maps of photos, and maps worked out by hand."""

import warnings

import numpy as np
import pytest
from mindspore import Tensor

from explainrun.benchmarks import (
    AUC,
    AttributionLocalization,
    Complexity,
    EffectiveComplexity,
    RelevanceMass,
    RelevanceRank,
    Sparseness,
    TopKIntersection,
)
from explainrun.explainers import Gradient

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import quantus

OPTIONS = {"disable_warnings": True, "display_progressbar": False}


@pytest.fixture(scope="module")
def explained(network, photos):
    """16 photos, their labels, our gradient maps of them (none below 0, without ties), and masks off the centre."""
    images, labels = photos[0][:16], photos[1][:16]
    maps = Gradient(network)(Tensor(images), labels).asnumpy()
    masks = np.zeros_like(maps, dtype=bool)
    for place, mask in enumerate(masks[:, 0]):
        mask[place % 7 : place % 7 + 9, 3 : 9 + place] = True
        mask[-4:, -3:] = place % 2
    return images, labels, maps, masks


def theirs(metric, explained, *, together=False):
    """What Quantus gives, one image at a time or all together; the network is not asked, so there is none."""
    images, labels, maps, masks = explained
    parts = [slice(None)] if together else [slice(at, at + 1) for at in range(len(images))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [
            metric(None, images[of], labels[of], a_batch=maps[of], s_batch=masks[of], channel_first=True, softmax=False)
            for of in parts
        ]
    return np.concatenate(found)


def ours(metric, explained, network):
    images, labels, maps, masks = explained
    return metric.evaluate(Gradient(network), Tensor(images), labels, saliency=maps, mask=masks)


PAIRS = [
    (RelevanceMass(), lambda: quantus.RelevanceMassAccuracy(**OPTIONS)),
    (RelevanceRank(), lambda: quantus.RelevanceRankAccuracy(**OPTIONS)),
    (TopKIntersection(k=50), lambda: quantus.TopKIntersection(k=50, **OPTIONS)),
    (AttributionLocalization(), lambda: quantus.AttributionLocalisation(**OPTIONS)),
    (AUC(), lambda: quantus.AUC(**OPTIONS)),
    (Sparseness(), lambda: quantus.Sparseness(**OPTIONS)),
    (Complexity(), lambda: quantus.Complexity(**OPTIONS)),
    (EffectiveComplexity(eps=0.1), lambda: quantus.EffectiveComplexity(eps=0.1, **OPTIONS)),
]


@pytest.mark.parametrize(
    ("metric", "make"), PAIRS, ids=[f"{metric.name}-{place}" for place, (metric, _) in enumerate(PAIRS)]
)
def test_the_same_numbers(explained, network, metric, make):
    expected = theirs(make(), explained)
    assert np.isfinite(expected).all()
    assert np.ptp(expected) > 0
    assert ours(metric, explained, network) == pytest.approx(expected, abs=1e-6)


def test_relevance_mass_of_values_below_zero(network):
    """By hand 3 of 4; Quantus divides by the sum of all values, 4 - 3, and gets 3."""
    images, labels = np.zeros((1, 3, 3, 4), np.float32), np.array([0])
    maps, masks = np.zeros((1, 1, 3, 4), np.float32), np.zeros((1, 1, 3, 4), bool)
    maps[0, 0, 0, :3], masks[0, 0, 0, 0] = (3, 1, -3), True
    explained = images, labels, maps, masks
    assert theirs(quantus.RelevanceMassAccuracy(normalise=False, **OPTIONS), explained) == pytest.approx(3)
    assert ours(RelevanceMass(), explained, network) == pytest.approx(3 / 4)


def test_weighted_attribution_localization(network):
    """By hand (3/4) / (1/12); Quantus multiplies by a share, and takes the size of all images but two for one's."""
    images, labels = np.zeros((3, 3, 3, 4), np.float32), np.array([0, 0, 0])
    maps, masks = np.zeros((3, 1, 3, 4), np.float32), np.zeros((3, 1, 3, 4), bool)
    maps[:, 0, 0, :2], masks[:, 0, 0, 0] = (3, 1), True
    explained = images, labels, maps, masks
    found = theirs(quantus.AttributionLocalisation(weighted=True, **OPTIONS), explained, together=True)
    assert found == pytest.approx([3 / 4 / 36] * 3)
    assert ours(AttributionLocalization(weighted=True), explained, network) == pytest.approx([3 / 4 * 12] * 3)


def test_effective_complexity_beside_other_maps(explained, network):
    """Quantus divides by the largest value of all maps together, so its score depends on what else is asked."""
    images, labels, maps, masks = explained
    larger = maps.copy()
    larger[0] *= 100
    apart = theirs(quantus.EffectiveComplexity(eps=0.1, **OPTIONS), explained)
    beside = theirs(quantus.EffectiveComplexity(eps=0.1, **OPTIONS), (images, labels, larger, masks), together=True)
    assert (beside[1:] < apart[1:]).all()
    assert ours(EffectiveComplexity(eps=0.1), (images, labels, larger, masks), network) == pytest.approx(apart)


def test_constant_maps(network):
    """By hand 0, ln 12 and 12; Quantus refuses them."""
    images, labels = np.zeros((1, 3, 3, 4), np.float32), np.array([0])
    explained = images, labels, np.ones((1, 1, 3, 4), np.float32), np.zeros((1, 1, 3, 4), bool)
    for metric, expected in ((Sparseness(), 0), (Complexity(), np.log(12)), (EffectiveComplexity(), 12)):
        assert ours(metric, explained, network) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(AssertionError):
        theirs(quantus.Sparseness(**OPTIONS), explained)
