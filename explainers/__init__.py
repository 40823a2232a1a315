"""Saliency methods: (image, label) questions in, maps out."""

from .cam import GradCAM
from .counterfactual import Counterfactual, draw_layers
from .explainer import Explainer
from .gradient import Deconvolution, Gradient, GuidedBackprop, InputXGradient
from .hierarchical_occlusion import HierarchicalOcclusion
from .images import saliency_to_image
from .network import Network
from .occlusion import Occlusion
from .ood_net import OoDNet
from .registry import Registry
from .rise import RISE
from .rise_plus import RISEPlus
from .view import Needs, View
from .visualization import visualize

EXPLAINERS = Registry(
    "explainer",
    "explainrun.explainers",
    {
        "Gradient": "explainrun.explainers.gradient:Gradient",
        "InputXGradient": "explainrun.explainers.gradient:InputXGradient",
        "GuidedBackprop": "explainrun.explainers.gradient:GuidedBackprop",
        "Deconvolution": "explainrun.explainers.gradient:Deconvolution",
        "GradCAM": "explainrun.explainers.cam:GradCAM",
        "Occlusion": "explainrun.explainers.occlusion:Occlusion",
        "RISE": "explainrun.explainers.rise:RISE",
        "RISEPlus": "explainrun.explainers.rise_plus:RISEPlus",
    },
)

__all__ = [
    "EXPLAINERS",
    "RISE",
    "Counterfactual",
    "Deconvolution",
    "Explainer",
    "GradCAM",
    "Gradient",
    "GuidedBackprop",
    "HierarchicalOcclusion",
    "InputXGradient",
    "Needs",
    "Network",
    "Occlusion",
    "OoDNet",
    "RISEPlus",
    "Registry",
    "View",
    "draw_layers",
    "saliency_to_image",
    "visualize",
]
