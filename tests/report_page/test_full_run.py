"""The report of ``configs/full.yaml``, used as a person does, as a folder and as a single file; ``-m long`` alone.

EXPLAINRUN_REPORT_RUN names a run of it that is there already; otherwise twelve samples of it are run first, since fewer
than eleven cannot be compared.
"""

import io
import re

import numpy as np
import pytest
import yaml
from PIL import Image
from playwright.sync_api import expect

from explainrun.summary_format import Results, inspect_run

pytestmark = pytest.mark.long
LAST, MIDDLE = [0xFD, 0xE7, 0x25], 0xF7  # viridis' last colour; that of zero in blue to red
SIGNED, PLAIN = "InputXGradient", "GradCAM"


@pytest.fixture(scope="module")
def found(full_run):
    return inspect_run(full_run, through=False)


@pytest.fixture(scope="module")
def results(found):
    return Results(found.run.data)


@pytest.fixture(params=["folder", "single"])
def page(request, opened):
    return opened("full", request.param)


def flags(results):
    """For each sample the set of its flags."""
    true = np.zeros(results.probabilities.shape, bool)
    rows, places = np.nonzero(results.truth >= 0)
    true[rows, results.truth[rows, places]] = True
    predicted = results.probabilities > 0.5
    of = {"TP": true & predicted, "FN": true & ~predicted, "FP": ~true & predicted}
    return [{name for name in of if of[name][row].any()} for row in range(len(true))]


def first_question(results, row=0):
    """Which of a sample's questions is listed: that about its likeliest label."""
    asked = np.flatnonzero(results.questions[:, 0] == results.samples[row])
    return asked[np.argmax(results.probabilities[row, results.questions[asked, 1]])]


def heat(page, results, explainer, row=0):
    place = results.explainers.index(explainer)
    return page.canvas(f".row >> nth={row} >> .map[data-explainer='{place}'] >> canvas.heat")


def count(page):
    return int(re.match(r"\d+", page.page.locator(".count").inner_text()).group())


def test_maps_in_pixels(page, results):
    """Opacity 0 is the original; the hottest pixel has the last colour; zero of a signed map the table's middle."""
    page.settled().bare(".row >> nth=0")
    page.drag("[name=opacity]", 0.02, 0.9)
    assert 0.7 < float(page.page.locator("[name=opacity]").input_value()) < 1
    question = first_question(results)
    map_ = results.maps(PLAIN, question, question + 1)[0]
    assert heat(page, results, PLAIN)[np.unravel_index(map_.argmax(), map_.shape)].tolist() == LAST
    signed = results.maps(SIGNED, question, question + 1)[0]
    zeros = np.abs(signed) <= np.abs(signed).max() / 127**2 / 4  # those with the code 0
    assert zeros.any()
    assert np.abs(heat(page, results, SIGNED)[zeros] - MIDDLE).max() <= 2


def test_filters_and_orders(page, results):
    of = flags(results)
    for chosen in (("FN",), ("FN", "FP")):
        page.page.locator(f"[name=flag-{chosen[-1]}]").check()
        wanted = sum(bool(one & set(chosen)) for one in of)
        if wanted:
            assert count(page) == wanted
        else:
            expect(page.page.get_by_text("No sample fits all filters.")).to_be_visible()
    page.page.locator("body").click(position={"x": 2, "y": 300})
    page.page.keyboard.press("x")
    assert count(page) == len(of)
    page.page.locator("[name=find]").press_sequentially("2")
    assert count(page) == sum("2" in str(sample) for sample in results.samples)
    page.page.locator("[name=find]").fill("")
    page.page.locator("[name=sort]").select_option("uncertainty")
    page.settled()
    label = results.class_names[int(results.truth[0][results.truth[0] >= 0][0])]
    page.page.locator("[name=true]").select_option(label)
    digit = int(label)
    assert count(page) == (results.truth == digit).any(axis=1).sum()


def test_a_sample_is_enlarged_and_read(page, results):
    page.settled()
    page.page.locator(".row .original").first.click()
    page.settled("dialog .map")
    dialog = page.page.get_by_role("dialog")
    assert dialog.locator("figure h3").count() == 1 + len(results.explainers)
    question = first_question(results)
    map_ = results.maps(PLAIN, question, question + 1)[0]
    row, column = np.unravel_index(map_.argmax(), map_.shape)
    frame = dialog.locator(f".frame[aria-label^='{PLAIN}:']")
    box = frame.bounding_box()
    height, width = map_.shape
    frame.hover(position={"x": (column + 0.5) / width * box["width"], "y": (row + 0.5) / height * box["height"]})
    tile = dialog.locator("figure", has=page.page.locator(f".frame[aria-label^='{PLAIN}:']"))
    reading = tile.locator(".reading").inner_text()
    assert reading.startswith(f"at {column}, {row}: ")
    assert float(reading.split(": ")[1].split()[0]) == pytest.approx(map_.max(), rel=0.01)
    frame.focus()
    page.page.keyboard.press("Home")
    page.page.keyboard.press("ArrowRight")
    assert "at=" in page.hash
    page.page.keyboard.press("j")
    expect(dialog.get_by_role("heading", name=f"Sample {results.samples[1]}", exact=True)).to_be_visible()
    page.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_scores(page, results):
    page.page.get_by_role("link", name="Scores").click()
    rows = page.page.locator("[data-name=scores] tbody tr")
    assert rows.count() == len(results.explainers)
    metric = results.metrics.index("InsertionAUC")
    for place, explainer in enumerate(results.explainers):
        cell = rows.nth(place).locator("td").nth(metric)
        mean = np.nanmean(results.scores(explainer, "InsertionAUC"))
        assert float(cell.locator(".mean").inner_text().replace("\N{MINUS SIGN}", "-")) == pytest.approx(mean, abs=0.01)
    page.page.locator(f"button[name=sort-{metric}]").click()
    means = rows.locator(f"td:nth-child({metric + 2}) .mean").all_inner_texts()
    assert means == sorted(means, reverse=True)
    weight = page.page.get_by_role("slider", name="InsertionAUC")
    weight.focus()
    page.page.keyboard.press("Home")
    assert weight.input_value() == "0"
    assert "weights=0%2C1" in page.hash
    bar = page.page.locator(".histogram a").first
    asked = int(bar.get_attribute("aria-label").split(": ")[1].split()[0])
    bar.click()
    assert 0 < count(page) <= asked
    page.page.go_back()
    page.page.wait_for_selector("[data-name=scores]")
    cell = page.page.locator("[data-name=confusions] a, .confusions a").first
    wanted = int(cell.get_attribute("aria-label").split()[0])
    cell.click()
    assert count(page) == wanted


