"""For how many metrics MindInsight has an overall score."""

import pytest
import yaml

from explainrun.summary_format.lifecycle.viewer_weights import has_overall_score, nearest_with_score


def test_where_its_weights_do_not_add_up():
    """Its page's own JavaScript, run by Node for 1 to 200, does not for these."""
    without = [7, 14, 17, 18, 19, 20, *range(56, 101)]
    assert [metrics for metrics in range(1, 201) if not has_overall_score(metrics)] == without


@pytest.mark.parametrize(("metrics", "around"), [(7, (6, 8)), (18, (16, 21)), (60, (55, 101))])
def test_the_next_numbers_with_a_score(metrics, around):
    assert nearest_with_score(metrics) == around


def test_every_config_of_ours_has_a_score(repository):
    counts = {
        path.name: len(yaml.safe_load(path.read_text("utf-8")).get("metrics", ()))
        for path in (repository / "configs").glob("*.yaml")
    }
    assert counts["full.yaml"] == 8
    assert [name for name, metrics in counts.items() if not has_overall_score(metrics)] == []
