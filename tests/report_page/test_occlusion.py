"""The view of hierarchical occlusion: two layers of one box for each label, sigma 3, pictures of 24 x 32 pixels."""

import io

import numpy as np
import pytest
from made_up_run import picture
from PIL import Image
from playwright.sync_api import expect
from scipy.ndimage import gaussian_filter

OPTIONS = {"name": "searched", "searching": True}
COVERED = ".covered"


@pytest.fixture
def page(opened):
    return opened(**OPTIONS, state="view=counterfactual").settled(COVERED)


def step(sample, place):
    return f".rows .row:nth-child({sample + 1}) [data-step='{place}'] canvas"


def original(sample):
    return np.asarray(Image.open(io.BytesIO(picture(sample, 24, 32)))).astype(float)


def test_what_the_steps_show(page):
    """Layer 1 shows the upper left quarter, 16 x 12 pixels; elsewhere is the blur, grey, at 70 % of its brightness."""
    image = original(1)
    np.testing.assert_array_equal(page.canvas(step(1, 0)), image)
    shown = page.canvas(step(1, 1))
    np.testing.assert_array_equal(shown[:12, :16], image[:12, :16])
    grey = 0.7 * gaussian_filter(image @ [0.299, 0.587, 0.114], 3, mode="nearest")
    assert np.abs(shown[:, 16:] - grey[:, 16:, None]).max() < 1
    second = page.canvas(step(1, 2))
    np.testing.assert_array_equal(second[3:9, 4:12], image[3:9, 4:12])
    assert np.abs(second[:3] - grey[:3, :, None]).max() < 1


@pytest.mark.long
def test_the_blur_in_colour(page):
    """On demand, as the run blurs, and called approximate."""
    expect(page.page.get_by_text("Approximate:")).to_have_count(0)
    page.page.get_by_label("Covered parts").select_option("blurred, in colour")
    page.settled(COVERED)
    assert "blur=1" in page.hash
    expect(page.page.get_by_text("Approximate:")).to_be_visible()
    blurred = gaussian_filter(original(1), (3, 3, 0), mode="nearest")
    assert np.abs(page.canvas(step(1, 1))[12:] - blurred[12:]).max() < 1


def test_filters(page):
    count = page.page.get_by_role("status")
    expect(count).to_have_text("40 samples")
    page.page.get_by_label("without one (0)").check()
    expect(page.page.get_by_text("No sample fits all filters.")).to_be_visible()
    page.page.get_by_label("with a result (40)").check()
    page.page.get_by_label("Label asked about").select_option("class 3")
    expect(count).to_have_text("4 samples")  # 3, 13, 23 and 33; those with 2 are right
    assert page.hash == "#view=counterfactual&outcome=with&asked=3"


def test_an_enlarged_step_by_keys(page):
    """Arrows go from step to step and end at the last, Page Down to the next sample; Escape gives the focus back."""
    button = page.page.locator(".row:nth-child(1) [data-step='1']")
    button.press("Enter")
    heading = page.page.locator("#step-dialog-title")
    for key, text in (
        ("ArrowRight", "Sample 0, label class 0: layer 2"),
        ("ArrowRight", "Sample 0, label class 0: layer 2"),
        ("PageDown", "Sample 1, label class 1: layer 2"),
        ("k", "Sample 0, label class 0: layer 2"),
        ("ArrowLeft", "Sample 0, label class 0: layer 1"),
    ):
        page.page.keyboard.press(key)
        expect(heading).to_have_text(text)
    expect(page.page.locator("dialog .pairs")).to_contain_text("0.9000")
    expect(page.page.locator("dialog .pairs")).to_contain_text("1, together 25 % of the image")
    assert page.hash == "#view=counterfactual&sample=0&label=0&layer=1"
    page.page.keyboard.press("Escape")
    expect(page.page.locator("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    assert page.hash == "#view=counterfactual"


@pytest.mark.long
def test_from_a_step_to_all_methods(opened):
    page = opened(**OPTIONS, state="view=counterfactual&sample=4&label=5&layer=2")
    expect(page.page.locator("#step-dialog-title")).to_have_text("Sample 4, label class 5: layer 2")
    page.page.get_by_role("button", name="All methods side by side").last.click()
    expect(page.page.locator("#enlarged-title")).to_have_text("Sample 4")
    assert "layer" not in page.hash
