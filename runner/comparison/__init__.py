"""Comparing two runs of the same questions: did the explanations get worse?

``scored_run.py`` says what comparing needs of a run and ``load.py`` reads one; ``baseline_file.py`` keeps that in a
small file, and ``baseline_diff.py`` shows how two differ; ``compatibility.py`` refuses pairs that cannot be compared;
``compare_runs.py`` compares, by what ``rules/`` holds: ``pairs.py`` and ``changes.py`` make the rows of the table,
``slices.py`` those of each label, ``floor_checks.py`` those of floors; ``map_similarity.py``, ``worst_questions.py``.
What is found stands in ``formats/findings.py``, and the modules beside it write it. Nothing here loads MindSpore.
"""

from .baseline_diff import baseline_difference
from .baseline_file import BaselineError, baseline_text, read_baseline, write_baseline
from .compare_runs import compare
from .compatibility import NotComparableError, check_comparable
from .formats.findings import Change, Flip, FloorCheck, Similarity, Slice, Verdict, WorstQuestion
from .load import NoRunError, UnfinishedRunError, scored_run
from .result import Comparison
from .rules.floors import Floors, floors_of
from .rules.rules_file import ALPHA, Rules, alpha_of, rules_of
from .rules.tolerances import RulesError, Tolerance, Tolerances, tolerances_of
from .scored_run import ScoredRun

__all__ = [
    "ALPHA",
    "BaselineError",
    "Change",
    "Comparison",
    "Flip",
    "FloorCheck",
    "Floors",
    "NoRunError",
    "NotComparableError",
    "Rules",
    "RulesError",
    "ScoredRun",
    "Similarity",
    "Slice",
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
    "floors_of",
    "read_baseline",
    "rules_of",
    "scored_run",
    "tolerances_of",
    "write_baseline",
]
