"""The rows of the table: what is measured, on which network, and which of it by default."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from .subjects import SUBJECTS

OVERHEAD, BESIDE, WHOLE = "overhead", "beside", "whole"

GRADIENTS = ("Gradient", "InputXGradient", "GuidedBackprop", "Deconvolution", "IntegratedGradients", "NoiseTunnel")
PATHS = ("GuidedIG", "BlurIG", "IDGI", "XRAI")
COMPARING = ("ExpectedGradients", "DeepLift", "DeepLiftShap", "Contrast")
LAYERS = ("GuidedGradCAM", "CAM", "GradCAM", "GradCAMpp", "SmoothGradCAMpp", "XGradCAM", "LayerCAM", "HiResCAM",
          "EigenCAM", "EigenGradCAM", "FinerCAM", "ShapleyCAM", "DeepFeatureFactorization")  # fmt: skip
CHANNELS = ("ScoreCAM", "SSCAM", "ISCAM", "AblationCAM")
AUGMENTED = ("AugmentedCAM",)
ATTENTION = ("AttentionRollout", "LeGrad", "AttentionRelevance")
SUPERPIXELS = ("LIME", "KernelSHAP", "ShapleyValueSampling", "PartitionSHAP")
PERTURBATIONS = ("Occlusion", "RISE", "RISEPlus", *SUPERPIXELS)
OPTIMIZED = ("ExtremalPerturbation", "MeaningfulPerturbation")
CONTROLS = ("RandomMap", "CenterGaussian", "SobelEdges", "ConstantMap")
STABILITY = ("SensitivityMax", "SensitivityAvg", "LocalLipschitz", "Continuity", "RelativeInputStability",
             "RelativeOutputStability", "RelativeRepresentationStability")  # fmt: skip
RANDOMIZATION = ("RandomLogit", "ModelParameterRandomization", "SmoothMPRT", "EfficientMPRT")
AXIOMATIC = ("Completeness", "InputInvariance", "NonSensitivity")
CURVES = ("InsertionAUC", "DeletionAUC", "NaiveFaithfulness", "PixelFlipping", "SRG", "ROAD", "Selectivity", "IROF",
          "FaithfulnessCorrelation", "FaithfulnessEstimate", "MonotonicityCorrelation", "SensitivityN", "Infidelity",
          "AverageDrop", "AverageIncrease", "AverageGain", "SIC", "AIC")  # fmt: skip
WITHOUT_PASSES = ("RelevanceMass", "RelevanceRank", "TopKIntersection", "AttributionLocalization", "AUC", "IoU",
                  "Sparseness", "Complexity", "EffectiveComplexity")  # fmt: skip
METRICS = (*CURVES, "Sufficiency", "PointingGame", "IoSR", "Robustness", "ClassSensitivity", *WITHOUT_PASSES, "Focus",
           *STABILITY, *RANDOMIZATION, *AXIOMATIC)  # fmt: skip
OTHERS = ("uncertainty", "hierarchical occlusion")
EXPLAINERS = (*GRADIENTS, *PATHS, *COMPARING, "FullGrad", *LAYERS, *CHANNELS, *AUGMENTED, *ATTENTION, *PERTURBATIONS,
              *OPTIMIZED, *CONTROLS)  # fmt: skip
_NOT_THERE = {  # what a network does not allow
    ("digits", "CAM"): "its features are pooled by their maximum, not their mean",
    ("resnet20", "hierarchical occlusion"): "it needs images of at least 56 x 56 pixels",
    **{(name, "RISEPlus"): "there is no OoDNet of it" for name in SUBJECTS if name != "digits"},
    **{(name, method): "it has no attention" for name in SUBJECTS for method in ATTENTION},
}

CAPTUM, GRAD_CAM, TORCHCAM = "captum", "grad-cam", "torchcam"
LIBRARIES = {  # which libraries make the same maps
    **dict.fromkeys(GRADIENTS, (CAPTUM,)),
    "GuidedGradCAM": (CAPTUM,),
    "GradCAM": (CAPTUM, GRAD_CAM, TORCHCAM),
    "GradCAMpp": (GRAD_CAM,),
    "SmoothGradCAMpp": (TORCHCAM,),
    "XGradCAM": (GRAD_CAM,),
    "LayerCAM": (GRAD_CAM, TORCHCAM),
    "HiResCAM": (GRAD_CAM,),
    "EigenCAM": (GRAD_CAM,),
    "EigenGradCAM": (GRAD_CAM,),
    "FinerCAM": (TORCHCAM,),
    "ScoreCAM": (GRAD_CAM, TORCHCAM),
    "SSCAM": (TORCHCAM,),
    "ISCAM": (TORCHCAM,),
    "AblationCAM": (GRAD_CAM,),
    "Occlusion": (CAPTUM,),
    "LIME": (CAPTUM,),
    "KernelSHAP": (CAPTUM,),
}
IN_PYTORCH = ("resnet20", "lite0", "resnet50")
WHOLE_RUNS = {"full.yaml": "digits", "job of the old package": "digits", "photos.yaml": "lite0"}

_BY_DEFAULT = {  # on networks where all of them would take hours
    ("lite0", OVERHEAD): ("Occlusion", "Gradient", "InsertionAUC"),
    ("resnet50", OVERHEAD): ("Occlusion",),
    ("resnet20", OVERHEAD): ("Occlusion", "LIME", "RISE", "Gradient", "IntegratedGradients", "GradCAM", "AblationCAM",
                             "InsertionAUC", "Robustness", "uncertainty"),
    ("lite0", BESIDE): ("Occlusion", "Gradient", "IntegratedGradients", "GradCAM", "LayerCAM"),
    ("resnet20", BESIDE): ("Occlusion", "LIME", "KernelSHAP", "Gradient", "IntegratedGradients", "NoiseTunnel",
                           "ScoreCAM", "GradCAM", "LayerCAM", "AblationCAM"),
    ("resnet50", BESIDE): ("Gradient",),
}  # fmt: skip
_QUICK = {
    "digits/overhead/Gradient", "digits/overhead/Occlusion", "digits/overhead/InsertionAUC",
    "digits/whole/job of the old package", "resnet20/beside/Gradient (captum)", "resnet20/beside/Occlusion (captum)",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        network: which one, by its name.
        section: "overhead" of a run over its bare passes, "beside" another library, or a "whole" run.
        method: the explainer, the metric, or the run.
        library: the other one, if any.
    """

    network: str
    section: str
    method: str
    library: str = ""

    @property
    def key(self) -> str:
        """Its name in options and results."""
        return f"{self.network}/{self.section}/{self.method}{f' ({self.library})' if self.library else ''}"

    @property
    def usual(self) -> bool:
        """Whether it is measured where no row is named."""
        chosen = _BY_DEFAULT.get((self.network, self.section))
        first = not self.library or self.library == LIBRARIES[self.method][0]
        return first and (chosen is None or self.method in chosen)

    @property
    def quick(self) -> bool:
        """Whether it is one of the few of ``--quick``."""
        return self.key in _QUICK

    @property
    def refusal(self) -> str:
        """Why the network does not allow it, if so."""
        return _NOT_THERE.get((self.network, self.method), "")


