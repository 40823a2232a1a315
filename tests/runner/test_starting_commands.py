"""``explainrun new``, ``check`` and ``schema``, and completion in shells."""

import json
import shutil
import subprocess
import sys

import jsonschema
import numpy as np
import pytest
import yaml
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from mindspore import save_checkpoint
from PIL import Image

from explainrun.benchmarks import METRICS
from explainrun.explainers import EXPLAINERS
from explainrun.runner.cli.main import main
from explainrun.runner.config.factories import make
from explainrun.runner.config.json_schema import config_schema, explained_names
from explainrun.runner.config.schema import RunConfig, load_config
from explainrun.summary_format import Results


def explainrun(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture(scope="module")
def schema():
    found = config_schema()
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def test_the_schema_takes_every_bundled_config(schema, repository):
    paths = [*(repository / "configs").rglob("*.yaml")]
    assert len(paths) == 8
    for path in paths:
        assert list(schema.iter_errors(yaml.safe_load(path.read_text("utf-8")))) == [], path


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"sed": 1},
        {"activation": "tanh"},
        {"explainers": ["GradCAN"]},
        {"explainers": [{"GradCAM": {"layr": "x"}}]},
        {"explainers": ["RISEPlus"]},  # which needs an OoDNet
        {"explainers": [{"RISEPlus": {"num_masks": 9}}]},
        {"metrics": ["GradCAM"]},
        {"pass_size": "best"},
        {"class_names": 3},
        {"data": {"image_folder": "x", "sizes": [1, 2]}},
        {"uncertainty": {"sample": 3}},
    ],
)
def test_what_the_schema_marks_a_run_refuses(schema, repository, tmp_path, change):
    content = yaml.safe_load((repository / "configs" / "quickstart.yaml").read_text("utf-8")) | {"limit": 1} | change
    assert list(schema.iter_errors(content))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    shutil.copy(repository / "configs" / "digit_network.ckpt", tmp_path)
    done = explainrun("run", path, "--summary-dir", tmp_path / "run")
    assert done.exit_code == 2, done.output


@pytest.mark.parametrize(
    "change",
    [
        {"explainers": ["Gradient", {"GradCAM": None}, {"NoiseTunnel": {"explainer": {"Gradient": {"loss": True}}}}]},
        {"jit": True, "pass_size": "auto", "labels": ["3", 4], "mean": [0.1, 0.2, 0.3], "output": "heads.0"},
        {"class_names": {0: "a", 1: "b"}, "imported": {"captum": "maps.h5", "mine": {"path": "x.h5"}}},
        {"hierarchical_occlusion": {}, "uncertainty": {"samples": 3}, "engine": {"resources": {"CPU": 2}}},
    ],
)
def test_what_a_config_may_hold_the_schema_takes(schema, repository, tmp_path, change):
    content = yaml.safe_load((repository / "configs" / "quickstart.yaml").read_text("utf-8")) | change
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    assert load_config(path)[1] == []
    assert list(schema.iter_errors(json.loads(json.dumps(content)))) == []


def test_the_schema_explains_every_key_and_names_everything(schema):
    properties = schema.schema["properties"]
    assert set(properties) == set(RunConfig.model_fields)
    lacking = [key for key, said in properties.items() if not said.get("description")]
    assert lacking == []
    for key, registry in (("explainers", EXPLAINERS), ("metrics", METRICS)):
        entries = properties[key]["items"]["anyOf"][1:]
        assert [next(iter(entry["properties"])) for entry in entries] == list(registry)
    options = properties["metrics"]["items"]["anyOf"][1 + list(METRICS).index("PointingGame")]["properties"]
    tolerance = options["PointingGame"]["properties"]["tolerance"]
    assert tolerance["default"] == 15
    assert "pixels" in tolerance["description"]


def test_names_that_a_docstring_explains():
    docstring = """A thing.

    Args:
        one: the first,
            on two lines.
        two, three: of both.

    Raises:
        ValueError: never.
    """
    assert list(explained_names(docstring)) == [("one", "the first, on two lines."), ("two", "of both."),
                                                ("three", "of both.")]  # fmt: skip


def test_the_command_prints_the_schema(schema):
    done = explainrun("schema")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == schema.schema


@pytest.fixture
def begun(tmp_path):
    """What ``explainrun new`` wrote."""
    done = explainrun("new", tmp_path / "mine")
    assert done.exit_code == 0, done.output
    return tmp_path / "mine"


def fill_in(folder):
    """A checkpoint, names and pictures, which are all that the files that were written lack."""
    config = folder / "explain.yaml"
    text = config.read_text("utf-8")
    assert text.count("FILL IN") == 4  # the mark itself, and three things
    text = text.replace("[first class, second class]", "[black, white]").replace("size: [224, 224]", "size: [24, 32]")
    config.write_text(text, "utf-8")
    save_checkpoint(make("network.py:Network", folder, classes=2), str(folder / "weights.ckpt"))
    rng = np.random.default_rng(0)
    for name, low in (("black", 0), ("white", 150)):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(2):
            pixels = rng.integers(low, low + 100, (20, 30, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{number}.jpg")


def test_what_is_begun_names_what_is_to_be_filled_in(begun):
    done = explainrun("check", begun / "explain.yaml")
    assert done.exit_code == 2
    assert "no checkpoint" in done.stderr
    assert "weights.ckpt" in done.stderr
    assert "no pictures in" in done.stderr


def test_nothing_that_is_there_is_replaced(begun):
    (begun / "network.py").write_text("mine")
    (begun / "dataset.py").unlink()
    done = explainrun("new", begun)
    assert done.exit_code == 2
    assert "explain.yaml and network.py" in done.stderr
    assert (begun / "network.py").read_text() == "mine"
    assert not (begun / "dataset.py").exists()


@pytest.mark.slow
def test_what_is_filled_in_runs(begun, monkeypatch):
    fill_in(begun)
    monkeypatch.chdir(begun)
    assert explainrun("check", "explain.yaml").exit_code == 0
    assert not (begun / "runs").exists()
    done = explainrun("run", "explain.yaml")
    assert done.exit_code == 0, done.output
    results = Results(begun / "runs" / "first")
    assert results.class_names == ("black", "white")
    assert len(results.samples) == 4
    assert results.explainers == ("Gradient", "IntegratedGradients", "GradCAM", "RandomMap")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_given_a_script_for_completion(shell, monkeypatch):
    done = subprocess.run(
        [sys.executable, "-c", "from explainrun.runner.cli.main import main; main(prog_name='explainrun')"],
        env={"_EXPLAINRUN_COMPLETE": f"{shell}_source", "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "_EXPLAINRUN_COMPLETE" in done.stdout, done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("words", "incomplete", "offered"),
    [
        ([], "sc", ["score", "scores", "schema"]),
        (["check"], "--j", ["--json"]),
        (["trend"], "--format", ["--format"]),
        (["trend", "--format"], "j", ["json"]),
    ],
)
def test_commands_options_and_choices_are_completed(words, incomplete, offered):
    completing = ShellComplete(main, {}, "explainrun", "_EXPLAINRUN_COMPLETE")
    assert sorted(one.value for one in completing.get_completions(words, incomplete)) == sorted(offered)
