"""The view of scores, as a person uses it. A made-up run has 40 samples; each fifth is mistaken for the next class."""

import re

import pytest

SCORES = "view=scores"


def rows(page, name):
    """The texts of a table's rows, cell by cell, blanks between words aside."""
    found = page.page.locator(f"[data-name={name}] tbody tr").all()
    return [[" ".join(cell.inner_text().split()) for cell in row.locator("th, td").all()] for row in found]


def count_shown(page):
    return page.page.locator(".count").inner_text().removesuffix(" Show all").strip()


@pytest.mark.parametrize("form", ["folder", pytest.param("single", marks=pytest.mark.long)])
def test_means_places_and_intervals(opened, form):
    """The explainers' scores are about 0.9, 0.8 and 0.7, which 40 samples tell apart."""
    found = rows(opened(form=form, state=SCORES), "scores")
    assert [row[0] for row in found] == ["First", "Second", "Signed"]
    for place, row in enumerate(found):
        for cell in row[1:]:
            mean, rank, letter, low, high = re.fullmatch(
                r"([\d.]+) place (\d) (\w) ([\d.]+) to ([\d.]+)", cell
            ).groups()
            assert abs(float(mean) - (0.9 - 0.1 * place)) < 0.02
            assert (rank, letter) == (str(place + 1), "abc"[place])
            assert float(low) < float(mean) < float(high)


def test_a_metric_explains_itself_by_click_and_by_key(opened):
    page = opened(state=SCORES).page
    button = page.get_by_role("button", name="PointingGame: what does it measure?")
    about = page.locator(".about:popover-open")
    button.click()
    assert all(word in about.inner_text() for word in ("most salient pixel", "Formula", "Source", "Zhang"))
    page.keyboard.press("Escape")
    assert about.count() == 0
    button.focus()
    page.keyboard.press("Enter")
    assert about.count() == 1


def test_weights_change_the_combined_score_until_they_are_reset(opened):
    page = opened(state=SCORES)
    before = rows(page, "combined")
    assert [row[0] for row in before] == ["First", "Second", "Signed"]
    assert [row[1] for row in before if row[0] != "Second"] == ["1.000", "0.000"]
    page.page.get_by_role("slider", name="InsertionAUC").focus()
    page.page.keyboard.press("Home")
    assert page.hash == "#view=scores&weights=0%2C1"
    assert rows(page, "combined") != before
    page.page.get_by_role("slider", name="PointingGame").fill("0")
    assert page.page.get_by_text("All weights are 0.").count() == 1
    page.page.get_by_role("button", name="Reset weights").click()
    assert page.hash == "#view=scores"
    assert rows(page, "combined") == before


def test_a_bar_leads_to_its_samples(opened):
    page = opened(state=SCORES)
    bars = page.page.locator(".histogram >> nth=1 >> a")
    counts = [int(bar.get_attribute("aria-label").split(": ")[1].split()[0]) for bar in bars.all()]
    assert sum(counts) == 48  # questions: a label for each sample, and two for the mistaken
    bars.first.focus()
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("Enter")
    assert page.hash.startswith("#view=samples&range=1%2C0%2C")
    assert 0 < int(count_shown(page).split(" of 40")[0]) <= counts[1]
    page.page.go_back()
    page.page.wait_for_selector("[data-name=scores]")


def test_mean_curves_where_a_run_keeps_them(opened):
    page = opened("curves", curves={"PointingGame": ["morf", "lerf"]}, state=SCORES).page
    assert page.locator(".mean-curve").count() == 0  # of the first metric
    page.locator("[name=metric]").select_option(label="PointingGame")
    shown = page.locator(".mean-curve")
    assert [one.locator("figcaption").inner_text() for one in shown.all()] == ["First", "Second", "Signed"]
    words = shown.nth(1).get_by_role("img").get_attribute("aria-label")
    assert words == "Second: morf from 1.000 to 0.100, lerf from 0.050 to 0.500"
    for curve in shown.nth(1).locator(".curve").all():
        assert curve.get_attribute("d").count("L") == 50
    page.get_by_text("morf is the full line, lerf the dashed one").wait_for()


def test_a_cell_of_the_confusion_matrix_leads_to_its_samples(opened):
    page = opened(state=SCORES + "&find=1")
    page.page.get_by_role("link", name="4 samples: true class 4, predicted class 5").click()
    assert page.hash == "#view=samples&cell=4%2C5"
    assert count_shown(page) == "4 of 40 samples, true label class 4, predicted class 5"


