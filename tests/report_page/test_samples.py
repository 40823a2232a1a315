"""The list of samples, as a person uses it."""

import numpy as np
import pytest
from made_up_run import hottest

FORMS = ["folder", "single"]


@pytest.mark.parametrize("form", FORMS)
def test_opacity_and_colours_in_pixels(opened, form):
    """At opacity 0 a map's place shows the original; at 1 the map's hottest pixel has the table's last colour."""
    page = opened(form=form).settled()
    row = ".row >> nth=3"
    page.bare(row)
    page.page.locator("[name=opacity]").fill("1")
    heat = page.canvas(f"{row} >> .map >> nth=0 >> canvas.heat")
    assert heat.shape == (24, 32, 3)
    place = hottest(3, 0, 24, 32)
    assert heat[place].tolist() == [0xFD, 0xE7, 0x25]  # viridis' last
    shown = page.pixels(f"{row} >> .map >> nth=0")
    scale = shown.shape[0] / 24
    seen = shown[int((place[0] + 0.5) * scale), int((place[1] + 0.5) * scale)]
    assert np.abs(seen - [0xFD, 0xE7, 0x25]).max() < 30


def test_a_sample_of_a_later_group_has_its_own_maps(opened):
    """Sample 39, the last, has two questions, as have seven before it; 32 samples are a file."""
    page = opened(state="find=39").settled()
    for explainer in (0, 1):
        heat = page.canvas(f".row >> nth=0 >> .map >> nth={explainer} >> canvas.heat")
        assert heat[hottest(39, explainer, 24, 32)].tolist() == [0xFD, 0xE7, 0x25]


def test_zero_of_a_signed_map_is_the_middle_of_its_table(opened):
    page = opened().settled()
    signed = page.canvas(".row >> nth=2 >> .map >> nth=2 >> canvas.heat")
    row, column = hottest(2, 2, 24, 32)
    assert signed[row, column].tolist() == [0x67, 0x00, 0x1F]
    assert signed[23 - row, 31 - column].tolist() == [0x05, 0x30, 0x61]
    assert np.abs(np.median(signed.reshape(-1, 3), axis=0) - 0xF7).max() <= 12
    page.page.locator("[name=sign]").select_option("negative")
    page.settled()
    negative = page.canvas(".row >> nth=2 >> .map >> nth=2 >> canvas.heat")
    assert negative[23 - row, 31 - column].tolist() == [0xFD, 0xE7, 0x25]
    assert negative[row, column].tolist() == [0x44, 0x01, 0x54]


def test_clipping_brings_out_what_outliers_hide(opened):
    page = opened().settled()
    heat = ".row >> nth=1 >> .map >> nth=0 >> canvas.heat"
    page.page.locator("[name=clip]").fill("100")
    whole = page.canvas(heat)
    page.page.locator("[name=clip]").fill("95")
    assert page.canvas(heat).std() > 1.4 * whole.std()


def test_a_colour_table_is_chosen(opened):
    page = opened().settled()
    page.page.locator("[name=table]").select_option("inferno")
    assert page.canvas(".row >> nth=0 >> .map >> canvas.heat")[hottest(0, 0, 24, 32)].tolist() == [0xFC, 0xFF, 0xA4]
    assert "table=inferno" in page.hash


def test_a_label_is_chosen(opened):
    """Sample 4, of class 4, was taken for class 5; its other label is a click away."""
    page = opened().settled()
    row = page.page.locator(".row", has=page.page.locator(".id", has_text="4")).first
    labels = row.locator("button.label")
    assert labels.all_inner_texts()[0].split("\n")[:2] == ["FP", "class 5"]
    assert labels.nth(0).get_attribute("aria-pressed") == "true"
    before = row.locator(".map").first.get_attribute("data-question")
    labels.nth(1).click()
    assert labels.nth(1).get_attribute("aria-pressed") == "true"
    assert row.locator(".map").first.get_attribute("data-question") != before
    assert "pick=4%3A4" in page.hash


def ids(page):
    return [int(text) for text in page.page.locator(".row .id").all_inner_texts()]


