"""Saliency methods: (image, label) questions in, maps out."""

from .cam import GradCAM
from .counterfactual import Counterfactual, draw_layers
from .explainer import Explainer
from .gradient import Deconvolution, Gradient, GuidedBackprop, InputXGradient
from .hierarchical_occlusion import HierarchicalOcclusion
from .images import saliency_to_image
from .kernel_shap import KernelSHAP
from .lime import LIME
from .network import Network
from .occlusion import Occlusion
from .ood_net import OoDNet
from .registry import Registry
from .rise import RISE
from .rise_plus import RISEPlus
from .superpixel_explanation import SuperpixelExplanation
from .view import Needs, View

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
        "LIME": "explainrun.explainers.lime:LIME",
        "KernelSHAP": "explainrun.explainers.kernel_shap:KernelSHAP",
    },
)

__all__ = [
    "EXPLAINERS",
    "LIME",
    "RISE",
    "Counterfactual",
    "Deconvolution",
    "Explainer",
    "GradCAM",
    "Gradient",
    "GuidedBackprop",
    "HierarchicalOcclusion",
    "InputXGradient",
    "KernelSHAP",
    "Needs",
    "Network",
    "Occlusion",
    "OoDNet",
    "RISEPlus",
    "Registry",
    "SuperpixelExplanation",
    "View",
    "draw_layers",
    "saliency_to_image",
]
