"""Everything by keys, and on paper."""

import pytest
from playwright.sync_api import expect


def image(page, sample):
    return page.page.get_by_role("button", name=f"Sample {sample}: all methods side by side")


@pytest.mark.long
def test_rows(opened):
    """Rows out of sight are scrolled to and drawn before they get the focus."""
    page = opened()
    for sample in range(12):
        page.page.keyboard.press("j")
        expect(image(page, sample)).to_be_focused()
    page.page.keyboard.press("k")
    expect(image(page, 10)).to_be_in_viewport(ratio=1)
    page.page.keyboard.press("Enter")
    expect(page.page.get_by_role("heading", name="Sample 10")).to_be_focused()
    page.page.keyboard.press("Escape")
    expect(image(page, 10)).to_be_focused()


@pytest.mark.parametrize("name", ["usual", pytest.param("full", marks=pytest.mark.long)])
def test_keys_that_change_the_state(opened, name):
    page = opened(name)
    for key, times, state in [
        ("m", 1, "mode=alone"),
        ("[", 2, "opacity=0.4"),
        ("]", 1, "opacity=0.7"),
        ("c", 2, "table=inferno"),
        ("d", 1, "diverging=purple-orange"),
        ("s", 3, "sign=absolute"),
        ("2", 1, "view=scores"),
        ("?", 1, "help=1"),
    ]:
        page.page.evaluate("() => ER.state.set(ER.state.DEFAULTS)")
        for _ in range(times):
            page.page.keyboard.press(key)
        assert page.hash == f"#{state}"


def test_keys_of_the_list(opened):
    """l: sample 4 has two labels. /: the search field, where keys are text. x: no filter."""
    page = opened(state="flag=FN")
    page.page.keyboard.press("l")
    assert "pick=4%3A4" in page.hash
    page.page.keyboard.press("/")
    search = page.page.get_by_label("Sample id", exact=True)
    expect(search).to_be_focused()
    page.page.keyboard.type("x4m")
    expect(search).to_have_value("x4m")
    assert "mode" not in page.hash
    page.page.keyboard.press("Tab")
    page.page.get_by_role("button", name="Show all").focus()
    page.page.keyboard.press("x")
    assert page.hash == "#pick=4%3A4"


@pytest.mark.long
def test_no_key_with_a_modifier(opened):
    page = opened()
    for keys in ("Alt+m", "Control+m", "Shift+M", "Meta+m", "Control+["):
        page.page.keyboard.press(keys)
    assert page.hash == "#"


@pytest.mark.long
def test_keys_are_turned_off(opened):
    """Keys of a character can be turned off; arrows go on to work."""
    page = opened(state="sample=1&help=1")
    page.page.get_by_label("Keys of a single letter, digit or sign do something").uncheck()
    page.page.keyboard.press("Escape")
    expect(page.page.locator("dialog.help-sheet")).to_have_count(0)
    for key in ("m", "j", "?"):
        page.page.keyboard.press(key)
    assert page.hash == "#sample=1&keys=0"
    page.page.keyboard.press("ArrowRight")
    expect(page.page.get_by_role("heading", name="Sample 2")).to_be_visible()


@pytest.mark.parametrize("samples", [40, pytest.param(60, marks=pytest.mark.long)])
def test_the_chosen_rows_are_printed(opened, samples):
    """Up to 50, as soon as all are drawn, and gone afterwards."""
    page = opened("usual" if samples == 40 else "sixty", samples=samples)
    page.page.evaluate(
        "void (window.print = () => {"
        " window.seen = document.querySelectorAll('.printed .row .map[data-ready=\"1\"]').length; })"
    )
    page.page.keyboard.press("Control+p")
    printed = page.page.locator(".printed")
    expect(printed.locator(".row")).to_have_count(min(samples, 50))
    expect(printed.get_by_text("The first 50 of 60 samples.")).to_have_count(samples // 60)
    for _ in range(100):
        if page.page.evaluate("window.seen !== undefined"):
            break
        page.page.wait_for_timeout(100)
    assert page.page.evaluate("window.seen") == 3 * min(samples, 50)
    page.page.emulate_media(media="print")
    assert printed.is_visible()
    assert page.page.locator("main .rows").first.is_hidden()
    page.page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(printed).to_have_count(0)


@pytest.mark.long
def test_an_open_dialog_is_printed_alone(opened):
    page = opened(state="sample=1")
    page.page.emulate_media(media="print")
    assert page.page.get_by_role("heading", name="Sample 1").is_visible()
    for hidden in ("header.head", "main", "footer", "dialog .look"):
        assert page.page.locator(hidden).is_hidden()
    assert page.page.locator("dialog").evaluate("one => getComputedStyle(one).overflowY") == "visible"
