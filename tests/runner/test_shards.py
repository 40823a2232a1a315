"""A run split into shards and merged is the run that was never split."""

import json
import os
import re
import shutil
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from click.testing import CliRunner
from mindspore import nn

from explainrun.benchmarks import ClassSensitivity, InsertionAUC, PointingGame, Robustness
from explainrun.explainers import RISE, GradCAM, Gradient
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.cli.main import main
from explainrun.runner.plan.sharding import Shard
from explainrun.summary_format import BrokenRecordError, FolderLock, MergeError, Results, find_runs, merge

SAMPLES = 7


def rows():
    """Scenes of one label or two, one without any, one with a label that is no class."""
    rng = np.random.default_rng(3)
    for i in range(SAMPLES):
        labels = np.array([[0, -1], [1, 0], [-1, -1], [7, 0]][i % 4], np.int32)
        yield rng.normal(size=(1, 2, 4)).astype(np.float32), labels, np.array([[3, 0, 1, 1], [2, 1, 2, 1]], np.int32)


def runners_in(root, network, dataset, *, everything=False):
    """Makes runners of one plan: of everything, with dropout, own passes, and metrics that make maps again, or less."""

    def make(folder, given=None, seed=0, **options):
        data = dataset(list(rows()) if given is None else given)
        options = {"pass_size": 2, "jit": "off", **options}
        made = ImageClassificationRunner(
            root / folder, (data, ["zero", "one"]), network, nn.Sigmoid(), seed=seed, **options
        )
        explainers = [Gradient(network), GradCAM(network, "relu")]
        metrics = [InsertionAUC(2, nn.Sigmoid(), steps=2), PointingGame(2, tolerance=1)]
        if everything:
            explainers.append(RISE(network, nn.Sigmoid(), num_masks=8, grid=2))
            metrics += [Robustness(2, nn.Sigmoid(), samples=2), ClassSensitivity()]
            made.register_uncertainty(3)
        made.register_saliency(explainers, metrics)
        return made

    return make


@pytest.fixture
def runner(two_channels, dataset, tmp_path):
    return runners_in(tmp_path, two_channels(), dataset)


@pytest.fixture
def runner_of_everything(two_channels, dataset, tmp_path):
    return runners_in(tmp_path, two_channels(), dataset, everything=True)


@pytest.fixture(scope="module")
def finished(two_channels, dataset, tmp_path_factory):
    """The whole run and three shards of it, which each test gets copies of."""
    folder = tmp_path_factory.mktemp("finished")
    make = runners_in(folder, two_channels(), dataset)
    make("whole").run()
    for number in (1, 2, 3):
        make("parts/{shard}").run(shard=(number, 3))
    return folder


@pytest.fixture
def whole(finished, tmp_path):
    return shutil.copytree(finished / "whole", tmp_path / "whole")


@pytest.fixture
def parts(finished, tmp_path):
    return sorted(shutil.copytree(finished / "parts", tmp_path / "parts").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "count",
    [
        *(1, 2),
        *(pytest.param(count, marks=pytest.mark.long) for count in (3, SAMPLES)),
        pytest.param(SAMPLES + 2, marks=pytest.mark.slow),
    ],
)
def test_merged_is_as_never_split(runner_of_everything, tmp_path, how_runs_differ, count):
    runner, whole = runner_of_everything, tmp_path / "whole"
    runner("whole").run()
    order = np.random.default_rng(count).permutation(count) + 1
    results = [runner("parts/{shard}").run(shard=(int(number), count)) for number in order]
    assert sum(result.samples for result in results) == SAMPLES
    merge(tmp_path / "merged", [result.summary_dir for result in results])
    assert how_runs_differ(whole, tmp_path / "merged") == []
    merged = Results(tmp_path / "merged")
    assert merged.plan == {**Results(whole).plan, "summary_dir": str(tmp_path / "merged")}
    assert merged.costs["images"]["infer"] == SAMPLES
    assert merged.costs["seconds"].keys() >= {"maps"}


