"""The bundled example: what is in a scene, and that the bundled network knows it."""

import h5py
import mindspore as ms
import numpy as np
import pytest
import yaml
from mindspore import Tensor
from sklearn.metrics import average_precision_score

from explainrun.configs.digit_network import DigitNetwork
from explainrun.configs.digit_scenes import CLASS_NAMES, DigitScenes, _handwriting, normalized, scene_dataset


def test_scenes_are_the_same_however_they_are_asked_for():
    for i, scene in enumerate(DigitScenes("test", 5)):
        alone = DigitScenes("test", 1, first=i)[0]
        assert np.array_equal(scene.image, alone.image)
        assert (scene.labels, scene.boxes) == (alone.labels, alone.boxes)
    assert not np.array_equal(DigitScenes("test", 1)[0].image, DigitScenes("test", 1, seed=1)[0].image)
    assert not np.array_equal(DigitScenes("test", 1)[0].image, DigitScenes("train", 1)[0].image)
    assert np.array_equal(DigitScenes("test", 5)[-1].image, DigitScenes("test", 5)[4:][0].image)


def test_handwriting_of_the_splits_is_disjoint():
    train, test = ({digit.tobytes() for digit in _handwriting(split)[0]} for split in ("train", "test"))
    assert not train & test
    assert len(train) + len(test) > 1700


def test_every_digit_lies_in_its_box_and_boxes_apart():
    for scene in DigitScenes("test", 60):
        assert scene.image.shape == (112, 112, 3)
        assert 1 <= len(scene.labels) <= 3
        covered = np.zeros((112, 112), int)
        for x, y, width, height in scene.boxes:
            assert x >= 0
            assert y >= 0
            assert x + width <= 112
            assert y + height <= 112
            covered[y : y + height, x : x + width] += 1
            patch = scene.image[y : y + height, x : x + width].astype(float).mean(axis=2)
            assert np.ptp(patch) > 50  # ink stands out from what is around it
        assert covered.max() == 1


@pytest.mark.parametrize("columns", [["image"], ["image", "labels"], ["image", "labels", "bboxes"]])
def test_dataset(columns):
    data = scene_dataset(count=4, columns=columns)
    assert data.get_col_names() == columns
    rows = list(data.create_dict_iterator(num_epochs=1, output_numpy=True))
    scenes = DigitScenes("test", 4)
    assert len(rows) == 4
    for row, scene in zip(rows, scenes, strict=True):
        np.testing.assert_allclose(row["image"], (scene.image.transpose(2, 0, 1) / 255 - 0.5) / 0.25, atol=1e-6)
        assert row["image"].dtype == np.float32
        if "bboxes" in columns:
            count = len(scene.labels)
            assert row["labels"].tolist() == [*scene.labels, *[-1] * (3 - count)]
            assert row["bboxes"][:count].tolist() == [list(box) for box in scene.boxes]


def test_hdf5(tmp_path):
    scenes = DigitScenes("test", 3, first=10)
    scenes.write_hdf5(tmp_path / "scenes.h5")
    with h5py.File(tmp_path / "scenes.h5") as file:
        assert file["images"].shape == (3, 3, 112, 112)
        assert np.array_equal(file["images"][1].transpose(1, 2, 0), scenes[1].image)
        assert file["labels"][2][: len(scenes[2].labels)].tolist() == list(scenes[2].labels)
        assert file["bboxes"][2][: len(scenes[2].boxes)].tolist() == [list(box) for box in scenes[2].boxes]
        assert list(file.attrs["class_names"]) == list(CLASS_NAMES)


def test_bad_arguments():
    with pytest.raises(ValueError, match="split must be one of"):
        DigitScenes("validation")
    with pytest.raises(ValueError, match="must not be negative"):
        DigitScenes(first=-1)
    with pytest.raises(IndexError, match="scene 5 of 5"):
        DigitScenes(count=5)[5]


@pytest.mark.parametrize("count", [40, pytest.param(256, marks=pytest.mark.long)])
def test_the_bundled_network_knows_digits_it_never_saw(repository, count):
    checkpoint = repository / "configs" / "digit_network.ckpt"
    assert checkpoint.stat().st_size <= 2_000_000
    network = DigitNetwork()
    assert ms.load_param_into_net(network, ms.load_checkpoint(str(checkpoint))) == ([], [])
    network.set_train(False)
    scenes = DigitScenes("test", count, first=5000)
    logits = network(Tensor(np.stack([normalized(scene.image) for scene in scenes]))).asnumpy()
    truth = np.array([[label in scene.labels for label in range(10)] for scene in scenes])
    assert average_precision_score(truth, logits, average="macro") >= 0.97
    layers = {name for name, _ in network.cells_and_names()}
    assert {"block6.relu", "block1.norm", "dropout", "head"} <= layers


@pytest.mark.parametrize("name", ["quickstart", "full", "explainers"])
def test_what_a_config_shows_first_is_not_at_the_right_edge(repository, name):
    """MindInsight's page cuts about a fifth of each map off there."""
    config = yaml.safe_load((repository / "configs" / f"{name}.yaml").read_text("utf-8"))
    for scene in DigitScenes(**{**config["data"]["options"], "count": 2}):
        assert all(x + width < 0.75 * 112 for x, _, width, _ in scene.boxes)
