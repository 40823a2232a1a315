"""Deprecated: ``explainrun.explainers`` has these names."""

import warnings

from .network.tensors import Activation, FloatArray, checked_activation

__all__ = ["Activation", "FloatArray", "checked_activation"]

warnings.warn(f"{__name__} is deprecated; import from explainrun.explainers", DeprecationWarning, stacklevel=2)
