"""One sample enlarged, as a person uses it."""

import pytest
from made_up_run import hottest
from playwright.sync_api import expect

HEIGHT, WIDTH = 24, 32


def dialog(page):
    return page.page.get_by_role("dialog")


def frame(page, method):
    return page.page.locator(f"dialog .frame[aria-label^={method}]")


def readings(page):
    return page.page.locator("dialog .reading").all_inner_texts()


def point_at(page, method, row, column, act="hover"):
    """Move the mouse to a map's pixel."""
    box = frame(page, method).bounding_box()
    place = {"x": (column + 0.5) / WIDTH * box["width"], "y": (row + 0.5) / HEIGHT * box["height"]}
    getattr(frame(page, method), act)(position=place)


def test_opens_and_closes(opened):
    """A click on an image shows all methods; each way to close gives the focus back to the image."""
    page = opened().settled()
    image = page.page.get_by_role("button", name="Sample 2: all methods side by side")
    closing = [
        lambda: page.page.keyboard.press("Escape"),
        lambda: page.page.get_by_role("button", name="Close").click(),
        lambda: page.page.mouse.click(3, 450),
    ]
    for close in closing:
        image.click()
        expect(dialog(page).get_by_role("heading", name="Sample 2")).to_be_focused()
        assert dialog(page).locator("figure h3").all_inner_texts() == ["Original", "First", "Second", "Signed"]
        assert "sample=2" in page.hash
        close()
        expect(dialog(page)).to_have_count(0)
        expect(image).to_be_focused()
        assert "sample" not in page.hash
    page.page.go_back()
    expect(dialog(page)).to_have_count(1)


@pytest.mark.parametrize("form", ["folder", pytest.param("single", marks=pytest.mark.long)])
def test_values_are_read_in_all_maps_at_once(opened, form):
    """Maps are 1 at their hottest pixel; the signed one is -1 at its mirror image."""
    page = opened(form=form, state="sample=3").settled("dialog .map")
    row, column = hottest(3, 0, HEIGHT, WIDTH)
    point_at(page, "First", row, column)
    assert f"at {column}, {row}: 1.00" in readings(page)
    assert dialog(page).locator(".crosshair").count() == 4
    dialog(page).get_by_role("heading", name="Labels").hover()
    assert dialog(page).locator(".crosshair").count() == 0
    row, column = hottest(3, 2, HEIGHT, WIDTH)
    point_at(page, "Signed", HEIGHT - 1 - row, WIDTH - 1 - column, "click")
    dialog(page).get_by_role("heading", name="Labels").hover()
    kept = f"at {WIDTH - 1 - column}, {HEIGHT - 1 - row}: -1.00"
    assert kept in readings(page)
    page.go(page.hash.removeprefix("#")).settled("dialog .map")
    assert kept in readings(page)


@pytest.mark.long
def test_arrow_keys_read_a_map(opened):
    """Home goes to the first of the largest values, the upper left corner of the square."""
    page = opened(state="sample=3").settled("dialog .map")
    row, column = hottest(3, 1, HEIGHT, WIDTH)
    frame(page, "Second").focus()
    page.page.keyboard.press("Home")
    status = dialog(page).locator("p[role=status]")
    expect(status).to_have_text(f"Second at {column - 1}, {row - 1}: 1.00")
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowDown")
    expect(status).to_have_text(f"Second at {column}, {row}: 1.00")
    page.page.keyboard.press("Shift+ArrowUp")
    expect(status).to_contain_text(f"Second at {column}, {max(row - 10, 0)}: 0.0")
    expect(frame(page, "Second")).to_be_focused()


@pytest.mark.long
def test_next_and_previous_of_those_chosen(opened):
    page = opened(state="flag=FN&sample=4")
    steps = dialog(page).locator(".steps")
    expect(steps).to_contain_text("1 of 8 chosen")
    for act, sample in [
        (lambda: page.page.keyboard.press("k"), 4),
        (lambda: page.page.keyboard.press("j"), 9),
        (lambda: page.page.keyboard.press("ArrowRight"), 14),
        (lambda: page.page.keyboard.press("ArrowLeft"), 9),
        (lambda: steps.get_by_role("button", name="Next").click(), 14),
        (lambda: steps.get_by_role("button", name="Previous").click(), 9),
    ]:
        act()
        expect(dialog(page).get_by_role("heading", level=2)).to_have_text(f"Sample {sample}")
    page.page.keyboard.press("Escape")
    expect(page.page.get_by_role("button", name="Sample 9: all methods side by side")).to_be_focused()


def test_labels(opened):
    """Sample 4, of class 4, was taken for class 5."""
    page = opened(state="sample=4").settled("dialog .map")
    labels = dialog(page).locator("button.label")
    expect(labels.nth(0)).to_have_attribute("aria-pressed", "true")
    assert "± 5.0" in labels.nth(0).inner_text()
    question = dialog(page).locator(".map").first.get_attribute("data-question")
    page.page.keyboard.press("l")
    expect(labels.nth(1)).to_have_attribute("aria-pressed", "true")
    assert "label=4" in page.hash
    assert dialog(page).locator(".map").first.get_attribute("data-question") != question
    labels.nth(0).click()
    assert "label=5" in page.hash


def test_scores_and_their_places(opened):
    page = opened(state="sample=7")
    dialog(page).get_by_text("All scores of this question").click()
    cells = dialog(page).locator(".table td:nth-of-type(1)").all_inner_texts()
    found = [(float(text.split()[0]), int(text.split()[1].split("/")[0])) for text in cells]
    assert [place for _, place in sorted(found, reverse=True)] == [1, 2, 3]
    bold = dialog(page).locator(".scores tr:nth-child(1) .best").all_inner_texts()
    assert [float(text) for text in bold] == [max(found)[0]]


@pytest.mark.long
def test_where_a_score_stands(opened):
    page = opened()
    for values, value, flip, words in [
        ("[1, 2, 3, NaN, 2]", 2, "false", "better than 33 % of the other 3 scores, equal to 33 %"),
        ("[1, 2, 3, NaN, 2]", 1, "true", "better than 100 % of the other 3 scores"),
        ("[5, NaN]", 5, "false", ""),
    ]:
        found = page.page.evaluate(f"ER.distribution.comparedWords({values}, {value}, {{ flip: {flip} }})")
        assert found == words


@pytest.mark.long
def test_texts_are_filled_in_as_python_does(opened):
    page = opened()
    for text in [
        "{name} misses completeness by {error:.2g} of a logit",
        "{name} maps off by {error:.0%} of their range",
        "{{{error:.3f}}} {error:.1e} {error:g}",
    ]:
        for error in [0.0, 1.234e-05, 0.0996, 0.5, 12.3, 123.4, 1e6]:
            values = {"name": "N", "error": error}
            filled = page.page.evaluate("([text, values]) => ER.pythonFormat(text, values)", [text, values])
            assert filled == text.format(**values)
