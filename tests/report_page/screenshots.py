"""Pictures of a report's views at three widths, light and dark, to be looked at.

python tests/report_page/screenshots.py REPORT/index.html FOLDER
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZES = {1440: 900, 1024: 768, 390: 844}


def main() -> None:
    """Write view-width-scheme.png for every view of the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("EXPLAINRUN_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as driver:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=chromium, args=sandbox)
        for width, height in SIZES.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                for name, state in states(page, given.page).items():
                    page.goto("about:blank")
                    page.goto(f"{given.page.resolve().as_uri()}#{state}")
                    page.wait_for_selector("footer")
                    page.wait_for_timeout(800)  # until what is in sight is drawn
                    page.screenshot(path=given.folder / f"{name}-{width}-{scheme}.png")
                page.close()
        browser.close()


def states(page, path):
    """What to show, by name: every view, the enlarged sample and the help sheet."""
    page.goto(path.resolve().as_uri())
    page.wait_for_selector("footer")
    views = page.evaluate(
        "() => [...document.querySelectorAll('nav a')].map(one => new URLSearchParams(one.hash.slice(1)).get('view'))"
    )
    found = {view or "first": f"view={view}" if view else "" for view in views}
    sample = page.locator(".row .id").first
    if sample.count():
        found["enlarged"] = f"view=samples&sample={sample.inner_text()}"
    return {**found, "help": "help=1"}


if __name__ == "__main__":
    main()
