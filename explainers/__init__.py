"""Saliency methods: (image, label) questions in, maps out."""

from .ablation_cam import AblationCAM
from .activation_map import ActivationMap, DifferentiatedMap
from .cam import CAM, EigenCAM, GradCAM, GradCAMpp, HiResCAM, LayerCAM, XGradCAM
from .concepts import Concepts
from .controls import CenterGaussian, ConstantMap, RandomMap, SobelEdges
from .counterfactual import Counterfactual, draw_layers
from .deep_feature_factorization import DeepFeatureFactorization
from .explainer import Explainer
from .feature_visualization import FeatureVisualization, VisualizedFeatures, activation_maps
from .gradient import Deconvolution, Gradient, GuidedBackprop, InputXGradient, PixelAttribution
from .guided_grad_cam import GuidedGradCAM
from .hierarchical_occlusion import HierarchicalOcclusion
from .images import saliency_to_image
from .integrated_gradients import IntegratedGradients
from .kernel_shap import KernelSHAP
from .lime import LIME
from .network import Network
from .noise_tunnel import NoiseTunnel
from .occlusion import Occlusion
from .ood_net import OoDNet
from .registry import Registry
from .rise import RISE
from .rise_plus import RISEPlus
from .score_cam import ISCAM, SSCAM, ScoreCAM
from .smooth_grad_cam import SmoothGradCAMpp
from .superpixel_explanation import SuperpixelExplanation
from .view import Needs, View
from .visualization import visualize

EXPLAINERS = Registry(
    "explainer",
    "explainrun.explainers",
    [
        Gradient,
        InputXGradient,
        GuidedBackprop,
        Deconvolution,
        IntegratedGradients,
        NoiseTunnel,
        GuidedGradCAM,
        CAM,
        GradCAM,
        GradCAMpp,
        SmoothGradCAMpp,
        XGradCAM,
        LayerCAM,
        HiResCAM,
        EigenCAM,
        ScoreCAM,
        SSCAM,
        ISCAM,
        AblationCAM,
        DeepFeatureFactorization,
        Occlusion,
        RISE,
        RISEPlus,
        LIME,
        KernelSHAP,
        RandomMap,
        CenterGaussian,
        SobelEdges,
        ConstantMap,
    ],
)

__all__ = [
    "CAM",
    "EXPLAINERS",
    "ISCAM",
    "LIME",
    "RISE",
    "SSCAM",
    "AblationCAM",
    "ActivationMap",
    "CenterGaussian",
    "Concepts",
    "ConstantMap",
    "Counterfactual",
    "Deconvolution",
    "DeepFeatureFactorization",
    "DifferentiatedMap",
    "EigenCAM",
    "Explainer",
    "FeatureVisualization",
    "GradCAM",
    "GradCAMpp",
    "Gradient",
    "GuidedBackprop",
    "GuidedGradCAM",
    "HiResCAM",
    "HierarchicalOcclusion",
    "InputXGradient",
    "IntegratedGradients",
    "KernelSHAP",
    "LayerCAM",
    "Needs",
    "Network",
    "NoiseTunnel",
    "Occlusion",
    "OoDNet",
    "PixelAttribution",
    "RISEPlus",
    "RandomMap",
    "Registry",
    "ScoreCAM",
    "SmoothGradCAMpp",
    "SobelEdges",
    "SuperpixelExplanation",
    "View",
    "VisualizedFeatures",
    "XGradCAM",
    "activation_maps",
    "draw_layers",
    "saliency_to_image",
    "visualize",
]
