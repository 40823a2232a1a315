"""What runs, on which samples, in which order.

The names below are imported when first used, so that the command line answers without loading MindSpore.
"""

from typing import TYPE_CHECKING, Any

from ..summary_format.lazy_imports import from_home

if TYPE_CHECKING:
    from .batches.checks import NotComputedError
    from .comparison import Comparison, NotComparableError, Tolerance, Tolerances, compare
    from .config.build import runner_from
    from .execution.run_result import RunResult
    from .execution.signals import RunStopped
    from .figures.figure import explain
    from .image_classification_runner import ImageClassificationRunner
    from .plan.plan import Plan
    from .problems import DamagedRunError, DatasetChangedError, EngineError, PlanError, SampleError
    from .results.scores import Scores

_HOMES = {
    "Comparison": "comparison",
    "DamagedRunError": "problems",
    "DatasetChangedError": "problems",
    "EngineError": "problems",
    "ImageClassificationRunner": "image_classification_runner",
    "NotComputedError": "batches.checks",
    "NotComparableError": "comparison",
    "Plan": "plan.plan",
    "PlanError": "problems",
    "RunResult": "execution.run_result",
    "RunStopped": "execution.signals",
    "SampleError": "problems",
    "Scores": "results.scores",
    "Tolerance": "comparison",
    "Tolerances": "comparison",
    "compare": "comparison",
    "explain": "figures.figure",
    "runner_from": "config.build",
}

__all__ = [
    "Comparison",
    "DamagedRunError",
    "DatasetChangedError",
    "EngineError",
    "ImageClassificationRunner",
    "NotComparableError",
    "NotComputedError",
    "Plan",
    "PlanError",
    "RunResult",
    "RunStopped",
    "SampleError",
    "Scores",
    "Tolerance",
    "Tolerances",
    "compare",
    "explain",
    "runner_from",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    return from_home(__name__, _HOMES, name)
