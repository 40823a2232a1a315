"""Checks of explainers and metrics of your own by what ours keep to; no test framework is needed."""

from explainrun.benchmarks.contract.metric_rules import METRIC_RULES, check_metric
from explainrun.explainers.contract.bundled import TinyClassifier, TinyTransformer
from explainrun.explainers.contract.explainer_rules import EXPLAINER_RULES, check_explainer
from explainrun.explainers.contract.rules import ContractError, OfNetwork, Rule

__all__ = [
    "EXPLAINER_RULES",
    "METRIC_RULES",
    "ContractError",
    "OfNetwork",
    "Rule",
    "TinyClassifier",
    "TinyTransformer",
    "check_explainer",
    "check_metric",
]
