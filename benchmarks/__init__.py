"""Metrics that score explainers: maps in, one number per question out."""

from ..explainers.core.registry import Registry
from .complexity.complexity import Complexity, EffectiveComplexity, Sparseness
from .core.covered_images import CoveredImage, Covering, Curve
from .core.explanation import Explanation, Masks
from .core.metric import Metric, Scores
from .faithfulness.blended_images import AverageDrop, AverageGain, AverageIncrease
from .faithfulness.correlations import (
    FaithfulnessCorrelation,
    FaithfulnessEstimate,
    MonotonicityCorrelation,
    SensitivityN,
)
from .faithfulness.flipping_curves import IROF, SRG, PixelFlipping, Selectivity
from .faithfulness.infidelity import Infidelity
from .faithfulness.information_curves import AIC, SIC
from .faithfulness.pixel_flipping import DeletionAUC, Faithfulness, InsertionAUC, NaiveFaithfulness
from .faithfulness.road import ROAD
from .faithfulness.sufficiency import Sufficiency
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
        PixelFlipping,
        SRG,
        ROAD,
        Selectivity,
        IROF,
        FaithfulnessCorrelation,
        FaithfulnessEstimate,
        MonotonicityCorrelation,
        SensitivityN,
        Infidelity,
        Sufficiency,
        AverageDrop,
        AverageIncrease,
        AverageGain,
        SIC,
        AIC,
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
    "AIC",
    "AUC",
    "IROF",
    "METRICS",
    "ROAD",
    "SIC",
    "SRG",
    "AttributionLocalization",
    "AverageDrop",
    "AverageGain",
    "AverageIncrease",
    "ClassSensitivity",
    "Complexity",
    "CoveredImage",
    "Covering",
    "Curve",
    "DeletionAUC",
    "EffectiveComplexity",
    "EnergyPointingGame",
    "Explanation",
    "Faithfulness",
    "FaithfulnessCorrelation",
    "FaithfulnessEstimate",
    "Focus",
    "Infidelity",
    "InsertionAUC",
    "IoSR",
    "IoU",
    "Localization",
    "Masks",
    "Metric",
    "MonotonicityCorrelation",
    "NaiveFaithfulness",
    "PixelFlipping",
    "PointingGame",
    "RelevanceMass",
    "RelevanceRank",
    "Robustness",
    "Scores",
    "Selectivity",
    "SensitivityN",
    "Sparseness",
    "Sufficiency",
    "TopKIntersection",
]