@pytest.mark.long
def test_labels_are_sorted_by_a_heading_and_found_by_name(opened):
    page = opened(state=SCORES)
    heading = page.page.locator("[data-name=labels] thead button", has_text="Questions")
    assert [row[0] for row in rows(page, "labels")] == [f"class {label}" for label in range(10)]
    heading.click()
    heading.click()  # class 0 and 5 were asked about 4 times since true, and 4 times since mistaken for
    assert [row[:2] for row in rows(page, "labels")][:3] == [["class 0", "8"], ["class 5", "8"], ["class 1", "4"]]
    assert page.page.locator("[data-name=labels] th[aria-sort=descending]").inner_text().startswith("Questions")
    page.page.get_by_role("combobox", name="Show").select_option("metric")
    page.page.get_by_label("Labels with").fill("7")
    found = rows(page, "labels")
    assert [row[:2] for row in found] == [["class 7", "4"]]
    assert [round(float(mean), 1) for mean in found[0][2:]] == [0.9, 0.8, 0.7]


@pytest.mark.long
def test_columns_by_label_are_chosen(opened):
    page = opened(state=SCORES)
    page.page.get_by_label("InsertionAUC", exact=True).last.uncheck()
    heads = page.page.locator("[data-name=labels] thead th").all_inner_texts()
    assert [head.split()[0] for head in heads] == ["Label", "Questions", "PointingGame"]
    assert page.hash == "#view=scores&labelShow=1"


@pytest.mark.long
def test_explainers_are_sorted_by_a_metric(opened):
    page = opened(state=SCORES)
    button = page.page.locator("button[name=sort-1]")
    orders = []
    for _ in range(3):
        button.click()
        orders.append([row[0] for row in rows(page, "scores")])
    usual = ["First", "Second", "Signed"]
    assert orders == [usual, usual[::-1], usual]
    assert page.hash == "#view=scores"


@pytest.mark.long
def test_differences_and_agreement(opened):
    page = opened(state=SCORES)
    assert {(row[0], row[-1]) for row in rows(page, "differences")} == {
        ("First \N{MINUS SIGN} Second", "First"),
        ("First \N{MINUS SIGN} Signed", "First"),
        ("Second \N{MINUS SIGN} Signed", "Second"),
    }
    agreement = rows(page, "agreement")
    assert [agreement[place][place + 1] for place in range(3)] == ["1.00"] * 3
    assert agreement[0][2] == agreement[1][1]


def test_tables_copy_as_csv(opened):
    page = opened(state=SCORES).page
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.locator("[data-name=scores] button", has_text="Copy as CSV").click()
    lines = page.evaluate("window.copied").splitlines()
    assert lines[0].startswith("explainer,control,InsertionAUC mean,InsertionAUC low")
    assert [line.split(",")[0] for line in lines] == ["explainer", "First", "Second", "Signed"]


@pytest.mark.long
def test_a_link_opens_the_part_that_was_chosen(opened):
    page = opened(state=SCORES)
    page.page.get_by_role("link", name="Agreement of metrics").click()
    assert page.hash == "#view=scores&section=metrics"
    again = opened(state="view=scores&section=metrics").page
    assert again.evaluate("scrollY") > 1000
    assert again.evaluate("document.activeElement.textContent") == "Agreement of metrics"


@pytest.mark.long
def test_without_metrics_there_are_agreement_and_confusions(opened):
    page = opened("no metrics", metrics=(), state=SCORES).page
    assert [title.inner_text() for title in page.locator("h2").all()] == [
        "Agreement of explainers",
        "What was mistaken for what",
    ]
    assert page.get_by_text("This run has no metrics").count() == 1


@pytest.mark.long
def test_a_single_sample_has_no_intervals(opened):
    page = opened("one", samples=1, explainers=("First",), state=SCORES)
    assert re.fullmatch(r"[\d.]+", rows(page, "scores")[0][1])
    assert page.page.get_by_text("Fewer than two samples have scores").count() == 1


def test_too_few_samples_to_show_anything_are_named(opened):
    """Of 3 explainers, 3 pairs, a p value of 2 / 2^n times 3 is at most 0.05 from 7 samples on."""
    words = "too few samples to show any difference of 3 explainers beyond noise: it takes at least 7."
    assert opened("few", state=SCORES, samples=6).page.get_by_text(words).count() == 1
    assert opened(state=SCORES).page.get_by_text("too few samples").count() == 0
