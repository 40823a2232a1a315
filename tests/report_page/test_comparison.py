"""The page of two runs, as a person uses it."""

import re

import numpy as np
import pytest
from made_up_run import hottest

from explainrun.runner.comparison import scored_run, write_baseline
from explainrun.runner.report.write_comparison import write_refusal_file

LAST = [0xFD, 0xE7, 0x25]  # viridis'
SIZE = (24, 32)


@pytest.fixture
def compared(opened, runs):
    """Opens the page of the usual run and one that is worse."""

    def open_page(form="folder", state="", **options):
        pair = (runs("usual"), runs("worse", worse=True))
        return opened("compared", form, state, pair=pair, **options)

    return open_page


def titled(page):
    return page.locator("#pair-title").inner_text()


@pytest.mark.parametrize("form", ["folder", pytest.param("single", marks=pytest.mark.long)])
def test_the_verdict_and_what_changed_first(compared, form):
    page = compared(form).page
    assert page.locator("h1").inner_text() == "The candidate is worse"
    assert "FAILED: 2 regressions, of 6 rows" in page.locator(".headline").inner_text()
    rows = page.locator("[data-name=changes] tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rows[:2]] == ["First", "First"]
    assert ["regression" in row.split("\t") for row in rows] == [True, True, False, False, False, False]


@pytest.mark.long
def test_lists_open_samples_and_back_closes_them(compared):
    page = compared().page
    page.get_by_label("Listed").select_option("flips")
    entries = page.locator(".entries button")
    assert entries.nth(1).inner_text().split("\n") == ["Sample 10", "class 0 → class 2"]
    entries.nth(1).focus()
    page.keyboard.press("Enter")
    assert titled(page) == "Sample 10, label class 0"
    page.get_by_role("button", name="Next", exact=True).click()
    assert titled(page).startswith("Sample 17, ")
    page.go_back()
    assert titled(page) == "Sample 10, label class 0"
    page.get_by_label("Sample id").fill("39")
    page.keyboard.press("Enter")
    assert titled(page).startswith("Sample 39, ")
    page.get_by_label("Sample id").fill("40")
    page.keyboard.press("Enter")
    assert "No sample 40 is shown here." in page.locator(".find").inner_text()


def test_maps_of_both_runs_in_pixels(compared):
    page = compared(state="pair=5").settled(".both .map")
    figures = ".both >> nth=0 >> figure"
    for place, sample in ((0, 5), (1, 6)):  # the candidate's square is where that of the next sample was
        heat = page.canvas(f"{figures} >> nth={place} >> canvas.heat")
        assert heat[hottest(sample, 0, *SIZE)].tolist() == LAST
        assert heat[hottest(11 - sample, 0, *SIZE)].tolist() != LAST


def test_the_slider_uncovers_the_baseline(compared):
    page = compared(state="pair=5&pairMode=swipe").settled(".both .map")
    slider = page.page.get_by_role("slider", name="Baseline left of")
    slider.focus()
    for _ in range(10):
        page.page.keyboard.press("ArrowRight")
    assert slider.input_value() == "60"
    seen = {}
    for share in ("0", "50", "100"):
        slider.fill(share)
        seen[share] = page.pixels(".swiped")
    middle = seen["50"].shape[1] // 2
    left, right = np.s_[:, 4 : middle - 4], np.s_[:, middle + 4 : -4]
    assert np.array_equal(seen["50"][left], seen["100"][left])
    assert np.array_equal(seen["50"][right], seen["0"][right])
    assert not np.array_equal(seen["0"][left], seen["100"][left])
    box = page.page.locator(".swiped").first.bounding_box()
    page.page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 20)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 30, steps=5)
    page.page.mouse.up()
    assert abs(int(slider.input_value()) - 25) <= 1
    page.page.wait_for_function("() => location.hash.includes('swipe=2')")


@pytest.mark.long
def test_the_address_holds_what_is_seen(compared):
    page = compared(state="changed=all&listed=1&pair=12&pairLabel=2&together=0")
    assert titled(page.page) == "Sample 12, label class 2"
    assert re.match("Sample 12\n?", page.page.locator(".entries button").first.inner_text())
    assert not page.page.get_by_label("one colour scale for both runs").is_checked()


def test_a_baseline_file_gives_verdicts_only(opened, runs, tmp_path):
    write_baseline(scored_run(runs("usual")), tmp_path / "baseline.json")
    page = opened("of-file", pair=(tmp_path / "baseline.json", runs("worse", worse=True))).page
    assert "The baseline was given as a file" in page.locator(".notice").inner_text()
    assert page.locator(".pair").count() == 0


@pytest.mark.long
def test_runs_that_were_not_compared(browser, tmp_path):
    write_refusal_file("a", "b", ["other <i>class</i> names"], tmp_path / "refused.html")
    page = browser.new_page()
    page.goto((tmp_path / "refused.html").as_uri())
    assert page.locator("h1").inner_text() == "Not compared"
    assert page.locator(".problems li").all_inner_texts() == ["other <i>class</i> names"]
    page.close()
