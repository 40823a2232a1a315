"""Datasets that a config names by file."""

import re
from dataclasses import replace

import h5py
import mindspore.dataset as ds
import numpy as np
import pytest
from PIL import Image

from explainrun.configs.digit_scenes import MEAN, STD, DigitScenes
from explainrun.runner.data import pictures as pictures_module
from explainrun.runner.data import samples as samples_module
from explainrun.runner.data.file_datasets import csv_dataset, hdf5_dataset
from explainrun.runner.data.label_places import Boxes
from explainrun.runner.data.samples import Sample, read_samples, sample_count


def rows(dataset):
    return list(dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))


def test_hdf5_of_scenes_equals_the_scenes(tmp_path):
    scenes = DigitScenes("test", 5)
    scenes.write_hdf5(tmp_path / "scenes.h5")
    data = hdf5_dataset(tmp_path / "scenes.h5", MEAN, STD)
    assert data.get_col_names() == ["image", "labels", "bboxes"]
    assert sample_count(data, None) == 5
    for ours, theirs in zip(rows(data), rows(scenes.dataset()), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_hdf5_columns_and_scales(tmp_path):
    pixels = np.arange(2 * 1 * 2 * 4, dtype=np.uint8).reshape(2, 1, 2, 4) * 15
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = pixels
    np.testing.assert_allclose(rows(hdf5_dataset(tmp_path / "a.h5"))[1][0], pixels[1] / 255, atol=1e-6)
    for mean, std in ((0.4, 0.2), (102.0, 51.0)):
        shown = rows(hdf5_dataset(tmp_path / "a.h5", mean, std))[1][0]
        np.testing.assert_allclose(shown, (pixels[1] / 255 - 0.4) / 0.2, atol=1e-5)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["images"], file["labels"] = pixels.astype(np.float64), [3, 1]
    data = rows(hdf5_dataset(tmp_path / "b.h5", 0.4, 0.2))
    assert data[1][0].tolist() == pixels[1].tolist()  # floating point is taken as it is
    assert [int(row[1]) for row in data] == [3, 1]


def test_the_digest_of_a_sample_is_worked_out_once(monkeypatch):
    sample = Sample(0, np.zeros((1, 2, 4), np.float32), (1,), None)
    digest = sample.digest
    assert replace(sample, truth=(0,)).digest != digest
    monkeypatch.setattr(samples_module, "google_crc32c", None)
    assert sample.digest == digest


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"image": [1]}, "has no dataset 'images'; it has image"),
        ({"images": np.zeros((2, 1, 2, 3)), "labels": [1]}, "differ in length: {'images': 2, 'labels': 1}"),
        ({"images": np.zeros((1, 1, 2, 3)), "bboxes": np.zeros((1, 1, 4))}, "has 'bboxes' without 'labels'"),
    ],
)
def test_hdf5_that_does_not_fit(tmp_path, content, words):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, value in content.items():
            file[name] = value
    with pytest.raises(ValueError, match=re.escape(words)):
        hdf5_dataset(tmp_path / "a.h5")


