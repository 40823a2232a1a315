"""What a runner and a config take as data beside MindSpore datasets, CSV and HDF5."""

import io
import re

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore import Tensor, nn
from mindspore.mindrecord import FileWriter
from PIL import Image

from explainrun.benchmarks import PointingGame
from explainrun.explainers import Gradient
from explainrun.runner import ImageClassificationRunner, PlanError, SampleError
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config
from explainrun.runner.data.file_datasets import folder_dataset, mindrecord_dataset, npz_dataset
from explainrun.runner.data.given import checked_data
from explainrun.runner.data.samples import read_samples, sample_count
from explainrun.summary_format import Results, find_runs

dataloader = pytest.importorskip("mindspore.dataset.dataloader", reason="MindSpore has it from 2.8 on")

NAMES = ["zero", "one"]
IMAGES = np.random.default_rng(0).normal(size=(5, 1, 2, 4)).astype(np.float32)
LABELS = np.int32([0, 1, 1, 0, 1])
BOXES = np.int32([[[1, 0, 2, 1]]] * 5)


class Pairs(dataloader.Dataset):
    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, index):
        return IMAGES[index], LABELS[index]


class Stream(dataloader.IterableDataset):
    def __iter__(self):
        return iter(zip(IMAGES, LABELS, strict=True))


def named(batch):
    return {"pixels": np.stack([image for image, _ in batch]), "class": np.array([label for _, label in batch])}


LOADERS = {
    "one by one": lambda: dataloader.DataLoader(Pairs(), batch_size=None),
    "batches": lambda: dataloader.DataLoader(Pairs(), batch_size=2),
    "a stream": lambda: dataloader.DataLoader(Stream(), batch_size=3),
    "mappings": lambda: dataloader.DataLoader(Pairs(), batch_size=2, collate_fn=named),
    "arrays": lambda: (IMAGES, LABELS),
    "tensors": lambda: (Tensor(IMAGES), Tensor(LABELS)),
    "columns of labels": lambda: [IMAGES, LABELS[:, None]],
    "one-hot rows": lambda: (IMAGES, np.eye(2, dtype=np.float32)[LABELS]),
    "one-hot doubles": lambda: (IMAGES, np.eye(2)[LABELS]),
}


@pytest.fixture
def make_run(two_channels, tmp_path):
    def make(data, folder="run", **options):
        network = two_channels()
        made = ImageClassificationRunner(tmp_path / folder, (data, NAMES), network, nn.Sigmoid(), jit="off", **options)
        made.register_saliency([Gradient(network)])
        return made

    return make


def results_of(run):
    return Results(find_runs(run.summary_dir)[0].archive)


@pytest.fixture
def by_dataset(make_run):
    return results_of(make_run(ds.NumpySlicesDataset((IMAGES, LABELS), ["a", "b"], shuffle=False), "whole").run())


@pytest.mark.parametrize("name", LOADERS)
def test_the_same_as_of_a_mindspore_dataset(make_run, by_dataset, name):
    result = make_run(LOADERS[name](), pass_size=2).run()
    assert result.samples == 5
    found = results_of(result)
    np.testing.assert_array_equal(found.digests == by_dataset.digests, LABELS.dtype == np.int32)
    np.testing.assert_array_equal(found.questions, by_dataset.questions)
    np.testing.assert_array_equal(found.truth, by_dataset.truth)
    np.testing.assert_allclose(found.probabilities, by_dataset.probabilities, rtol=1e-6)


def test_shards_and_a_second_start_of_a_loader(make_run, by_dataset):
    loader = LOADERS["batches"]()
    shards = [make_run(loader, "s-{shard}").run(shard=(number, 2)) for number in (1, 2)]
    assert [results_of(shard).samples.tolist() for shard in shards] == [[0, 2, 4], [1, 3]]
    assert make_run(loader, "s-{shard}").run(shard=(1, 2)).finished_before


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: dataloader.DataLoader(Pairs(), batch_size=2), 5),
        (lambda: dataloader.DataLoader(Pairs(), batch_size=2, drop_last=True), 4),
        (lambda: dataloader.DataLoader(Pairs(), batch_size=None), 5),
        (lambda: dataloader.DataLoader(Pairs(), batch_sampler=[[0, 3], [1]]), None),
        (lambda: dataloader.DataLoader(Pairs(), batch_size=2, sampler=[4, 1, 2]), 3),
        (lambda: dataloader.DataLoader(Stream(), batch_size=2), None),
    ],
)
def test_a_loader_says_how_many_samples_it_has_where_it_knows(make, count):
    data = checked_data(make())
    assert sample_count(data, None) == count
    assert data.get_col_names() == ["image", "labels"]
    read = len(list(read_samples(data, 2)))
    assert read == len(list(read_samples(data, 2)))
    assert count in (None, read)


