"""MindSpore's tensors and settings, and a network's layers by name: what everything else here is made of."""

from .arrays import (
    FLOATING,
    Activation,
    FloatArray,
    IntArray,
    Targets,
    as_array,
    both_classes,
    check_labels,
    checked_activation,
    checked_network,
    exact_array,
    exact_bytes,
    input_type,
    logit_weights,
    one_hot,
    require_pynative,
)
from .processor import set_up_processor

__all__ = [
    "FLOATING",
    "Activation",
    "FloatArray",
    "IntArray",
    "Targets",
    "as_array",
    "both_classes",
    "check_labels",
    "checked_activation",
    "checked_network",
    "exact_array",
    "exact_bytes",
    "input_type",
    "logit_weights",
    "one_hot",
    "require_pynative",
    "set_up_processor",
]
