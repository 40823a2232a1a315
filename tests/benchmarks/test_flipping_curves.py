"""Curves of removed pixels, patches and superpixels: by hand, best and worst values, what papers claim, and passes."""

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import IROF, SRG, DeletionAUC, InsertionAUC, NaiveFaithfulness, PixelFlipping, Selectivity
from explainrun.benchmarks.core.explanation import WholeBatch

PARTS = np.array([[[[0.4, 0.3, 0.2, 0.1]]]], np.float32)  # the logit is their sum
# Off the centre of 3 x 5 pixels, in no order of rows or columns: each pixel's part of a probability of 1.
SCATTERED = np.array([[0, 0, 0.02, 0, 0], [0, 0.5, 0, 0.3, 0], [0, 0, 0, 0.17, 0.01]], np.float32)


@pytest.fixture
def ones(linear):
    return linear(np.ones((1, 1, 1, 4)))


def halves(picture):
    """Columns 0 to 1, columns 2 to 5."""
    return np.repeat([[0, 0, 1, 1, 1, 1]], picture.shape[0], axis=0)


def test_aopc_by_hand(ones, explained, same):
    # Removed best first, 1 .6 .3 .1 0 are left, so 0 .4 .7 .9 1 are lost; worst first, 0 .1 .3 .6 1.
    found = explained(ones, PARTS, PARTS[:, 0])
    options = {"activation_fn": same, "steps": 4}
    np.testing.assert_allclose(PixelFlipping(1, **options).score(found), [0.6], atol=1e-6)
    np.testing.assert_allclose(PixelFlipping(1, order="lerf", **options).score(found), [0.4], atol=1e-6)
    # With -1 in place of each: 1 -.4 -1.7 -2.9 -4, so 0 1.4 2.7 3.9 5 are lost.
    np.testing.assert_allclose(PixelFlipping(1, baseline=-1.0, **options).score(found), [2.6], atol=1e-6)


def test_srg_by_hand(ones, explained, same):
    # Areas of 1 .9 .7 .4 0 and 1 .6 .3 .1 0, a quarter each: .625 - .375.
    assert SRG(1, same, steps=4).score(explained(ones, PARTS, PARTS[:, 0])) == pytest.approx([0.25], abs=1e-6)
    # Halves: 1 .7 0 and 1 .3 0.
    assert SRG(1, same, steps=2).score(explained(ones, PARTS, PARTS[:, 0])) == pytest.approx([0.2], abs=1e-6)


def test_best_and_worst_map_of_a_linear_network(linear, explained, same):
    image, weights = np.full((1, 1, 3, 5), 2.0, np.float32), SCATTERED[None, None] / 2
    found = explained(linear(weights), np.repeat(image, 2, axis=0), [SCATTERED, -SCATTERED])
    left = 1 - np.cumsum([0, 0.5, 0.3, 0.17, 0.02, 0.01, *(0,) * 10])
    lost = {"morf": 1 - left, "lerf": left[::-1]}
    for order, by_hand in lost.items():
        scores = PixelFlipping(1, same, steps=15, order=order).score(found)
        other = "lerf" if order == "morf" else "morf"
        np.testing.assert_allclose(scores, [by_hand.mean(), lost[other].mean()], atol=1e-6)
    area = (left[1:] + left[:-1]).sum() / 30
    np.testing.assert_allclose(SRG(1, same, steps=15).score(found), [1 - 2 * area, 2 * area - 1], atol=1e-6)


@pytest.mark.parametrize("groups", ["pixels", "patches", "superpixels"])
@pytest.mark.parametrize("removal", ["value", "mean", "blur", "noisy_linear"])
def test_the_negative_of_a_map_scores_the_negative_srg_to_the_bit(explained, same, groups, removal):
    rng = np.random.default_rng(3)
    maps = np.concatenate([rng.normal(size=(2, 5, 7)), np.round(rng.normal(size=(2, 5, 7)))])  # the latter with ties
    images = rng.normal(size=(2, 3, 5, 7)).astype(np.float32)
    metric = SRG(3, nn.Softmax(), steps=5, removal=removal, groups=groups, patch_size=2)
    scores = [
        metric.score(explained(Curved(), images, turn * maps, [0, 1, 0, 1], [0, 1, 2, 0])) for turn in (1, -1, 2.5)
    ]
    assert np.isfinite(scores).all()
    assert np.ptp(scores[0]) > 0
    np.testing.assert_array_equal(scores[1], -scores[0])
    np.testing.assert_array_equal(scores[2], scores[0])


