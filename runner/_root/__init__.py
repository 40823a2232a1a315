"""Explainrun: explain image classifiers in batches on MindSpore, and score the explanations."""

from importlib.metadata import version

__version__ = version("explainrun")
