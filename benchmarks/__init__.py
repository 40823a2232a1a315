"""Metrics that score explainers: maps in, one number per question out."""

from ..explainers.core.registry import Registry
from .axiomatic.completeness import Completeness
from .axiomatic.input_invariance import InputInvariance
from .axiomatic.non_sensitivity import NonSensitivity
from .complexity.complexity import Complexity, EffectiveComplexity, Sparseness
from .core.covered_images import CoveredImage, Covering, Curve, CurvePoints
from .core.explanation import Explanation, Masks
from .core.metric import CurveMetric, Metric, Scores
from .faithfulness.blended_images import AverageDrop, AverageGain, AverageIncrease
from .faithfulness.correlations import FaithfulnessCorrelation, FaithfulnessEstimate, MonotonicityCorrelation
from .faithfulness.flipping_curves import IROF, SRG, PixelFlipping, Selectivity
from .faithfulness.infidelity import Infidelity
from .faithfulness.information_curves import AIC, SIC
from .faithfulness.pixel_flipping import DeletionAUC, Faithfulness, InsertionAUC, NaiveFaithfulness
from .faithfulness.road import ROAD
from .faithfulness.sensitivity_n import SensitivityN
from .faithfulness.sufficiency import Sufficiency
from .localization.box_metrics import IoSR, IoU, Localization, PointingGame
from .localization.focus import Focus
from .localization.ranked_pixels import AUC, RelevanceRank, TopKIntersection
from .localization.relevance_shares import AttributionLocalization, EnergyPointingGame, RelevanceMass
from .randomization.class_sensitivity import ClassSensitivity
from .randomization.parameter_randomization import EfficientMPRT, ModelParameterRandomization, SmoothMPRT
from .randomization.random_logit import RandomLogit
from .robustness.map_stability import Continuity, LocalLipschitz, SensitivityAvg, SensitivityMax
from .robustness.relative_stability import (
    RelativeInputStability,
    RelativeOutputStability,
    RelativeRepresentationStability,
)
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
        SensitivityMax,
        SensitivityAvg,
        LocalLipschitz,
        Continuity,
        RelativeInputStability,
        RelativeOutputStability,
        RelativeRepresentationStability,
        ClassSensitivity,
        RandomLogit,
        ModelParameterRandomization,
        SmoothMPRT,
        EfficientMPRT,
        Completeness,
        InputInvariance,
        NonSensitivity,
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
    "Completeness",
    "Complexity",
    "Continuity",
    "CoveredImage",
    "Covering",
    "Curve",
    "CurveMetric",
    "CurvePoints",
    "DeletionAUC",
    "EffectiveComplexity",
    "EfficientMPRT",
    "EnergyPointingGame",
    "Explanation",
    "Faithfulness",
    "FaithfulnessCorrelation",
    "FaithfulnessEstimate",
    "Focus",
    "Infidelity",
    "InputInvariance",
    "InsertionAUC",
    "IoSR",
    "IoU",
    "LocalLipschitz",
    "Localization",
    "Masks",
    "Metric",
    "ModelParameterRandomization",
    "MonotonicityCorrelation",
    "NaiveFaithfulness",
    "NonSensitivity",
    "PixelFlipping",
    "PointingGame",
    "RandomLogit",
    "RelativeInputStability",
    "RelativeOutputStability",
    "RelativeRepresentationStability",
    "RelevanceMass",
    "RelevanceRank",
    "Robustness",
    "Scores",
    "Selectivity",
    "SensitivityAvg",
    "SensitivityMax",
    "SensitivityN",
    "SmoothMPRT",
    "Sparseness",
    "Sufficiency",
    "TopKIntersection",
]
