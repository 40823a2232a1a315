"""Runs of the explainers that differentiate in passes of their own: what they cost, kills, shards, growth."""

from collections import Counter

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import PointingGame
from explainrun.explainers import (
    AugmentedCAM,
    EigenGradCAM,
    ExtremalPerturbation,
    FinerCAM,
    GradCAM,
    MeaningfulPerturbation,
    ScoreCAM,
    ShapleyCAM,
)
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.batches import part_sizes
from explainrun.runner.batches.part_sizes import cut
from explainrun.summary_format import Results, find_runs, merge

STEPS, AREAS, SAMPLES, SIZE = 3, (0.2, 0.4), 10, 2
CAMS = {
    "EigenGradCAM": lambda network: EigenGradCAM(network, "relu"),
    "FinerCAM": lambda network: FinerCAM(network, "relu"),
    "ShapleyCAM": lambda network: ShapleyCAM(network, "relu"),
    "AugmentedCAM": lambda network: AugmentedCAM(GradCAM(network, "relu")),
    "AugmentedScoreCAM": lambda network: AugmentedCAM(ScoreCAM(network, "relu"), name="AugmentedScoreCAM"),
}
MASKS = {
    "ExtremalPerturbation": lambda network: ExtremalPerturbation(network, AREAS, STEPS),
    "MeaningfulPerturbation": lambda network: MeaningfulPerturbation(network, STEPS, "sigmoid"),
}
EVERYTHING = {**CAMS, **MASKS}


@pytest.fixture
def runner(two_channels, dataset, scenes, tmp_path):
    class Counting(two_channels):
        runs = 0

        def __call__(self, *inputs):
            Counting.runs += 1
            return super().__call__(*inputs)

    network = Counting()

    def make(folder="run", names=tuple(EVERYTHING), **options):
        settings = {"pass_size": SIZE, "jit": "off", **options}
        data = dataset(list(scenes(SAMPLES))), ["zero", "one"]
        made = ImageClassificationRunner(tmp_path / folder, data, network, nn.Sigmoid(), **settings)
        made.register_saliency([EVERYTHING[name](network) for name in names], [PointingGame(2, tolerance=1)])
        made.counting = Counting
        return made

    return make


def passes(images):
    return -(-images // SIZE)


def masks_together(masks):
    """The passes of masks that take their steps together."""
    return max(STEPS, passes(masks * STEPS))


def by_hand(asked):
    """Passes of a run, by kind, from the number of questions of each sample; batches hold 8 samples."""
    made = Counter({"infer": passes(8) + passes(2), "network probe": 4, "layer check": 1})
    made["graph trial"] = 2  # of ShapleyCAM, whose passes are graphs whatever jit says
    for batch in (asked[:8], asked[8:]):
        questions, pictures = sum(batch), sum(1 for one in batch if one)
        made["differentiate"] += 2 * passes(questions)  # of EigenGradCAM, and of the difference that FinerCAM explains
        made["differentiate"] += passes(6 * questions)  # of AugmentedCAM
        made["activate"] += passes(pictures)  # of ShapleyCAM, and of the other AugmentedCAM
        made["activate"] += passes(6 * pictures)
        made["second order"] += passes(questions)
        made["score"] += passes(6 * 2 * pictures)
        made["disc"] += passes(35 * pictures)
        made["optimize"] += masks_together(len(AREAS) * questions) + masks_together(questions)
    return dict(made)


def test_passes_made_are_those_worked_out_by_hand(runner, tmp_path):
    made = runner()
    result = made.run()
    asked = np.bincount(Results(tmp_path / "run").questions[:, 0], minlength=SAMPLES).tolist()
    assert result.costs["made"] == by_hand(asked)
    assert result.costs["needed"] == {kind: passes(images) for kind, images in result.costs["images"].items()}
    assert made.counting.runs == sum(result.costs["made"].values()) - sum(result.costs["compiled"].values())
    assert all(result.scores.aggregate(name, "PointingGame").count for name in EVERYTHING)


@pytest.mark.parametrize(
    "names", [tuple(MASKS), pytest.param(tuple(CAMS), marks=pytest.mark.slow)], ids=lambda names: names[0]
)
def test_in_parts_and_killed_it_ends_as_if_it_had_not_been(runner, kill, tmp_path, how_runs_differ, monkeypatch, names):
    whole = runner("whole", names).run()
    monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", 4)
    kill(lambda: runner("run", names).run(), 0, 6)
    [made] = find_runs(tmp_path / "run")
    assert names != tuple(MASKS) or list(made.parts.glob("*/*"))
    result = runner("run", names).run()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    again = "graph trial"  # which every start makes
    needed, once = ({**one.costs["needed"], again: 0} for one in (result, whole))
    assert needed == once


@pytest.mark.long
def test_shards_are_the_whole_run(runner, tmp_path, how_runs_differ):
    runner("whole").run()
    for number in (1, 2, 3):
        runner("parts/{shard}").run(shard=(number, 3))
    merge(tmp_path / "merged", sorted((tmp_path / "parts").iterdir()))
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []


@pytest.mark.long
def test_a_run_grows_by_them(runner, tmp_path, how_runs_differ):
    runner("run", ("EigenGradCAM",)).run(limit=5)
    runner("run").run()
    runner("whole").run()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []


def test_passes_of_masks_are_full_in_parts_too(runner, tmp_path, monkeypatch):
    """However few passes a part shall take, it holds the samples of a pass."""
    monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", 1)
    result = runner(names=("ExtremalPerturbation",), pass_size=4).run()
    questions = len(Results(tmp_path / "run").questions)
    full = questions * len(AREAS) * STEPS / 4
    assert result.costs["images"]["optimize"] == questions * len(AREAS) * STEPS
    assert result.costs["made"]["optimize"] <= full + STEPS * 2


@pytest.mark.parametrize("least", [1, 3, 4])
def test_parts_hold_the_least(least, monkeypatch):
    """Also where fewer samples would fill their passes better."""
    monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", 2)
    images = [{"optimize": 7}, *[{"optimize": 8}] * 8]
    parts = cut(images, 8, least)
    assert [first for first, _ in parts[1:]] == [last for _, last in parts[:-1]]
    assert all(last - first >= least for first, last in parts[:-1])
