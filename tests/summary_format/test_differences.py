"""What tells mappings of plain values apart, in words, and nearest names."""

import pytest

from explainrun.summary_format.errors import nearest
from explainrun.summary_format.plan_diff import mapping_differences, shown


def test_mappings():
    before = {"steps": 16, "around": {"class": "A", "sizes": [1, 2]}, "gone": None}
    now = {"new": {}, "steps": 8, "around": {"class": "A", "sizes": [1, 3]}}
    assert mapping_differences(before, now) == [
        "steps was 16, is 8",
        "around.sizes was [1, 2], is [1, 3]",
        "gone was None, is not there",
        "new was not there, is {}",
    ]
    assert mapping_differences(now, now) == []
    assert (
        shown(mapping_differences(before, now), most=2) == "steps was 16, is 8; around.sizes was [1, 2], is [1, 3]; ..."
    )


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("GradCAN", ["GradCAM", "RISE"], "did you mean 'GradCAM'?"),
        ("xyz", ["GradCAM", "RISE"], "known: GradCAM, RISE"),
        ("xyz", [], "there are none"),
    ],
)
def test_nearest_names(name, known, words):
    assert nearest(name, known) == words