class Curved(nn.Cell):
    """Three logits, none of which is linear in the pixels; counts the images that it sees."""

    def __init__(self):
        super().__init__()
        self.images = 0

    def construct(self, x):
        self.images += x.shape[0]
        rows = (x * x).mean((2, 3)) + x[:, :, 1, 2] * x[:, :, 3, 4]
        return rows[:, :3]


def test_patches_are_cut_by_the_border_and_go_by_their_mean(linear, explained, same):
    # 3 x 5 pixels in squares of 2: the patches hold 4, 4, 2, 2, 2 and 1 pixels; the last one, at the corner, is best.
    map_ = np.array([[1, 1, 0, 0, 3], [1, 1, 0, 0, 3], [2, 2, -1, -1, 9]], np.float32)
    weights = np.arange(1, 16, dtype=np.float32).reshape(1, 1, 3, 5) / 120
    by_patch = np.array([15, 5 + 10, 11 + 12, 1 + 2 + 6 + 7, 3 + 4 + 8 + 9, 13 + 14]) / 120
    left = 1 - np.concatenate([[0], np.cumsum(by_patch)])
    found = explained(linear(weights), np.ones((1, 1, 3, 5)), map_[None])
    scores = PixelFlipping(1, same, groups="patches", patch_size=2).score(found)
    np.testing.assert_allclose(scores, [(1 - left).mean()], atol=1e-6)
    area = (left[1:] + left[:-1]).sum() / 12
    np.testing.assert_allclose(Selectivity(1, same, patch_size=2).score(found), [area], atol=1e-6)


def test_selectivity_is_best_where_the_first_patch_holds_all(linear, explained, same):
    # Of six columns the last holds the probability 1: areas 1/12 where it is removed first, 11/12 where it is last.
    weights = np.zeros((1, 1, 1, 6), np.float32)
    weights[..., 5] = 1
    found = explained(linear(weights), np.ones((2, 1, 1, 6)), [[[0, 1, 2, 3, 4, 5]], [[5, 4, 3, 2, 1, 0]]])
    np.testing.assert_allclose(Selectivity(1, same, patch_size=1).score(found), [1 / 12, 11 / 12], atol=1e-6)
    assert not Selectivity.higher_is_better


def test_irof_by_hand(linear, explained, same):
    # Two superpixels, of 2 and 4 columns, with .25 and .75 of the answer 2. By the mean of the map the small one is
    # first: 1 .75 0 are left of it, whose area is .625; its sum is smaller. Turned around 1 .25 0 are left, area .375.
    image = np.array([[[[1, 3, 1, 1, 1, 1]]]], np.float32)
    weights = np.array([[[[0.5, 0, 0.375, 0.375, 0.375, 0.375]]]], np.float32)
    maps = np.array([[[2, 2, 1.5, 1.5, 1.5, 1.5]], [[1, 1, 1.5, 1.5, 1.5, 1.5]]], np.float32)
    found = explained(linear(weights), np.repeat(image, 2, axis=0), maps)
    metric = IROF(1, same, removal="value", segmentation=halves)
    np.testing.assert_allclose(metric.score(found), [0.375, 0.625], atol=1e-6)
    # With the mean, 4/3, in place: of 2, 2 + .5 / 3 are left without the first superpixel, 8/3 without both.
    left = np.array([2, 2 + 0.5 / 3, 8 / 3]) / 2
    score = IROF(1, same, segmentation=halves).score(found)[0]
    assert score == pytest.approx(1 - (left[1:] + left[:-1]).sum() / 4, abs=1e-6)


def test_without_order_there_is_no_score(linear, explained, same):
    maps = np.array([np.ones((3, 5)), np.full((3, 5), np.nan), SCATTERED, SCATTERED], np.float32)
    maps[3, 2, 4] = np.inf
    found = explained(linear(SCATTERED[None, None]), np.ones((4, 1, 3, 5)), maps)
    for metric in (PixelFlipping, SRG, Selectivity):
        assert np.isnan(metric(1, same).score(found)).tolist() == [True, True, False, True]
    # Segments, or patches, whose means are equal have none either, whatever lies in them; nor has a single segment.
    found = explained(linear(np.ones((1, 1, 1, 6))), np.ones((1, 1, 1, 6)), [[[0, 2, 2, 0, 1, 1]]])
    assert np.isnan(IROF(1, same, segmentation=halves).score(found)).all()
    assert np.isnan(IROF(1, same, segmentation=lambda picture: np.zeros((1, 6), int)).score(found)).all()
    assert np.isnan(SRG(1, same, groups="patches", patch_size=2).score(found)).all()
    assert np.isfinite(SRG(1, same).score(found)).all()