@pytest.fixture
def pictures(tmp_path):
    """Three pictures of 4 x 10 pixels (height x width), one in a sub-folder."""
    colours = {"a.png": (255, 0, 51), "sub/b.png": (0, 102, 0), "c d.png": (1, 2, 3)}
    (tmp_path / "sub").mkdir()
    for name, colour in colours.items():
        Image.new("RGB", (10, 4), colour).save(tmp_path / name)

    def write(text, name="labels.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_csv_with_several_labels_boxes_and_none(pictures):
    path = pictures(
        "image,label,x,y,width,height\na.png,cat,5,1,4,2\nsub/b.png,,,,,\na.png,0,0,0,1,1\nc d.png,dog house,2,0,2,4\n"
    )
    data = csv_dataset(path, ["dog house", "cat"])
    samples = list(read_samples(data, 2))
    assert [sample.truth for sample in samples] == [(0, 1), (), (0,)]
    assert samples[0].boxes[1].tolist() == [[5, 1, 4, 2]]
    assert samples[0].boxes[0].tolist() == [[0, 0, 1, 1]]
    assert samples[0].mask(1).nonzero()[1].tolist() == [5, 6, 7, 8] * 2
    np.testing.assert_allclose(samples[1].image[:, 0, 0], [0, 0.4, 0])


def test_csv_brings_pictures_and_boxes_to_a_size(pictures):
    path = pictures("image,label,x,y,width,height\na.png,cat,5,1,4,2\n")
    (sample,) = read_samples(csv_dataset(path, ["cat"], size=(8, 5)), 1)
    assert sample.image.shape == (3, 8, 5)
    assert sample.boxes[0].tolist() == [[2.5, 2, 2, 4]]
    (grey,) = read_samples(csv_dataset(path, ["cat"], channels=1, mean=0.5, std=0.5), 1)
    assert grey.image.shape == (1, 4, 10)
    assert grey.image[0, 0, 0] == pytest.approx((82 / 255 - 0.5) / 0.5, abs=1e-6)  # ITU-R 601 luma of (255, 0, 51)


def test_pictures_of_other_shards_are_not_opened(pictures, monkeypatch):
    path = pictures("image,label,x,y,width,height\na.png,cat,5,1,4,2\nsub/b.png,,,,,\nc d.png,dog,2,0,2,4\n")
    opened = []
    monkeypatch.setattr(pictures_module, "open_picture", lambda path: opened.append(path.name) or Image.open(path))
    data = csv_dataset(path, ["dog", "cat"])
    [sample] = read_samples(data, 2, wanted=lambda place: place == 2)
    assert (sample.id, sample.truth, sample.boxes[0].tolist()) == (2, (0,), [[2, 0, 2, 4]])
    assert opened == ["c d.png"]
    assert [sample.id for sample in read_samples(data, 2)] == [0, 1, 2]
    assert len(opened) == 4


def test_rows_of_other_shards_are_not_read(tmp_path):
    """Float64 images and int64 labels, which a row that stands for an unread one must not contradict."""
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["images"] = np.arange(5 * 6, dtype=np.float64).reshape(5, 1, 2, 3)
        file["labels"] = np.arange(5)
    samples = list(read_samples(hdf5_dataset(tmp_path / "d.h5"), 5, wanted=lambda place: place % 3 == 1))
    assert [(sample.id, sample.truth, sample.image[0, 0, 0]) for sample in samples] == [(1, (1,), 6), (4, (4,), 24)]


def test_csv_of_images_alone_in_another_folder(pictures, tmp_path):
    (tmp_path / "lists").mkdir()
    path = pictures("image\nb.png\n", "lists/labels.csv")
    data = csv_dataset(path, ["cat"], folder=tmp_path / "sub", channels=4)
    assert data.get_col_names() == ["image"]
    assert rows(data)[0][0].shape == (4, 4, 10)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,lable\na.png,cat\n", "unknown column 'lable'; did you mean 'label'"),
        ("label\ncat\n", "no column 'image'"),
        ("image,label,x,y,width\na.png,cat,1,1,1\n", "boxes need the columns label, x, y, width, height"),
        (
            "image,label\na.png,caat\n",
            "line 2: label 'caat' is neither a class name nor an index below 2; did you mean 'cat'",
        ),
        ("image,label\na.png,2\n", "line 2: label '2' is neither a class name"),
        (
            "image,label,x,y,width,height\na.png,cat,1,,1,1\n",
            "line 2: a box needs four numbers, got ['1', '', '1', '1']",
        ),
        ("image,label\na.png,cat\nnone.png,cat\nno.png,cat\n", "2 of 3 pictures are missing, the first is"),
    ],
)
def test_csv_that_does_not_fit(pictures, text, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        csv_dataset(pictures(text), ["dog", "cat"])
    with pytest.raises(ValueError, match=r"channels must be one of \(1, 3, 4\), got 2"):
        csv_dataset(pictures("image\na.png\n"), ["cat"], channels=2)


def test_counts_are_known_without_reading_and_the_limit_holds():
    read = []

    class Rows:
        def __len__(self):
            return 3000

        def __getitem__(self, index):
            read.append(index)
            return np.zeros((1, 2, 3), np.float32), np.int32([0])

    def generated():
        for _ in range(8):
            yield np.zeros((1, 2, 3), np.float32), np.int32([0])

    def known():
        return ds.GeneratorDataset(Rows(), ["image", "labels"], shuffle=False, num_parallel_workers=1)

    def unknown():
        return ds.GeneratorDataset(generated, ["image", "labels"], num_parallel_workers=1)

    assert [sample_count(data, None) for data in (known(), known().batch(7), unknown())] == [3000, 3000, None]
    assert sample_count(known().batch(7, drop_remainder=True), None) == 2996
    assert sample_count(known().batch(7).map(lambda image: image, ["image"]), None) is None
    assert sample_count(known().filter(bool), None) is None
    assert sample_count(known(), 5) == 5
    assert read == []
    data = known()
    for _ in range(2):  # a dataset serves more than one run
        assert [sample.id for sample in read_samples(data, 1, 5)] == [0, 1, 2, 3, 4]
    assert len(read) < 100
    assert len(list(read_samples(unknown().batch(4), 1, 6))) == 6


def test_a_tiny_box_stands_for_the_pixel_that_holds_its_centre():
    boxes = np.array([[1.6, 1.6, 0.8, 0.8], [3.6, 0.2, 1.0, 0.2], [5, 0, 0, 0]], np.float32)
    mask = Sample(0, np.zeros((1, 3, 6), np.float32), (0,), Boxes({0: boxes})).mask(0)
    assert list(zip(*(axis.tolist() for axis in mask.nonzero()), strict=True)) == [(0, 4), (2, 2)]