def test_counterfactual(page, found, results):
    """In a layer's regions the original is seen, elsewhere a grey blur."""
    page.page.get_by_role("link", name="Counterfactual").click()
    page.page.get_by_label(re.compile(r"^with a result")).check()
    revealed = results.all_revealed()
    assert count(page) == len({sample for sample, _ in revealed})
    sample, label = next(iter(revealed))
    page.page.locator("[name=asked]").select_option(results.class_names[label])
    page.page.locator("[name=find]").fill(str(sample))
    page.settled(".covered")
    row = f".row[aria-posinset='{1}']"
    layer = revealed[sample, label].layers[0]
    file = (found.run.root / found.run.image_path(sample)).read_bytes()
    original = np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int)
    shown = page.canvas(f"{row} [data-step='1'] canvas")
    assert shown.shape == original.shape
    inside = np.zeros(original.shape[:2], bool)
    for x, y, width, height in layer.boxes:
        inside[y : y + height, x : x + width] = True
    assert np.abs(shown - original)[inside].max() <= 3
    covered = shown[~inside]
    assert (covered.max(axis=1) == covered.min(axis=1)).all()
    page.page.locator(f"{row} [data-step='1']").click()
    title = page.page.locator("#step-dialog-title")
    expect(title).to_have_text(f"Sample {sample}, label {results.class_names[label]}: layer 1")
    page.page.keyboard.press("ArrowLeft")
    expect(title).to_contain_text("original")
    page.page.keyboard.press("Escape")
    expect(page.page.locator("dialog")).to_have_count(0)


def test_run(page, results):
    page.page.get_by_role("link", name="Run", exact=True).click()
    facts = page.page.locator(".run > .pairs").first
    expect(facts).to_contain_text("DigitNetwork")
    assert page.page.locator("[data-name=passes] tbody tr").count() > 0
    page.page.evaluate("() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; }")
    page.page.get_by_role("button", name="Copy as YAML").first.click()
    page.page.wait_for_function("() => window.copied !== undefined")
    config = yaml.safe_load(page.page.evaluate("window.copied"))
    assert len(config["explainers"]) == len(results.explainers)


@pytest.mark.parametrize("form", ["folder", "single"])
def test_two_runs(opened, found, full_run, form):
    if found.state != "finished":
        pytest.skip(f"{full_run} is not finished, so it cannot be compared")
    page = opened("full pair", form, pair=(full_run, full_run))
    assert "no regression" in page.page.locator(".headline").inner_text()
    page.page.get_by_label("Listed").select_option("all")
    page.page.locator(".entries button").first.click()
    page.settled(".both .map")
    figures = [page.canvas(f".both >> nth=0 >> figure >> nth={place} >> canvas.heat") for place in (0, 1)]
    assert np.array_equal(*figures)
    assert figures[0].std() > 5
    page.go("pairMode=swipe&pair=" + str(Results(found.run.data).samples[0])).settled(".both .map")
    page.drag(".swiped", 0.5, 0.2)
    assert abs(int(page.page.get_by_role("slider", name="Baseline left of").input_value()) - 20) <= 2


def test_links_and_keys(page, results):
    page.settled()
    page.page.keyboard.press("j")
    page.page.keyboard.press("j")
    page.page.keyboard.press("Enter")
    expect(page.page.get_by_role("dialog")).to_have_count(1)
    sample = page.page.locator("#enlarged-title").inner_text()
    address = page.hash
    page.go(address.removeprefix("#"))
    assert page.page.locator("#enlarged-title").inner_text() == sample
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("?")
    expect(page.page.get_by_role("heading", name="Help")).to_be_visible()
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("/")
    page.page.keyboard.type(str(results.samples[-1]))
    page.settled()
    assert page.page.locator(".row .id").last.inner_text().endswith(str(results.samples[-1]))


def test_print(page, results):
    page.settled()
    page.page.evaluate("void (window.print = () => { window.printed = true; })")
    page.page.keyboard.press("Control+p")
    page.page.wait_for_function("() => window.printed", timeout=60_000)
    page.page.emulate_media(media="print")
    rows = page.page.locator(".printed .row")
    assert rows.count() == min(50, len(results.samples))
    assert page.page.locator(".printed .row .map[data-ready='1']").count() >= rows.count()
