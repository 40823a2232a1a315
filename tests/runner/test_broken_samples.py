"""A bad picture, line or row is named with its file and why; skip_broken leaves it out without hiding that."""

import json
import re

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from mindspore import nn, ops
from PIL import Image

from explainrun.benchmarks import PointingGame
from explainrun.explainers import Gradient
from explainrun.runner import ImageClassificationRunner, PlanError, SampleError
from explainrun.runner.cli.main import main
from explainrun.runner.data.file_datasets import csv_dataset, hdf5_dataset
from explainrun.runner.data.samples import read_samples
from explainrun.summary_format import Results, find_runs, merge
from explainrun.summary_format.inspection.committed_work import NotComputed

NAMES = ["zero", "one"]
NET = """
from mindspore import nn

def make():
    return nn.SequentialCell(nn.Flatten(), nn.Dense(8, 2))
"""


def damaged(content, how):
    return {"cut": content[:-30], "empty": b"", "text": b"a letter"}[how]


@pytest.fixture
def listing(tmp_path):
    """Six grey pictures of 2 x 4 pixels with boxes, those given damaged."""

    def make(broken):
        lines = ["image,label,x,y,width,height"]
        for number in range(6):
            path = tmp_path / f"{number}.png"
            pixels = np.random.default_rng(number).integers(0, 256, (2, 4), np.uint8)
            Image.fromarray(pixels).save(path)
            if number in broken:
                path.write_bytes(damaged(path.read_bytes(), broken[number]))
            lines.append(f"{number}.png,{NAMES[number % 2]},1,0,2,1")
        (tmp_path / "list.csv").write_text("\n".join(lines))
        return csv_dataset(tmp_path / "list.csv", NAMES, channels=1)

    return make


@pytest.fixture
def make_run(two_channels, tmp_path):
    def make(data, folder="run", **options):
        network = two_channels()
        options = {"pass_size": 1, "jit": "off", **options}
        made = ImageClassificationRunner(tmp_path / folder, (data, NAMES), network, nn.Sigmoid(), **options)
        made.register_saliency([Gradient(network)], [PointingGame(2, tolerance=1)])
        return made

    return make


@pytest.mark.parametrize(
    ("how", "said"),
    [("cut", "cannot be read: .*trunc"), ("empty", "is empty"), ("text", "is not a picture")],
)
def test_a_damaged_picture_is_named_with_its_line(listing, tmp_path, raising, how, said):
    pattern = re.compile(f"^{re.escape(str(tmp_path / '3.png'))} {said}")
    with raising(
        SampleError, "sample-broken", where=f"{tmp_path / 'list.csv'} line 5", sample=3, said=pattern
    ) as caught:
        list(read_samples(listing({3: how}), 2))
    assert caught.value.exit_code == 2
    assert "skip_broken" in str(caught.value)


def test_it_is_named_in_a_pipeline_of_the_users_on_it(listing, tmp_path, raising):
    steps = listing({3: "text"}).batch(2).map(lambda image: image, ["image"])
    with raising(SampleError, "row-broken", where=f"{tmp_path / 'list.csv'} line 5", said=re.compile("3.png is not a")):
        list(read_samples(steps, 2))


def corrupt(path, row):
    """Three images, each a compressed chunk, the bytes of one of which are overwritten."""
    with h5py.File(path, "w") as file:
        images = np.random.default_rng(0).random((4, 1, 2, 4)).astype(np.float32)
        data = file.create_dataset("images", data=images, chunks=(1, 1, 2, 4), compression="gzip")
        chunk = data.id.get_chunk_info(row)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * chunk.size)


def test_a_damaged_row_of_hdf5_is_named(tmp_path, raising):
    corrupt(tmp_path / "a.h5", 2)
    with raising(SampleError, "sample-broken", where=f"{tmp_path / 'a.h5'} row 2", sample=2, said=re.compile("filter")):
        list(read_samples(hdf5_dataset(tmp_path / "a.h5"), 2))
    kept = list(read_samples(hdf5_dataset(tmp_path / "a.h5"), 2, tolerant=True))
    assert [sample.broken is None for sample in kept] == [True, True, False, True]


def test_a_row_of_nan_is_named_with_its_file(tmp_path, raising):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = np.float32([0, np.nan]).repeat(8).reshape(2, 1, 2, 4)
    with raising(SampleError, "sample-not-finite", where=f"{tmp_path / 'a.h5'} row 1", sample=1):
        list(read_samples(hdf5_dataset(tmp_path / "a.h5"), 2))


def test_a_picture_of_another_size_is_named_with_its_line(listing, make_run, tmp_path, raising):
    data = listing({})
    Image.new("L", (3, 2)).save(tmp_path / "4.png")
    with raising(SampleError, "sample-of-other-size", where=f"{tmp_path / 'list.csv'} line 6", sample=4):
        make_run(data).run()


