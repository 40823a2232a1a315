"""Saliency methods: (image, label) questions in, maps out."""

from .cam.ablation_cam import AblationCAM
from .cam.augmented_cam import AugmentedCAM
from .cam.base import ActivationMap, DifferentiatedMap
from .cam.cam import CAM, EigenCAM, EigenGradCAM, GradCAM, GradCAMpp, HiResCAM, LayerCAM, XGradCAM
from .cam.finer_cam import FinerCAM
from .cam.guided_grad_cam import GuidedGradCAM
from .cam.score_cam import ISCAM, SSCAM, ScoreCAM
from .cam.shapley_cam import ShapleyCAM
from .cam.smooth_grad_cam import SmoothGradCAMpp
from .concepts.concepts import Concepts
from .concepts.deep_feature_factorization import DeepFeatureFactorization
from .concepts.feature_visualization import FeatureVisualization, VisualizedFeatures, activation_maps
from .controls import CenterGaussian, ConstantMap, RandomMap, SobelEdges
from .core.explainer import Explainer
from .core.registry import Registry
from .core.resize import resized, stretched
from .core.together import Estimate
from .core.view import Needs, View
from .gradients.gradient import Deconvolution, Gradient, GuidedBackprop, InputXGradient, PixelAttribution
from .gradients.integrated_gradients import IntegratedGradients
from .gradients.noise_tunnel import NoiseTunnel
from .hierarchical_occlusion.counterfactual import Counterfactual, draw_layers
from .hierarchical_occlusion.hierarchical_occlusion import HierarchicalOcclusion
from .imported_maps import ImportedMaps
from .network import Derivatives, Network, Rule, both_classes
from .network.tensors import Activation, FloatArray, IntArray, check_labels, checked_activation
from .ood.ood_net import OoDNet
from .optimized_masks.extremal_perturbation import ExtremalPerturbation
from .optimized_masks.meaningful_perturbation import MeaningfulPerturbation
from .perturbation.kernel_shap import KernelSHAP
from .perturbation.lime import LIME
from .perturbation.occlusion import Occlusion
from .perturbation.rise import RISE
from .perturbation.rise_plus import RISEPlus
from .perturbation.superpixel_explanation import SuperpixelExplanation
from .visual.overlay import saliency_to_image
from .visual.visualization import visualize

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
        EigenGradCAM,
        FinerCAM,
        ShapleyCAM,
        ScoreCAM,
        SSCAM,
        ISCAM,
        AblationCAM,
        AugmentedCAM,
        DeepFeatureFactorization,
        Occlusion,
        RISE,
        RISEPlus,
        LIME,
        KernelSHAP,
        ExtremalPerturbation,
        MeaningfulPerturbation,
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
    "Activation",
    "ActivationMap",
    "AugmentedCAM",
    "CenterGaussian",
    "Concepts",
    "ConstantMap",
    "Counterfactual",
    "Deconvolution",
    "DeepFeatureFactorization",
    "Derivatives",
    "DifferentiatedMap",
    "EigenCAM",
    "EigenGradCAM",
    "Estimate",
    "Explainer",
    "ExtremalPerturbation",
    "FeatureVisualization",
    "FinerCAM",
    "FloatArray",
    "GradCAM",
    "GradCAMpp",
    "Gradient",
    "GuidedBackprop",
    "GuidedGradCAM",
    "HiResCAM",
    "HierarchicalOcclusion",
    "ImportedMaps",
    "InputXGradient",
    "IntArray",
    "IntegratedGradients",
    "KernelSHAP",
    "LayerCAM",
    "MeaningfulPerturbation",
    "Needs",
    "Network",
    "NoiseTunnel",
    "Occlusion",
    "OoDNet",
    "PixelAttribution",
    "RISEPlus",
    "RandomMap",
    "Registry",
    "Rule",
    "ScoreCAM",
    "ShapleyCAM",
    "SmoothGradCAMpp",
    "SobelEdges",
    "SuperpixelExplanation",
    "View",
    "VisualizedFeatures",
    "XGradCAM",
    "activation_maps",
    "both_classes",
    "check_labels",
    "checked_activation",
    "draw_layers",
    "resized",
    "saliency_to_image",
    "stretched",
    "visualize",
]
