"""Deprecated: ``explainrun.explainers`` has these names."""

import warnings

from .core.resize import resized, stretched
from .visual.overlay import saliency_to_image

__all__ = ["resized", "saliency_to_image", "stretched"]

warnings.warn(f"{__name__} is deprecated; import from explainrun.explainers", DeprecationWarning, stacklevel=2)
