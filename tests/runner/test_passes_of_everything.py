"""With everything registered the passes made are those worked out by hand, and the network's own count agrees."""

from collections import Counter

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.benchmarks import ClassSensitivity, InsertionAUC, PointingGame, Robustness
from explainrun.explainers import (
    RISE,
    AblationCAM,
    GradCAM,
    Gradient,
    GuidedBackprop,
    GuidedGradCAM,
    HierarchicalOcclusion,
    IntegratedGradients,
    LayerCAM,
    Network,
    NoiseTunnel,
    Occlusion,
    OoDNet,
    RISEPlus,
    ScoreCAM,
    SmoothGradCAMpp,
)
from explainrun.runner import ImageClassificationRunner
from explainrun.summary_format import Results

SHAPE, SIZE, SAMPLES, CLASSES = (3, 56, 60), 4, 18, 3
MASKS, WINDOWS, NOISY, STEPS = 5, 2 * 3, 2, 4
EXPLAINERS = {
    "Gradient": Gradient,
    "GradCAM": lambda network: GradCAM(network, "relu"),
    "GuidedBackprop": GuidedBackprop,
    "Occlusion": lambda network: Occlusion(network, nn.Sigmoid(), window=(28, 20)),
    "RISE": lambda network: RISE(network, nn.Sigmoid(), num_masks=MASKS, grid=3),
    "LayerCAM": lambda network: LayerCAM(network, ["relu", "conv"]),
    "GuidedGradCAM": lambda network: GuidedGradCAM(network, "conv"),
    "Loss": lambda network: Gradient(network, loss=True, name="Loss"),
    "IntegratedGradients": lambda network: IntegratedGradients(network, 3, [0.0, "mean"]),
    "NoiseTunnel": lambda network: NoiseTunnel(Gradient(network), nt_samples=2),
    "NoiseTunnelOfIntegratedGradients": lambda network: NoiseTunnel(
        IntegratedGradients(network, 2), nt_samples=3, name="NoiseTunnelOfIntegratedGradients"
    ),
    "ScoreCAM": lambda network: ScoreCAM(network, "relu"),
    "AblationCAM": lambda network: AblationCAM(network, "relu"),
    "SmoothGradCAMpp": lambda network: SmoothGradCAMpp(network, "relu", num_samples=5),
    "RISEPlus": lambda network: RISEPlus(OoDNet(network, CLASSES), network, nn.Sigmoid(), num_masks=MASKS, grid=3),
}
RULES = {
    "Gradient": ("differentiate",),
    "GradCAM": ("differentiate",),
    "LayerCAM": ("differentiate",),
    "GuidedBackprop": ("guided",),
    "GuidedGradCAM": ("differentiate", "guided"),
    "Loss": ("loss",),
}
OUTPUTS = ("ScoreCAM", "AblationCAM", "SmoothGradCAMpp")  # read those of one forward without gradient
OF_AN_IMAGE = {
    "Occlusion": {"occlude": WINDOWS},
    "RISE": {"mask": MASKS},
    "RISEPlus": {"mask": MASKS, "ood": MASKS + 2},
    "IntegratedGradients": {"baseline": 2},
    "ScoreCAM": {"score": 8},
    "AblationCAM": {"ablate": 8},
}
OF_A_QUESTION = {
    "IntegratedGradients": {"integrate": 2 * 3},
    "NoiseTunnel": {"differentiate": 2},
    "NoiseTunnelOfIntegratedGradients": {"integrate": 3 * 2},
    "SmoothGradCAMpp": {"smooth": 5},
}


class Classifier(nn.Cell):
    """Logits of contrast, by places; counts its passes."""

    num_features = 8

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.output_features, self.runs = False, 0
        self.conv = nn.Conv2d(3, 8, 7, stride=7, pad_mode="valid")
        self.conv.weight.set_data(Tensor(rng.normal(size=(8, 3, 7, 7)).astype(np.float32) / 6))
        self.relu, self.dropout = nn.ReLU(), nn.Dropout(p=0.3)
        self.head = nn.Dense(8, CLASSES, has_bias=False)
        self.head.weight.set_data(Tensor(rng.normal(size=(CLASSES, 8)).astype(np.float32)))

    def construct(self, x):
        self.runs += 1
        x = ops.amax(self.relu(self.conv(x)), (2, 3))
        return x if self.output_features else self.head(self.dropout(x))


def scenes():
    rng = np.random.default_rng(1)
    for i in range(SAMPLES):
        yield rng.normal(size=SHAPE).astype(np.float32), np.int32([i % 4 - 1]), np.int32([[5, 30, 20, 8]])