def test_a_loader_that_shuffles_is_refused(make_run, raising):
    for options in ({"batch_size": 2}, {"batch_size": None}):
        with raising(ValueError, "loader-shuffles"):
            make_run(dataloader.DataLoader(Pairs(), shuffle=True, **options))


def test_half_precision_of_a_loader_is_taken():
    made = dataloader.DataLoader(
        Pairs(), batch_size=2, collate_fn=lambda rows: Tensor(named(rows)["pixels"], ms.bfloat16)
    )
    [first, *_] = read_samples(checked_data(made), 2)
    np.testing.assert_allclose(first.image, IMAGES[0], rtol=0.01)
    assert first.truth == ()


def test_a_batch_of_columns_of_other_lengths_is_refused(raising):
    made = dataloader.DataLoader(Pairs(), batch_size=2, collate_fn=lambda rows: (named(rows)["pixels"], np.int32([1])))
    with raising(SampleError, "batch-lengths", lengths=[2, 1]):
        list(read_samples(checked_data(made), 2))


def test_boxes_beside_arrays(make_run, two_channels, tmp_path):
    network = two_channels()
    made = ImageClassificationRunner(tmp_path, ((IMAGES, LABELS, BOXES), NAMES), network, nn.Sigmoid(), jit="off")
    made.register_saliency([Gradient(network)], [PointingGame(2, tolerance=1)])
    assert made.run().scores.metrics == ("PointingGame",)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ("images", TypeError, "a DataLoader, or arrays .* got str"),
        ((IMAGES, LABELS[:3]), ValueError, "differ in length"),
        ((IMAGES.astype("U5"), LABELS), ValueError, "images must hold rows of numbers"),
        ((IMAGES, LABELS, BOXES, BOXES), TypeError, "got tuple"),
        ({"images": IMAGES}, TypeError, "got dict"),
    ],
)
def test_other_data_is_refused(data, error, words):
    with pytest.raises(error, match=words):
        checked_data(data)


@pytest.mark.parametrize(
    "labels",
    [
        np.float32([0.9, 0.1]),
        np.float32([1, 0, 0]),
        np.float32([2]),
        np.float32([1, np.nan]),
        np.array(["zero", "one"]),
    ],
)
def test_other_rows_of_floating_point_are_no_labels(dataset, raising, labels):
    with raising(SampleError, "sample-labels", sample=0, classes=2, shape=labels.shape):
        list(read_samples(dataset([(IMAGES[0], labels, np.int32([[0, 0, 1, 1]]))]), 2))


def test_long_labels_are_cut_in_messages(dataset, raising):
    with raising(SampleError, "sample-labels", given=[0.5] * 8, shape=(1000,)):
        list(read_samples(dataset([(IMAGES[0], np.full(1000, 0.5, np.float32), np.int32([[0, 0, 1, 1]]))]), 1000))


@pytest.fixture
def folders(tmp_path):
    """Two classes of which the second has an accent, with a hidden file, a text and a picture deeper down."""
    for place, level in {"b/2.png": 2, "b/10.png": 10, "cafe\u0301/x/1.PNG": 1, "cafe\u0301/0.png": 5}.items():
        (tmp_path / "data" / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 2), level).save(tmp_path / "data" / place)
    for place in ("b/notes.txt", "b/.hidden.png", ".git/x.png", "list.csv"):
        (tmp_path / "data" / place).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / place).write_text("no picture")
    return tmp_path / "data"


def test_a_folder_for_each_class(folders):
    samples = list(read_samples(folder_dataset(folders, ["caf\xe9", "a", "b"], channels=1), 3))
    assert [(sample.truth, round(sample.image[0, 0, 0] * 255)) for sample in samples] == [
        *(((0,), 5), ((0,), 1)),
        *(((2,), 10), ((2,), 2)),
    ]


def test_folders_that_do_not_fit(folders, tmp_path, raising):
    with raising(ValueError, "csv-label-unknown", label="b", where=re.compile("data/b$")):
        folder_dataset(folders, ["caf\xe9"])
    with raising(ValueError, "image-folder-none"):
        folder_dataset(folders / "none", ["b"])
    (tmp_path / "empty" / "b").mkdir(parents=True)
    with raising(ValueError, "image-folder-empty"):
        folder_dataset(tmp_path / "empty", ["b"])
    (folders / "b" / "2.png").write_text("")
    with raising(SampleError, "sample-broken", sample=3, said=re.compile("b/2.png is empty")):
        list(read_samples(folder_dataset(folders, ["caf\xe9", "b"], channels=1), 2))


