"""What a metric measures, for people who read its scores: a sentence, the formula and the source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class MetricText:
    """What the page says of a metric.

    Attributes:
        sentence: what a high score means.
        formula: how it is computed, in plain text.
        source: paper, and year.
    """

    sentence: str
    formula: str
    source: str


_PETSIUK = "Petsiuk, Das and Saenko: RISE: Randomized Input Sampling for Explanation of Black-box Models, 2018"
TEXTS: Mapping[str, MetricText] = {
    "InsertionAUC": MetricText(
        "Pixels are revealed from the most salient to the least: how soon does the network see the label?",
        "area under p(label | the most salient share x of the pixels, the others blank), x from 0 to 1",
        _PETSIUK,
    ),
    "DeletionAUC": MetricText(
        "Pixels are covered from the most salient to the least: how soon does the network lose the label?",
        "1 - area under p(label | the image, its most salient share x of the pixels blank), x from 0 to 1",
        _PETSIUK,
    ),
    "NaiveFaithfulness": MetricText(
        "Do the pixels that the map calls salient matter to the network as much as the map says?",
        "(1 + r) / 2; r correlates mean saliency and fall of p(label) over groups of pixels, each covered alone",
        "MindSpore XAI; after Alvarez-Melis and Jaakkola: Towards Robust Interpretability with Self-Explaining "
        "Neural Networks, 2018",
    ),
    "PointingGame": MetricText(
        "Does the most salient pixel lie on the object?",
        "1 if the map's maximum is less than the tolerance (in pixels) away from a box of the label, else 0",
        "Zhang et al.: Top-down Neural Attention by Excitation Backprop, 2016",
    ),
    "IoSR": MetricText(
        "How much of the salient region lies on the object?",
        "pixels that are salient and in a box of the label / salient pixels; salient is above threshold x maximum",
        "MindSpore XAI; compare Li et al.: Quantitative Evaluations on Saliency Methods, 2020",
    ),
    "Robustness": MetricText(
        "Does the map stay the same where the image changes a little?",
        "exp(-d); d is the largest |s(x + noise) - s(x)| / |s(x)| over several draws of noise",
        "Yeh et al.: On the (In)fidelity and Sensitivity of Explanations, 2019",
    ),
    "ClassSensitivity": MetricText(
        "Do the maps for the likeliest and the least likely class differ?",
        "(1 - r) / 2; r correlates an image's maps for its likeliest and its least likely class",
        "Li et al.: Quantitative Evaluations on Saliency Methods, 2020",
    ),
}


def metric_text(class_name: object) -> dict[str, str] | None:
    """What the page says of the metrics of a class; None of a class that is not ours."""
    text = TEXTS.get(class_name) if isinstance(class_name, str) else None
    return None if text is None else asdict(text)
