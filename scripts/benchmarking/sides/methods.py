"""Our explainers, metrics and runs, sized so that a row makes enough passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

from mindspore import nn

from explainrun.benchmarks import METRICS, Metric
from explainrun.explainers import EXPLAINERS, Explainer, Gradient, OoDNet

from ..images import images_of, squares
from ..rows import (
    AXIOMATIC,
    BESIDE,
    CHANNELS,
    COMPARING,
    CONTROLS,
    CURVES,
    LAYERS,
    PATHS,
    PERTURBATIONS,
    RANDOMIZATION,
    STABILITY,
    SUPERPIXELS,
    Row,
)
from ..rows import METRICS as METRIC_NAMES
from ..sizes import samples_of_channels
from ..subjects import CONFIGS, Subject
from .networks import activation_of


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
    if name == "IntegratedGradients":
        options = {"steps": 32 if row.section == BESIDE else subject.copies}
    if name in ("SSCAM", "ISCAM"):
        options["num_samples"] = 2
    return _made(name, network, **options)


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
    if method in (*PERTURBATIONS, *PATHS, "IntegratedGradients"):
        return subject.few, "predicted"
    if method in CONTROLS:
        return subject.many, "truth"
    copies = {"NoiseTunnel": 16, "SmoothGradCAMpp": 4}.get(method, 1)
    return max(1, subject.many // copies), f"top-{subject.labels}"


def _scored(row: Row, subject: Subject, network: nn.Cell) -> Job:
    explainers = [Gradient(network)]
    if row.method in CURVES:
        options = {"steps": subject.copies // 4, "samples": subject.copies // 4}
        taken = {name: value for name, value in options.items() if name in signature(METRICS[row.method]).parameters}
        metric = METRICS[row.method](subject.classes, activation_of(subject), **taken)
        return Job(subject.few, "top-4", explainers, [metric])
    if row.method in ("Robustness", "Sufficiency"):
        given = {"activation_fn": activation_of(subject)} if row.method == "Robustness" else {}
        metric = METRICS[row.method](subject.classes, samples=3, **given)
        return Job(max(1, subject.many // 4), f"top-{subject.labels}", explainers, [metric])
    if row.method == "ClassSensitivity":
        return Job(
            max(1, subject.many // 2), f"top-{subject.labels}", explainers, [METRICS[row.method](subject.classes)]
        )
    if row.method == "Focus":
        return Job(subject.many, "truth", explainers, [METRICS[row.method](images_of(subject, subject.many))])
    options_of: dict[str, dict[str, Any]] = {
        "RandomLogit": {"num_labels": subject.classes},
        "RelativeRepresentationStability": {"layer": subject.layer, "samples": 3},
        **{method: {"samples": 3} for method in STABILITY[:-1]},
        "ModelParameterRandomization": {"layers": 3},
        "SmoothMPRT": {"layers": 2, "samples": 2},
    }
    samples = max(1, subject.many // 4) if row.method in (*STABILITY, *RANDOMIZATION, *AXIOMATIC) else subject.many
    return Job(samples, "truth", explainers, [METRICS[row.method](**options_of.get(row.method, {}))])