def test_npz(tmp_path):
    pixels = np.arange(16, dtype=np.uint8).reshape(2, 1, 2, 4) * 15
    np.savez_compressed(tmp_path / "a.npz", labels=np.array([1, 0]), images=pixels, beside=np.zeros(3))
    samples = list(read_samples(npz_dataset(tmp_path / "a.npz", 0.4, 0.2), 2))
    assert [sample.truth for sample in samples] == [(1,), (0,)]
    np.testing.assert_allclose(samples[1].image, (pixels[1] / 255 - 0.4) / 0.2, atol=1e-5)


def npy():
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    return content.getvalue()


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (lambda path: np.savez(path, image=np.zeros(2)), "npz-no-images"),
        (lambda path: np.savez(path, images=np.array([{}, []], object)), "npz-unreadable"),
        (lambda path: path.write_text("no zip"), "npz-unreadable"),
        (lambda path: path.write_bytes(b"PK\x03\x04 cut"), "npz-unreadable"),
        (lambda path: path.write_bytes(npy()), "npz-unreadable"),
    ],
)
def test_npz_that_does_not_fit(tmp_path, raising, write, code):
    write(tmp_path / "a.npz")
    with raising(ValueError, code):
        npz_dataset(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError):
        npz_dataset(tmp_path / "none.npz")


def encoded(level, kind="PNG"):
    content = io.BytesIO()
    Image.new("L", (4, 2), level).save(content, kind)
    return content.getvalue()


def records(path, pictures, image="image", label="label"):
    writer = FileWriter(str(path), 1)
    writer.add_schema({image: {"type": "bytes"}, label: {"type": "int32"}})
    writer.write_raw_data([{image: content, label: number % 2} for number, content in enumerate(pictures)])
    writer.commit()
    return path


def test_mindrecord_of_pictures(tmp_path):
    path = records(tmp_path / "a.mindrecord", [encoded(0), encoded(51), encoded(255)])
    data = mindrecord_dataset(path, channels=1, mean=0.5, std=0.5)
    assert sample_count(data, None) == 3
    samples = list(read_samples(data, 2))
    assert [sample.truth for sample in samples] == [(0,), (1,), (0,)]
    assert [float(sample.image[0, 1, 2]) for sample in samples] == pytest.approx([-1, -0.6, 1])


def test_mindrecord_of_arrays(tmp_path):
    writer = FileWriter(str(tmp_path / "a.mindrecord"), 1)
    writer.add_schema({"data": {"type": "int32", "shape": [1, 2, 3]}, "label": {"type": "int64"}})
    writer.write_raw_data([{"data": np.full((1, 2, 3), level, np.int32), "label": 1} for level in (51, 300)])
    writer.commit()
    first, second = read_samples(mindrecord_dataset(tmp_path / "a.mindrecord"), 2, tolerant=True)
    assert first.image[0, 0, 0] == pytest.approx(0.2)
    assert "a.mindrecord row 1: sample 1: pixels of int32 run from 300 to 300" in second.broken


def test_mindrecord_of_other_columns_and_a_broken_picture(tmp_path, raising):
    path = records(tmp_path / "a.mindrecord", [encoded(9), b"no picture", encoded(51)], "x_ray", "finding")
    with raising(ValueError, "mindrecord-columns", names=["finding", "x_ray"]):
        mindrecord_dataset(path)
    data = mindrecord_dataset(path, ["x_ray", "finding"], channels=1)
    with raising(SampleError, "sample-broken", where=f"{path} row 1", sample=1, said=re.compile("not a picture of a")):
        list(read_samples(data, 2))
    assert [sample.broken is None for sample in read_samples(data, 2, tolerant=True)] == [True, False, True]
    with pytest.raises(FileNotFoundError):
        mindrecord_dataset(tmp_path / "none.mindrecord")


NET = """
from mindspore import nn

def make():
    return nn.SequentialCell(nn.Flatten(), nn.Dense(8, 2))
"""


