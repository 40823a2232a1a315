"""Every code block of the README and of the site runs as it stands, or is marked, and then checked by its syntax."""

import importlib.util
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from matplotlib import pyplot
from mindspore import Tensor, nn
from PIL import Image

from explainrun.benchmarks import METRICS
from explainrun.explainers import Gradient
from explainrun.runner import ImageClassificationRunner, demo
from explainrun.runner.cli.main import main
from explainrun.runner.config.factories import load_network
from explainrun.runner.config.schema import RunConfig, load_config
from explainrun.summary_format import Results

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("docs_blocks", ROOT / "tests" / "docs" / "blocks.py")
blocks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(blocks)
PAGES = {page: blocks.blocks_of(ROOT, page) for page in blocks.pages(ROOT)}
MOST_MARKED = 10


def test_every_block_has_a_language_that_is_known():
    assert {block.language for page in PAGES.values() for block in page} <= set(blocks.LANGUAGES)


@pytest.mark.parametrize("page", [page for page, found in PAGES.items() if found])
def test_every_block_is_of_its_language(page):
    for block in PAGES[page]:
        try:
            blocks.check_syntax(block)
        except Exception as error:
            raise AssertionError(f"{block}: {error}") from error


def test_few_are_not_run_and_each_says_why():
    marked = [block for page in PAGES.values() for block in page if block.mark]
    assert len(marked) <= MOST_MARKED, [str(block) for block in marked]


def test_words_of_commands():
    code = "a b  # c\n# d\nx --set 'y=[1,\n  2]' \\\n  --z\n"
    assert blocks.commands(code) == [["a", "b"], ["x", "--set", "y=[1,\n  2]", "--z"]]


@pytest.fixture
def folder(project, tmp_path, monkeypatch):
    """A copy of the project, which is where the block runs."""
    made = shutil.copytree(project, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(made)
    monkeypatch.syspath_prepend(str(made))
    fewer = replace(demo.DIGITS, changes={**demo.DIGITS.changes, "limit": 4})
    monkeypatch.setattr(demo, "DIGITS", fewer)
    monkeypatch.setattr(demo, "photos_installed", lambda: False)
    yield made
    pyplot.close("all")
    for name in ("network", "transformer"):
        sys.modules.pop(name, None)


class Featured(nn.Cell):
    """A network that says its features, for OoDNet."""

    num_features = 16

    def __init__(self, network):
        super().__init__()
        self.network, self.output_features = network, False

    def construct(self, x):
        features = self.network.features(x).max((2, 3))
        return features if self.output_features else self.network.head(features)


def names(folder):
    """What the pages say that is there."""
    network = load_network("network.py:Network", "weights.ckpt", folder)
    results = Results(folder / "runs" / "boxed")
    pixels = np.stack([ds_image(path) for path in sorted((folder / "pictures").glob("*/00[01].jpg"))])
    labels = np.array([0, 0, 1, 1], np.int32)
    boxes = np.array([[[20, 10, 30, 30]]] * 4, np.int32)
    rows = [(image, np.int32([label]), box) for image, label, box in zip(pixels, labels, boxes, strict=True)]
    dataset = ds.GeneratorDataset(rows, ["image", "labels", "bboxes"], shuffle=False, num_parallel_workers=1)
    train = ds.GeneratorDataset([row[:2] for row in rows], ["image", "label"], shuffle=False, num_parallel_workers=1)
    images = Tensor(pixels)
    return {
        "network": network, "net": network, "images": images, "image": images[:1], "dataset": dataset,
        "classes": ["disc", "square"], "mean": 127.5, "std": 127.5, "featured": Featured(network),
        "train_dataset": train.batch(2), "runner": of_images(network, images, labels),
        "samples": results.questions[:, 0], "labels": results.questions[:, 1],
        "maps": np.random.default_rng(0).random((len(results.questions), 64, 96), np.float32),
    }  # fmt: skip


def of_images(network, images, labels):
    """A runner on some images."""
    data = ((images.asnumpy(), labels), ["disc", "square"])
    runner = ImageClassificationRunner("runs/of_images", data, network, nn.Softmax(), mean=127.5, std=127.5)
    runner.register_saliency([Gradient(network)])
    return runner


def ds_image(path):
    with Image.open(path) as opened:
        return ((np.asarray(opened.convert("RGB"), np.float32) - 127.5) / 127.5).transpose(2, 0, 1).copy()


def run_python(block, known):
    exec(compile(block.code, str(block), "exec"), known)


def run_commands(block):
    for words in blocks.commands(block.code):
        assert words[0] == "explainrun", f"{block}: {words}: mark it, or have the test know the command"
        done = CliRunner().invoke(main, words[1:])
        assert done.exit_code == 0, f"{block}: {' '.join(words)}: {done.output}"


def run_yaml(block, folder):
    """A whole config is loaded and has its run examined; a part of one is put into a whole one."""
    content = yaml.safe_load(block.code) or {}
    if not set(content) & set(RunConfig.model_fields):
        return
    whole = content if "network" in content else yaml.safe_load((folder / "mine.yaml").read_text()) | content
    path = folder / "of_page.yaml"
    path.write_text(yaml.safe_dump(whole))
    assert load_config(path)[1] == []
    if "network" in content:  # what follows is about it
        (folder / "mine.yaml").write_text(block.code)
        shutil.rmtree(folder / content["summary_dir"])


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, found in PAGES.items() if any(not block.mark for block in found)])
def test_every_block_runs(page, folder, monkeypatch):
    ms.set_seed(0)
    known = names(folder)
    for block in PAGES[page]:
        if block.mark:
            continue
        if block.language == "python":
            run_python(block, known)
        elif block.language == "sh":
            run_commands(block)
        elif block.language == "yaml":
            run_yaml(block, folder)


