"""Metrics that score explainers: maps in, one number per question out."""

from ..explainers.core.registry import Registry
from .axiomatic.completeness import Completeness
from .axiomatic.input_invariance import InputInvariance
from .axiomatic.non_sensitivity import NonSensitivity
from .core.explanation import CoveredImage, Covering, Explanation, Masks
from .core.metric import Metric, Scores
from .faithfulness.pixel_flipping import DeletionAUC, Faithfulness, InsertionAUC, NaiveFaithfulness
from .localization.box_metrics import IoSR, Localization, PointingGame
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
        PointingGame,
        IoSR,
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
    ],
)

__all__ = [
    "METRICS",
    "ClassSensitivity",
    "Completeness",
    "Continuity",
    "CoveredImage",
    "Covering",
    "DeletionAUC",
    "EfficientMPRT",
    "Explanation",
    "Faithfulness",
    "InputInvariance",
    "InsertionAUC",
    "IoSR",
    "LocalLipschitz",
    "Localization",
    "Masks",
    "Metric",
    "ModelParameterRandomization",
    "NaiveFaithfulness",
    "NonSensitivity",
    "PointingGame",
    "RandomLogit",
    "RelativeInputStability",
    "RelativeOutputStability",
    "RelativeRepresentationStability",
    "Robustness",
    "Scores",
    "SensitivityAvg",
    "SensitivityMax",
    "SmoothMPRT",
]
