"""Which labels are explained, in scripts and configs, shards and records."""

import logging

import numpy as np
import pytest
from click.testing import CliRunner
from mindspore import nn

from explainrun.explainers import Gradient
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.cli.main import main
from explainrun.summary_format import Results, find_runs, merge, read_summary

LOGITS = np.array([[0.2, -1.0, 3.0, 1.0], [2.0, 2.0, -1.0, 2.0], [-1.0, -2.0, -3.0, -0.5]], np.float32)
TRUTH = [[0], [1, 3], [2]]


@pytest.fixture
def asked(linear, dataset, tmp_path):
    """Runs on images of which pixel k alone decides on class k."""
    weights = np.eye(4, 8, dtype=np.float32).reshape(4, 1, 2, 4)
    rows = [
        (np.pad(logits, (0, 4)).reshape(1, 2, 4), np.array(truth + [-1] * (2 - len(truth)), np.int32))
        for logits, truth in zip(LOGITS, TRUTH, strict=True)
    ]

    def run(folder, labels=None, shard=None):
        network = linear(weights)
        options = {} if labels is None else {"labels": labels}
        data = (dataset(rows), ["ant", "bee", "cat", "dog"])
        runner = ImageClassificationRunner(tmp_path / folder, data, network, nn.Sigmoid(), jit="off", **options)
        runner.register_saliency([Gradient(network)])
        runner.run(shard=shard)
        return tmp_path / folder

    return run


@pytest.mark.parametrize(
    ("labels", "questions"),
    [
        (None, [(0, 0), (0, 2), (0, 3), (1, 0), (1, 1), (1, 3), (2, 2)]),
        ("truth and confident", [(0, 0), (0, 2), (0, 3), (1, 0), (1, 1), (1, 3), (2, 2)]),
        ("truth", [(0, 0), (1, 1), (1, 3), (2, 2)]),
        ("predicted", [(0, 2), (1, 0), (2, 3)]),
        ("top-1", [(0, 2), (1, 0), (2, 3)]),
        ("top-2", [(0, 2), (0, 3), (1, 0), (1, 1), (2, 0), (2, 3)]),
        ("top-4", [(sample, label) for sample in range(3) for label in range(4)]),
        (["dog", "ant", "dog"], [(sample, label) for sample in range(3) for label in (0, 3)]),
        (np.array([3]), [(sample, 3) for sample in range(3)]),
        ((np.int64(1), "ant"), [(sample, label) for sample in range(3) for label in (0, 1)]),
    ],
)
def test_what_is_asked(asked, labels, questions):
    """Class 0 of sample 0 has a probability of 0.55; of equal ones the first counts."""
    results = Results(find_runs(asked("run", labels))[0].archive)
    wanted = [pair for pair in questions if labels is not None or pair in questions]
    assert sorted(map(tuple, results.questions.tolist())) == wanted


def test_the_records_have_a_map_of_each_question(asked):
    """As predictions, since the viewer shows maps of true and predicted labels alone; a true one stays as it was."""
    samples = dict(enumerate(read_summary(asked("run", ["dog", "cat"])).samples.values()))
    assert {key: [one.label for one in sample.predicted] for key, sample in samples.items()} == {
        0: [0, 2, 3],
        1: [0, 1, 2, 3],
        2: [3],
    }
    assert [one.label for one in samples[2].truth] == [2]
    assert {key: [one.label for one in sample.heatmaps] for key, sample in samples.items()} == {
        key: [2, 3] for key in samples
    }


def test_shards_and_resuming_ask_the_same(asked, tmp_path, how_runs_differ):
    whole = asked("whole", "top-2")
    parts = [asked("{shard}", "top-2", f"{number}/2") and tmp_path / f"shard-{number}-of-2" for number in (1, 2)]
    merge(tmp_path / "merged", parts)
    assert how_runs_differ(whole, tmp_path / "merged") == []


def test_other_questions_are_another_plan(asked, raising):
    from explainrun.runner import PlanError  # noqa: PLC0415

    asked("run", "truth")
    with raising(PlanError, "folder-holds-other-plan"):
        asked("run", "top-2")


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        ("top-0", "labels-unknown"),
        ("top-5", "labels-too-many"),
        ("confident", "labels-unknown"),
        ([], "labels-unknown"),
        ([True], "labels-unknown"),
        (3, "labels-unknown"),
        (["cow"], "class-unknown"),
        ([4], "class-out-of-range"),
        ([-1], "class-unknown"),
        (["²"], "class-unknown"),
    ],
)
def test_what_cannot_be_asked(asked, labels, code, raising):
    with raising(ValueError, code):
        asked("run", labels)