@pytest.fixture
def scored(explained):
    """Scores maps without ties by several metrics as a run does; gives them and the images that passed."""

    def score(metrics, maps=None):
        rng = np.random.default_rng(0)
        images = rng.normal(size=(2, 3, 5, 8)).astype(np.float32)
        maps = rng.normal(size=(3, 5, 8)) if maps is None else maps
        cell = Curved()
        found = explained(cell, images, maps, [0, 0, 1], [0, 2, 1], logits=np.zeros((2, 3), np.float32))
        found._coverings.extend(metric.covering((5, 8)) for metric in metrics)
        needed, uniform = found.images_needed()
        scores = [metric.score(found) for metric in metrics]
        assert cell.images == needed + len(uniform)
        return scores, cell.images

    return score


def test_morf_lerf_and_srg_together_cost_two_curves(scored):
    softmax, options = nn.Softmax(), {"steps": 8}
    morf, lerf, srg = (
        PixelFlipping(3, softmax, **options),
        PixelFlipping(3, softmax, order="lerf", **options),
        SRG(3, softmax, **options),
    )
    together, images = scored([morf, lerf, srg])
    assert images == 3 * 2 * 7 + 1  # seven images between both ends, which are known, and the baseline, once
    assert scored([morf])[1] == scored([lerf])[1] == 3 * 7 + 1
    for metric, scores in zip([morf, lerf, srg], together, strict=True):
        np.testing.assert_array_equal(scored([metric])[0][0], scores)


def test_insertion_and_deletion_are_those_curves_where_steps_divide_the_pixels(scored):
    softmax = nn.Softmax()
    others = [InsertionAUC(3, softmax, steps=8), DeletionAUC(3, softmax, steps=8)]
    (insertion, deletion, srg), images = scored([*others, SRG(3, softmax, steps=8)])
    assert images == 3 * 2 * 7 + 1
    np.testing.assert_allclose(srg, insertion + deletion - 1, atol=1e-12)
    tied = np.round(np.random.default_rng(0).normal(size=(3, 5, 8)))
    assert scored([InsertionAUC(3, softmax, steps=8), SRG(3, softmax, steps=8)], tied)[1] > images


@pytest.mark.parametrize("removal", ["mean", "blur", "noisy_linear"])
def test_what_is_left_of_an_image_is_asked_once_for_all_its_labels(scored, removal):
    metrics = [PixelFlipping(3, nn.Softmax(), steps=4, removal=removal), SRG(3, nn.Softmax(), steps=4, removal=removal)]
    assert scored(metrics)[1] == 3 * 2 * 3 + 2
    assert scored([*metrics, NaiveFaithfulness(3, nn.Softmax(), steps=4)])[1] == 3 * 2 * 3 + 2 + 3 * 4


def test_what_is_left_of_an_image_is_asked_once_for_all_explainers(explained):
    cell, rng, metric = Curved(), np.random.default_rng(0), SRG(3, nn.Softmax(), steps=4, removal="mean")
    images, memory = rng.normal(size=(2, 3, 5, 8)), {}
    for passing in (3 * 2 * 3 + 2, 3 * 2 * 3):
        maps = rng.normal(size=(3, 5, 8))
        found = explained(cell, images, maps, [0, 0, 1], [0, 2, 1], logits=np.zeros((2, 3), np.float32))
        found.whole = WholeBatch(found.view, memory)
        before = cell.images
        assert found.images_needed([metric.covering((5, 8))]) == (passing, set())
        metric.score(found)
        assert cell.images - before == passing


def test_equal_superpixels_are_one_curve_and_count_their_own_segments(scored):
    def columns(picture):
        return np.repeat([[0, 0, 1, 1, 2, 2, 3, 3]], picture.shape[0], axis=0)

    one, other = (SRG(3, nn.Softmax(), groups="superpixels", segmentation=columns) for _ in range(2))
    assert scored([one])[1] == 3 * 2 * 3 + 1  # four segments
    assert scored([one, other])[1] == 3 * 2 * 3 + 1
    assert scored([one, IROF(3, nn.Softmax(), removal="value", segmentation=columns)])[1] == 3 * 2 * 3 + 1


@pytest.mark.parametrize(
    ("options", "code", "values"),
    [
        ({"removal": "blurr"}, "option-value-unknown", {"what": "removal"}),
        ({"removal": "blur", "baseline": 1.0}, "baseline-without-effect", {}),
        ({"groups": "pixel"}, "option-value-unknown", {"what": "groups"}),
        ({"order": "first"}, "option-value-unknown", {"what": "order"}),
        ({"steps": 0}, "not-a-whole-number", {}),
        ({"patch_size": 0}, "not-a-whole-number", {}),
        ({"baseline": np.nan}, "not-a-number", {}),
    ],
)
def test_refused(raising, options, code, values):
    with raising(ValueError, code, **values):
        PixelFlipping(3, nn.Softmax(), **options)
