"""Saliency methods: (image, label) questions in, maps out."""

from .cam import GradCAM
from .explainer import Explainer
from .gradient import Gradient, InputXGradient
from .images import saliency_to_image
from .network import Network
from .registry import Registry
from .view import Needs, View

EXPLAINERS = Registry(
    "explainer",
    {
        "Gradient": "explainrun.explainers.gradient:Gradient",
        "InputXGradient": "explainrun.explainers.gradient:InputXGradient",
        "GradCAM": "explainrun.explainers.cam:GradCAM",
    },
)

__all__ = [
    "EXPLAINERS",
    "Explainer",
    "GradCAM",
    "Gradient",
    "InputXGradient",
    "Needs",
    "Network",
    "Registry",
    "View",
    "saliency_to_image",
]
