"""MindSpore's tensors and settings, and a network's layers by name: what everything else here is made of."""

from .arrays import (
    FLOATING,
    Activation,
    FloatArray,
    IntArray,
    as_array,
    both_classes,
    check_labels,
    checked_activation,
    checked_network,
    choose_fast_convolutions,
    exact_array,
    exact_bytes,
    input_type,
    one_hot,
    require_pynative,
)

__all__ = [
    "FLOATING",
    "Activation",
    "FloatArray",
    "IntArray",
    "as_array",
    "both_classes",
    "check_labels",
    "checked_activation",
    "checked_network",
    "choose_fast_convolutions",
    "exact_array",
    "exact_bytes",
    "input_type",
    "one_hot",
    "require_pynative",
]
