"""The view of the run: of a sound one, of one that cannot be read, and of one that lacks pictures."""

import shutil

import pytest
import yaml
from playwright.sync_api import expect

COPY = "document.execCommand = () => { window.copied = document.activeElement.value; return true; }"


def copied(page, name):
    """What a button copies, where a page opened from a file may not write to the clipboard."""
    page.page.evaluate(
        f"() => {{ {COPY}; navigator.clipboard && (navigator.clipboard.writeText = () => Promise.reject()); }}"
    )
    page.page.get_by_role("button", name=name).first.click()
    page.page.wait_for_function("window.copied !== undefined")
    return page.page.evaluate("window.copied")


def test_a_sound_run(opened):
    page = opened(state="view=run")
    facts = page.page.locator(".run > .pairs")
    expect(facts).to_contain_text("Net (net.ckpt), parameters 0123456789abcdef")
    expect(facts).to_contain_text("explainrun 0, mindspore 0")
    passes = page.page.locator("[data-name=passes] tbody tr").first
    expect(passes).to_have_text("infer33\N{EN DASH}401.50predictions")
    expect(page.page.locator("[data-name=seconds] tbody tr")).to_have_text(["maps2.50100 %"])
    expect(page.page.get_by_text("all that was asked for has been computed")).to_be_visible()


@pytest.mark.long
def test_the_configuration_is_copied(opened):
    page = opened(state="view=run")
    assert yaml.safe_load(copied(page, "Copy as YAML")) == {
        "network": {"checkpoint": "net.ckpt"},
        "data": {"hdf5": "digits.h5"},
    }


@pytest.mark.parametrize(
    "value",
    [
        {"a": [], "b": {}, "c": None, "d": True, "e": 1e-7, "f": 1e21, "g": -0.5, "h": "no", "i": "1", "j": ""},
        [{"GradCAM": {"layer": "a: b # c"}}, "- x", ["é", "'\"\\\n"], {"1": {"x y": " z "}}],
    ],
)
def test_yaml_is_read_back(opened, value):
    assert yaml.safe_load(opened(state="view=run").page.evaluate("value => ER.run.yamlOf(value)", value)) == value


def test_a_run_that_cannot_be_read(opened, runs, tmp_path):
    run = shutil.copytree(runs("usual"), tmp_path / "broken")
    archive = next(run.rglob("results.h5"))
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.chmod(0o600)
    archive.write_bytes(content)
    page = opened("broken", run=run)
    expect(page.page.get_by_role("heading", name="Run broken")).to_be_visible()
    expect(page.page.locator("[data-name=faults] tbody tr")).to_contain_text(
        "run with --overwrite to recompute the run"
    )
    expect(page.page.get_by_text("What the run was asked to do could not be read.")).to_be_visible()


@pytest.mark.long
def test_missing_pictures_are_listed(opened, runs, tmp_path):
    run = shutil.copytree(runs("usual"), tmp_path / "lacking")
    next(run.rglob("origin_images/0/2.jpg")).unlink()
    page = opened("lacking", run=run, state="view=run")
    expect(page.page.locator("[data-name=faults] tbody tr")).to_have_count(1)
    expect(page.page.locator("[data-name=faults] tbody tr")).to_contain_text("it is missing")
    expect(page.page.locator(".run > .pairs")).to_contain_text("finished, damaged")