@pytest.mark.slow
def test_a_shard_killed_and_gone_on_with(runner_of_everything, kill, tmp_path, how_runs_differ, raising):
    runner, whole = runner_of_everything, tmp_path / "whole"
    runner("whole").run()
    first = runner("{shard}").run(shard="1/2").summary_dir
    kill(lambda: runner("{shard}").run(shard="2/2"), 0, 2)
    second = tmp_path / "shard-2-of-2"
    with raising(MergeError, "shard-unfinished", folder=str(second), advice="run it again to resume") as refused:
        merge(tmp_path / "merged", [first, second])
    assert refused.value.waiting
    assert not (tmp_path / "merged").exists()
    runner("{shard}").run(shard="2/2")
    merge(tmp_path / "merged", [second, first])
    assert how_runs_differ(whole, tmp_path / "merged") == []


def test_the_limit_counts_before_the_split(runner):
    assert [runner("{shard}").run(limit=4, shard=(number, 3)).samples for number in (1, 2, 3)] == [2, 1, 1]


@pytest.mark.parametrize("count", [pytest.param(4, marks=pytest.mark.slow), pytest.param(9, marks=pytest.mark.long)])
def test_compiled_alike_whatever_samples_a_shard_has(runner_of_everything, tmp_path, how_runs_differ, count):
    """Shards try the compiled forward on the dataset's first pass, not on their own samples.

    Of four shards one has samples without labels alone, and one has a single sample.
    """
    runner = runner_of_everything
    runner("whole", jit="auto").run()
    for number in range(1, count + 1):
        runner("parts/{shard}", jit="auto").run(shard=(number, count))
    merge(tmp_path / "merged", sorted((tmp_path / "parts").iterdir()))
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []


def test_a_shard_whose_own_labels_are_no_classes(runner):
    """What all first samples have is a mistake; what those of one shard have need not be."""
    given = [(image, np.int32([label, -1]), boxes) for (image, _, boxes), label in zip(rows(), [0, 7], strict=False)]
    assert runner("{shard}", given=given).run(shard=(2, 2)).labels_out_of_range == 1


@pytest.mark.parametrize("jit", ["off", "auto"])
def test_shards_make_no_pass_that_they_do_not_need(runner, jit):
    for number in (2, 9):  # the last one has no sample
        costs = runner("{shard}", jit=jit).run(shard=(number, 9)).costs
        assert costs["made"] == costs["needed"]
        assert costs["made"].get("place trial") == (1 if number == 2 else None)


