"""Runs that keep the curves of metrics: in parts, in shards, killed and grown as whole, and runs that keep none."""

import json

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from mindspore import nn

from explainrun.benchmarks import (
    AIC,
    IROF,
    ROAD,
    SIC,
    SRG,
    DeletionAUC,
    Faithfulness,
    InsertionAUC,
    IoSR,
    ModelParameterRandomization,
    SensitivityN,
)
from explainrun.explainers import Gradient, InputXGradient
from explainrun.runner import ImageClassificationRunner, compare
from explainrun.runner.batches import part_sizes
from explainrun.runner.cli.main import main
from explainrun.summary_format import Results, find_runs, inspect_run, merge
from explainrun.summary_format.archive.parts import Parts

SIGMOID = nn.Sigmoid()


def columns(picture):
    """As many superpixels as the image's brightest pixel says: curves of images have other lengths."""
    height, width = picture.shape[:2]
    cut = 3 - int(picture.argmax()) % 3
    return np.arange(width)[None] // cut + np.zeros((height, 1), int)


def metrics_with(**curves):
    """Metrics of curves, kept as ``curves`` says by name, and one that has none."""
    return [
        InsertionAUC(2, SIGMOID, steps=4, **of("InsertionAUC", curves)),
        IROF(2, SIGMOID, segmentation=columns, **of("IROF", curves)),
        SRG(2, SIGMOID, steps=3, **of("SRG", curves)),
        IoSR(2),
    ]


def of(name, curves):
    return {"curves": curves[name]} if name in curves else {}


KEPT = {"InsertionAUC": True, "IROF": True, "SRG": True}


@pytest.fixture
def run(two_channels, dataset, scenes, tmp_path, monkeypatch):
    network = two_channels()

    def run_with(folder="run", kept=KEPT, passes=10**6, metrics=None, **options):
        monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", passes)
        data = dataset(list(scenes(19))), ["zero", "one"]
        runner = ImageClassificationRunner(tmp_path / folder, data, network, SIGMOID, pass_size=2, jit="off")
        runner.register_saliency(
            [Gradient(network), InputXGradient(network)], metrics_with(**kept) if metrics is None else metrics
        )
        return runner.run(**options)

    return run_with


def datasets(folder):
    found = {}
    with h5py.File(find_runs(folder)[-1].archive) as file:
        version = int(file.attrs["schema_version"])
        file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    plan = json.loads(found.pop("plan"))
    return found, {key: value for key, value in plan.items() if key != "summary_dir"}, version


@pytest.mark.slow
def test_runs_that_keep_none_are_as_before(run, tmp_path):
    run("run")
    run("without", kept={})
    run("off", kept=dict.fromkeys(KEPT, False))
    (kept, plan, version), (without, plain, before) = datasets(tmp_path / "run"), datasets(tmp_path / "without")
    for found in (kept, without):
        found.pop("costs")
    assert {name for name in kept if "/curves/" not in name} == without.keys()
    for name, values in without.items():
        assert values.tobytes() == kept[name].tobytes(), name
    assert version == before == 3
    assert plan.pop("curves") == {"InsertionAUC": ["insertion"], "IROF": ["morf"], "SRG": ["lerf", "morf"]}
    assert plan == plain == datasets(tmp_path / "off")[1]
    assert not any("curves" in str(part) for part in (plain, *without))
    [row] = compare(tmp_path / "without", tmp_path / "run", explainers=["Gradient"], metrics=["SRG"]).changes
    assert (row.change, row.lost) == (0.0, 0)
    with pytest.raises(ValueError, match="no curves of 'SRG'"):
        Results(tmp_path / "without").curves("Gradient", "SRG")


def area(across, heights):
    inside = np.isfinite(across)
    return np.trapezoid(heights[inside], across[inside]) if hasattr(np, "trapezoid") else np.trapz(
        heights[inside], across[inside]
    )  # fmt: skip


def test_scores_are_made_of_the_curves_that_are_kept(run, tmp_path):
    run()
    results = Results(tmp_path / "run")
    insertion = results.curves("Gradient", "InsertionAUC")["insertion"]
    assert insertion.shape == (len(results.questions), 2, 5)
    np.testing.assert_array_equal(insertion[0, 0], [0, 0.25, 0.5, 0.75, 1])
    found = [area(*curve) for curve in insertion]
    np.testing.assert_allclose(found, results.scores("Gradient", "InsertionAUC"), atol=1e-12)
    both = results.curves("Gradient", "SRG")
    found = [area(*first) - area(*second) for first, second in zip(both["lerf"], both["morf"], strict=True)]
    np.testing.assert_allclose(found, results.scores("Gradient", "SRG"), atol=1e-12)
    irof = results.curves("InputXGradient", "IROF")["morf"]
    assert len(set(np.isfinite(irof[:, 0]).sum(axis=1).tolist())) > 1  # of several lengths
    found = [1 - area(*curve) / curve[1, 0] if np.isfinite(curve).any() else np.nan for curve in irof]
    np.testing.assert_allclose(found, results.scores("InputXGradient", "IROF"), atol=1e-12)


