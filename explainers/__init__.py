"""Saliency methods: (image, label) questions in, maps out."""

from .attention.legrad import LeGrad
from .attention.relevance import AttentionRelevance
from .attention.rollout import AttentionRollout
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
from .core.needs import Against, LogitWeights
from .core.registry import Registry
from .core.resize import resized, stretched
from .core.sample_pool import PooledSamples, SamplePool
from .core.together import Estimate
from .core.view import Needs, View
from .gradients.blur_ig import BlurIG
from .gradients.contrast import Contrast
from .gradients.deep_lift import DeepLift, DeepLiftShap
from .gradients.expected_gradients import ExpectedGradients
from .gradients.full_grad import FullGrad
from .gradients.gradient import Deconvolution, Gradient, GuidedBackprop, InputXGradient, PixelAttribution
from .gradients.guided_ig import GuidedIG
from .gradients.idgi import IDGI
from .gradients.integrated_gradients import IntegratedGradients
from .gradients.noise_tunnel import NoiseTunnel
from .gradients.xrai import XRAI
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
from .perturbation.partition_shap import PartitionSHAP
from .perturbation.rise import RISE
from .perturbation.rise_plus import RISEPlus
from .perturbation.shapley_value_sampling import ShapleyValueSampling
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
        ExpectedGradients,
        DeepLift,
        DeepLiftShap,
        NoiseTunnel,
        Contrast,
        GuidedIG,
        BlurIG,
        IDGI,
        XRAI,
        FullGrad,
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
        AttentionRollout,
        LeGrad,
        AttentionRelevance,
        Occlusion,
        RISE,
        RISEPlus,
        LIME,
        KernelSHAP,
        ShapleyValueSampling,
        PartitionSHAP,
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
    "IDGI",
    "ISCAM",
    "LIME",
    "RISE",
    "SSCAM",
    "XRAI",
    "AblationCAM",
    "Activation",
    "ActivationMap",
    "Against",
    "AttentionRelevance",
    "AttentionRollout",
    "AugmentedCAM",
    "BlurIG",
    "CenterGaussian",
    "Concepts",
    "ConstantMap",
    "Contrast",
    "Counterfactual",
    "Deconvolution",
    "DeepFeatureFactorization",
    "DeepLift",
    "DeepLiftShap",
    "Derivatives",
    "DifferentiatedMap",
    "EigenCAM",
    "EigenGradCAM",
    "Estimate",
    "ExpectedGradients",
    "Explainer",
    "ExtremalPerturbation",
    "FeatureVisualization",
    "FinerCAM",
    "FloatArray",
    "FullGrad",
    "GradCAM",
    "GradCAMpp",
    "Gradient",
    "GuidedBackprop",
    "GuidedGradCAM",
    "GuidedIG",
    "HiResCAM",
    "HierarchicalOcclusion",
    "ImportedMaps",
    "InputXGradient",
    "IntArray",
    "IntegratedGradients",
    "KernelSHAP",
    "LayerCAM",
    "LeGrad",
    "LogitWeights",
    "MeaningfulPerturbation",
    "Needs",
    "Network",
    "NoiseTunnel",
    "Occlusion",
    "OoDNet",
    "PartitionSHAP",
    "PixelAttribution",
    "PooledSamples",
    "RISEPlus",
    "RandomMap",
    "Registry",
    "Rule",
    "SamplePool",
    "ScoreCAM",
    "ShapleyCAM",
    "ShapleyValueSampling",
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