class Placed(nn.Cell):
    """Logits that rise with an image's place in its pass, by so much."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def construct(self, x):
        places = ms.Tensor(np.arange(x.shape[0], dtype=np.float32)[:, None] * self.step)
        return x.reshape(x.shape[0], -1)[:, :2] + places


@pytest.mark.parametrize("step", [0.0, 1e-6])
def test_networks_that_look_at_places_are_told(dataset, tmp_path, caplog, step):
    network = Placed(step)
    data = (dataset(list(rows())), ["zero", "one"])
    runner = ImageClassificationRunner(tmp_path / "{shard}", data, network, nn.Sigmoid(), pass_size=4, jit="off")
    runner.register_saliency([Gradient(network)])
    runner.run(shard=(1, 2))
    assert ("from place to place in passes of 4" in caplog.text) == (step > 0)


def test_another_shard_in_the_same_folder_is_refused(runner, raising):
    runner("one").run(shard=(1, 2))
    with raising(
        PlanError,
        "folder-holds-other-plan",
        differences=re.compile(r"shard was \[1, 2\], is \[2, 2\]"),
        advice=re.compile(r"\{shard\}"),
    ):
        runner("one").run(shard=(2, 2))
    with raising(PlanError, "folder-holds-other-plan", differences=re.compile("shard was"), advice=""):
        runner("one").run()


def test_the_place_of_a_shard_needs_one(runner, raising):
    with raising(PlanError, "shard-not-given", place="{shard}"):
        runner("{shard}").run()


def test_missing_and_doubled_ones_are_refused(parts, tmp_path, raising):
    with raising(MergeError, "shards-missing", count=3, numbers=[2]) as refused:
        merge(tmp_path / "merged", [parts[0], parts[2]])
    assert refused.value.waiting
    shutil.copytree(parts[0], tmp_path / "again")
    with raising(
        MergeError, "shard-repeated", number=1, times=2, folders=[str(parts[0]), str(tmp_path / "again")]
    ) as refused:
        merge(tmp_path / "merged", [*parts, tmp_path / "again"])
    assert not refused.value.waiting
    with raising(MergeError, "no-shards"):
        merge(tmp_path / "merged", [])
    assert not (tmp_path / "merged").exists()


def test_of_many_missing_ones_the_first_are_named(runner, tmp_path, raising):
    only = runner("{shard}").run(shard=(2, 30)).summary_dir
    with raising(MergeError, "shards-missing", count=30, numbers=[1, *range(3, 22)], more=", ..."):
        merge(tmp_path / "merged", [only])


def test_other_plans_are_refused_all_at_once(runner, parts, whole, tmp_path, raising):
    seeded = runner("seeded", seed=4).run(shard=(2, 3)).summary_dir
    quarter = runner("quarter").run(shard=(3, 4)).summary_dir
    (tmp_path / "empty").mkdir()  # as of a shard that is just beginning
    with pytest.raises(MergeError) as refused:
        merge(tmp_path / "merged", [parts[0], seeded, quarter, whole, tmp_path / "empty"])
    folders = {name: str(tmp_path / name) for name in ("seeded", "quarter", "whole", "empty")}
    not_one, seed, split, *_ = refused.value.problems
    assert (not_one.code, not_one.values) == ("not-a-shard", {"folder": folders["whole"]})
    assert (seed.code, seed.values["folder"]) == ("shards-of-two-plans", folders["seeded"])
    assert "seed was 0, is 4" in seed.values["differences"]
    assert (split.code, split.values["folder"]) == ("shards-of-two-plans", folders["quarter"])
    assert "one of 3 shards there, one of 4 here" in split.values["differences"]
    assert ("shard-not-begun", {"folder": folders["empty"]}) in [
        (one.code, one.values) for one in refused.value.problems
    ]
    with raising(MergeError, "shard-not-begun", folder=folders["empty"]) as refused:
        merge(tmp_path / "merged", [*parts, tmp_path / "empty"])
    assert refused.value.waiting


def test_damage_is_told(parts, tmp_path, raising):
    archive = find_runs(parts[1])[0].archive
    archive.chmod(0o600)
    content = bytearray(archive.read_bytes())
    content[-9] ^= 1
    archive.write_bytes(content)
    with raising(MergeError, "shard-unreadable", error="BrokenRecordError", said=re.compile("checksum")):
        merge(tmp_path / "merged", parts)


@pytest.mark.parametrize("left", [None, b""])
def test_lost_pictures_are_told_before_anything_is_written(parts, tmp_path, left, raising):
    picture = sorted(parts[2].rglob("*.png"))[-1]
    picture.unlink()
    if left is not None:
        picture.write_bytes(left)
    with raising(
        MergeError, "shard-pictures-lost", folder=str(parts[2]), count=1, picture=re.compile(picture.name)
    ) as refused:
        merge(tmp_path / "merged", parts)
    assert not refused.value.waiting
    assert not (tmp_path / "merged").exists()


def test_all_that_is_wrong_is_told_at_once(runner, kill, parts, tmp_path, raising):
    kill(lambda: runner("half/{shard}").run(shard="2/3"), 0, 2)
    half = tmp_path / "half" / "shard-2-of-3"
    with pytest.raises(MergeError) as refused:
        merge(tmp_path / "merged", [parts[0], parts[0], half])
    assert refused.value.codes == ("shard-repeated", "shard-unfinished", "shards-missing")
    repeated, unfinished, missing = refused.value.problems
    assert repeated.values == {"number": 1, "times": 2, "folders": [str(parts[0])] * 2}
    assert unfinished.values == {"folder": str(half), "advice": "run it again to resume"}
    assert missing.values["numbers"] == [3]
    advice = re.compile(rf"process {os.getpid()} on ")
    with FolderLock(half), raising(MergeError, "shard-unfinished", folder=str(half), advice=advice) as refused:
        merge(tmp_path / "merged", [parts[0], parts[2], half])
    assert refused.value.waiting


def test_shards_of_two_splits_are_not_doubled(runner, parts, tmp_path):
    other = runner("{shard}").run(shard=(1, 12)).summary_dir
    with pytest.raises(MergeError) as refused:
        merge(tmp_path / "merged", [*parts, other])
    [problem] = refused.value.problems
    assert problem.code == "shards-of-two-plans"
    assert "it is one of 3 shards there, one of 12 here" in problem.values["differences"]


def test_data_folders_are_as_good(parts, tmp_path):
    assert merge(tmp_path / "merged", [find_runs(part)[0].data for part in parts]).finished


def test_the_command_takes_the_shards_in_its_folder(parts, tmp_path):
    def command(*arguments):
        found = CliRunner().invoke(main, ["merge", *map(str, arguments)])
        return found.exit_code, (found.stdout + found.stderr).splitlines()

    job = tmp_path / "parts"
    assert command(tmp_path / "none")[0] == 2
    (tmp_path / "begins").mkdir()
    assert command(tmp_path / "begins")[0] == 3
    assert command(job, parts[0], parts[1]) == (3, ["explainrun: shards missing, of 3: 3"])
    assert command(job, parts[0], tmp_path / "later")[0] == 3
    assert command(job, *parts, parts[0])[0] == 2
    code, lines = command(job)
    assert (code, lines[-1], lines[0].split()[0]) == (0, "merged", "explainer")
    code, lines = command(job)
    assert (code, lines[-1]) == (0, "merged before, nothing was done")
    for part in parts:
        shutil.rmtree(part)
    assert command(job)[0] == 0
    assert Results(job).map("GradCAM", 0, 0).shape == (2, 4)


def test_a_merge_that_was_damaged_since(parts, tmp_path):
    """Running it again would not help."""
    merged = tmp_path / "merged"
    merge(merged, parts)
    archive = find_runs(merged)[-1].archive
    archive.write_bytes(archive.read_bytes()[:-40])
    done = CliRunner().invoke(main, ["merge", str(merged), *map(str, parts)])
    assert done.exit_code == 2
    assert done.stderr.endswith("; merge again with --overwrite\n")
    assert CliRunner().invoke(main, ["merge", str(merged), *map(str, parts), "--overwrite"]).exit_code == 0


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(5, "Input/output error"), 3, "cannot be read: [Errno 5] Input/output error; run the same again"),
        (
            BrokenRecordError(Path("results.h5"), 0, 0, "it is cut short"),
            2,
            "it is cut short; merge again with --overwrite",
        ),
    ],
)
def test_what_is_merged_and_cannot_be_read_again(parts, tmp_path, monkeypatch, error, code, words):
    def unread(*_):
        raise error

    monkeypatch.setattr("explainrun.runner.execution.run_result.RunResult.of", unread)
    done = CliRunner().invoke(main, ["merge", str(tmp_path / "merged"), *map(str, parts)])
    assert done.exit_code == code
    assert f"explainrun: {tmp_path / 'merged'} is merged, but " in done.stderr
    assert words in done.stderr


def test_datasets_of_different_length_are_refused(runner, parts, tmp_path, raising):
    """A dataset whose length nobody knows before it is read may change without a change of plan."""
    grown = runner("grown", given=[*rows(), *rows()]).run(shard=(2, 3)).summary_dir
    state = find_runs(grown)[0].data / "plan.json"
    assert json.loads(state.read_text())["state"]["plan"]["samples"] == 2 * SAMPLES
    with raising(MergeError, "shards-of-two-plans", differences="samples was 7, is 14"):
        merge(tmp_path / "merged", [parts[0], grown, parts[2]])


def test_shards_of_a_shuffled_dataset_are_refused(runner, parts, tmp_path, raising):
    turned = runner("turned", given=[*rows()][::-1]).run(shard=(2, 3)).summary_dir
    with raising(MergeError, "shards-of-two-datasets", folder=str(turned), first=str(parts[0])):
        merge(tmp_path / "merged", [parts[0], turned, parts[2]])


def test_merged_again_does_nothing_and_other_runs_stay(runner, parts, tmp_path, raising):
    merge(tmp_path / "merged", parts)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "merged").rglob("*")}
    merge(tmp_path / "merged", parts)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "merged").rglob("*")} == before
    seeded = [runner("seeded/{shard}", seed=4).run(shard=(number, 2)).summary_dir for number in (1, 2)]
    with raising(MergeError, "out-holds-other-run", differences="seed was 0, is 4"):
        merge(tmp_path / "merged", seeded)
    assert Results(tmp_path / "merged").plan["seed"] == 0
    merge(tmp_path / "merged", seeded, overwrite=True)
    [run] = find_runs(tmp_path / "merged")
    assert Results(run.archive).plan["seed"] == 4


def test_other_data_of_the_same_plan_is_refused(runner, parts, tmp_path, raising):
    merge(tmp_path / "merged", parts)
    other = [(image + 1, *rest) for image, *rest in rows()]
    others = [runner("other/{shard}", given=other).run(shard=(number, 2)).summary_dir for number in (1, 2)]
    with raising(MergeError, "out-holds-other-data", folder=str(tmp_path / "merged"), shard=str(others[0])):
        merge(tmp_path / "merged", others)


def test_an_unfinished_run_is_no_place_to_merge_to(runner, kill, parts, tmp_path, raising):
    kill(runner("run").run, 0, 2)
    with raising(MergeError, "out-holds-unfinished-run", folder=str(tmp_path / "run")):
        merge(tmp_path / "run", parts)
    assert not Results(tmp_path / "run").finished


def test_shards_stay_as_they_are(parts, tmp_path):
    before = {path: (path.stat().st_size, path.stat().st_mtime_ns) for part in parts for path in part.rglob("*")}
    merge(tmp_path / "merged", parts)
    assert {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in before} == before


def test_copies_where_there_are_no_links(parts, whole, tmp_path, monkeypatch, how_runs_differ):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    merge(tmp_path / "merged", parts)
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "merged").rglob("*.png"))
    assert how_runs_differ(whole, tmp_path / "merged") == []


@pytest.mark.parametrize("metrics", [[], [InsertionAUC(2, nn.Sigmoid(), steps=2), PointingGame(2)]])
def test_samples_without_any_question(linear, dataset, tmp_path, how_runs_differ, metrics):
    """Neither a label nor a prediction: the maps and scores of a batch are of no question at all."""
    network = linear(np.zeros((2, 8)), bias=-4.0)
    unlabelled = [(image, np.int32([-1, -1]), boxes) for image, _, boxes in rows()]

    def make(folder):
        made = ImageClassificationRunner(
            tmp_path / folder, (dataset(unlabelled), ["zero", "one"]), network, nn.Sigmoid(), jit="off"
        )
        made.register_saliency([Gradient(network)], metrics)
        return made

    make("whole").run()
    shards = [make("parts/{shard}").run(shard=(number, 2)).summary_dir for number in (1, 2)]
    assert len(merge(tmp_path / "merged", shards).questions) == 0
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []


@pytest.fixture
def merge_killed(parts, tmp_path, monkeypatch):
    """Ends a merge just before its archive is written."""

    def killed(**options):
        with monkeypatch.context() as patch:
            patch.setattr("explainrun.summary_format.shards.merge.finish", _killed)
            with pytest.raises(KeyboardInterrupt):
                merge(tmp_path / "merged", parts, **options)

    return killed


def _killed(*_):
    raise KeyboardInterrupt


def test_a_run_goes_on_where_a_merge_was_killed(
    runner, merge_killed, kill, parts, whole, tmp_path, how_runs_differ, raising
):
    merge_killed()
    kill(runner("merged").run, 0, 2)
    with raising(MergeError, "out-holds-unfinished-run", folder=str(tmp_path / "merged")):
        merge(tmp_path / "merged", parts)
    assert find_runs(tmp_path / "merged")[0].segments.exists()
    runner("merged").run()
    assert how_runs_differ(whole, tmp_path / "merged") == []


def test_a_killed_merge_over_a_finished_one_leaves_nothing(merge_killed, parts, tmp_path):
    merge(tmp_path / "merged", parts)
    merge_killed(overwrite=True)
    merge(tmp_path / "merged", parts)
    assert [run.finished for run in find_runs(tmp_path / "merged")] == [True]


def test_a_shard_is_no_place_to_merge_to(parts, raising):
    with raising(MergeError, "out-is-a-shard", folder=str(parts[0])):
        merge(parts[0], parts, overwrite=True)
    assert Results(parts[0]).plan["shard"] == [1, 3]


def test_batches_of_a_merge_join_seamlessly(parts, whole, tmp_path, monkeypatch, how_runs_differ):
    monkeypatch.setattr("explainrun.summary_format.shards.sharded_batches._SAMPLES_A_BATCH", 2)
    merge(tmp_path / "merged", parts)
    assert how_runs_differ(whole, tmp_path / "merged") == []


def test_a_dataset_of_unknown_length_that_grew_is_refused(runner, tmp_path, monkeypatch, raising):
    monkeypatch.setattr("explainrun.runner.plan.plan.sample_count", lambda *_: None)
    short = runner("{shard}").run(shard=(1, 2)).summary_dir
    grown = runner("{shard}", given=[*rows(), *rows()]).run(shard=(2, 2)).summary_dir
    with raising(MergeError, "shards-of-other-lengths", folder=str(short), samples=4, total=11, due=6):
        merge(tmp_path / "merged", [short, grown])


def test_a_shard_of_other_samples_is_refused(runner, tmp_path, monkeypatch, raising):
    first = runner("{shard}").run(shard=(1, 2)).summary_dir
    monkeypatch.setattr(Shard, "owns", lambda _, sample_id: sample_id < SAMPLES // 2)
    second = runner("{shard}").run(shard=(2, 2)).summary_dir
    with raising(MergeError, "shard-samples-of-another", folder=str(second), number=2, count=2):
        merge(tmp_path / "merged", [first, second])


def test_all_shards_try_compiling_on_the_same_images_and_alike(runner, tmp_path, monkeypatch, raising):
    tried = []

    def refuse_the_second(_plan, _network, images, _problems):
        tried.append(images)
        return len(tried) < 2

    monkeypatch.setattr("explainrun.runner.execution.preflight._compiled", refuse_the_second)
    shards = [runner("{shard}").run(shard=(number, 2)).summary_dir for number in (1, 2)]
    np.testing.assert_array_equal(tried[0], np.stack([image for image, *_ in rows()][:2]))
    np.testing.assert_array_equal(tried[0], tried[1])
    with raising(
        MergeError,
        "shards-tried-apart",
        mode=re.compile("'compiled': False"),
        first_mode=re.compile("'compiled': True"),
    ):
        merge(tmp_path / "merged", shards)
