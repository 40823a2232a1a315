"""What tells mappings of plain values apart, in words, and nearest names."""

import pytest

from explainrun.summary_format.errors import nearest, nearest_or_place
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


def test_long_values_show_where_they_differ():
    names = [f"class {number}" for number in range(30)]
    other = [*names[:20], "another", *names[21:25], "one more", *names[26:]]
    assert mapping_differences({"names": names}, {"names": other}) == [
        "names[20] was 'class 20', is 'another' (and 1 more)"
    ]
    assert mapping_differences({"names": names}, {"names": names[:-1]}) == ["names[29] was 'class 29', is not there"]
    entries = [{"size": 1, "name": "x" * 80}, 2]
    changed = [{"size": 3, "name": "x" * 80}, 2]
    assert mapping_differences({"entries": entries}, {"entries": changed}) == ["entries[0].size was 1, is 3"]
    (said,) = mapping_differences({"text": "a" * 45 + "bcd" + "e" * 90}, {"text": "a" * 45 + "xyz" + "e" * 90})
    assert all(part in said for part in ("...aaaa", "abcde", "axyze"))


def test_a_name_that_belongs_elsewhere():
    elsewhere = {"run": ["limit"], "register": ["samples", "limit"]}
    assert nearest_or_place("limit", ["jit"], elsewhere) == "it belongs to run or register"
    assert nearest_or_place("jitt", ["jit"], elsewhere) == "did you mean 'jit'?"