@pytest.mark.slow
def test_in_a_config(repository, tmp_path):
    def run(labels):
        given = [f"labels={labels}", "explainers=[Gradient]", "metrics=[]"]
        line = ["run", str(repository / "configs" / "quickstart.yaml"), "--limit", "3", "--summary-dir", str(tmp_path)]
        return CliRunner().invoke(main, [*line, *(word for one in given for word in ("--set", one))])

    done = run("top-2")
    assert done.exit_code == 0, done.stderr
    assert len(Results(find_runs(tmp_path)[0].archive).questions) == 6
    done = run("[cow]")
    assert (done.exit_code, "'cow'" in done.stderr) == (2, True)


@pytest.fixture
def named(linear, dataset, tmp_path):
    def make(names, **options):
        network = linear(np.ones((len(LOGITS[0]), 1, 2, 4)))
        rows = [(np.zeros((1, 2, 4), np.float32), np.array([0], np.int32))]
        runner = ImageClassificationRunner(tmp_path / "run", (dataset(rows), names), network, nn.Softmax(), **options)
        runner.register_saliency([Gradient(network)])
        return runner

    return make


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b", "c", "d"],
        np.array(["a", "b", "c", "d"]),
        [*map(np.str_, "abcd")],
        {3: "d", 0: "a", 2: "c", 1: "b"},
        {np.int64(place): np.str_(name) for place, name in enumerate("abcd")},
    ],
)
def test_class_names_as_users_have_them(named, names, tmp_path):
    """To the end: names of NumPy once failed after all passes."""
    named(names).run()
    results = Results(find_runs(tmp_path / "run")[0].archive)
    assert list(results.class_names) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        ({0: "a", 2: "b"}, ValueError, "every index from 0 to 1"),
        ({"0": "a", "1": "b"}, ValueError, "every index from 0 to 1"),
        ({0: "a", 1.5: "b"}, ValueError, "every index from 0 to 1"),
        (["a", 7], TypeError, "must be a text"),
        (np.array([1, 2]), TypeError, "must be a text"),
        ("abcd", TypeError, "must be a list, array or dictionary"),
        ({"a", "b"}, TypeError, "must be a list, array or dictionary"),
    ],
)
def test_class_names_that_are_none(named, names, error, words):
    with pytest.raises(error, match=words):
        named(names)


def test_a_name_that_stands_twice_gets_its_index(named, caplog, tmp_path, raising):
    """As "crane" and "maillot" do in ImageNet's own list."""
    with caplog.at_level(logging.WARNING, "explainrun"):
        runner = named(["crane", "a", "crane", "b"], labels=["crane (2)"])
    (line,) = caplog.messages
    assert "crane (0), crane (2)" in line
    runner.run()
    results = Results(find_runs(tmp_path / "run")[0].archive)
    assert (list(results.class_names), results.questions.tolist()) == (["crane (0)", "a", "crane (2)", "b"], [[0, 2]])
    with raising(ValueError, "class-ambiguous", name="crane"):
        named(["crane", "a", "crane", "b"], labels=["crane"])


def test_names_are_the_same_however_letters_are_composed(named):
    runner = named(["Caf\u00e9", "na\u0131ve", "c", "d"], labels=["Cafe\u0301"])
    assert runner.plan().options.labels == [0]


def test_names_that_differ_only_in_how_letters_are_composed_are_two_classes(named, raising):
    """Each form means its own class; a third form could mean either."""
    composed, apart = "\u1e9b\u0323", "\u017f\u0323\u0307"  # one letter, all of whose forms become one
    names = [composed, apart, "c", "d"]
    assert [named(names, labels=[name]).plan().options.labels for name in (composed, apart)] == [[0], [1]]
    with raising(ValueError, "class-ambiguous", several=[composed, apart]):
        named(names, labels=["\u017f\u0307\u0323"])


def test_in_a_csv_both_forms_of_a_repeated_name(tmp_path):
    from PIL import Image  # noqa: PLC0415

    from explainrun.runner.data.class_names import class_names_from  # noqa: PLC0415
    from explainrun.runner.data.file_datasets import csv_dataset  # noqa: PLC0415

    Image.new("L", (3, 2)).save(tmp_path / "a.png")
    names, path = class_names_from(["crane", "a", "crane"]), tmp_path / "list.csv"
    for label, index in (("crane (2)", 2), ("crane (0)", 0), ("2", 2)):
        path.write_text(f"image,label\na.png,{label}\n")
        assert next(iter(csv_dataset(path, names, channels=1)))[1].tolist() == [index]
    path.write_text("image,label\na.png,crane\n")
    with pytest.raises(ValueError, match=r"line 2.*crane \(0\).*crane \(2\)"):
        csv_dataset(path, names, channels=1)