def all_rows() -> Iterator[Row]:
    """Every row: whole runs first, then network by network what is beside others, then the rest."""
    for run, network in WHOLE_RUNS.items():
        yield Row(network, WHOLE, run)
    for network in IN_PYTORCH:
        for method, libraries in LIBRARIES.items():
            yield from (Row(network, BESIDE, method, library) for library in libraries)
    for network in reversed(SUBJECTS):  # the large ones first: what is left of the time then suffices for small rows
        for method in (*EXPLAINERS, *METRICS, *OTHERS):
            yield Row(network, OVERHEAD, method)


def chosen_rows(network: str = "", pattern: str = "", *, quick: bool = False) -> list[Row]:
    """The rows that are asked for.

    Args:
        network: of this network alone.
        pattern: those whose key, or a part of it between slashes, matches; by default the usual ones.
        quick: those of ``--quick`` alone, where no pattern is given.
    """
    of_network = [row for row in all_rows() if network in ("", row.network)]
    if pattern:
        return [row for row in of_network if _matches(row, pattern)]
    return [row for row in of_network if (row.quick if quick else row.usual)]


def _matches(row: Row, pattern: str) -> bool:
    parts = (row.key, row.key.partition("/")[2], row.section, row.method)
    return any(fnmatch(part, pattern) for part in parts)


def row_of(key: str) -> Row:
    """The row of that key.

    Raises:
        KeyError: if there is none.
    """
    return {row.key: row for row in all_rows()}[key]
