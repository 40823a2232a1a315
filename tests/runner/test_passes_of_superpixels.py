"""Explainers whose passes depend on what images show: those that are made are those that are told, image by image."""

from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.benchmarks import ClassSensitivity, InsertionAUC, Robustness
from explainrun.explainers import LIME, Gradient, KernelSHAP, Network, Occlusion, View
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config
from explainrun.summary_format import Results

SHAPE, SIZE, SAMPLES, CLASSES, NOISY = (3, 8, 10), 4, 21, 3, 3


class Classifier(nn.Cell):
    """Logits of contrast, by places; counts its passes."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.runs = 0
        self.conv = nn.Conv2d(3, 8, 3, pad_mode="valid")
        self.conv.weight.set_data(Tensor(rng.normal(size=(8, 3, 3, 3)).astype(np.float32) / 3))
        self.head = nn.Dense(8, CLASSES, has_bias=False)
        self.head.weight.set_data(Tensor(rng.normal(size=(CLASSES, 8)).astype(np.float32)))

    def construct(self, x):
        self.runs += 1
        return self.head(ops.amax(ops.relu(self.conv(x)), (2, 3)))


def brightness(picture, levels):
    """From one to nine segments, by whole levels of brightness."""
    return (picture.mean(axis=2) * levels).round().astype(int)


def scenes():
    rng = np.random.default_rng(1)
    for i in range(SAMPLES):
        image = rng.normal(size=SHAPE) if i % 5 else np.zeros(SHAPE)  # some hold one segment
        yield image.astype(np.float32), np.int32([i % 4 - 1])


def by_brightness(kind, network, samples):
    options = {"levels": 5}
    return kind(network, nn.Sigmoid(), samples, segmentation=brightness, segmentation_options=options)


def images_of(results, rows):
    """How many images KernelSHAP runs for these samples at 20 coalitions at most, worked out by enumeration."""
    pictures = [image for image, _ in scenes()]
    total = 0
    for row in rows:
        image = pictures[row].transpose(1, 2, 0).astype(np.float64)
        span = np.ptp(image)
        levels = brightness((image - image.min()) / span, 5) if span else np.zeros(SHAPE[1:])
        count = len(np.unique(levels))
        total += 2 + min(2**count - 2, 20)
    return total


def passes(images):
    return -(-images // SIZE)


@pytest.mark.parametrize("sensitive", [True, False])
def test_they_make_the_passes_that_they_tell(dataset, tmp_path, sensitive):
    network = Classifier()
    runner = ImageClassificationRunner(
        tmp_path, (dataset(list(scenes())), list("abc")), network, nn.Sigmoid(), pass_size=SIZE, jit="off"
    )
    explainers = [by_brightness(LIME, network, 9), by_brightness(KernelSHAP, network, 20)]
    runner.register_saliency(explainers, [ClassSensitivity()] if sensitive else [])
    result, made = runner.run(), {"network probe": 2, "infer": 6, "superpixel": 0}
    results = Results(tmp_path)
    for first in (0, 16):
        asked = results.questions[results.questions[:, 0] // 16 == first // 16]
        rows = sorted(set(asked[:, 0].tolist()))
        made["superpixel"] += passes(9 * len(rows)) + passes(images_of(results, rows))
    assert made["superpixel"] > 60
    assert result.costs["made"] == result.costs["needed"] == made
    assert network.runs == sum(made.values())


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [(LIME,), (KernelSHAP,), (Gradient, KernelSHAP, Occlusion, LIME)])
def test_noisy_images_have_segments_of_their_own(dataset, tmp_path, kinds, nearly_fewest):
    network = Classifier()
    runner = ImageClassificationRunner(
        tmp_path, (dataset(list(scenes())), list("abc")), network, nn.Sigmoid(), pass_size=SIZE, jit="off"
    )
    made = {
        Gradient: lambda: Gradient(network),
        Occlusion: lambda: Occlusion(network, nn.Sigmoid(), window=(4, 5)),
        LIME: lambda: by_brightness(LIME, network, 9),
        KernelSHAP: lambda: by_brightness(KernelSHAP, network, 20),
    }
    metrics = [
        InsertionAUC(CLASSES, nn.Sigmoid(), steps=4),
        Robustness(CLASSES, nn.Sigmoid(), samples=NOISY, radius=0.1, threshold=0.05),
    ]
    runner.register_saliency([made[kind]() for kind in kinds], metrics)
    costs = runner.run().costs
    nearly_fewest(costs, ragged=2 * (1 + NOISY))  # one a noisy image and attempt, at most
    assert network.runs == sum(costs["made"].values())
    asked = len({sample for sample, _ in Results(tmp_path).questions.tolist()}) * (1 + NOISY)
    ran = costs["images"]["superpixel"] - (9 * asked if LIME in kinds else 0)
    assert (2 * asked < ran < 22 * asked) if KernelSHAP in kinds else ran == 0


def test_a_run_gives_what_the_view_gives(dataset, tmp_path):
    network = Classifier()
    data = dataset(list(scenes())), list("abc")
    runner = ImageClassificationRunner(tmp_path, data, network, nn.Sigmoid(), pass_size=16, jit="off", seed=3)
    explainers = [by_brightness(LIME, network, 9), by_brightness(KernelSHAP, network, 10)]
    runner.register_saliency(explainers)
    runner.run()
    results, images = Results(tmp_path), np.stack([image for image, _ in scenes()])
    for explainer in explainers:
        for sample, label in results.questions[::5].tolist():
            alone = View(
                Network(network, 16, fill=True), images[[sample]], np.array([0]), np.array([label]),
                sample_ids=np.array([sample]), seed=3,
            )  # fmt: skip
            np.testing.assert_array_equal(results.map(explainer.name, sample, label), explainer.attribute(alone)[0])


@pytest.mark.slow
def test_a_config_names_them_and_their_options(repository, tmp_path, nearly_fewest):
    config = repository / "configs" / "quickstart.yaml"
    entries = [
        {"LIME": {"num_samples": 20, "segmentation_options": {"max_dist": 20}, "num_features": 8}},
        {"KernelSHAP": {"num_samples": 30, "segmentation_options": {"n_segments": 6}, "hide_color": 0.0}},
    ]
    overrides = {"summary_dir": str(tmp_path / "run"), "explainers": entries, "metrics": [], "data.options.count": 2}
    runner = build_runner(*load_config(config, overrides), Path(config).parent)
    costs = runner.run().costs
    nearly_fewest(costs, ragged=1)
    plan = Results(tmp_path / "run").plan["explainers"]
    assert plan["LIME"]["segmentation_options"] == {"max_dist": 20}
    assert plan["KernelSHAP"]["segmentation"] == "slic"
    entries[0]["LIME"]["segmentation_options"] = {"max_distance": 20}
    with pytest.raises(
        PlanError, match="segmentation quickshift has no option 'max_distance'; did you mean 'max_dist'"
    ):
        build_runner(*load_config(config, overrides), Path(config).parent)
