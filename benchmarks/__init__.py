"""Metrics that score explainers: maps in, one number a question out."""

from ..explainers.registry import Registry
from .explanation import CoveredImage, Covering, Explanation
from .faithfulness import DeletionAUC, Faithfulness, InsertionAUC, NaiveFaithfulness
from .localization import IoSR, Localization, PointingGame
from .metric import Metric

METRICS = Registry(
    "metric",
    "explainrun.metrics",
    {
        "NaiveFaithfulness": "explainrun.benchmarks.faithfulness:NaiveFaithfulness",
        "DeletionAUC": "explainrun.benchmarks.faithfulness:DeletionAUC",
        "InsertionAUC": "explainrun.benchmarks.faithfulness:InsertionAUC",
        "PointingGame": "explainrun.benchmarks.localization:PointingGame",
        "IoSR": "explainrun.benchmarks.localization:IoSR",
    },
)

__all__ = [
    "METRICS",
    "CoveredImage",
    "Covering",
    "DeletionAUC",
    "Explanation",
    "Faithfulness",
    "InsertionAUC",
    "IoSR",
    "Localization",
    "Metric",
    "NaiveFaithfulness",
    "PointingGame",
]
