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


_ARRAS = "Arras, Osman and Samek: CLEVR-XAI, 2022"
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
    "RelevanceMass": MetricText(
        "How much of the map's positive relevance lies on the object?",
        "sum of max(map, 0) where the label is / sum of max(map, 0)",
        f"{_ARRAS}; Wang et al.: Score-CAM, 2020 (energy-based pointing game)",
    ),
    "RelevanceRank": MetricText(
        "Are the most salient pixels, as many as the object has, those of the object?",
        "pixels of the K most salient ones that lie where the label is / K; K is how many pixels lie there",
        _ARRAS,
    ),
    "TopKIntersection": MetricText(
        "How many of the most salient pixels lie on the object?",
        "pixels of the k most salient ones that lie where the label is / k",
        "Theiner, Müller-Budack and Ewerth: Interpretable Semantic Photo Geolocation, 2021",
    ),
    "AttributionLocalization": MetricText(
        "How much of the map's positive relevance lies on the object, of objects that are small enough?",
        "sum of max(map, 0) where the label is / sum of max(map, 0); weighted: / share of the image that it takes up",
        "Kohlbrenner et al.: Towards Best Practice in Explaining Neural Network Decisions with LRP, 2020",
    ),
    "AUC": MetricText(
        "Is a pixel of the object more salient than one beside it?",
        "area under the ROC curve of the map, taken to separate pixels where the label is from all others",
        "Fawcett: An Introduction to ROC Analysis, 2006",
    ),
    "IoU": MetricText(
        "Is the salient region that of the object?",
        "pixels that are salient and where the label is / pixels that are either; salient is above threshold x maximum",
        "compare Zhou et al.: Learning Deep Features for Discriminative Localization, 2016",
    ),
    "Focus": MetricText(
        "In a mosaic of four images, does the map of a label lie on the two that have it?",
        "sum of max(map, 0) on images of the label / sum of max(map, 0), of the map of a mosaic",
        "Arias-Duart et al.: Focus! Rating XAI Methods and Finding Biases, 2022",
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
    "Sparseness": MetricText(
        "Does the map lie on few pixels?",
        "Gini index of the absolute values: sum of (2 i - n - 1) |a_i| / (n sum of |a|), over n pixels in rising order",
        "Chalasani et al.: Concise Explanations of Neural Networks using Adversarial Training, 2020",
    ),
    "Complexity": MetricText(
        "Over how many pixels does the map spread?",
        "entropy of the shares p = |a| / sum of |a|: - sum of p ln p",
        "Bhatt, Weller and Moura: Evaluating and Aggregating Feature-based Model Explanations, 2020",
    ),
    "EffectiveComplexity": MetricText(
        "How many pixels of the map count?",
        "pixels with |a| above eps x the largest |a|",
        "after Nguyen and Martinez: On Quantitative Aspects of Model Interpretability, 2020",
    ),
}


def metric_text(class_name: object) -> dict[str, str] | None:
    """What the page says of the metrics of a class; None of a class that is not ours."""
    text = TEXTS.get(class_name) if isinstance(class_name, str) else None
    return None if text is None else asdict(text)