@pytest.mark.slow
def test_your_network_and_pictures_as_the_readme_says(project, tmp_path, monkeypatch):
    """With a checkpoint, a folder of JPEGs and a file of class names, and nothing else."""
    for name in ("network.py", "weights.ckpt", "classes.txt"):
        shutil.copy(project / name, tmp_path)
    shutil.copytree(project / "pictures", tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    text = (ROOT / "README.md").read_text("utf-8")
    first = text[: text.index("## Your network and pictures")].count("\n")
    last = text[: text.index("## Beside other libraries")].count("\n")
    script, config, shell = [block for block in PAGES["README.md"] if first < block.line < last]
    lines = [line for line in script.code.splitlines() if line.strip()]
    assert len(lines) <= 10
    try:
        run_python(script, {})
    finally:
        sys.modules.pop("network", None)
    assert (tmp_path / "explained.png").stat().st_size > 10_000
    (tmp_path / "mine.yaml").write_text(config.code)
    run_commands(shell)
    results = Results(tmp_path / "runs" / "mine")
    assert (len(results.samples), results.class_names) == (16, ("disc", "square"))
    assert results.explainers == ("Gradient", "IntegratedGradients", "GradCAM", "RandomMap")
    assert (tmp_path / "report" / "index.html").exists()


def options_of(command):
    """The options of a command, each as the set of its names."""
    return [set(one.opts) | set(one.secondary_opts) for one in command.params if one.param_type_name == "option"]


def test_every_option_of_every_command_has_an_example():
    shown = [words for block in PAGES["docs/how-to/commands.md"] if block.language == "sh"
             for words in blocks.commands(block.code) if words[0] == "explainrun"]  # fmt: skip
    assert {"--version"} in options_of(main)
    assert ["explainrun", "--version"] in shown
    for name, command in main.commands.items():
        used = {word for words in shown if words[1] == name for word in words}
        assert used or name == "demo", name
        for option in options_of(command):
            assert option & used or "--help" in option, (name, option)


def test_the_readme_counts_our_metrics():
    [row] = [line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if line.startswith("| metrics |")]
    assert row.startswith(f"| metrics | **[{len(METRICS)}][k]** |")


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150
