"""Rank correlation of explainers' maps."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from explainrun.runner.report.agreement import Agreement

RISING = np.arange(6.0, dtype=np.float32).reshape(1, 2, 3)


def test_by_hand():
    """The first two rank all pixels alike, the third the other way round."""
    agreement = Agreement(3)
    agreement.add([RISING, RISING**3, -RISING], samples=1)
    assert agreement.matrix() == [[1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]
    assert agreement.disagreement == [pytest.approx(1 - (1 - 1 - 1) / 3)]


def test_flat_and_unknown_maps_count_for_nothing():
    agreement = Agreement(3)
    unknown = RISING.copy()
    unknown[0, 0, 0] = np.nan
    agreement.add([RISING, np.ones_like(RISING), unknown], samples=1)
    assert agreement.matrix() == [[1.0, None, None], [None, None, None], [None, None, None]]
    assert np.isnan(agreement.disagreement).all()


def test_like_scipy_with_ties():
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 4, (5, 4, 3)).astype(np.float32) for _ in range(2)]
    agreement = Agreement(2)
    agreement.add(maps, samples=5)
    wanted = [spearmanr(one.ravel(), two.ravel()).statistic for one, two in zip(*maps, strict=True)]
    assert agreement.matrix()[0][1] == pytest.approx(np.mean(wanted), abs=1e-4)
    assert agreement.disagreement == pytest.approx([1 - one for one in wanted])


def test_the_matrix_stops_at_a_thousand_samples():
    agreement = Agreement(2)
    agreement.add([RISING, RISING], samples=1000)
    agreement.add([RISING, -RISING], samples=1)
    assert agreement.matrix()[0][1] == 1.0
    assert (agreement.samples, agreement.disagreement) == (1000, [pytest.approx(0), pytest.approx(2)])