def passes(images):
    return -(-images // SIZE)


def by_hand(results, names, robust, sensitive):
    made = Counter()
    for first in range(0, SAMPLES, 4 * SIZE):
        there = min(4 * SIZE, SAMPLES - first)
        asked = results.questions[(results.questions[:, 0] >= first) & (results.questions[:, 0] < first + there)]
        pictures, questions = len(set(asked[:, 0].tolist())), len(asked)
        ends = {
            (int(i), int(end(results.probabilities[i]))) for i in asked[:, 0] for end in (np.argmax, np.argmin)
        } - set(map(tuple, asked.tolist()))
        together = questions + (len(ends) if sensitive else 0)
        made["infer"] += passes(there)
        made["noise"] += passes(NOISY * pictures) if robust else 0
        for rule in {rule for name in names for rule in RULES.get(name, ())}:
            made[rule] += passes(together) + (passes(NOISY * questions) if robust else 0)
        made["activate"] += passes(pictures) if set(OUTPUTS) & set(names) else 0
        for name in names:
            # no map is constant, but where the loss of a label that is sure anyway has no gradient to speak of
            made["perturb"] += passes(questions * (STEPS - 1))
            views = [(pictures, together), *(noisy_views(asked) if robust else ())]
            made["activate"] += sum(passes(images) for images, _ in views[1:]) if name in OUTPUTS else 0
            for images, about in views:
                for kind, each in OF_AN_IMAGE.get(name, {}).items():
                    made[kind] += passes(images * each)
                for kind, each in OF_A_QUESTION.get(name, {}).items():
                    made[kind] += passes(about * each)
    made["perturb"] += 1  # the baseline
    made["network probe"] = passes(8)
    return {kind: times for kind, times in made.items() if times}


def noisy_views(asked):
    """Images and questions of each pass of noisy images: draw by draw, image by image."""
    per_image = np.unique(asked[:, 0], return_counts=True)[1].tolist() * NOISY
    return [(len(part), sum(part)) for part in (per_image[i : i + SIZE] for i in range(0, len(per_image), SIZE))]


ALONE = ("GradCAM", "RISEPlus", "Occlusion", "IntegratedGradients", "NoiseTunnel", "ScoreCAM", "SmoothGradCAMpp")
MIXES = [
    (("GradCAM",), True, True),
    pytest.param(tuple(EXPLAINERS), False, True, marks=pytest.mark.slow),
    *(pytest.param((name,), True, True, marks=pytest.mark.long) for name in ALONE if name != "GradCAM"),
    pytest.param(tuple(EXPLAINERS), True, False, marks=pytest.mark.long),
]


@pytest.mark.parametrize(("names", "robust", "sensitive"), MIXES)
def test_explainers_and_the_metrics_that_ask_for_more_maps(dataset, tmp_path, names, robust, sensitive):
    network = Classifier()
    data = dataset(list(scenes())), list("abc")
    runner = ImageClassificationRunner(tmp_path, data, network, nn.Sigmoid(), pass_size=SIZE, jit="off")
    metrics = [InsertionAUC(CLASSES, nn.Sigmoid(), steps=STEPS), PointingGame(CLASSES)]
    metrics += [Robustness(CLASSES, nn.Sigmoid(), samples=NOISY, threshold=9)] if robust else []
    metrics += [ClassSensitivity()] if sensitive else []
    runner.register_saliency([EXPLAINERS[name](network) for name in names], metrics)
    result = runner.run()
    hand = by_hand(Results(tmp_path), names, robust, sensitive)
    assert result.costs["made"] == hand
    assert result.costs["needed"] == {kind: passes(images) for kind, images in result.costs["images"].items()}
    assert network.runs == sum(hand.values())
    assert all(result.scores.aggregate(name, "InsertionAUC").unscored == 0 for name in names)


def test_uncertainty_and_hierarchical_occlusion(dataset, tmp_path):
    network = Classifier()
    data = dataset(list(scenes())), list("abc")
    runner = ImageClassificationRunner(tmp_path, data, network, nn.Sigmoid(), pass_size=SIZE, jit="off")
    runner.register_saliency([Gradient(network)])
    runner.register_uncertainty(5)
    runner.register_hierarchical_occlusion(threshold=0.6)
    result, search = runner.run(), 0
    ran, results = network.runs, Results(tmp_path)
    images = np.stack([image for image, *_ in scenes()])
    for first in range(0, SAMPLES, 4 * SIZE):
        asked = results.questions[(results.questions[:, 0] >= first) & (results.questions[:, 0] < first + 4 * SIZE)]
        alone = Network(network, SIZE, fill=True)
        probabilities = results.probabilities[asked[:, 0], asked[:, 1]]
        HierarchicalOcclusion(network, nn.Sigmoid(), 0.6).search_all(alone, images, *asked.T, probabilities)
        search += alone.passes.made["search"]
    assert search > 5
    made = {"network probe": 2, "infer": 5, "dropout trial": 4, "dropout": 5, "search": search}
    made["differentiate"] = sum(passes(int(((results.questions[:, 0] // 16) == batch).sum())) for batch in (0, 1))
    assert result.costs["made"] == made
    fewest = {kind: passes(images) for kind, images in result.costs["images"].items()}
    assert result.costs["needed"] == {**fewest, "search": search}
    assert ran == sum(made.values())
    assert ms.get_context("mode") == ms.PYNATIVE_MODE


@pytest.mark.parametrize("noisy", [False, True])
def test_an_explainer_that_refuses_is_the_one_to_blame(dataset, tmp_path, caplog, noisy):
    """It refuses an image as it is, or with noise; what is made together with its maps is committed all the same."""
    originals = [image for image, *_ in scenes()]

    class Refusing(Gradient):
        def attribute(self, view):
            for row in view.rows:
                sample = int(view.sample_ids[row])
                if sample >= 17 and noisy != np.array_equal(view.images[row], originals[sample]):
                    raise ValueError(f"cannot do sample {sample}")
            return super().attribute(view)

    network = Classifier()
    data = dataset(list(scenes())), list("abc")
    runner = ImageClassificationRunner(tmp_path, data, network, nn.Sigmoid(), pass_size=SIZE, jit="off")
    runner.register_saliency(
        [Gradient(network), Refusing(network), GuidedBackprop(network)],
        [Robustness(CLASSES, nn.Sigmoid(), samples=NOISY, threshold=9)],
    )
    with pytest.raises(ValueError, match="cannot do sample 17"):
        runner.run()
    where = "the scores of Refusing" if noisy else "Refusing"
    assert f"failed at {where} of samples 16 to 17" in caplog.messages
    segments = [path.name for path in next(tmp_path.glob("_explain_*")).glob("segments/*")]
    assert "000001.Gradient.maps" in segments
