"""The curves that metrics make their scores of: by hand, by name, and without a bit of difference to scores."""

from inspect import signature

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import (
    METRICS,
    ROAD,
    SIC,
    SRG,
    CurveMetric,
    DeletionAUC,
    Faithfulness,
    InsertionAUC,
    ModelParameterRandomization,
    PixelFlipping,
    SensitivityN,
)
from explainrun.benchmarks.faithfulness import information_curves
from explainrun.explainers import Gradient

PARTS = np.array([[[[0.4, 0.3, 0.2, 0.1]]]], np.float32)  # the logit is their sum


@pytest.fixture
def found(linear, explained):
    """Two questions about a linear network: a right map, and one without order."""
    return explained(linear(np.ones((1, 1, 1, 4))), np.repeat(PARTS, 2, axis=0), [PARTS[0, 0], np.ones((1, 4))])


def test_every_metric_of_curves_takes_the_option():
    of_curves = {name for name in METRICS if issubclass(METRICS[name], CurveMetric)}
    assert of_curves == {name for name in METRICS if "curves" in signature(METRICS[name]).parameters}
    assert of_curves > {"InsertionAUC", "DeletionAUC", "PixelFlipping", "SRG", "ROAD", "Selectivity", "IROF"}
    assert of_curves > {"SIC", "AIC", "SensitivityN", "ModelParameterRandomization", "SmoothMPRT"}


def test_by_hand(found, same):
    insertion, deletion = InsertionAUC(1, same, steps=2, curves=True), DeletionAUC(1, same, steps=2, curves=True)
    scores, [kept, nothing] = insertion.scores_and_curves(found)
    assert (insertion.kept_curves, deletion.kept_curves, nothing) == (("insertion",), ("deletion",), None)
    np.testing.assert_allclose(kept[0], [[0, 0.5, 1], [0, 0.7, 1]], atol=1e-6)
    np.testing.assert_allclose(scores, [0.6, np.nan], atol=1e-6)
    scores, [kept, _] = deletion.scores_and_curves(found)
    np.testing.assert_allclose(kept[0], [[0, 0.5, 1], [1, 0.3, 0]], atol=1e-6)
    np.testing.assert_allclose(scores, [0.6, np.nan], atol=1e-6)


def test_two_curves_by_their_names(found, same):
    metric = SRG(1, same, steps=2, curves=True)
    _, [(first, second), _] = metric.scores_and_curves(found)
    assert metric.kept_curves == ("lerf", "morf")
    np.testing.assert_allclose([first.heights, second.heights], [[1, 0.7, 0], [1, 0.3, 0]], atol=1e-6)
    both = ROAD(1, same, shares=[0.25, 0.5], order="combined", curves=True)
    _, [(first, second), _] = both.scores_and_curves(found)
    assert both.kept_curves == ("morf", "lerf")
    assert first.across.tolist() == second.across.tolist() == [0.25, 0.5]
    assert first.heights[0] < second.heights[0]
    assert [PixelFlipping(1, same, order=order, curves=True).kept_curves for order in ("morf", "lerf")] == [
        ("morf",),
        ("lerf",),
    ]


def test_information_runs_from_0_to_1(found, same, monkeypatch):
    # Files of 10, 14, 12 and 20 bytes, of answers 0, .6, .9 and 1: so much information is 0, .4, .2 and 1.
    bytes_of = {0: 10, 2: 14, 3: 12, 4: 20}
    monkeypatch.setattr(information_curves, "_compressed_size", lambda image, untouched: bytes_of[(image != 0).sum()])
    metric = SIC(1, same, shares=[0.5, 0.75], removal="value", curves=True)
    scores, [(curve,), _] = metric.scores_and_curves(found)
    np.testing.assert_allclose(curve.across, [0, 0.2, 0.4, 1], atol=1e-6)
    np.testing.assert_allclose(curve.heights, [0, 0.9, 0.7, 1], atol=1e-6)
    np.testing.assert_allclose(scores[0], 0.2 * 0.45 + 0.2 * 0.8 + 0.6 * 0.85, atol=1e-6)


def test_correlations_over_sizes(found, same):
    metric = SensitivityN(1, same, sizes=[1, 2], samples=20, curves=True)
    scores, [(curve,), nothing] = metric.scores_and_curves(found)
    assert curve.across.tolist() == [0.25, 0.5]
    np.testing.assert_allclose(curve.heights, [1, 1], atol=1e-5)  # the map is each pixel's part
    assert scores[0] == curve.heights.mean()
    assert nothing is None


def test_nothing_is_kept_unless_it_is_wanted(found, same):
    for metric in (InsertionAUC(1, same, steps=2), SRG(1, same, steps=2), Faithfulness(1, same, "DeletionAUC")):
        scores, curves = metric.scores_and_curves(found)
        assert (metric.kept_curves, list(curves)) == ((), [])
        np.testing.assert_array_equal(scores, metric.score(found))


def test_a_family_keeps_what_its_member_keeps(found, same):
    family = Faithfulness(1, same, "DeletionAUC", steps=2, curves=True)
    assert family.kept_curves == ("deletion",)
    scores, [kept, _] = family.scores_and_curves(found)
    np.testing.assert_allclose(kept[0].heights, [1, 0.3, 0], atol=1e-6)
    np.testing.assert_array_equal(scores, DeletionAUC(1, same, steps=2).score(found))


@pytest.mark.parametrize("given", [1, "yes", None])
def test_the_option_is_true_or_false(raising, same, given):
    with raising(ValueError, "not-yes-or-no", name="curves", given=given):
        InsertionAUC(1, same, curves=given)


class Deep(nn.Cell):
    """Twelve layers, of which a cascade has as many steps."""

    def __init__(self):
        super().__init__()
        self.layers = nn.SequentialCell(*(nn.Dense(6, 6, activation="relu") for _ in range(11)), nn.Dense(6, 2))
        self.flatten = nn.Flatten()

    def construct(self, x):
        return self.layers(self.flatten(x))


def test_a_mean_over_many_layers_does_not_depend_on_what_else_is_asked(explained):
    images = np.random.default_rng(0).normal(size=(3, 1, 2, 3)).astype(np.float32)
    maps = np.random.default_rng(1).normal(size=(3, 2, 3)).astype(np.float32)
    cell, metric = Deep(), ModelParameterRandomization(curves=True)

    def made(places):
        explanation = explained(cell, images[places], maps[places], sample_ids=np.array(places))
        assert isinstance(explanation.explainer, Gradient)
        return metric.scores_and_curves(explanation)

    together, curves = made([0, 1, 2])
    assert metric.kept_curves == ("similarity",)
    assert curves[0][0].across.tolist() == (np.arange(1, 13) / 12).tolist()
    alone = [made([place])[0][0] for place in range(3)]
    assert together.tolist() == alone
