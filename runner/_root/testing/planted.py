"""Networks whose important pixels are known by construction, to try metrics on: does one rank the right map first?"""

from explainrun.benchmarks.planted.maps import MAPS, GoodMap, PerfectMap, ReversedMap
from explainrun.benchmarks.planted.networks import (
    NETWORKS,
    Additive,
    Conjunction,
    Detector,
    PlantedCase,
    PlantedNetwork,
    Saturating,
)
from explainrun.benchmarks.planted.ranking import PlantedRanking, planted_ranking

__all__ = [
    "MAPS",
    "NETWORKS",
    "Additive",
    "Conjunction",
    "Detector",
    "GoodMap",
    "PerfectMap",
    "PlantedCase",
    "PlantedNetwork",
    "PlantedRanking",
    "ReversedMap",
    "Saturating",
    "planted_ranking",
]