@pytest.mark.long
def test_every_kind_is_kept(run, tmp_path):
    kinds = [
        DeletionAUC(2, SIGMOID, curves=True),
        ROAD(2, SIGMOID, order="combined", curves=True),
        SIC(2, SIGMOID, curves=True),
        AIC(2, SIGMOID, curves=True),
        SensitivityN(2, SIGMOID, sizes=[2, 5], samples=3, curves=True),
        ModelParameterRandomization(curves=True),
        Faithfulness(2, SIGMOID, "InsertionAUC", curves=True),
    ]
    whole = run("whole", metrics=kinds)
    parts = run("parts", metrics=kinds, passes=5)
    assert whole.plan["curves"]["ROAD"] == ["morf", "lerf"]
    assert list(whole.plan["curves"]) == [kind.name for kind in kinds]
    for metric in whole.plan["curves"]:
        for name, found in Results(tmp_path / "parts").curves("Gradient", metric).items():
            np.testing.assert_array_equal(found, Results(tmp_path / "whole").curves("Gradient", metric)[name])
    assert parts.costs["needed"] == whole.costs["needed"]


@pytest.mark.slow
def test_in_parts_and_shards_as_whole(run, tmp_path, how_runs_differ):
    run("whole")
    run("parts", passes=5)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "parts") == []
    shards = [run(f"shard {number}", shard=(number, 3)).summary_dir for number in (3, 1, 2)]
    merge(tmp_path / "merged", shards)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []


@pytest.mark.parametrize(
    "commits", [2, pytest.param(4, marks=pytest.mark.long), pytest.param(7, marks=pytest.mark.long)]
)
def test_killed_between_parts_as_whole(run, kill, tmp_path, how_runs_differ, commits):
    run("whole")
    kill(lambda: run(passes=5), 0, commits)
    [begun] = find_runs(tmp_path / "run")
    assert commits < 4 or any(part.what == "scores" for part in Parts(begun).all())
    run(passes=5)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []


def test_an_unfinished_run_has_those_of_whole_batches(run, kill, tmp_path):
    run("whole")
    kill(run, 1, 1)
    begun, whole = Results(tmp_path / "run"), Results(tmp_path / "whole")
    asked = len(begun.questions)
    assert 0 < asked < len(whole.questions)
    for metric in KEPT:
        for name, found in begun.curves("Gradient", metric).items():
            expected = whole.curves("Gradient", metric)[name][:asked, :, : found.shape[2]]
            np.testing.assert_array_equal(found, expected)


def made(result):
    return {kind: times for kind, times in result.costs["images"].items() if kind != "network probe"}


def hidden(folder):
    return [str(one.surplus) for one in inspect_run(folder).hidden]


def test_wanted_later_they_are_made_with_the_scores_and_maps_are_taken(run, tmp_path, how_runs_differ):
    run("whole")
    before = run(kept={"IROF": True})
    result = run()
    assert {kind for kind, times in made(result).items() if times > made(before).get(kind, 0)} == {"perturb"}
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    assert run().finished_before


@pytest.mark.slow
def test_no_longer_wanted_they_are_hidden_and_come_back_without_passes(run, tmp_path, how_runs_differ):
    run("whole")
    run("irof", kept={"IROF": True})
    before = run()
    narrow = run(kept={"IROF": True})
    assert made(narrow) == made(before)
    assert hidden(tmp_path / "run") == ["the curves of InsertionAUC, SRG"]
    assert not [one for one in how_runs_differ(tmp_path / "irof", tmp_path / "run") if "earlier" not in one]
    assert made(run()) == made(before)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []


@pytest.mark.slow
def test_grown_by_samples_and_back_as_at_once(run, tmp_path, how_runs_differ):
    run("whole")
    run(limit=3)
    run()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    widths = set()
    for limit in (2, 5, 11):  # fewer samples, whose longest curve may be shorter
        run(f"limit {limit}", limit=limit)
        run(limit=limit)
        apart = how_runs_differ(tmp_path / f"limit {limit}", tmp_path / "run")
        assert not [one for one in apart if "earlier" not in one], limit
        widths.add(Results(tmp_path / "run").curves("Gradient", "IROF")["morf"].shape[2])
    assert len(widths) > 1


@pytest.mark.long
def test_shards_grow_by_curves_and_merge_again(run, tmp_path, how_runs_differ):
    run("whole")
    for kept in ({}, KEPT):
        shards = [run(f"shard {number}", kept=kept, shard=(number, 2)).summary_dir for number in (1, 2)]
        merge(tmp_path / "merged", shards)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []


@pytest.mark.long
def test_growing_can_be_killed(run, kill, tmp_path, how_runs_differ):
    run("whole")
    run(kept={})
    kill(lambda: run(passes=5), 1, 3)
    run(passes=5)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []


def test_inspected(run, tmp_path):
    run()
    results = Results(tmp_path / "run")
    width = results.curves("Gradient", "IROF")["morf"].shape[2]
    points = len(results.questions) * 2 * (5 + 2 * 4 + width)  # of two explainers
    assert results.curve_bytes == inspect_run(tmp_path / "run").curve_bytes == points * 16
    printed = CliRunner().invoke(main, ["inspect", str(tmp_path / "run"), "--json"])
    assert json.loads(printed.stdout)["curve_bytes"] == points * 16
    words = " ".join(CliRunner().invoke(main, ["inspect", str(tmp_path / "run")]).stdout.split())
    assert "curves InsertionAUC (insertion); IROF (morf); SRG (lerf, morf): " in words
