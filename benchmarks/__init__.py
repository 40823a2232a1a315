"""Metrics that score explainers: maps in, one number per question out."""

from ..explainers.core.registry import Registry
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
from .localization.box_metrics import IoSR, Localization, PointingGame
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
        Robustness,
        ClassSensitivity,
    ],
)

__all__ = [
    "AIC",
    "IROF",
    "METRICS",
    "ROAD",
    "SIC",
    "SRG",
    "AverageDrop",
    "AverageGain",
    "AverageIncrease",
    "ClassSensitivity",
    "CoveredImage",
    "Covering",
    "Curve",
    "DeletionAUC",
    "Explanation",
    "Faithfulness",
    "FaithfulnessCorrelation",
    "FaithfulnessEstimate",
    "Infidelity",
    "InsertionAUC",
    "IoSR",
    "Localization",
    "Masks",
    "Metric",
    "MonotonicityCorrelation",
    "NaiveFaithfulness",
    "PixelFlipping",
    "PointingGame",
    "Robustness",
    "Scores",
    "Selectivity",
    "SensitivityN",
    "Sufficiency",
]
