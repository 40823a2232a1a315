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
    [
        NaiveFaithfulness,
        DeletionAUC,
        InsertionAUC,
        PointingGame,
        IoSR,
        Robustness,
        ClassSensitivity,
    ],
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
