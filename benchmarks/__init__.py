"""Metrics that score explainers: maps in, one number per question out."""

from ..explainers.core.registry import Registry
from .complexity.complexity import Complexity, EffectiveComplexity, Sparseness
from .core.explanation import CoveredImage, Covering, Explanation, Masks
from .core.metric import Metric, Scores
from .faithfulness.pixel_flipping import DeletionAUC, Faithfulness, InsertionAUC, NaiveFaithfulness
from .localization.box_metrics import IoSR, IoU, Localization, PointingGame
from .localization.focus import Focus
from .localization.ranked_pixels import AUC, RelevanceRank, TopKIntersection
from .localization.relevance_shares import AttributionLocalization, EnergyPointingGame, RelevanceMass
from .randomization.class_sensitivity import ClassSensitivity
from .robustness.robustness import Robustness

METRICS = Registry(
    "metric",
    "explainrun.metrics",
    [
        NaiveFaithfulness,
        DeletionAUC,
        InsertionAUC,
        PointingGame,
        IoSR,
        RelevanceMass,
        RelevanceRank,
        TopKIntersection,
        AttributionLocalization,
        AUC,
        IoU,
        Focus,
        Robustness,
        ClassSensitivity,
        Sparseness,
        Complexity,
        EffectiveComplexity,
    ],
    {"EnergyPointingGame": RelevanceMass},
)

__all__ = [
    "AUC",
    "METRICS",
    "AttributionLocalization",
    "ClassSensitivity",
    "Complexity",
    "CoveredImage",
    "Covering",
    "DeletionAUC",
    "EffectiveComplexity",
    "EnergyPointingGame",
    "Explanation",
    "Faithfulness",
    "Focus",
    "InsertionAUC",
    "IoSR",
    "IoU",
    "Localization",
    "Masks",
    "Metric",
    "NaiveFaithfulness",
    "PointingGame",
    "RelevanceMass",
    "RelevanceRank",
    "Robustness",
    "Scores",
    "Sparseness",
    "TopKIntersection",
]
