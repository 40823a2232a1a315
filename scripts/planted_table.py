"""Write docs/planted.md: how each registered metric ranks maps of networks whose important pixels are known.

    python scripts/planted_table.py [--write] [METRIC...]

Prints the table, one line per metric; with --write also renews that of docs/planted.md, of all metrics. Ends with 1
where a metric that asks whether pixels are right does not rank them, and nothing says why.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tabulate import tabulate

from explainrun.benchmarks import METRICS
from explainrun.benchmarks.planted.exceptions import why_not
from explainrun.testing.planted import MAPS, NETWORKS, PlantedRanking, planted_ranking

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "planted.md"
BEGIN = "| metric "
TITLES = ["metric", "better", *MAPS, "perfect > random > reversed"]


def row(ranking: PlantedRanking, reason: str) -> list[str]:
    """A line of the table."""
    ranked, networks = ranking.networks_ranked, len(NETWORKS)
    says = f"yes, on {ranked} of {networks} networks" if ranking.ranks else "no"
    return [
        f"`{ranking.metric}`",
        "higher" if ranking.higher_is_better else "lower",
        *(f"{ranking.means[name]:.3f}".replace("nan", "-") for name in MAPS),
        f"{says}: it {reason}" if reason else says,
    ]


def table(rankings: list[PlantedRanking]) -> str:
    """The table, as Markdown."""
    rows = [row(ranking, why_not(METRICS[ranking.metric])) for ranking in rankings]
    return str(tabulate(rows, TITLES, tablefmt="github", disable_numparse=True))


def own_metrics() -> list[str]:
    """The metrics that come with Explainrun."""
    return [name for name in METRICS if METRICS[name].__module__.startswith("explainrun.")]


def main() -> int:
    """Print the table, and write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metrics", nargs="*", metavar="METRIC", help="by default all")
    parser.add_argument("--write", action="store_true", help="renew docs/planted.md, which then holds all metrics")
    asked = parser.parse_args()
    names = own_metrics() if asked.write or not asked.metrics else asked.metrics
    rankings = [planted_ranking(METRICS[name]) for name in names]
    made = table(rankings)
    print(made)
    if asked.write:
        kept = DOCUMENT.read_text("utf-8").partition(BEGIN)[0]
        DOCUMENT.write_text(f"{kept}{made}\n", "utf-8")
    wrong = [found.metric for found in rankings if not found.ranks and not why_not(METRICS[found.metric])]
    if wrong:
        print(f"not ranked, and nothing says why: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
