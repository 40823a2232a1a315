"""Saliency methods: (image, label) questions in, maps out."""

from .ablation_cam import AblationCAM
from .activation_map import ActivationMap
from .cam import CAM, EigenCAM, GradCAM, GradCAMpp, HiResCAM, LayerCAM, XGradCAM
from .concepts import Concepts
from .controls import CenterGaussian, ConstantMap, RandomMap, SobelEdges
from .counterfactual import Counterfactual, draw_layers
from .deep_feature_factorization import DeepFeatureFactorization
from .explainer import Explainer
from .feature_visualization import FeatureVisualization, VisualizedFeatures, activation_maps
from .gradient import Deconvolution, Gradient, GuidedBackprop, InputXGradient
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
    {
        "Gradient": "explainrun.explainers.gradient:Gradient",
        "InputXGradient": "explainrun.explainers.gradient:InputXGradient",
        "GuidedBackprop": "explainrun.explainers.gradient:GuidedBackprop",
        "Deconvolution": "explainrun.explainers.gradient:Deconvolution",
        "IntegratedGradients": "explainrun.explainers.integrated_gradients:IntegratedGradients",
        "NoiseTunnel": "explainrun.explainers.noise_tunnel:NoiseTunnel",
        "GuidedGradCAM": "explainrun.explainers.guided_grad_cam:GuidedGradCAM",
        "CAM": "explainrun.explainers.cam:CAM",
        "GradCAM": "explainrun.explainers.cam:GradCAM",
        "GradCAMpp": "explainrun.explainers.cam:GradCAMpp",
        "SmoothGradCAMpp": "explainrun.explainers.smooth_grad_cam:SmoothGradCAMpp",
        "XGradCAM": "explainrun.explainers.cam:XGradCAM",
        "LayerCAM": "explainrun.explainers.cam:LayerCAM",
        "HiResCAM": "explainrun.explainers.cam:HiResCAM",
        "EigenCAM": "explainrun.explainers.cam:EigenCAM",
        "ScoreCAM": "explainrun.explainers.score_cam:ScoreCAM",
        "SSCAM": "explainrun.explainers.score_cam:SSCAM",
        "ISCAM": "explainrun.explainers.score_cam:ISCAM",
        "AblationCAM": "explainrun.explainers.ablation_cam:AblationCAM",
        "DeepFeatureFactorization": "explainrun.explainers.deep_feature_factorization:DeepFeatureFactorization",
        "Occlusion": "explainrun.explainers.occlusion:Occlusion",
        "RISE": "explainrun.explainers.rise:RISE",
        "RISEPlus": "explainrun.explainers.rise_plus:RISEPlus",
        "LIME": "explainrun.explainers.lime:LIME",
        "KernelSHAP": "explainrun.explainers.kernel_shap:KernelSHAP",
        "RandomMap": "explainrun.explainers.controls:RandomMap",
        "CenterGaussian": "explainrun.explainers.controls:CenterGaussian",
        "SobelEdges": "explainrun.explainers.controls:SobelEdges",
        "ConstantMap": "explainrun.explainers.controls:ConstantMap",
    },
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
