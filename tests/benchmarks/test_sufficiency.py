"""Sufficiency by hand, where noise is known and maps follow it."""

import numpy as np
import pytest

from explainrun.benchmarks import Explanation, RelativeOutputStability, SensitivityMax, Sufficiency
from explainrun.explainers import Explainer, Needs
from explainrun.runner.batches.part_sizes import recomputations


class Follows(Explainer):
    """A map that is the image itself, or one that never changes; counts the images that it sees."""

    def __init__(self, network, fixed=None):
        super().__init__(network, "Fixed" if fixed is not None else "Follows")
        self.fixed, self.needs, self.seen = fixed, Needs(), 0

    def attribute(self, view):
        self.seen += len(view.images)
        if self.fixed is not None:
            return np.repeat(self.fixed[None], len(view.rows), axis=0)
        return view.asked_images[:, 0]


IMAGES = np.random.default_rng(2).uniform(1, 2, (2, 1, 3, 4)).astype(np.float32)
IMAGES[:, 0, 2, 1], IMAGES[:, 0, 0, 3] = 1.5, (1.4, 1.6)
WEIGHTS = np.zeros((2, 1, 3, 4), np.float32)
WEIGHTS[0, 0, 2, 1], WEIGHTS[1, 0, 0, 3] = 1, 1  # which of two pixels is brighter


@pytest.fixture
def explanation(linear, explained):
    def make(fixed=None):
        found = explained(linear(WEIGHTS), IMAGES, IMAGES[[0, 0, 1], 0], [0, 0, 1], [0, 1, 1])
        explainer = Follows(found.view.network.cell, fixed)
        maps = found.maps if fixed is None else np.repeat(fixed[None], 3, axis=0)
        return Explanation(explainer, found.view, maps)

    return make


def expected(view, metric, *, alike):
    """The share of same predictions among copies, or among those whose image is near the untouched one."""
    scores = []
    for row in (0, 0, 1):
        image, same = IMAGES[row, 0], []
        for draw in range(metric.samples):
            copy = image + metric.noise(view, row, draw)[0]
            if not alike or np.linalg.norm(copy - image) <= metric.threshold * np.linalg.norm(image):
                same.append((copy[2, 1] >= copy[0, 3]) == (image[2, 1] >= image[0, 3]))
        scores.append(np.mean(same) if same else np.nan)
    return scores


def test_share_of_same_predictions_among_copies_of_like_maps(explanation):
    metric = Sufficiency(samples=30, radius=0.5, threshold=0.17)
    found = explanation()
    scores = metric.score(found)
    assert found.explainer.seen == 2 * 30
    np.testing.assert_allclose(scores, expected(found.view, metric, alike=True))
    some = np.array(expected(found.view, metric, alike=False))
    assert (some > 0).all()
    assert (some < 1).all()
    assert not np.isclose(scores, some).all()


def test_a_map_that_ignores_the_image_scores_how_often_predictions_stay(explanation):
    metric = Sufficiency(samples=30)
    fixed = explanation(np.arange(12, dtype=np.float32).reshape(3, 4))
    np.testing.assert_allclose(metric.score(fixed), expected(fixed.view, metric, alike=False))


def test_metrics_of_the_same_noise_share_its_images_and_maps(explanation):
    found, metrics = explanation(), (Sufficiency(samples=4, radius=0.2), SensitivityMax(samples=4, radius=0.2))
    assert recomputations(metrics, found.explainer.network) == 4
    assert found.view.logits.shape == (2, 2)  # which runs know
    found.view.network.passes.drained()
    for metric in (*metrics, RelativeOutputStability(samples=4, radius=0.2)):
        assert np.isfinite(metric.score(found)).all()
    assert found.explainer.seen == 2 * 4
    assert dict(found.view.network.passes.images) == {"noise": 2 * 4}


def test_best_and_without_a_score(explanation):
    assert Sufficiency(radius=0.001).score(explanation()).tolist() == [1, 1, 1]
    assert np.isnan(Sufficiency(threshold=1e-6).score(explanation())).all()
    assert np.isnan(Sufficiency().score(explanation(np.ones((3, 4), np.float32)))).all()
