"""Reports of made-up runs in headless Chromium, opened from files as people open them."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up_run import make_run
from PIL import Image
from playwright.sync_api import sync_playwright

from explainrun.runner.report.write import write_report, write_single_file
from explainrun.runner.report.write_comparison import write_comparison, write_comparison_file

CHROMIUM = os.environ.get("EXPLAINRUN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as driver:
        # As root, which CI machines often are, Chromium starts without its sandbox alone.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Made-up runs by name."""
    root, made = tmp_path_factory.mktemp("runs"), {}

    def run(name, samples=40, size=(24, 32), **options):
        if name not in made:
            made[name] = make_run(root / name, samples, size, **options)
        return made[name]

    return run


@pytest.fixture(scope="session")
def full_run(tmp_path_factory):
    """A run of ``configs/full.yaml``: that of EXPLAINRUN_REPORT_RUN, or of the first samples, made here in minutes."""
    given = os.environ.get("EXPLAINRUN_REPORT_RUN")
    if given:
        return Path(given)
    config = Path(__file__).parents[2] / "configs" / "full.yaml"
    folder = tmp_path_factory.mktemp("full") / "run"
    command = [sys.executable, "-m", "explainrun", "run", config, "--limit", "12", "--summary-dir", folder]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(scope="session")
def addresses(runs, request, tmp_path_factory):
    """The address of a run's report, as a folder or as a single file; each is written once. ``full`` is that run."""
    root, written = tmp_path_factory.mktemp("reports"), {}

    def address(name="usual", form="folder", **options):
        if (name, form) not in written:
            path = root / (name if form == "folder" else f"{name}.html")
            pair = options.pop("pair", None)  # a baseline and a candidate, in place of a run
            if pair:
                (write_comparison if form == "folder" else write_comparison_file)(*pair, path)
            else:
                full = request.getfixturevalue("full_run") if name == "full" else None
                run = options.pop("run", None) or full or runs(name, **options)
                (write_report if form == "folder" else write_single_file)(run, path)
            path = path / "index.html" if form == "folder" else path
            written[name, form] = path
        return written[name, form].as_uri()

    return address


class Opened:
    """A page and what a person does with it."""

    def __init__(self, page, address):
        self.page, self.address, self.errors, self.requests = page, address, [], []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def _note(self, said):
        # Tests read pixels back more often than people do, which Chromium remarks on.
        if said.type in ("error", "warning") and "willReadFrequently" not in said.text:
            self.errors.append(said.text)

    def go(self, state=""):
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}#{state}" if state else self.address)
        self.page.wait_for_selector("footer")
        return self

    def settled(self, selector=".map, .picture"):
        """Wait until all maps in sight are drawn."""
        self.page.wait_for_function(
            "selector => { const all = [...document.querySelectorAll(selector)];"
            " return all.length && all.every(one => one.dataset.ready === '1'); }",
            arg=selector,
        )
        return self

    def pixels(self, selector):
        """(H, W, 3) of what is seen of an element."""
        shot = self.page.locator(selector).first.screenshot()
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)

    def canvas(self, selector):
        """(H, W, 3) of a canvas, in its own pixels."""
        width, height, values = self.page.locator(selector).first.evaluate(
            "one => [one.width, one.height,"
            " Array.from(one.getContext('2d').getImageData(0, 0, one.width, one.height).data)]"
        )
        return np.array(values).reshape(height, width, 4)[:, :, :3]

    def bare(self, row):
        """Make maps transparent, and see that the first of a row then shows what its original does."""
        self.page.locator("[name=opacity]").fill("0")
        original = self.pixels(f"{row} >> .original canvas")
        shown = self.pixels(f"{row} >> .map >> nth=0")
        side = min(*original.shape[:2], *shown.shape[:2]) // 4 * 4
        assert side >= 84
        # Both may lie between pixels of the screen, otherwise than one another, so means of 4 x 4 are compared.
        coarse = [one[:side, :side].reshape(side // 4, 4, side // 4, 4, 3).mean((1, 3)) for one in (original, shown)]
        assert np.abs(coarse[0] - coarse[1])[1:-1, 1:-1].mean() < 2

    def drag(self, selector, start, end):
        """Move the mouse over an element with its button down, between two shares of the width."""
        self.page.locator(selector).first.scroll_into_view_if_needed()
        box = self.page.locator(selector).first.bounding_box()
        middle = box["y"] + min(20, box["height"] / 2)
        self.page.mouse.move(box["x"] + start * box["width"], middle)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + end * box["width"], middle, steps=5)
        self.page.mouse.up()

    @property
    def hash(self):
        """The address of what is shown; the browser's own follows it, less often than sliders move."""
        return self.page.evaluate("() => ER.state.address({})")


@pytest.fixture
def opened(browser, addresses):
    """Opens a report; afterwards no error was logged and nothing was asked for outside its folder."""
    pages = []

    def open_report(name="usual", form="folder", state="", size=(1440, 900), scheme="light", **options):
        address = addresses(name, form, **options)
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        context.set_default_timeout(15_000)
        page = Opened(context.new_page(), address)
        pages.append((context, page))
        return page.go(state)

    yield open_report
    for context, page in pages:
        context.close()
        assert page.errors == []
        folder = page.address.rpartition("/")[0]
        assert [url for url in page.requests if not url.startswith(folder) and url != "about:blank"] == []


@pytest.fixture(scope="session")
def axe():
    import axe_playwright_python  # noqa: PLC0415

    return next(Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")).read_text("utf-8")
