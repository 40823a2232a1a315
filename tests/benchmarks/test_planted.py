"""Planted networks are what they say, and metrics rank maps of them."""

import numpy as np
import pytest
from mindspore import Tensor

from explainrun.benchmarks import METRICS, IoU, Metric, RelevanceMass
from explainrun.benchmarks.planted.exceptions import METRICS as EXCUSED
from explainrun.benchmarks.planted.exceptions import why_not
from explainrun.benchmarks.planted.networks import BIAS, PARTS, SIZE
from explainrun.testing.planted import (
    MAPS,
    NETWORKS,
    Additive,
    Conjunction,
    Detector,
    GoodMap,
    PerfectMap,
    PlantedCase,
    ReversedMap,
    Saturating,
    planted_ranking,
)

OWN = [name for name in METRICS if METRICS[name].__module__.startswith("explainrun.")]
ASKING = [name for name in OWN if METRICS[name].__module__.split(".")[-2] in ("faithfulness", "localization")]
SLOW = ("SensitivityN", "MonotonicityCorrelation", "IROF")


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda kind: kind.__name__)
def case(request):
    return PlantedCase.of(request.param)


def logits_of(case, images):
    logits = case.network(Tensor(images.astype(np.float32))).asnumpy()
    return logits[np.arange(len(case.labels)), case.labels]


def test_the_mask_is_all_that_counts(case):
    logits, masks = logits_of(case, case.images), case.masks[:, None]
    assert (logits > 0.5).all()  # probabilities above 0.6
    assert logits_of(case, np.where(masks, 0, case.images)) == pytest.approx(BIAS)
    kept = logits_of(case, np.where(masks, case.images, 0))
    # What lies beside a bar of the detector speaks a little against it: 6 times 16 pixels of 0.02 at most.
    assert (abs(kept - logits) <= (6 * 16 * 0.02 if isinstance(case.network, Detector) else 1e-5)).all()


def test_masks_lie_off_the_centre_and_are_not_square(case):
    height, width = SIZE
    for mask in case.masks:
        rows, columns = np.nonzero(mask)
        assert 0 < mask.sum() < 0.2 * mask.size
        assert (rows.mean(), columns.mean()) != ((height - 1) / 2, (width - 1) / 2)
    assert len(np.unique(case.masks, axis=0)) >= 3  # of several labels, or several images


def test_the_perfect_map_is_complete_and_lies_in_the_mask(case):
    maps = PerfectMap(case.network)(Tensor(case.images), case.labels).asnumpy()[:, 0]
    assert maps.sum(axis=(1, 2)) == pytest.approx(logits_of(case, case.images) - BIAS, rel=1e-4)
    assert (maps[case.masks] > 0).all()
    assert maps[~case.masks].max() <= 0


def test_the_additive_network_by_hand():
    case = PlantedCase.of(Additive, 2)
    (rows, columns), _ = PARTS[1]  # 5 x 3 pixels of label 1 that weigh 1, 2, 3 in each row, and 30 in sum
    maps = PerfectMap(case.network)(Tensor(case.images), case.labels).asnumpy()[1, 0]
    part = (slice(*rows), slice(*columns))
    assert maps[part] == pytest.approx(3 * case.images[1, 0][part] * np.array([1, 2, 3]) / 30, rel=1e-4)


def added_by_a_part(kind, share=1.0):
    """How far a logit is above that of a black image, as a share of what the whole image adds, in its first part."""
    case = PlantedCase.of(kind, 3)
    parts = np.zeros_like(case.images)
    for image, part, label in zip(case.images, parts, case.labels, strict=True):
        rows, columns = PARTS[label][0]
        part[0, slice(*rows), slice(*columns)] = share * image[0, slice(*rows), slice(*columns)]
    return (logits_of(case, parts) - BIAS) / (logits_of(case, case.images) - BIAS)


def test_what_parts_add():
    assert added_by_a_part(Conjunction) == pytest.approx([0] * 3, abs=1e-6)
    assert added_by_a_part(Saturating) == pytest.approx([0.5] * 3, abs=1e-6)
    assert added_by_a_part(Saturating, 0.6) == pytest.approx([0.5] * 3, abs=1e-6)  # 0.6 of 0.7 at least are enough
    assert added_by_a_part(Additive, 0.6) == pytest.approx(0.6 * added_by_a_part(Additive), rel=1e-4)


def test_a_bar_is_found_where_it_is():
    images = np.zeros((3, 1, *SIZE), np.float32)
    images[0, 0, 9, 1:6] = images[1, 0, 1:6, 16] = images[2, 0, 8:11, 13:16] = 0.9
    # 6 times a fifth of the sum of the bar.
    expected = BIAS + 6 * 0.2 * 0.9 * np.diag([5, 5, 9])
    assert Detector()(Tensor(images)).asnumpy() == pytest.approx(expected, abs=1e-4)


def test_other_maps_are_made_of_the_perfect_one(case):
    images = Tensor(case.images)
    perfect, good, reverse = (
        kind(case.network)(images, case.labels).asnumpy()[:, 0] for kind in (PerfectMap, GoodMap, ReversedMap)
    )
    largest = perfect.max(axis=(1, 2), keepdims=True)
    assert reverse == pytest.approx(largest - perfect)
    assert ((good - perfect) / largest).min() >= -1e-6
    assert ((good - perfect) / largest).max() == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in ASKING])
def test_metrics_rank_maps(name):
    kind = METRICS[name]
    ranking = planted_ranking(kind)
    assert ranking.ranks == (not why_not(kind)), ranking.means
    if name in EXCUSED:
        assert "planted" in kind.__doc__.lower()  # where the docstring says why not


@pytest.mark.parametrize("name", OWN)
def test_the_table_has_a_line(name, repository):
    """``python scripts/planted_table.py --write`` adds it."""
    assert (repository / "docs" / "planted.md").read_text("utf-8").count(f"| `{name}` ") == 1


def test_what_is_excused_exists():
    assert set(EXCUSED) <= set(ASKING)
    assert all(why_not(METRICS[name]) for name in OWN if name not in ASKING)


def test_a_metric_that_does_not_rank_is_found():
    class Backwards(RelevanceMass):
        higher_is_better = False

    assert not planted_ranking(Backwards).ranks
    ranking = planted_ranking(IoU, [Additive], threshold=0)
    assert ranking.means["perfect"] == 1.0
    assert ranking.networks_ranked == 1
    assert set(ranking.scores) == set(MAPS)


class Nothing(Metric):
    """NaN, whatever is asked."""

    def score(self, explanation):
        return np.full(len(explanation.maps), np.nan)


def test_what_is_not_scored_is_not_ranked():
    ranking = planted_ranking(Nothing, [Additive], questions=3)
    assert np.isnan(list(ranking.means.values())).all()
    assert not ranking.ranks