@pytest.mark.parametrize("source", ["image_folder: pictures", "npz: a.npz", "mindrecord: a.mindrecord"])
def test_configs_name_them(tmp_path, source):
    (tmp_path / "net.py").write_text(NET)
    for name, level in {"zero/1": 9, "one/2": 99}.items():
        (tmp_path / "pictures" / name).parent.mkdir(parents=True)
        Image.new("L", (4, 2), level).save(tmp_path / "pictures" / f"{name}.png")
    np.savez(tmp_path / "a.npz", images=np.uint8([9, 99]).repeat(8).reshape(2, 1, 2, 4), labels=[0, 1])
    records(tmp_path / "a.mindrecord", [encoded(9), encoded(99)])
    channels = "" if source == "npz: a.npz" else ", channels: 1"
    (tmp_path / "run.yaml").write_text(
        "summary_dir: x\nnetwork: {factory: 'net.py:make'}\nactivation: softmax\nclass_names: [zero, one]\n"
        f"data: {{{source}{channels}}}\nexplainers: [Gradient]\nmean: 0.1\nstd: 0.5\n"
    )
    config, problems = load_config(tmp_path / "run.yaml", {"summary_dir": str(tmp_path / "out")})
    result = build_runner(config, problems, tmp_path).run()
    assert result.samples == 2
    assert results_of(result).truth.ravel().tolist() == [0, 1]
    assert results_of(result).plan["config"]["data"][source.split(":")[0]] == source.split(": ")[1]


def test_a_config_names_one_source(tmp_path, raising):
    (tmp_path / "run.yaml").write_text(
        "summary_dir: x\nnetwork: {factory: 'net.py:make'}\nactivation: softmax\nclass_names: [zero, one]\n"
        "data: {npz: a.npz, mindrecord: b}\nexplainers: [Gradient]\n"
    )
    with raising(PlanError, "key-refused", said="name one source: factory, hdf5, npz, csv, image_folder or mindrecord"):
        load_config(tmp_path / "run.yaml")


def config_with(tmp_path, data="{csv: a.csv}", class_names="[a, b]", more="explainers: [Gradient]"):
    (tmp_path / "run.yaml").write_text(
        "summary_dir: x\nnetwork: {factory: 'net.py:make'}\nactivation: softmax\n"
        f"class_names: {class_names}\ndata: {data}\n{more}\n"
    )
    return tmp_path / "run.yaml"


@pytest.mark.parametrize(
    ("data", "options", "allowed"),
    [
        ("image_folder: x, folder: y", ["folder"], "size, channels"),
        ("mindrecord: x, folder: y", ["folder"], "columns, size, channels"),
        ("csv: x, columns: [a], options: {b: 1}", ["options", "columns"], "folder, size, channels"),
        ("hdf5: x, size: [3, 4]", ["size"], "nothing else"),
        ("npz: x, channels: 3", ["channels"], "nothing else"),  # also where it is the default
        ("factory: a:b, size: [3, 4], channels: 1", ["size", "channels"], "options"),
    ],
)
def test_options_of_another_source(tmp_path, raising, data, options, allowed):
    values = {"source": data.split(":")[0], "options": options, "allowed": allowed}
    with raising(PlanError, "data-option-of-another", **values):
        load_config(config_with(tmp_path, f"{{{data}}}"))


def test_options_without_a_value_are_none_of_any_source(tmp_path):
    config, _ = load_config(config_with(tmp_path, "{image_folder: x, folder: null, size: [3, 4]}"))
    assert (config.data.size, config.data.folder) == ((3, 4), None)


@pytest.mark.parametrize(
    ("names", "code", "values"),
    [
        ("[yes, no]", "class-name-no-text", {"name": True}), ("{0: a, 1: null}", "class-name-no-text", {"name": None}),
        ("[a, 1.5]", "class-name-no-text", {"name": 1.5}), ("3", "class-names-key-kind", {"given": 3}),
        ("{a: b}", "class-names-key-kind", {"given": {"a": "b"}}),
    ],
)  # fmt: skip
def test_class_names_that_are_no_texts(tmp_path, raising, names, code, values):
    with raising(PlanError, code, **values):
        load_config(config_with(tmp_path, class_names=names))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("explainers: [Gradient]\nsummary_dir: ' '", "summary_dir is blank; name a folder, such as runs/first"),
        ("explainers: []", "name explainers, hierarchical_occlusion, or both"),
        ("uncertainty:\nexplainers: [Gradient]", "uncertainty: the key has no value; write {} for the defaults, or"),
    ],
)
def test_messages_say_things_once(tmp_path, more, said):
    path = config_with(tmp_path, more=more)
    path.write_text(path.read_text().replace("summary_dir: x\n", "summary_dir: x\n" * ("summary_dir" not in more)))
    with pytest.raises(PlanError) as caught:
        load_config(path)
    assert str(caught.value).startswith(said)
    assert ", got" not in str(caught.value)
