"""Comparing two runs of the same questions: did the explanations get worse?

``scored_run.py`` says what comparing needs of a run; ``baseline.py`` keeps that in a small file; ``comparable.py``
refuses pairs that are none; ``comparing.py`` compares; ``comparison.py`` holds what is found, and the modules named
after a format write it. Nothing here loads MindSpore.
"""

from .comparison import Change, Comparison, Flip, Similarity, WorstQuestion

__all__ = ["Change", "Comparison", "Flip", "Similarity", "WorstQuestion"]
