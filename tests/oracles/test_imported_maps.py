"""captum's maps, imported into a run, are scored as ours are, by the same weights in both frameworks."""

import h5py
import numpy as np
import pytest
import torch
from captum.attr import Saliency
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.summary_format import Results

CONFIG = """
summary_dir: {folder}/run
network: {{factory: "network.py:make", options: {{weights: "{weights}"}}}}
activation: softmax
data: {{npz: photos.npz}}
class_names: [{names}]
labels: truth
explainers: [Gradient, RandomMap]
metrics:
  - InsertionAUC: {{steps: 16}}
  - DeletionAUC: {{steps: 16}}
  - NaiveFaithfulness: {{steps: 16}}
  - PointingGame: {{tolerance: 4}}
  - IoSR
  - Robustness: {{samples: 2}}
"""
NETWORK = """
import sys
import numpy as np
sys.path.insert(0, {scripts!r})
from benchmarking.sides.networks import resnet20
from mindspore import nn

def make(weights):
    with np.load(weights) as file:
        return resnet20(dict(file), nn.ReLU)
"""
MOST_APART = {"InsertionAUC": 1e-4, "DeletionAUC": 1e-4, "NaiveFaithfulness": 1e-4, "PointingGame": 0.0, "IoSR": 1e-6}


def told(*arguments):
    """What a command says that must succeed."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def run(data, photos, tmp_path, repository):
    """A finished run of the ResNet-20 on photos, a box around the middle of each."""
    images, labels = photos
    boxes = np.tile(np.array([[[5, 4, 15, 22]]], np.float32), (len(images), 1, 1))
    np.savez(tmp_path / "photos.npz", images=images, labels=labels[:, None], bboxes=boxes)
    (tmp_path / "network.py").write_text(NETWORK.format(scripts=str(repository / "scripts")))
    names = ", ".join(f"class {number}" for number in range(10))
    text = CONFIG.format(folder=tmp_path, weights=data / "cifar10_resnet20.npz", names=names)
    (tmp_path / "config.yaml").write_text(text)
    told("run", tmp_path / "config.yaml")
    return tmp_path / "run"


def test_captum_s_gradients_score_as_ours(run, torch_network, photos, tmp_path):
    images, _ = photos
    samples, labels = Results(run).questions.T
    method, asked = Saliency(torch_network), torch.tensor(images[samples], requires_grad=True)
    maps = method.attribute(asked, torch.tensor(labels)).amax(dim=1).detach().numpy()
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        file.create_dataset("maps", data=maps, chunks=(1, *maps.shape[1:]), compression="gzip")
        file["sample"], file["label"], file["source"] = samples, labels, "captum 0.9.0, Saliency"
    said = told("import", run, tmp_path / "maps.h5", "--name", "captum")
    results = Results(run)
    assert results.explainers == ("Gradient", "RandomMap", "captum")
    assert "captum" in said
    assert len(results.questions) == len(images)
    for metric, most in MOST_APART.items():
        ours, theirs = (results.scores(name, metric) for name in ("Gradient", "captum"))
        assert np.isfinite(ours).all()
        assert np.abs(ours - theirs).max() <= most, metric
        assert np.abs(ours - results.scores("RandomMap", metric)).max() > 100 * most
    assert np.isnan(results.scores("captum", "Robustness")).all()
    assert np.isfinite(results.scores("Gradient", "Robustness")).all()
