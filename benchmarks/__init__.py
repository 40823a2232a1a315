"""Metrics that score explainers: maps in, one number a question out."""

from ..explainers.registry import Registry
from .faithfulness import Faithfulness, InsertionAUC
from .localization import IoSR, Localization, PointingGame
from .metric import Metric

METRICS = Registry(
    "metric",
    {
        "InsertionAUC": "explainrun.benchmarks.faithfulness:InsertionAUC",
        "PointingGame": "explainrun.benchmarks.localization:PointingGame",
        "IoSR": "explainrun.benchmarks.localization:IoSR",
    },
)

__all__ = ["METRICS", "Faithfulness", "InsertionAUC", "IoSR", "Localization", "Metric", "PointingGame"]
