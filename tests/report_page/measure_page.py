"""How fast a report opens and scrolls in headless Chromium, and what it takes.

    python tests/report_page/measure_page.py REPORT/index.html [--view counterfactual] [--repeats 5]

Prints medians of: seconds until the first maps are drawn; the longest task of the main thread while that view, if one
is named, is opened by a click, and while all rows are scrolled through; the most DOM nodes meanwhile; megabytes of the
JavaScript heap afterwards; megabytes of the index; kilobytes of all scripts and styles, compressed.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import statistics
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

STEPS = 400
WATCH = """() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
  }).observe({ type: "longtask", buffered: false });
}"""
DRAWN = """() => {
  const all = [...document.querySelectorAll(".map, .covered")];
  return all.length && all.every((one) => one.dataset.ready === "1");
}"""
SCROLL = """async (steps) => {
  const frame = () => new Promise(requestAnimationFrame);
  let most = 0;
  for (let step = 0; step <= steps; step++) {
    scrollTo(0, (document.documentElement.scrollHeight * step) / steps);
    await frame();
    most = Math.max(most, document.getElementsByTagName("*").length);
  }
  return most;
}"""


def measured(browser, page_path: Path, view: str | None) -> dict[str, float]:
    """What one visit takes."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    began = time.perf_counter()
    page.goto(page_path.resolve().as_uri())
    page.wait_for_function(DRAWN)
    opened = time.perf_counter() - began
    page.evaluate(WATCH)
    of_view = {}
    if view:
        page.click(f'nav a[href*="view={view}"]')
        page.wait_for_function(DRAWN)
        page.wait_for_timeout(300)
        of_view = {"longest task on opening the view, ms": page.evaluate("() => window.longest")}
        page.evaluate("() => { window.longest = 0; }")
    nodes = page.evaluate(SCROLL, STEPS)
    page.wait_for_timeout(300)
    longest = page.evaluate("() => window.longest")
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")
    page.close()
    size = (heap["usedSize"] + heap.get("backingStorageSize", 0)) / 1e6
    return {"opened, s": opened, **of_view, "longest task, ms": longest, "DOM nodes": nodes, "heap, MB": size}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--view", help="a view to open first, such as counterfactual")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    chromium = os.environ.get("EXPLAINRUN_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as driver:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=chromium, args=sandbox)
        found = [measured(browser, given.page, given.view) for _ in range(given.repeats)]
        browser.close()
    for what in found[0]:
        print(f"{what}: {statistics.median(one[what] for one in found):.2f} {[round(one[what], 2) for one in found]}")
    index = given.page.parent / "data" / "run" / "index.js"
    if index.exists():
        print(f"index, MB: {index.stat().st_size / 1e6:.2f}")
        assets = [path.read_bytes() for path in sorted((given.page.parent / "assets").rglob("*")) if path.is_file()]
        print(f"assets compressed, kB: {len(gzip.compress(b''.join(assets))) / 1e3:.1f}")


if __name__ == "__main__":
    main()
