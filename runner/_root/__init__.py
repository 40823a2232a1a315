"""Explainrun: explain image classifiers in batches on MindSpore, and score the explanations."""

from importlib.metadata import version

from explainrun.summary_format.errors import ExplainrunError

__all__ = ["ExplainrunError"]

__version__ = version("explainrun")
