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


_AGARWAL = "Agarwal et al.: Rethinking Stability for Attribution-based Explanations, 2022"
_HEDSTROEM = "Hedström et al.: Sanity Checks Revisited, 2023"
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
    "SensitivityMax": MetricText(
        "How far does the map move at most where the image gets noise, relative to its length?",
        "largest |s(x + noise) - s(x)| / |s(x)| over several draws of noise; 0 is best",
        "Yeh et al.: On the (In)fidelity and Sensitivity of Explanations, 2019",
    ),
    "SensitivityAvg": MetricText(
        "How far does the map move on average where the image gets noise, relative to its length?",
        "mean |s(x + noise) - s(x)| / |s(x)| over several draws of noise; 0 is best",
        "Bhatt, Weller and Moura: Evaluating and Aggregating Feature-based Model Explanations, 2020",
    ),
    "LocalLipschitz": MetricText(
        "How far does the map move at most, relative to how far the image does?",
        "largest |s(x + noise) - s(x)| / |noise| over several draws of noise; 0 is best",
        "Alvarez-Melis and Jaakkola: On the Robustness of Interpretability Methods, 2018",
    ),
    "Continuity": MetricText(
        "How much relevance jumps at most, relative to how far the image moves?",
        "largest sum of |s(x + noise) - s(x)| over the pixels / |noise| over several draws of noise; 0 is best",
        "Montavon, Samek and Müller: Methods for Interpreting and Understanding Deep Neural Networks, 2018",
    ),
    "RelativeInputStability": MetricText(
        "Does the map change more than the image does, pixel by pixel?",
        "largest |(s(x) - s(x')) / s(x)| / |(x - x') / x| over noisy images x' of the same predicted class; 0 is best",
        _AGARWAL,
    ),
    "RelativeOutputStability": MetricText(
        "Does the map change more than the network's answer does?",
        "largest |(s(x) - s(x')) / s(x)| / |h(x) - h(x')| over noisy images x' of the same predicted class, h the "
        "logits; 0 is best",
        _AGARWAL,
    ),
    "RelativeRepresentationStability": MetricText(
        "Does the map change more than what a layer gives does?",
        "largest |(s(x) - s(x')) / s(x)| / |(L(x) - L(x')) / L(x)| over noisy images x' of the same predicted class, L "
        "what the layer gives; 0 is best",
        _AGARWAL,
    ),
    "RandomLogit": MetricText(
        "How alike are the maps of a label and of another one, drawn at random?",
        "structural similarity, or rank correlation, of the two maps; 0 says that they have nothing in common",
        "Sixt, Granz and Landgraf: When Explanations Lie, 2020",
    ),
    "ModelParameterRandomization": MetricText(
        "How alike does the map stay where the network's weights become random?",
        "mean over layers of the rank correlation, or structural similarity, of the map and that under random weights",
        "Adebayo et al.: Sanity Checks for Saliency Maps, 2018",
    ),
    "SmoothMPRT": MetricText(
        "How alike does the map, averaged over noise, stay where the network's weights become random?",
        "as ModelParameterRandomization, of maps averaged over noisy copies of the image",
        _HEDSTROEM,
    ),
    "EfficientMPRT": MetricText(
        "Is the map simpler than that of the network with random weights?",
        "(H(random) - H(map)) / H(map), H the entropy of the histogram of a map's values",
        _HEDSTROEM,
    ),
    "Completeness": MetricText(
        "Does the map add up to what the image's logit has over that of a blank image?",
        "|sum of the map - (f(x) - f(b))| / |f(x) - f(b)|, f the label's logit, b the blank image; 0 is best",
        "Sundararajan, Taly and Yan: Axiomatic Attribution for Deep Networks, 2017",
    ),
    "InputInvariance": MetricText(
        "Does the map stay the same where a number is added to all pixels, and the network takes that into account?",
        "|s'(x + shift) - s(x)| / |s(x)|, s' of the network whose first layer takes the shift away; 0 is best",
        "Kindermans et al.: The (Un)reliability of Saliency Methods, 2017",
    ),
    "NonSensitivity": MetricText(
        "Is the map zero where the network looks at nothing, and nowhere else?",
        "share of the patches that either the map or the network uses, but not both; 0 is best",
        "Nguyen and Rodríguez Martínez: On Quantitative Aspects of Model Interpretability, 2020",
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
