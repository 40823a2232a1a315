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
_ALVAREZ_MELIS = (
    "Alvarez-Melis and Jaakkola: Towards Robust Interpretability with Self-Explaining Neural Networks, 2018"
)
_ARRAS = "Arras, Osman and Samek: CLEVR-XAI, 2022"
_BHATT = "Bhatt, Weller and Moura: Evaluating and Aggregating Feature-based Model Explanations, 2020"
_CHATTOPADHYAY = "Chattopadhyay et al.: Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks, 2018"
_HEDSTROEM = "Hedström et al.: Sanity Checks Revisited, 2023"
_KAPISHNIKOV = "Kapishnikov et al.: XRAI: Better Attributions Through Regions, 2019"
_LI = "Li et al.: Quantitative Evaluations on Saliency Methods, 2020"
_MONTAVON = "Montavon, Samek and Müller: Methods for Interpreting and Understanding Deep Neural Networks, 2018"
_NGUYEN = "Nguyen and Rodríguez Martínez: On Quantitative Aspects of Model Interpretability, 2020"
_PETSIUK = "Petsiuk, Das and Saenko: RISE: Randomized Input Sampling for Explanation of Black-box Models, 2018"
_YEH = "Yeh et al.: On the (In)fidelity and Sensitivity of Explanations, 2019"
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
        f"MindSpore XAI; after {_ALVAREZ_MELIS}",
    ),
    "PixelFlipping": MetricText(
        "Pixels are removed in the map's order: how far does p(label) fall on average?",
        "AOPC = mean over steps k = 0..L of p(label | the image) - p(label | the image without its k first pieces)",
        "Samek et al.: Evaluating the Visualization of What a Deep Neural Network Has Learned, 2017",
    ),
    "SRG": MetricText(
        "Does the network keep the label longer while the least relevant pixels go first?",
        "area under p(label) while pixels are removed, the least relevant first, less that with the most relevant",
        "Blücher, Vielhaben and Strodthoff: Decoupling Pixel Flipping and Occlusion Strategy for Consistent XAI "
        "Benchmarks, 2024",
    ),
    "ROAD": MetricText(
        "Pixels are removed so that the gap does not show: what is left of p(label)?",
        "mean of p(label) over shares of the pixels that are imputed from their neighbours, the most relevant first",
        "Rong et al.: A Consistent and Efficient Evaluation Strategy for Attribution Methods, 2022",
    ),
    "Selectivity": MetricText(
        "Patches are removed from the most relevant to the least: how soon does the network lose the label?",
        "area under p(label | the image without its most relevant share x of patches), x from 0 to 1",
        _MONTAVON,
    ),
    "IROF": MetricText(
        "Superpixels are removed from the most relevant to the least: how soon does the network lose the label?",
        "1 - area under p(label | the image without its most relevant share x of superpixels) / p(label | the image)",
        "Rieger and Hansen: IROF: a low resource evaluation metric for explanation methods, 2020",
    ),
    "FaithfulnessCorrelation": MetricText(
        "Where random pixels are removed, does the answer fall as far as the map says?",
        "Pearson's r, over random subsets of pixels, of the map's sum over a subset and the fall without it",
        _BHATT,
    ),
    "FaithfulnessEstimate": MetricText(
        "Where one group of pixels is removed, does the answer fall as far as the map says?",
        "Pearson's r, over groups of pixels, of the map's sum over a group and the fall without it",
        _ALVAREZ_MELIS,
    ),
    "MonotonicityCorrelation": MetricText(
        "Is the answer least certain without the groups of pixels that the map calls large?",
        "Spearman's rho, over groups of pixels, of the sum of |map| and the mean squared change where they are redrawn",
        _NGUYEN,
    ),
    "SensitivityN": MetricText(
        "Where n random pixels are removed, does the answer fall as far as the map says, for small and large n?",
        "mean over n of Pearson's r, over random subsets of n pixels, of the map's sum and the fall without the subset",
        "Ancona et al.: Towards Better Understanding of Gradient-based Attribution Methods, 2018",
    ),
    "Infidelity": MetricText(
        "How far off is the map, read as a linear model of the answer around the image?",
        "mean over perturbations I of (sum of I x map - (f(image) - f(image - I)))^2",
        _YEH,
    ),
    "Sufficiency": MetricText(
        "Do noisy copies of the image that have the same map get the same prediction?",
        "share of the copies whose map lies within the threshold for which the likeliest class stays the same",
        "Dasgupta, Frost and Moshkovitz: Framework for Evaluating Faithfulness of Local Explanations, 2022",
    ),
    "AverageDrop": MetricText(
        "How much of p(label) is lost where the image is multiplied by its map?",
        "max(0, p(label | image) - p(label | map x image)) / p(label | image), the map scaled to 0..1",
        _CHATTOPADHYAY,
    ),
    "AverageIncrease": MetricText(
        "Is p(label) higher where the image is multiplied by its map?",
        "1 if p(label | map x image) > p(label | image), else 0, the map scaled to 0..1",
        _CHATTOPADHYAY,
    ),
    "AverageGain": MetricText(
        "How much of what p(label) lacks to 1 is won where the image is multiplied by its map?",
        "max(0, p(label | map x image) - p(label | image)) / (1 - p(label | image)), the map scaled to 0..1",
        "Zhang et al.: Opti-CAM: Optimizing Saliency Maps for Interpretability, 2024",
    ),
    "SIC": MetricText(
        "A blurred image gets its most salient pixels back: how little information brings p(label) back?",
        "area under p(label) over the information revealed, both from the blurred image, 0, to the whole one, 1",
        _KAPISHNIKOV,
    ),
    "AIC": MetricText(
        "A blurred image gets its most salient pixels back: how little information makes the label the likeliest?",
        "area under (1 if the label is the likeliest class, else 0) over the information revealed",
        _KAPISHNIKOV,
    ),
    "PointingGame": MetricText(
        "Does the most salient pixel lie on the object?",
        "1 if the map's maximum is less than the tolerance (in pixels) away from a box of the label, else 0",
        "Zhang et al.: Top-down Neural Attention by Excitation Backprop, 2016",
    ),
    "IoSR": MetricText(
        "How much of the salient region lies on the object?",
        "pixels that are salient and in a box of the label / salient pixels; salient is above threshold x maximum",
        f"MindSpore XAI; compare {_LI}",
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
        _YEH,
    ),
    "SensitivityMax": MetricText(
        "How far does the map move at most where the image gets noise, relative to its length?",
        "largest |s(x + noise) - s(x)| / |s(x)| over several draws of noise; 0 is best",
        _YEH,
    ),
    "SensitivityAvg": MetricText(
        "How far does the map move on average where the image gets noise, relative to its length?",
        "mean |s(x + noise) - s(x)| / |s(x)| over several draws of noise; 0 is best",
        _BHATT,
    ),
    "LocalLipschitz": MetricText(
        "How far does the map move at most, relative to how far the image does?",
        "largest |s(x + noise) - s(x)| / |noise| over several draws of noise; 0 is best",
        "Alvarez-Melis and Jaakkola: On the Robustness of Interpretability Methods, 2018",
    ),
    "Continuity": MetricText(
        "How much relevance jumps at most, relative to how far the image moves?",
        "largest sum of |s(x + noise) - s(x)| over the pixels / |noise| over several draws of noise; 0 is best",
        _MONTAVON,
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
        _NGUYEN,
    ),
    "ClassSensitivity": MetricText(
        "Do the maps for the likeliest and the least likely class differ?",
        "(1 - r) / 2; r correlates an image's maps for its likeliest and its least likely class",
        _LI,
    ),
    "Sparseness": MetricText(
        "Does the map lie on few pixels?",
        "Gini index of the absolute values: sum of (2 i - n - 1) |a_i| / (n sum of |a|), over n pixels in rising order",
        "Chalasani et al.: Concise Explanations of Neural Networks using Adversarial Training, 2020",
    ),
    "Complexity": MetricText(
        "Over how many pixels does the map spread?",
        "entropy of the shares p = |a| / sum of |a|: - sum of p ln p",
        _BHATT,
    ),
    "EffectiveComplexity": MetricText(
        "How many pixels of the map count?",
        "pixels with |a| above eps x the largest |a|",
        f"after {_NGUYEN}",
    ),
}


def metric_text(class_name: object) -> dict[str, str] | None:
    """What the page says of the metrics of a class; None of a class that is not ours."""
    text = TEXTS.get(class_name) if isinstance(class_name, str) else None
    return None if text is None else asdict(text)
