"""Comparing two runs of the same questions: did the explanations get worse?

``scored_run.py`` says what comparing needs of a run and ``opening.py`` opens one; ``baseline.py`` keeps that in a small
file, and ``baseline_difference.py`` tells two apart; ``comparable.py`` refuses pairs that are none; ``comparing.py``
compares, with ``tolerances.py``, ``similarity.py`` and ``worst.py``; ``comparison.py`` holds what is found, and the
modules named after a format write it. Nothing here loads MindSpore.
"""

from .baseline_diff import baseline_difference
from .baseline_file import BaselineError, baseline_text, read_baseline, write_baseline
from .compare import compare
from .compatibility import NotComparableError, check_comparable
from .formats.findings import Change, Flip, Similarity, Verdict, WorstQuestion
from .load import NoRunError, UnfinishedRunError, scored_run
from .result import Comparison
from .scored_run import ScoredRun
from .tolerances import ALPHA, Rules, RulesError, Tolerance, Tolerances, alpha_of, rules_of, tolerances_of

__all__ = [
    "ALPHA",
    "BaselineError",
    "Change",
    "Comparison",
    "Flip",
    "NoRunError",
    "NotComparableError",
    "Rules",
    "RulesError",
    "ScoredRun",
    "Similarity",
    "Tolerance",
    "Tolerances",
    "UnfinishedRunError",
    "Verdict",
    "WorstQuestion",
    "alpha_of",
    "baseline_difference",
    "baseline_text",
    "check_comparable",
    "compare",
    "read_baseline",
    "rules_of",
    "scored_run",
    "tolerances_of",
    "write_baseline",
]
