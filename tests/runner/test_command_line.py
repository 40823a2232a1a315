"""``explainrun run`` on configs, good and bad."""

import shutil
import subprocess
import sys

import pytest
import yaml

from explainrun.runner import PlanError
from explainrun.runner.config import build_runner, load_config
from explainrun.summary_format import read_summary


@pytest.fixture
def quickstart(repository, tmp_path):
    """The quickstart config, cut down, in a folder of its own."""
    configs = repository / "configs"
    shutil.copy(configs / "digit_network.ckpt", tmp_path)
    content = yaml.safe_load((configs / "quickstart.yaml").read_text())
    content["data"]["options"]["count"] = 6
    content["metrics"][0]["InsertionAUC"]["steps"] = 2

    def write(**changes):
        path = tmp_path / f"config{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text(yaml.safe_dump(content | changes))
        return path

    return write


def explainrun(*arguments):
    command = [sys.executable, "-m", "explainrun", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_runs_a_config(quickstart, tmp_path):
    arguments = (
        "run",
        quickstart(),
        "--summary-dir",
        tmp_path / "out",
        "--limit",
        3,
        "--set",
        "mean=null",
        "--set",
        "std=null",
    )
    done = explainrun(*arguments)
    assert done.returncode == 0, done.stderr
    assert "GradCAM" in done.stdout
    assert f"summary: {tmp_path / 'out'}" in done.stdout
    assert "3 samples" in done.stdout
    assert "Traceback" not in done.stderr
    summary = read_summary(tmp_path / "out")
    assert sorted(summary.samples) == [0, 1, 2]
    assert summary.metadata.explainers == ("Gradient", "InputXGradient", "GradCAM")
    assert summary.metadata.metrics == ("InsertionAUC", "PointingGame", "IoSR")
    again = explainrun(*arguments)
    assert again.returncode == 2
    assert "holds a run already" in again.stderr
    assert explainrun(*arguments, "--overwrite").returncode == 0


def test_bad_input_is_told_in_lines_without_traceback(quickstart, tmp_path):
    for arguments, words in (
        (("run", quickstart(), "--set", "sed=1"), "explainrun: unknown key 'sed'; did you mean 'seed'"),
        (("run", quickstart(explainers=["GradCAN"])), "explainers[0]: no explainer 'GradCAN'; did you mean 'GradCAM'"),
        (("run", quickstart(), "--set", "limit"), "'limit' is not KEY=VALUE"),
        (("run", tmp_path / "none.yaml"), "does not exist"),
        (("runn", quickstart()), "No such command 'runn'"),
    ):
        done = explainrun(*arguments)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_run_that_fails_later_has_an_exit_code_of_its_own(quickstart, tmp_path):
    (tmp_path / "odd_rows.py").write_text(
        "import mindspore.dataset as ds, numpy as np\n"
        "def rows():\n"
        "    sizes = [112] * 70 + [100]\n"
        "    data = [(np.zeros((3, size, 112), np.float32), np.int32([1])) for size in sizes]\n"
        "    return ds.GeneratorDataset(data, ['image', 'labels'], shuffle=False)\n"
    )
    config = quickstart(data={"factory": "odd_rows:rows"}, explainers=["Gradient"], metrics=[])
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from explainrun.runner.command_line import main; main()"
    command = [sys.executable, "-c", code, "run", config, "--summary-dir", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "explainrun: the run failed: sample 70: the image is (3, 100, 112)" in done.stderr
    assert "Traceback" not in done.stderr


def problems(path, overrides=None):
    with pytest.raises(PlanError) as caught:
        build_runner(load_config(path, overrides))
    return caught.value.problems


def test_all_that_is_wrong_in_a_config_is_listed_at_once(quickstart):
    path = quickstart(
        explainers=["Gradient", {"GradCAM": {"layr": "block6"}}, {"GradCAM": None, "Gradient": None}],
        metrics=["IoSr", {"PointingGame": {"network": 1}}],
        network={"factory": "explainrun.configs.digit_network:Digits"},
        data={"factory": "no_such_module:rows"},
    )
    told = problems(path)
    assert [problem.split(":")[0] for problem in told] == [
        "network", "data", "explainers[1]", "explainers[2]", "metrics[0]", "metrics[1]",
    ]  # fmt: skip
    text = "\n".join(told)
    for words in (
        "has no attribute 'Digits'",
        "No module named 'no_such_module'",
        "GradCAM has no option 'layr'; did you mean 'layer'",
        "an entry is a name or a mapping from one name to its options",
        "no metric 'IoSr'; did you mean 'IoSR'",
        "PointingGame has no option 'network'",
    ):
        assert words in text


def test_layers_options_and_values_are_checked(quickstart):
    (told,) = problems(quickstart(explainers=[{"GradCAM": {"layer": "blck6"}}]))
    assert told == "explainers[0]: DigitNetwork has no layer 'blck6'; did you mean 'block6' or 'block5' or 'block4'?"
    told = problems(quickstart(activation="sigmod", pass_size=0, explainers=[]))
    assert [problem.split(":")[0] for problem in told] == ["activation", "pass_size", "explainers"]
    (told,) = problems(quickstart(), {"network.checkpoin": "x"})
    assert told == "unknown key 'network.checkpoin'; did you mean 'checkpoint'?"
    (told,) = problems(quickstart(), {"activation.kind": "x"})
    assert told == "cannot set activation.kind: activation is neither a mapping nor a list with an element kind"
    (told,) = problems(quickstart(), {"metrics.3.x": 1})
    assert told == "cannot set metrics.3.x: metrics is neither a mapping nor a list with an element 3"


def test_values_are_set_by_dotted_key(quickstart):
    overrides = {"metrics.0.InsertionAUC.steps": 5, "data.options.count": 9, "explainers.1": "Gradient", "seed": 3}
    config = load_config(quickstart(), overrides)
    assert config.metrics[0] == {"InsertionAUC": {"steps": 5}}
    assert config.data.options == {"split": "test", "count": 9}
    assert (config.explainers[1], config.seed) == ("Gradient", 3)


def test_a_checkpoint_that_does_not_fit_or_is_none(quickstart, tmp_path):
    network = {"factory": "explainrun.configs.digit_network:DigitNetwork", "checkpoint": "digit_network.ckpt"}
    (told,) = problems(quickstart(network=network | {"options": {"num_classes": 12}}))
    assert told.startswith("network: ")
    assert "head" in told
    (told,) = problems(quickstart(network=network | {"checkpoint": "none.ckpt"}))
    assert "none.ckpt" in told
    (tmp_path / "junk.ckpt").write_bytes(b"junk")
    (told,) = problems(quickstart(network=network | {"checkpoint": "junk.ckpt"}))
    assert "junk.ckpt" in told


def test_files_that_are_no_config(tmp_path):
    path = tmp_path / "config.yaml"
    for text, words in (
        ("[1, 2]", "must hold a mapping, it holds list"),
        ("a: [", "cannot read"),
        ("a: !!python/none", "cannot read"),
    ):
        path.write_text(text)
        with pytest.raises(PlanError, match=words):
            load_config(path)


def test_help_comes_without_mindspore():
    code = "import sys; from explainrun.runner import command_line; print('mindspore' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "False"