def test_a_broken_sample_is_left_out_and_named(listing, make_run, tmp_path, caplog):
    whole = make_run(listing({}), "whole").run()
    result = make_run(listing({0: "cut", 4: "text"}), skip_broken=True, strict=True).run()
    assert list(result.skipped) == [0, 4]
    assert f"{tmp_path / 'list.csv'} line 6: sample 4: {tmp_path / '4.png'} is not a picture" in result.skipped[4]
    assert "2 broken samples left out" in result.summary_line()
    assert result.not_computed == {}
    assert [record.message for record in caplog.records if "left out" in record.message] == [
        f"left out: {why}" for why in result.skipped.values()
    ]
    ours, theirs = (Results(find_runs(one.summary_dir)[0].archive) for one in (result, whole))
    assert ours.plan["skipped"] == {str(sample): why for sample, why in result.skipped.items()}
    others = ~np.isin(theirs.questions[:, 0], [0, 4])
    np.testing.assert_array_equal(ours.questions, theirs.questions[others])
    np.testing.assert_array_equal(ours.probabilities[[1, 2, 3, 5]], theirs.probabilities[[1, 2, 3, 5]])
    np.testing.assert_array_equal(
        ours.scores("Gradient", "PointingGame"), theirs.scores("Gradient", "PointingGame")[others]
    )
    again = make_run(listing({0: "cut", 4: "text"}), skip_broken=True, strict=True).run()
    assert (again.finished_before, again.skipped) == (True, result.skipped)


class Failing(nn.Cell):
    """Gives no numbers for a dark image, of three levels."""

    def construct(self, x):
        level = x.mean((1, 2, 3))
        return ops.stack([level, level * 0], 1) / (level > 0.1).astype(x.dtype)[:, None]


def test_inspect_counts_them_apart(dataset, tmp_path):
    images = [np.full((1, 2, 4), value, np.float32) for value in (0.3, np.inf, 0.0, np.nan, 0.5)]
    rows = [(image, np.int32([0])) for image in images]
    network = Failing()
    runner = ImageClassificationRunner(
        tmp_path, (dataset(rows), NAMES), network, nn.Sigmoid(), pass_size=1, jit="off", skip_broken=True
    )
    runner.register_saliency([Gradient(network)])
    runner.run()
    done = CliRunner().invoke(main, ["inspect", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output  # the event file holds as many samples as it should
    told = json.loads(done.stdout)["not_computed"]
    assert (told["broken"], told["outputs"], told["unlabelled"]) == (2, 1, 0)
    shown = " ".join(CliRunner().invoke(main, ["inspect", str(tmp_path)]).stdout.split())
    assert "2 broken samples left out; 1 sample without numbers from the network" in shown


def test_of_an_unfinished_run_they_are_known_by_their_digest(listing):
    digests = np.array([sample.digest for sample in read_samples(listing({0: "cut", 4: "text"}), 2, tolerant=True)])
    lacking = NotComputed()
    lacking.count_samples(
        np.array([False, True, True, False, False, True]), digests, np.array([[1, 0], [5, 0]]), np.zeros(6, int)
    )
    assert (lacking.broken, lacking.outputs, lacking.unlabelled) == (2, 1, 1)


@pytest.mark.parametrize("broken", [{0: "cut", 3: "empty"}, {0: "text", 1: "text", 2: "text"}])
def test_shards_leave_out_the_same(listing, make_run, tmp_path, broken):
    whole = make_run(listing(broken), "whole", skip_broken=True).run()
    shards = [make_run(listing(broken), "shard-{shard}", skip_broken=True).run(shard=(number, 2)) for number in (1, 2)]
    assert sorted(sample for shard in shards for sample in shard.skipped) == list(whole.skipped)
    merged = merge(tmp_path / "merged", [shard.summary_dir for shard in shards])
    theirs = Results(find_runs(whole.summary_dir)[0].archive)
    assert merged.plan["skipped"] == theirs.plan["skipped"]
    np.testing.assert_array_equal(merged.questions, theirs.questions)
    np.testing.assert_array_equal(merged.scores("Gradient", "PointingGame"), theirs.scores("Gradient", "PointingGame"))


def test_a_run_that_ended_at_a_broken_sample_goes_on_without_it(listing, make_run, raising):
    with raising(SampleError, "sample-broken", sample=5):
        make_run(listing({5: "cut"})).run()
    result = make_run(listing({5: "cut"}), skip_broken=True).run()
    assert list(result.skipped) == [5]
    assert result.samples == 6


def test_a_dataset_of_broken_samples_alone_is_refused(listing, make_run, raising):
    with raising(PlanError, "samples-all-broken", samples=6):
        make_run(listing(dict.fromkeys(range(6), "text")), skip_broken=True).run()


def test_samples_of_the_users_dataset_that_do_not_fit_are_left_out_too(dataset, make_run):
    images = [np.full((1, 2, 4), value, np.float32) for value in (0.1, np.inf, 0.3)]
    rows = [(image, np.int32([0]), np.int32([[1, 0, 2, 1]])) for image in images]
    result = make_run(dataset(rows), skip_broken=True).run()
    assert result.skipped == {1: "sample 1: the image holds NaN or infinity"}


def test_the_command_names_it_and_ends_with_2(listing, tmp_path, repository):
    listing({2: "cut"})
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "run.yaml").write_text(
        "summary_dir: x\nnetwork: {factory: 'net.py:make'}\nactivation: softmax\nclass_names: [zero, one]\n"
        "data: {csv: list.csv, channels: 1}\nexplainers: [Gradient]\n"
    )
    command = ["run", str(tmp_path / "run.yaml"), "--summary-dir", str(tmp_path / "out")]
    ended = CliRunner().invoke(main, command)
    assert ended.exit_code == 2
    assert f"{tmp_path / 'list.csv'} line 4: sample 2: {tmp_path / '2.png'} cannot be read" in ended.output
    ended = CliRunner().invoke(main, [*command, "--set", "skip_broken=true"])
    assert ended.exit_code == 0
    assert "1 broken sample left out" in ended.output
    shown = CliRunner().invoke(main, ["inspect", str(tmp_path / "out")]).output
    assert "not computed  1 broken sample left out\n" in shown
