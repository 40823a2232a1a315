"""docs/costs.md, made from a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from ..results import beside_bare, middle, overhead_of
from ..rows import BESIDE, OVERHEAD, WHOLE
from ..subjects import ROOT, SUBJECTS
from .plot import draw
from .tables import tables

PAGE, PLOT = ROOT / "docs" / "costs.md", ROOT / "docs" / "costs.png"
INTRODUCTION = """# What costs what

An explanation costs passes of the network, forward or forward and backward, and nearly nothing else. This page says how
many passes a method makes, how long they take, and how much a run adds to them. `scripts/benchmark --json FILE`
measures it; this page is made by `scripts/benchmark --page FILE`.

{measured}

![Time of runs over that of their passes, and of our calls over those of other libraries](costs.png)
"""
SECTIONS = {
    WHOLE: """## Whole runs

`configs/full.yaml` and `configs/photos.yaml` on a few samples, and a job that the package before this one was measured
with: four explainers, Occlusion with 32 windows a side among them, three metrics, uncertainty and hierarchical
occlusion, on 32 images of 64 x 64. That package took 225 seconds and 109,339 forward images.
""",
    OVERHEAD: """## What a run adds to its passes

Each row is a run with one explainer, one metric (of Gradient's maps), uncertainty or hierarchical occlusion. *Passes
made* are passes of 16 images; in parentheses stands how many are needed, where that is another number. *Bare* is the
time that the same passes take alone: same network, same shape, compiled alike, in the same process. Compilation is in a
column of its own and not in the run's time. *MiB* is the most memory that the process held during the run, above what
it held before. *Measured* says when, in UTC: a row holds for the code of that time, and the changelog says what became
faster after it. {worst}

What is not passes is work for each map, a picture and its place in the archive, some 1 ms at 32 x 32 and 2 ms at
112 x 112, which weighs most where a network takes only a few for an image, since passes want the same two cores; and
what metrics compute beside passes: `SIC` and `AIC` pack every image as a file, `ROAD` solves equations for it,
randomisation tests rank pixels. Passes with random weights are not compiled, and *bare* takes them for compiled ones.
From one time to the next rows differ by some 10 %, and by 30 % on a machine that others use too.
""",
    BESIDE: """## Beside other libraries

The same maps by direct calls of ours and of captum, grad-cam or torchcam on PyTorch, in two processes that take turns.
Our graphs are made beforehand, by a call with `jit="on"` that is not timed; without it the first few calls make them.
Each side has the batch size, of 1, 4, 8, 16 and 32, that is best for the row. Frameworks differ in how fast a pass is,
by machine and by network; *bare* is our time for an image in a bare pass (forward for methods that hide parts, else
forward and backward) over theirs. *Per bare* is ours / theirs divided by that: 1 where only the frameworks differ, less
where ours does less besides its passes. {worst}
""",
}


def write_page(result: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write the page and its plot; gives their paths."""
    draw(result, PLOT)
    PAGE.write_text(page(result), "utf-8")
    return PAGE, PLOT


def page(result: Mapping[str, Any]) -> str:
    """The page's text."""
    parts = [INTRODUCTION.format(measured=_measured(result))]
    found = list(tables(result, "github"))
    for section, words in SECTIONS.items():
        of_section = [one for one in found if one[1] == section]
        if of_section:
            rows = [row for row in result["rows"] if row["section"] == section]
            parts.append(words.format(worst=_worst(rows)) if "{worst}" in words else words)
        for network, _, device, table in of_section:
            parts.append(f"### {SUBJECTS[network].title}, on {device}\n\n{table}\n")
    parts += _left_out(result)
    return "\n".join(parts)


def _measured(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    devices = sorted({row["device"] for row in result["rows"]})
    versions = ", ".join(f"{name} {of}" for name, of in machine["versions"].items())
    first, last = min(row["at"] for row in result["rows"]), max(row["at"] for row in result["rows"])
    when = first if first == last else f"{first} to {last}"
    trial = "**A trial of the script with hardly any work: these numbers say nothing.** " if result["quick"] else ""
    load = f"The machine's load was {machine['load'][0]} when the last row ended."
    if machine["load"][0] > machine["cores"] + 1:
        load += " **Other work ran beside it: measure again before relying on these numbers.**"
    said = (
        f"{trial}Measured {when}, the last rows at commit {machine['commit']}, on {' and on '.join(devices)}, with "
        f"{versions}. {load}"
    )
    return fill(said, 120, break_long_words=False, break_on_hyphens=False)


def _worst(rows: list[Mapping[str, Any]]) -> str:
    value = overhead_of if rows[0]["section"] == OVERHEAD else beside_bare
    known = [found for row in rows if (found := value(row)) is not None]
    if not known:
        return ""
    return f"Of {len(known)} rows the median is {middle(known):.2f}, the largest {max(known):.2f}."


def _left_out(result: Mapping[str, Any]) -> Iterator[str]:
    if result["not_measured"]:
        lines = [f"- `{key}`: {why}" for key, why in sorted(result["not_measured"].items())]
        yield "\n".join(["## Not measured", "", *lines, ""])
