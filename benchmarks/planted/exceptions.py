"""Why some metrics do not rank the right map of a planted network above a random one, and that above its opposite."""

from __future__ import annotations

from collections.abc import Mapping

# By family, the folder of ``benchmarks`` that holds the metric: what it asks, which is not whether pixels are right.
FAMILIES: Mapping[str, str] = {
    "complexity": "asks on how few pixels a map lies, not whether they are the right ones",
    "robustness": "asks whether a map stays where the image changes a little; one that ignores the image does best",
    "randomization": "asks whether a map depends on the network and the class, not whether its pixels are right",
    "axiomatic": "asks whether a map keeps to an axiom, not whether its pixels are right",
}
# By metric of the families that do ask it.
METRICS: Mapping[str, str] = {
    "Sufficiency": "asks whether images with like maps get the same answer, as nearly all noisy copies do here",
    "AverageIncrease": "asks how often the image times its map gains probability, as no wrong one does here",
    "AverageGain": "asks how much probability the image times its map gains, which is none here for wrong maps",
    "Focus": "explains mosaics of images of half their size, in which these networks find nothing",
}


def why_not(kind: type[object]) -> str:
    """Why a metric's class need not rank the maps; empty where it must."""
    folder = kind.__module__.split(".")[-2]
    return METRICS.get(kind.__name__, FAMILIES.get(folder, ""))
