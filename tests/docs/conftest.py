"""A folder as the documents describe it, to run their code blocks in."""

import csv
import os
import runpy
import shutil

import h5py
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from explainrun.runner.cli.main import main
from explainrun.summary_format import Results

MINE = """\
summary_dir: runs/mine
network: {factory: "network.py:Network", checkpoint: weights.ckpt}
activation: softmax
data: {image_folder: pictures, size: [64, 96]}
class_names: classes.txt
mean: 127.5
std: 127.5
explainers: [Gradient, IntegratedGradients: {steps: 4}, GradCAM, RandomMap]
metrics: [InsertionAUC: {steps: 4}, DeletionAUC: {steps: 4}]
"""

MY_RUN = """\
import numpy as np
from explainrun.explainers import Gradient
from explainrun.runner import ImageClassificationRunner
from mindspore import nn
from network import Network


def make_runner(summary_dir):
    network = Network()
    data = (np.zeros((2, 3, 64, 96), np.float32), np.array([0, 1]))
    runner = ImageClassificationRunner(summary_dir, (data, ["disc", "square"]), network, nn.Softmax())
    runner.register_saliency([Gradient(network)])
    return runner
"""

TRANSFORMER = "from explainrun.testing import TinyTransformer as Transformer\n"

SEVERAL = """\
from network import Network


class Several(Network):
    def construct(self, x):
        logits = super().construct(x)
        return logits, logits * 2
"""


def explainrun(*arguments):
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="session")
def project(request, tmp_path_factory):
    """What ``docs/tutorials/your-network.md`` begins with, and finished runs of its configs; not to be written to."""
    repository = request.config.rootpath
    folder = tmp_path_factory.mktemp("project")
    script = runpy.run_path(str(repository / "scripts" / "examples" / "own_network_and_jpegs.py"))
    script["what_you_have"](folder, each=8, steps=40)
    (folder / "mine.yaml").write_text(MINE)
    places = sorted((folder / "pictures").glob("*/*.jpg"))
    with (folder / "boxes.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "label", "x", "y", "width", "height"])
        rows.writerows([path.relative_to(folder / "pictures"), path.parent.name, *box_of(path)] for path in places)
    boxed = yaml.safe_load(MINE) | {"data": {"csv": "boxes.csv", "folder": "pictures", "size": [64, 96]}}
    gate = boxed | {"metrics": [*boxed["metrics"], "IoSR"]}
    for name, content in (("boxed", boxed), ("quickstart", boxed), ("gate", gate)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content | {"summary_dir": f"runs/{name}"}))
    (folder / "my_run.py").write_text(MY_RUN)
    (folder / "several.py").write_text(SEVERAL)
    (folder / "transformer.py").write_text(TRANSFORMER)
    (folder / "rules.yaml").write_text("tolerance: 0.01\ntolerances: {IoSR: 2%}\nfloors: {InsertionAUC: 0.1}\n")
    kept = os.getcwd()
    os.chdir(folder)
    try:
        for name in ("mine", "boxed"):
            explainrun("run", f"{name}.yaml", "--summary-dir", f"runs/{name}")
        for name in ("quickstart", "before", "after"):
            shutil.copytree("runs/boxed", f"runs/{name}")
        write_maps(folder)
    finally:
        os.chdir(kept)
    (folder / "configs").mkdir()
    for path in ("quickstart.yaml", "network.py", "weights.ckpt", "classes.txt", "boxes.csv"):
        shutil.copy(folder / path, folder / "configs")
    (folder / "configs" / "pictures").symlink_to(folder / "pictures")
    return folder


def box_of(path):
    """x, y, width and height of what is bright in a picture."""
    with Image.open(path) as opened:
        bright = np.asarray(opened.convert("RGB"), int).max(axis=2) > 140
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    return columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1


def write_maps(folder):
    """maps.h5, maps of a person for the questions of the run with boxes."""
    samples, labels = Results(folder / "runs" / "boxed").questions.T
    with h5py.File(folder / "maps.h5", "w") as file:
        file["maps"] = np.random.default_rng(0).random((len(samples), 64, 96), np.float32)
        file["sample"], file["label"], file["source"] = samples, labels, "by hand"
