"""Runs that measure how many images a pass shall hold: once, before anything else, and never again in their folder."""

import numpy as np
import pytest
from click.testing import CliRunner
from mindspore import nn

from explainrun.explainers import GradCAM, Gradient
from explainrun.explainers.core.measured_size import SIZE_TRIAL, Measurement
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.cli.main import main
from explainrun.summary_format import Results, find_runs

SECONDS = {16: 1.6, 8: 0.4, 32: 3.2}  # of a pass: images of 100, 50 and 100 ms


@pytest.fixture
def seconds(monkeypatch):
    """How long passes take, in place of a clock; gives the sizes that were measured."""
    sizes = []

    def timed(self, network, images):
        network.logits(images, SIZE_TRIAL)
        sizes.append(network.pass_size)
        return SECONDS[network.pass_size]

    monkeypatch.setattr(Measurement, "_timed", timed)
    return sizes


@pytest.fixture
def runner(two_channels, dataset, scenes, tmp_path):
    """Makes runners of one plan on 40 samples: of pass size 8, batches of 32 and of 8."""
    network = two_channels()

    def make(folder="run", rows=None, **options):
        data = dataset(list(scenes(40)) if rows is None else rows), ["zero", "one"]
        options = {"pass_size": "auto", "jit": "off", **options}
        made = ImageClassificationRunner(tmp_path / folder, data, network, nn.Sigmoid(), **options)
        made.register_saliency([Gradient(network), GradCAM(network, "relu")])
        return made

    return make


def test_it_is_fixed_in_the_plan_and_measured_passes_are_needed(runner, seconds, caplog, tmp_path):
    caplog.set_level("INFO", "explainrun")
    result = runner().run()
    assert seconds == [16] * 3 + [16, 8] * 3 + [16, 32] * 3
    assert (result.plan["pass_size"], result.plan["measured_pass_size"]) == (8, True)
    assert result.costs["made"][SIZE_TRIAL] == result.costs["needed"][SIZE_TRIAL] == 1 + 3 * 4 + 2 * 3
    assert result.costs["made"] == result.costs["needed"]
    assert result.costs["made"]["infer"] == 40 / 8
    assert "measuring pass sizes" in result.costs["seconds"]
    [line] = [record.message for record in caplog.records if "as measured" in record.message]
    assert line.startswith("pass_size 8, as measured: an image takes 100 ms in passes of 16, 50 ms in passes of 8")
    given = runner("given", pass_size=8).run()
    assert (given.plan["pass_size"], given.plan["measured_pass_size"]) == (8, False)
    assert SIZE_TRIAL not in given.costs["made"]
    found, expected = Results(tmp_path / "run"), Results(tmp_path / "given")
    for name in expected.explainers:
        for question in expected.questions.tolist():
            np.testing.assert_array_equal(found.map(name, *question), expected.map(name, *question))


@pytest.mark.slow
def test_a_later_start_takes_it_from_the_folder(runner, seconds, kill, tmp_path, how_runs_differ, caplog, raising):
    runner("whole").run()
    kill(runner().run, 1, 1)
    assert find_runs(tmp_path / "run")[-1].state()["plan"]["pass_size"] == 8
    seconds.clear()
    caplog.set_level("INFO", "explainrun")
    runner().run()
    assert "pass_size 8, as when the run began" in caplog.text
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    assert runner().run().finished_before
    assert runner(pass_size=8).run().finished_before  # the number is all that counts
    assert runner("whole").run(resume=False).finished_before
    with raising(PlanError, "folder-holds-other-plan", differences="pass_size was 8, is 16"):
        runner(pass_size=16).run()
    assert seconds == []
    runner().run(overwrite=True)
    assert seconds


def test_a_run_whose_number_was_given_keeps_it(runner, seconds):
    runner(pass_size=4).run()
    result = runner().run()
    assert (result.finished_before, result.plan["pass_size"], seconds) == (True, 4, [])


@pytest.mark.parametrize("what", ["a shard", "another mistake", "a broken sample"])
def test_nothing_is_measured_where_the_plan_is_refused(runner, seconds, scenes, raising, what):
    made, shard, code = runner(), None, "names-alike"
    if what == "a shard":
        shard, code = (1, 2), "pass-size-of-shards"
    elif what == "another mistake":
        made._class_names, code = ("zero", " "), "name-blank"
    else:
        rows = [(image[:, :1] if at == 1 else image, labels) for at, (image, labels, _) in enumerate(scenes(4))]
        made, code = runner(rows=rows), "sample-of-other-size"
    with raising(PlanError, code):
        made.run(shard=shard)
    assert seconds == []


def test_a_network_that_refuses_the_images_says_so_as_always(two_channels, dataset, tmp_path, raising):
    rows = [(np.zeros((3, 2, 4), np.float32), np.int32(0))] * 3
    network = two_channels()
    made = ImageClassificationRunner(tmp_path, (dataset(rows), ["a", "b"]), network, nn.Sigmoid(), pass_size="auto")
    made.register_saliency([Gradient(network)])
    with raising(PlanError, "network-refuses-images", shape=(3, 2, 4)):
        made.run()


def test_samples_left_out_are_not_measured_with(runner, seconds, scenes):
    rows = [(np.full_like(image, np.nan) if at == 0 else image, *more) for at, (image, *more) in enumerate(scenes(20))]
    result = runner(rows=rows, skip_broken=True).run()
    assert (list(result.skipped), result.plan["pass_size"]) == ([0], 8)


@pytest.mark.slow
def test_the_command_takes_it(seconds, repository, tmp_path):
    config = repository / "configs" / "quickstart.yaml"
    given = ["--summary-dir", str(tmp_path), "--limit", "2", "--set", "pass_size=auto", "--set", "jit=off"]
    given += ["--set", "explainers=[GradCAM]", "--set", "metrics=[]"]
    found = CliRunner().invoke(main, ["run", str(config), *given])
    assert found.exit_code == 0, found.output
    plan = Results(tmp_path).plan
    assert plan["measured_pass_size"]
    assert plan["pass_size"] in (8, 16)  # by whether an image's place counts in passes of 8, as on some processors
    shown = CliRunner().invoke(main, ["inspect", str(tmp_path)])
    assert "size trial" in shown.output
