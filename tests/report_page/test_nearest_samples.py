"""Nearest samples below an enlarged one, as a person uses them."""

import numpy as np
import pytest
from made_up_run import picture
from playwright.sync_api import expect
from test_accessibility import violations

TITLE = "Nearest samples"


def nearest(page):
    return page.page.get_by_role("dialog").get_by_role("region", name=TITLE)


def test_pictures_labels_and_distances(opened):
    """Near to sample 12 are 3, and 4, which is mistaken for class 5; the third lacks."""
    page = opened("nearest", state="sample=12", nearest=3).settled("dialog .nearest .picture")
    names = [one.get_attribute("aria-label") for one in nearest(page).get_by_role("button").all()]
    assert names == [
        "Sample 3, predicted class 3, true class 3, distance 0.250: enlarge it",
        "Sample 4, predicted class 5, true class 4, distance 0.500: enlarge it",
    ]
    assert nearest(page).get_by_role("button").nth(1).inner_text().split("\n") == [
        "sample 4", "class 5", "true: class 4", "distance 0.500"
    ]  # fmt: skip
    drawn = page.canvas("dialog .nearest .picture canvas")
    assert drawn.shape == (24, 32, 3)
    light = np.linspace(60, 200, 32) * (0.5 + 0.1 * 3)
    assert np.abs(drawn[:, :, 1] - light).max() < 6
    assert picture(3, 24, 32) != picture(4, 24, 32)


def test_one_is_enlarged_by_keyboard_and_back(opened):
    page = opened("nearest", state="sample=12", nearest=3).settled("dialog .nearest .picture")
    nearest(page).get_by_role("button", name="Sample 4").focus()
    page.page.keyboard.press("Enter")
    expect(page.page.get_by_role("dialog").get_by_role("heading", name="Sample 4")).to_be_focused()
    assert "sample=4" in page.hash
    expect(nearest(page).get_by_role("button")).to_have_count(2)
    name = "Sample 0, predicted class 0, true class 0, distance 0.250: enlarge it"
    expect(nearest(page).get_by_role("button").first).to_have_accessible_name(name)
    page.page.go_back()
    expect(page.page.get_by_role("dialog").get_by_role("heading", name="Sample 12")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(opened, axe, scheme):
    page = opened("nearest", state="sample=12", nearest=3, scheme=scheme, size=(390, 844))
    page.settled("dialog .nearest .picture")
    assert violations(page, axe) == []


def test_a_run_without_shows_nothing_of_them(opened):
    page = opened(state="sample=12").settled("dialog .map")
    expect(page.page.get_by_role("dialog").get_by_text(TITLE)).to_have_count(0)
