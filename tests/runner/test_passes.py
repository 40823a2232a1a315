"""The passes of a run are those that its registered methods need, and no more."""

from itertools import chain, combinations

import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import DeletionAUC, InsertionAUC, IoSR, NaiveFaithfulness, PointingGame
from explainrun.explainers import (
    Deconvolution,
    Explainer,
    GradCAM,
    Gradient,
    GuidedBackprop,
    InputXGradient,
    Network,
    View,
)
from explainrun.explainers.core.together import attribute_together
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.results.profile_table import profile_table
from explainrun.summary_format import Results

NAMES = ["zero", "one"]
EXPLAINERS = {
    "Gradient": Gradient,
    "InputXGradient": InputXGradient,
    "GradCAM": lambda network: GradCAM(network, "relu"),
    "GuidedBackprop": GuidedBackprop,
    "Deconvolution": Deconvolution,
}
RULES = {"Gradient": "differentiate", "InputXGradient": "differentiate", "GradCAM": "differentiate",
         "GuidedBackprop": "guided", "Deconvolution": "deconvolution"}  # fmt: skip
METRICS = {"I": InsertionAUC, "D": DeletionAUC, "N": NaiveFaithfulness}

# Eight pixels in four pieces. Insertion leaves 2, 4 or 6 pixels uncovered, deletion covers as many, and of the four
# pieces that NaiveFaithfulness covers alone the first is deletion's first image and the last is insertion's last.
COVERED = {"": 0, "I": 3, "D": 3, "N": 4, "ID": 6, "IN": 6, "DN": 6, "IDN": 8}


def subsets(names):
    return chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))


