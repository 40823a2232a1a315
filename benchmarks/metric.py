"""Deprecated: ``explainrun.benchmarks`` has these names."""

import warnings

from .core.metric import Metric, Scores

__all__ = ["Metric", "Scores"]

warnings.warn(f"{__name__} is deprecated; import from explainrun.benchmarks", DeprecationWarning, stacklevel=2)
