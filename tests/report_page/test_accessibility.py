"""axe-core on every view: WCAG 2.2 A and AA, and its best practices."""

import pytest

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
STATES = [
    "view=samples",
    "view=samples&sample=4&at=3,4",
    "view=scores",
    "view=counterfactual",
    "view=counterfactual&sample=4&layer=1&blur=1",
    "view=run",
    "help=1",
]


def violations(page, axe):
    page.page.evaluate(axe)
    found = page.page.evaluate("tags => axe.run(document, { runOnly: tags, preload: false })", TAGS)
    return [(one["id"], one["nodes"][0]["target"]) for one in found["violations"]]


@pytest.mark.parametrize(
    ("scheme", "size"),
    [
        ("dark", (390, 844)),
        pytest.param("light", (1440, 900), marks=pytest.mark.long),
        pytest.param("dark", (1440, 900), marks=pytest.mark.long),
        pytest.param("light", (390, 844), marks=pytest.mark.long),
        pytest.param("light", (1024, 768), marks=pytest.mark.long),
        pytest.param("dark", (1024, 768), marks=pytest.mark.long),
    ],
)
def test_every_view_of_a_run(opened, axe, scheme, size):
    page = opened("searched", searching=True, scheme=scheme, size=size)
    found = {state: violations(page.go(state), axe) for state in STATES}
    assert found == {state: [] for state in STATES}


@pytest.mark.long
@pytest.mark.parametrize(("scheme", "size"), [("light", (1440, 900)), ("dark", (390, 844))])
def test_every_view_of_the_full_run(opened, axe, scheme, size):
    page = opened("full", scheme=scheme, size=size)
    found = {state: violations(page.go(state), axe) for state in STATES}
    assert found == {state: [] for state in STATES}


@pytest.mark.parametrize(
    ("scheme", "mode"),
    [
        ("light", "swipe"),
        *(pytest.param(*of, marks=pytest.mark.long) for of in [("light", "beside"), ("dark", "swipe")]),
    ],
)
def test_two_runs(opened, runs, axe, scheme, mode):
    pair = (runs("usual"), runs("worse", worse=True))
    page = opened("compared", "folder", f"pairMode={mode}", pair=pair, scheme=scheme).settled(".both .map")
    assert violations(page, axe) == []