def test_filters(opened):
    page = opened()
    controls = page.page
    controls.get_by_label("FN missed").check()
    assert ids(page) == [4, 9, 14, 19, 24, 29, 34, 39][: len(ids(page))]
    assert controls.get_by_text("8 of 40 samples").is_visible()
    controls.locator("[name=true]").select_option("class 4")
    assert ids(page) == [4, 14, 24, 34]
    controls.locator("[name=predicted]").select_option("class 6")
    assert controls.get_by_text("No sample fits all filters.").is_visible()
    controls.get_by_role("button", name="Show all").click()
    controls.locator("[name=find]").fill("3")
    assert ids(page)[:3] == [3, 13, 23]
    page.go("cell=4,5")
    assert ids(page) == [4, 14, 24, 34]
    assert controls.get_by_text("true label class 4, predicted class 5").is_visible()


@pytest.mark.long
def test_several_labels_and_flags_at_once(opened):
    """Labels 4 and 9 are mistaken for 5 and 0: samples 4, 9, 14, ...; each of those has an FN and an FP."""
    page = opened()
    page.page.locator("[name=true]").select_option("class 4")
    page.page.locator("[name=true]").select_option("class 3")
    assert ids(page)[:4] == [3, 4, 13, 14]
    page.page.get_by_label("TP right").check()
    assert ids(page) == [3, 13, 23, 33]
    page.page.get_by_label("FN missed").check()
    assert ids(page)[:4] == [3, 4, 13, 14]
    page.page.get_by_role("button", name="True label class 3: choose it no longer").click()
    assert ids(page) == [4, 14, 24, 34]
    assert page.hash == "#true=4&flag=TP%2CFN"


@pytest.mark.long
def test_without_explainers_the_list_says_so(opened):
    page = opened()
    for name in ("First", "Second", "Signed"):
        page.page.get_by_label(name, exact=True).uncheck()
    assert page.page.get_by_text("None is chosen, so no maps are shown.").is_visible()


def test_a_range_of_a_score(opened):
    page = opened()
    page.page.locator("[name=range]").select_option("InsertionAUC of Second")
    count = page.page.locator(".count")
    assert "40 samples" in count.inner_text()
    page.page.locator("[name=high]").fill("0.78")
    page.page.locator("[name=high]").press("Enter")
    assert 0 < int(count.inner_text().split()[0]) < 40
    assert "range=0%2C" in page.hash or "range=1%2C" in page.hash


def test_orders(opened):
    page = opened()
    page.page.locator("[name=sort]").select_option("probability")
    found = page.page.locator(".row").all()
    chances = [float(row.locator(".chance").first.inner_text().split()[0]) for row in found]
    assert chances == sorted(chances, reverse=True)
    page.page.locator("[name=down]").uncheck()
    page.page.locator("[name=sort]").select_option("disagreement of explainers")
    assert len(ids(page)) > 3


def test_the_address_holds_all_of_it(opened):
    page = opened(state="flag=FP&sort=probability&down=1&table=cividis&mode=alone&show=1,2&pick=4:4")
    assert page.page.locator(".flags :checked").evaluate_all("all => all.map(one => one.name)") == ["flag-FP"]
    assert page.page.locator("[name=table]").input_value() == "cividis"
    assert page.page.locator(".row").first.locator(".map").count() == 2
    assert page.page.locator(".map .picture").count() == 0
    seen = ids(page)
    page.go(page.hash.removeprefix("#"))
    assert ids(page) == seen


def test_only_rows_in_sight_are_in_the_page(opened):
    page = opened()
    assert len(ids(page)) < 20
    page.page.mouse.wheel(0, 4000)
    page.page.wait_for_function("() => document.querySelector('.row .id').textContent !== '0'")
    assert min(ids(page)) > 5
    page.page.wait_for_function("() => location.hash.includes('top=')")


@pytest.mark.parametrize("form", FORMS)
def test_names_from_data_are_text(opened, form):
    names = [
        "<script>alert(1)</script>",
        "قطة",
        "é\u0301",
        "</script><!--",
        '"quoted"',
        "a,b",
        "<b>c</b>",
        "d",
        "e",
        "f",
    ]
    page = opened("hostile", form, class_names=names, samples=10)
    shown = page.page.locator(".label .name").all_inner_texts()
    assert shown[0] == names[0]
    assert page.page.locator(".label b").count() == 0


@pytest.mark.parametrize("options", [{"samples": 1}, {"metrics": ()}, {"class_names": [str(i) for i in range(1000)]}])
def test_runs_of_all_kinds(opened, options):
    page = opened(f"kind {sorted(options)[0]}", **options)
    assert page.page.locator(".row").count() > 0
