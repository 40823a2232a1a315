"""The user's network as everyone else in the package sees it.

This package alone touches hooks, train flags and gradients, and alone calls MindSpore with images (but for ``OoDNet``,
which trains a head of its own). It leaves the network bit for bit as it found it, exceptions included.
"""

from .ascent import channel_answers, check_channels
from .attention.blocks import Attention, AttentionBlock
from .attention.search import ATTENTION_SEARCH, attention_tap, tapped_attention
from .backward.rectified import Rule
from .graphs.library import Jit
from .layer_outputs import layer_outputs, logits_from
from .mc_dropout import DropoutPlaces, UnsharedDropoutError, check_droppable
from .modes import evaluating, half_training, keeping_flags, keeping_random_state
from .outputs import NetworkRefusedError, Output
from .passes import GRAPH_TRIAL, SHIFT_TRIAL, UNIFORM, WEIGHT_ORDER, OutOfMemoryError, Passes, pass_kind
from .probing import PROBED, agreeing, probe, probe_rows
from .rows import Block, asked_columns, by_image, gathered, in_passes
from .service import DEFAULT_PASS_SIZE, Network
from .taps import Derivatives
from .tensors import both_classes
from .tensors.layers import INPUT_LAYER

__all__ = [
    "ATTENTION_SEARCH",
    "DEFAULT_PASS_SIZE",
    "GRAPH_TRIAL",
    "INPUT_LAYER",
    "PROBED",
    "SHIFT_TRIAL",
    "UNIFORM",
    "WEIGHT_ORDER",
    "Attention",
    "AttentionBlock",
    "Block",
    "Derivatives",
    "DropoutPlaces",
    "Jit",
    "Network",
    "NetworkRefusedError",
    "OutOfMemoryError",
    "Output",
    "Passes",
    "Rule",
    "UnsharedDropoutError",
    "agreeing",
    "asked_columns",
    "attention_tap",
    "both_classes",
    "by_image",
    "channel_answers",
    "check_channels",
    "check_droppable",
    "evaluating",
    "gathered",
    "half_training",
    "in_passes",
    "keeping_flags",
    "keeping_random_state",
    "layer_outputs",
    "logits_from",
    "pass_kind",
    "probe",
    "probe_rows",
    "tapped_attention",
]
