"""Runs with every faithfulness metric: in parts and shards as whole, with the passes that they need."""

from inspect import signature

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import METRICS
from explainrun.explainers import Gradient, InputXGradient
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.batches import part_sizes
from explainrun.summary_format import Results, merge

NAMES = [name for name in METRICS if ".faithfulness." in METRICS[name].__module__]
SIGMOID = nn.Sigmoid()


def columns(picture):
    """As many superpixels as the image's brightest pixel says: what they are depends on the image."""
    height, width = picture.shape[:2]
    cut = 1 + int(picture.argmax()) % 3
    return np.arange(width)[None] // cut + np.zeros((height, 1), int)


OPTIONS = {"steps": 3, "samples": 3, "patch_size": 2, "removal": "mean", "groups": "superpixels",
           "segmentation": columns}  # fmt: skip


def metric(name, sizes):
    """A metric of superpixels, by the mean and with few samples, where it takes such options."""
    parameters = signature(METRICS[name]).parameters
    options = {key: value for key, value in OPTIONS.items() if key in parameters}
    options |= {"sizes": sizes} if "sizes" in parameters else {}
    return METRICS[name](2, *([SIGMOID] if "activation_fn" in parameters else []), **options)


@pytest.fixture
def run(two_channels, dataset, scenes, tmp_path, monkeypatch):
    network = two_channels()

    def run_with(folder, passes=10**6, names=NAMES, sizes=(2, 5), **options):
        monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", passes)
        data = dataset(list(scenes(9))), ["zero", "one"]
        runner = ImageClassificationRunner(tmp_path / folder, data, network, SIGMOID, pass_size=2, jit="off")
        runner.register_saliency(
            [Gradient(network), InputXGradient(network)], [metric(name, sizes=list(sizes)) for name in names]
        )
        return runner.run(**options)

    return run_with


def test_all_are_there():
    assert len(NAMES) == 19


@pytest.mark.long
def test_in_parts_and_shards_as_whole(run, tmp_path, how_runs_differ):
    whole, parts = run("whole"), run("parts", passes=30)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "parts") == []
    shards = [run(f"shard {number}", shard=(number, 2)).summary_dir for number in (1, 2)]
    merge(tmp_path / "merged", shards)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []
    for name in NAMES:
        if name not in ("AIC", "SIC"):  # of eight pixels few files differ
            assert whole.scores.aggregate("Gradient", name).count > 0
    for result in (whole, parts):
        for kind, needed in result.costs["needed"].items():
            assert -(-result.costs["images"].get(kind, 0) // 2) == needed or kind not in ("perturb", "noise")
    assert parts.costs["images"]["perturb"] == whole.costs["images"]["perturb"]


def test_images_that_metrics_cannot_change_are_refused_before_anything_is_written(run, tmp_path, raising):
    with raising(PlanError, "subset-too-large", given=9, where="SensitivityN"):
        run("refused", names=["SensitivityN"], sizes=[2, 9])
    assert not (tmp_path / "refused").exists()


def test_explainers_share_copies_and_metrics_share_curves(run, tmp_path):
    alone = {name: run(name, names=[name]).costs["images"] for name in ("SensitivityN", "Infidelity", "SRG", "IROF")}
    results = Results(tmp_path / "SensitivityN")
    asked = len(set(results.questions[:, 0].tolist()))
    assert alone["SensitivityN"]["perturb"] == asked * 2 * 3  # two sizes, three draws, once for two explainers
    assert alone["Infidelity"]["perturb"] == asked * 3
    both = run("both", names=["SRG", "PixelFlipping"]).costs["images"]
    assert both["perturb"] == alone["SRG"]["perturb"]
