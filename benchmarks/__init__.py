"""Metrics that score explainers: maps in, one number a question out."""

from ..explainers.registry import Registry
from .class_sensitivity import ClassSensitivity
from .explanation import CoveredImage, Covering, Explanation
from .faithfulness import DeletionAUC, Faithfulness, InsertionAUC, NaiveFaithfulness
from .localization import IoSR, Localization, PointingGame
from .metric import Metric
from .robustness import Robustness

METRICS = Registry(
    "metric",
    "explainrun.metrics",
    {
        "NaiveFaithfulness": "explainrun.benchmarks.faithfulness:NaiveFaithfulness",
        "DeletionAUC": "explainrun.benchmarks.faithfulness:DeletionAUC",
        "InsertionAUC": "explainrun.benchmarks.faithfulness:InsertionAUC",
        "PointingGame": "explainrun.benchmarks.localization:PointingGame",
        "IoSR": "explainrun.benchmarks.localization:IoSR",
        "Robustness": "explainrun.benchmarks.robustness:Robustness",
        "ClassSensitivity": "explainrun.benchmarks.class_sensitivity:ClassSensitivity",
    },
)

__all__ = [
    "METRICS",
    "ClassSensitivity",
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
    "Robustness",
]
