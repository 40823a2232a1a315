"""What runs, on which samples, in which order."""

from .image_classification_runner import ImageClassificationRunner
from .plan import Plan, PlanError
from .result import RunResult, Scores
from .samples import SampleError

__all__ = ["ImageClassificationRunner", "Plan", "PlanError", "RunResult", "SampleError", "Scores"]