def scenes(count, seed=0):
    """Rows on TwoChannels' images: image, labels (padded), boxes in the right column."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        labels = np.array([[0, -1], [1, 0], [-1, 1], [7, 0]][i % 4], np.int32)
        yield rng.normal(size=(1, 2, 4)).astype(np.float32), labels, np.array([[3, 0, 1, 1], [2, 1, 2, 1]], np.int32)


def passes(images, size):
    return -(-images // size)


def fewest(images, size):
    """Passes that so many images of each kind fill, over the whole run."""
    return {kind: passes(count, size) for kind, count in images.items()}


def expected(results, explainers, metrics, size, samples, dropout):
    """Passes by hand, batch by batch of 4 passes of samples."""
    made = dict.fromkeys(("infer", "dropout", "perturb", *(RULES[name] for name in explainers)), 0)
    made["dropout trial"] = 3 if dropout else 0
    made["network probe"] = 2
    batch_of = results.questions[:, 0] // (4 * size)
    for batch in range(passes(samples, 4 * size)):
        there = min(4 * size, samples - batch * 4 * size)
        made["infer"] += passes(there, size)
        made["dropout"] += dropout * passes(there, size)  # TwoChannels asks for the rows before its dropout
        for rule in {RULES[name] for name in explainers}:
            made[rule] += passes(int((batch_of == batch).sum()), size)
        for name in explainers:
            maps = results.maps(name)[batch_of == batch].reshape(-1, 8)
            ranked = sum(len(set(map_)) > 1 for map_ in maps.tolist())
            made["perturb"] += passes(ranked * COVERED["".join(metrics)], size)
    return {kind: times for kind, times in made.items() if times} | (
        {"perturb": made["perturb"] + 1} if {"I", "D"} & set(metrics) else {}  # the baseline alone, once
    )


def marks(names, of):
    """None for each alone, all and none, which are the most telling; the others are long."""
    return () if len(names) in (0, 1, len(of)) else (pytest.mark.long,)


MIXES = [
    *(pytest.param(names, ("I",), 0, marks=marks(names, EXPLAINERS)) for names in subsets(EXPLAINERS) if names),
    *(
        pytest.param(("Gradient", "GuidedBackprop"), names, 0, marks=marks(names, METRICS))
        for names in subsets(METRICS)
    ),
    (tuple(EXPLAINERS), ("I",), 3),
]


@pytest.mark.parametrize(("explainers", "metrics", "dropout"), MIXES)
def test_passes_made_are_those_needed(two_channels, dataset, tmp_path, explainers, metrics, dropout):
    class Counting(two_channels):
        runs = 0

        def construct(self, x):
            Counting.runs += 1
            return super().construct(x)

    network = Counting()
    data = dataset(list(scenes(18)))
    runner = ImageClassificationRunner(tmp_path, (data, NAMES), network, nn.Sigmoid(), pass_size=4, jit="off")
    registered = [METRICS[name](2, nn.Sigmoid(), steps=4) for name in metrics]
    runner.register_saliency(
        [EXPLAINERS[name](network) for name in explainers], [*registered, PointingGame(2), IoSR(2)]
    )
    if dropout:
        runner.register_uncertainty(dropout)
    result = runner.run()
    hand = expected(Results(tmp_path), explainers, metrics, 4, 18, dropout)
    assert result.costs["made"] == hand
    assert result.costs["needed"] == fewest(result.costs["images"], 4)
    assert Counting.runs == sum(hand.values()) + bool(dropout)  # the trial that broke off


def test_metrics_of_one_kind_share_their_curve(two_channels, dataset, tmp_path):
    network = two_channels()
    runner = ImageClassificationRunner(tmp_path, (dataset(list(scenes(8))), NAMES), network, nn.Sigmoid(), jit="off")
    softmax = InsertionAUC(2, nn.Softmax(), steps=4, name="softmax")
    whole = InsertionAUC(2, nn.Sigmoid(), steps=4, normalized=True, name="normalized")
    other = InsertionAUC(2, nn.Sigmoid(), steps=4, baseline=1.0, name="other")
    runner.register_saliency([Gradient(network)], [InsertionAUC(2, nn.Sigmoid(), steps=4), softmax, whole, other])
    result = runner.run()
    ranked = result.scores.aggregate("Gradient", "InsertionAUC").count
    assert result.costs["images"]["perturb"] == 2 * (ranked * 3 + 1)  # two baselines
    values = result.scores.values
    assert np.nanmax(np.abs(np.subtract(values["Gradient", "InsertionAUC"], values["Gradient", "softmax"]))) > 0.01


class Probing(Explainer):
    """Asks the network itself: three images a question."""

    def attribute(self, view):
        logits = view.network.pooled_logits((image for image in view.asked_images for _ in range(3)), "probe")
        return np.broadcast_to(logits[::3, :1, None], (len(view.rows), *view.size)).astype(np.float32)

    def images_needed(self, images, questions, shape):
        return {"probe": 3 * questions}


def test_an_explainer_tells_the_passes_of_its_own(two_channels, dataset, tmp_path):
    network = two_channels()
    runner = ImageClassificationRunner(
        tmp_path, (dataset(list(scenes(21))), NAMES), network, nn.Sigmoid(), pass_size=4, jit="off"
    )
    runner.register_saliency([Probing(network), Gradient(network)])
    costs = runner.run().costs
    asked = len(Results(tmp_path).questions)
    assert costs["images"]["probe"] == 3 * asked
    assert costs["needed"] == fewest(costs["images"], 4)
    assert costs["made"]["probe"] >= costs["needed"]["probe"] == passes(3 * asked, 4)


def test_the_source_is_read_once(two_channels, tmp_path):
    reads = []

    def rows():
        for i, row in enumerate(scenes(10)):
            reads.append(i)
            yield row

    network = two_channels()
    data = ds.GeneratorDataset(rows, ["image", "labels", "bboxes"], shuffle=False, num_parallel_workers=1)
    runner = ImageClassificationRunner(tmp_path, (data, NAMES), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network), GradCAM(network, "relu")], [PointingGame(2)])
    runner.run()
    assert reads == list(range(10))


@pytest.mark.slow
@pytest.mark.parametrize("batch", [7, *(pytest.param(batch, marks=pytest.mark.long) for batch in (1, 32))])
def test_the_reading_batch_changes_nothing(two_channels, dataset, tmp_path, how_runs_differ, batch):
    network = two_channels()

    def run(data, folder):
        runner = ImageClassificationRunner(folder, (data, NAMES), network, nn.Sigmoid())
        metrics = [InsertionAUC(2, nn.Sigmoid(), steps=4), PointingGame(2, tolerance=1)]
        runner.register_saliency([InputXGradient(network), GradCAM(network, "conv")], metrics)
        return runner.run()

    one = run(dataset(list(scenes(70))), tmp_path / "one")
    batched = run(dataset(list(scenes(70))).batch(batch), tmp_path / "batched")
    assert one.samples == batched.samples == 70
    assert how_runs_differ(tmp_path / "one", tmp_path / "batched") == []  # maps and scores, bit by bit
    assert len(list((tmp_path / "one").rglob("*.png"))) == 2 * one.questions


def test_the_profile_tells_passes_and_seconds(two_channels, dataset, tmp_path):
    network = two_channels()
    runner = ImageClassificationRunner(tmp_path, (dataset(list(scenes(5))), NAMES), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network)], [InsertionAUC(2, nn.Sigmoid(), steps=4)])
    result = runner.run()
    lines = [line.split() for line in result.profile().splitlines()]
    assert ["passes", "made", "needed", "compiled", "images", "seconds"] in lines
    for kind in ("infer", "differentiate", "perturb"):
        line = next(line for line in lines if line and line[0] == kind)
        assert line[1:4] == [str(result.costs[what].get(kind, 0)) for what in ("made", "needed", "compiled")]
    shares = [float(line[-1].rstrip("%")) for line in lines if line and line[-1].endswith("%")]
    assert sum(shares) == pytest.approx(100, abs=len(shares))
    assert sum(result.costs["seconds"].values()) <= result.seconds


def test_of_runs_of_earlier_versions_compiled_passes_are_not_known():
    rows = [line.split() for line in profile_table({"made": {"infer": 3}, "needed": {"infer": 3}}).splitlines()]
    assert rows[2][:4] == ["infer", "3", "3", "-"]


def test_derivatives_are_held_for_one_pass_only(two_channels):
    network = Network(two_channels(), pass_size=4)
    held = []

    class Looks(Gradient):
        def attribute(self, view):
            held.append(len(view.derivatives().input_gradient))
            return super().attribute(view)

    images = np.random.default_rng(0).normal(size=(10, 1, 2, 4)).astype(np.float32)
    explainer = Looks(network.cell)
    view = View(network, images, np.arange(10), np.arange(10) % 2, needs=explainer.needs)
    maps, errors = attribute_together([explainer], view)
    assert (held, errors) == ([4, 4, 2], {})
    np.testing.assert_array_equal(maps["Looks"].maps, np.abs(view.derivatives().input_gradient).max(axis=1))
