"""Our explainers, metrics and runs, sized so that a row makes enough passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

from mindspore import nn

from explainrun.benchmarks import METRICS, Metric
from explainrun.explainers import EXPLAINERS, Explainer, GradCAM, Gradient, OoDNet

from ..images import images_of, squares
from ..rows import (
    AXIOMATIC,
    BESIDE,
    CHANNELS,
    COMPARING,
    CONTROLS,
    CURVES,
    LAYERS,
    OPTIMIZED,
    PATHS,
    PERTURBATIONS,
    STABILITY,
    SUPERPIXELS,
    WITHOUT_PASSES,
    Row,
)
from ..rows import METRICS as METRIC_NAMES
from ..sizes import samples_of_channels
from ..subjects import CONFIGS, PASS_SIZE, Subject
from .networks import activation_of

_OF_A_PASS = ("AverageDrop", "AverageIncrease", "AverageGain", "PointingGame", "IoSR", "ClassSensitivity")
_LABELS = 10  # that RandomLogit explains


@dataclass(frozen=True)
class Job:
    """What a run of a row does.

    Attributes:
        samples: how many.
        labels: which are explained, as a runner takes it.
        explainers: that run.
        metrics: that score them.
        dropout: masks of uncertainty; 0 for none.
        hierarchical_occlusion: whether it is registered.
    """

    samples: int
    labels: str = "truth"
    explainers: Sequence[Explainer] = ()
    metrics: Sequence[Metric] = ()
    dropout: int = 0
    hierarchical_occlusion: bool = False


def explainer_of(row: Row, subject: Subject, network: nn.Cell) -> Explainer:
    """The explainer of a row, with the options that its section wants."""
    name, activation = row.method, activation_of(subject)
    options: dict[str, Any] = {"layer": subject.layer} if name in (*LAYERS, *CHANNELS) else {}
    if name in SUPERPIXELS:
        samples = max(1, subject.copies // 64) if name == "ShapleyValueSampling" else subject.copies  # orders of 64
        return _made(name, network, activation, num_samples=samples, segmentation=squares)
    if name in PATHS:
        around = _made("IntegratedGradients", network, steps=subject.copies) if name == "IDGI" else network
        steps = {"IDGI": {}, "XRAI": {"steps": max(1, subject.copies // 2)}}  # XRAI's from two baselines
        return _made(name, around, **steps.get(name, {"steps": subject.copies}))
    if name in PERTURBATIONS:
        return _hiding(row, subject, network)
    if name in COMPARING:
        return _comparing(name, subject, network)
    if name == "NoiseTunnel":
        return _made(name, Gradient(network), nt_samples=16, stdevs=0.1)
    if name in OPTIMIZED:
        options = {"steps": subject.copies // 16} | ({"areas": [0.1]} if name == "ExtremalPerturbation" else {})
    if name == "IntegratedGradients":
        options = {"steps": 32 if row.section == BESIDE else subject.copies}
    if name in ("SSCAM", "ISCAM"):
        options["num_samples"] = 2
    return _made(name, GradCAM(network, subject.layer) if name == "AugmentedCAM" else network, **options)


def _comparing(name: str, subject: Subject, network: nn.Cell) -> Explainer:
    """One that compares images with black ones, or a label with another."""
    if name == "Contrast":
        return _made(name, Gradient(network))
    if name == "ExpectedGradients":
        return _made(name, network, baselines=0.0, num_samples=subject.copies)
    return _made(name, network, baselines=0.0 if name == "DeepLift" else [0.0] * (subject.copies // 4 or 1))


def _made(name: str, *arguments: Any, **options: Any) -> Explainer:
    found: Explainer = EXPLAINERS[name](*arguments, **options)
    return found


def _hiding(row: Row, subject: Subject, network: nn.Cell) -> Explainer:
    activation, masks = activation_of(subject), subject.copies
    if row.method == "RISEPlus":
        ood_net = OoDNet(network, subject.classes)
        ood_net.load_head(CONFIGS / "digit_ood_net.ckpt")
        return _made(row.method, ood_net, network, activation, num_masks=masks)
    if row.method == "RISE":
        return _made(row.method, network, activation, num_masks=masks)
    if row.section == BESIDE:
        return _made(row.method, network, activation, window=subject.window, stride=subject.window // 2)
    side = -(-subject.shape[1] // subject.windows_a_side)
    return _made(row.method, network, activation, window=side)


def job_of(row: Row, subject: Subject, network: nn.Cell) -> Job:
    """What the run of an overhead row does."""
    if row.method == "uncertainty":
        beside = [_made("ConstantMap", network)]  # a run has none without an explainer; this one makes no passes
        return Job(subject.many * subject.labels, "predicted", beside, dropout=20)
    if row.method == "hierarchical occlusion":
        return Job(2 * subject.few, hierarchical_occlusion=True)
    if row.method in METRIC_NAMES:
        return _scored(row, subject, network)
    samples, labels = _asked(row.method, subject)
    return Job(samples, labels, explainers=[explainer_of(row, subject, network)])


def _asked(method: str, subject: Subject) -> tuple[int, str]:
    """How many samples an explainer is asked about, and for which labels of each."""
    if method in CHANNELS:
        return samples_of_channels(method, subject), "truth"
    if method in (*PERTURBATIONS, *PATHS, "IntegratedGradients", "ExpectedGradients", "DeepLiftShap"):
        return subject.few, "predicted"
    if method in CONTROLS:
        return subject.many, "truth"
    if method in OPTIMIZED:
        return min(subject.many, PASS_SIZE), "truth"
    copies = {"NoiseTunnel": 16, "AugmentedCAM": 6, "SmoothGradCAMpp": 4, "DeepLift": 4}.get(method, 1)
    return max(1, subject.many // copies), f"top-{subject.labels}"


def _scored(row: Row, subject: Subject, network: nn.Cell) -> Job:
    """A run of gradients that a metric scores: of few samples where it covers much of each, else of many."""
    name, few, many, every_label = row.method, subject.few, subject.many, f"top-{subject.labels}"
    samples, labels = {
        **dict.fromkeys(CURVES, (4 * few, "truth")),
        **dict.fromkeys(("SIC", "AIC"), (5 * few, "truth")),
        **dict.fromkeys((*WITHOUT_PASSES, *AXIOMATIC, *_OF_A_PASS), (many, every_label)),
        **dict.fromkeys(STABILITY, (many // 4, "truth")),
        **dict.fromkeys(("Robustness", "Sufficiency"), (many // 4, every_label)),
        **dict.fromkeys(("ModelParameterRandomization", "SmoothMPRT"), (2 * many, "truth")),
        **dict.fromkeys(("Focus", "EfficientMPRT"), (4 * many, "truth")),
        "RandomLogit": (many, "truth"),
        "NonSensitivity": (few, "truth"),
    }[name]
    return Job(max(1, samples), labels, [Gradient(network)], [_metric(name, subject)])


def _metric(name: str, subject: Subject) -> Metric:
    """A metric of so much work for each map that its passes are many."""
    steps, options = subject.copies // 4, dict[str, Any]()
    taken = signature(METRICS[name]).parameters
    if name in CURVES:
        options = {"steps": steps, "samples": steps}
    if name in STABILITY:
        options = {"samples": steps // 2 - 1, "layer": subject.layer}
    few_copies: dict[str, dict[str, Any]] = {
        "MonotonicityCorrelation": {"samples": 1, "patch_size": subject.shape[1] // 8},
        "SensitivityN": {"samples": max(1, steps // 16), "sizes": [2, 4, 8, 16] * 4},
        "Robustness": {"samples": 3},
        "Sufficiency": {"samples": 3},
        "Focus": {"partners": images_of(subject, subject.many)},
        "RandomLogit": {"num_labels": min(subject.classes, _LABELS)},
        "ModelParameterRandomization": {"layers": 3},
        "SmoothMPRT": {"layers": 2, "samples": 2},
        "NonSensitivity": {"patch_size": subject.shape[1] // 8},
    }
    given = {"num_labels": subject.classes, "activation_fn": activation_of(subject)} | options
    given |= few_copies.get(name, {})
    made: Metric = METRICS[name](**{option: value for option, value in given.items() if option in taken})
    return made
