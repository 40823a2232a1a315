"""``explainrun run`` on configs, good and bad."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from click import Option
from click.testing import CliRunner

from explainrun.benchmarks import METRICS
from explainrun.configs.digit_scenes import DigitScenes
from explainrun.explainers import EXPLAINERS
from explainrun.runner import PlanError
from explainrun.runner.cli.main import main
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config
from explainrun.summary_format import Results, read_summary
from explainrun.summary_format.errors import nearest


@pytest.fixture
def quickstart(repository, tmp_path):
    """The quickstart config, cut down, in a folder of its own."""
    configs = repository / "configs"
    shutil.copy(configs / "digit_network.ckpt", tmp_path)
    content = yaml.safe_load((configs / "quickstart.yaml").read_text())
    content["summary_dir"] = str(tmp_path / "summary")
    content["data"]["options"]["count"] = 6
    for metric in ("InsertionAUC", "DeletionAUC"):
        next(entry for entry in content["metrics"] if metric in entry)[metric]["steps"] = 2

    def write(**changes):
        path = tmp_path / f"config{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text(yaml.safe_dump(content | changes))
        return path

    return write


def explainrun(*arguments):
    """The command in this process: MindSpore takes seconds to import, and ``tests/streams`` starts it for itself."""
    return CliRunner().invoke(main, list(map(str, arguments)))


def started(*arguments):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "explainrun", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


SMALL = {"RISE": 4, "RISEPlus": 4, "steps": 2, "uncertainty": 2, "limit": 1}
LARGE = {"RISE": 20, "RISEPlus": 12, "steps": 16, "uncertainty": 5, "limit": 2}


@pytest.mark.parametrize("size", [SMALL, pytest.param(LARGE, marks=pytest.mark.long)])
@pytest.mark.slow
def test_runs_everything_that_there_is(repository, tmp_path, size, nearly_fewest):
    """The full config, with fewer masks."""
    fewer = {
        "explainers.5.Occlusion.window": 56, "explainers.5.Occlusion.stride": 28,
        "explainers.6.RISE.num_masks": size["RISE"], "explainers.7.RISEPlus.num_masks": size["RISEPlus"],
        "metrics.5.Robustness.samples": 1, "uncertainty.samples": size["uncertainty"],
    } | {
        f"metrics.{place}.{name}.steps": size["steps"]
        for place, name in enumerate(("InsertionAUC", "DeletionAUC", "NaiveFaithfulness"))
    }  # fmt: skip
    path = repository / "configs" / "full.yaml"
    build_runner(*load_config(path, {"summary_dir": str(tmp_path), **fewer}), path.parent).run(limit=size["limit"])
    results = Results(tmp_path)
    assert (len(results.explainers), len(results.metrics)) == (8, 8)
    nearly_fewest(results.costs, ragged=len(results.explainers))
    assert "found" in results.outcomes
    assert results.uncertainty.shape == (3, size["limit"], 10)
    assert np.isfinite(results.errors("RISEPlus")).all()
    scored = [name for name in results.explainers if np.isfinite(results.scores(name, "Robustness")).all()]
    assert len(scored) == 8


def test_a_section_without_a_value_is_refused(quickstart):
    (told,) = problems(quickstart(hierarchical_occlusion=None))
    assert (told.code, told.values["key"], told.values["given"]) == ("key-refused", "hierarchical_occlusion", None)


def test_a_section_that_is_no_mapping_is_refused(quickstart):
    (told,) = problems(quickstart(uncertainty=5))
    assert (told.code, told.values) == ("key-no-mapping", {"key": "uncertainty", "given": 5})


def test_a_head_of_another_network_is_told(quickstart):
    (told,) = problems(quickstart(explainers=[{"RISEPlus": {"ood_net": "digit_network.ckpt"}}]))
    assert told.values["where"] == "explainers[0]"
    assert "holds no head of an OoDNet" in told.values["said"]
    (told,) = problems(quickstart(explainers=[{"RISEPlus": {"num_masks": 9}}]))
    assert told.code == "option-missing"
    assert told.values == {"where": "explainers[0]", "name": "RISEPlus", "options": ["ood_net"]}


@pytest.mark.slow
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
    assert done.exit_code == 0, done.stderr
    assert "GradCAM" in done.stdout
    assert done.output.count(f"summary: {tmp_path / 'out'}") == 1  # once, on standard output
    assert f"summary: {tmp_path / 'out'}" in done.stdout
    assert "3 samples" in done.stdout
    assert "Traceback" not in done.stderr
    summary = read_summary(tmp_path / "out")
    assert sorted(summary.samples) == [0, 1, 2]
    explainers = ("Gradient", "InputXGradient", "GuidedBackprop", "Deconvolution", "GradCAM", "RandomMap")
    assert summary.metadata.explainers == explainers
    assert summary.metadata.metrics == ("InsertionAUC", "DeletionAUC", "PointingGame", "IoSR")
    again = explainrun(*arguments)
    assert again.exit_code == 0
    assert "finished before, nothing was done" in again.stdout
    other = explainrun(*arguments, "--set", "seed=1")
    assert other.exit_code == 2
    assert "holds a finished run of another plan (seed was 0, is 1); name another folder, or replace" in other.stderr
    assert explainrun(*arguments, "--limit", 1, "--overwrite").exit_code == 0


@pytest.mark.slow
def test_bad_input_is_told_in_lines_without_traceback(quickstart, tmp_path):
    for arguments, words in (
        (("run", quickstart(), "--set", "sed=1"), "explainrun: unknown key 'sed'; did you mean 'seed'"),
        (("run", quickstart(explainers=["GradCAN"])), "explainers[0]: no explainer 'GradCAN'; did you mean 'GradCAM'"),
        (("run", quickstart(), "--set", "limit"), "'limit' is not KEY=VALUE"),
        (("run", tmp_path / "none.yaml"), "does not exist"),
        (("runn", quickstart()), "No such command 'runn'"),
    ):
        done = explainrun(*arguments)
        assert done.exit_code == 2, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_sample_that_does_not_fit_is_bad_input_however_late(quickstart, tmp_path, monkeypatch):
    (tmp_path / "odd_rows.py").write_text(
        "import mindspore.dataset as ds, numpy as np\n"
        "def rows():\n"
        "    sizes = [112] * 70 + [100]\n"
        "    data = [(np.zeros((3, size, 112), np.float32), np.int32([1])) for size in sizes]\n"
        "    return ds.GeneratorDataset(data, ['image', 'labels'], shuffle=False)\n"
    )
    config = quickstart(data={"factory": "odd_rows:rows"}, explainers=["Gradient"], metrics=[])
    monkeypatch.syspath_prepend(tmp_path)
    done = explainrun("run", config, "--summary-dir", tmp_path / "out")
    assert done.exit_code == 2
    assert "explainrun: sample 70: the image is (3, 100, 112)" in done.stderr
    assert "Traceback" not in done.stderr


def test_whatever_a_users_code_raises_is_told_in_a_line(quickstart, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import mindspore.dataset as ds, numpy as np\n"
        "class Rows:\n"
        "    def __len__(self): return 80\n"
        "    def __getitem__(self, i):\n"
        "        if i == 70: raise KeyError('path')\n"
        "        return np.zeros((3, 112, 112), np.float32), np.int32([1])\n"
        "def rows(): return ds.GeneratorDataset(Rows(), ['image', 'labels'], shuffle=False)\n"
        "def broken(): return {}['path']\n"
    )
    config = quickstart(data={"factory": "mine:rows"}, explainers=["Gradient"], metrics=[])  # found beside the config
    done = explainrun("run", config)
    assert (done.exit_code, "Traceback" in done.stderr.splitlines()[0]) == (3, False)
    assert "explainrun: the run failed: RuntimeError:" in done.stderr
    done = explainrun("run", quickstart(data={"factory": "mine:broken"}))
    assert (done.exit_code, done.stderr.strip().splitlines()[-1]) == (2, "explainrun: data: KeyError: 'path'")
    done = explainrun("run", quickstart(data={"factory": "mine2:rows"}))
    assert f"modules on Python's path and in {tmp_path} are found" in done.stderr


def test_words_that_yaml_reads_otherwise(quickstart, raising):
    for given, read in ((False, "off"), (True, "on"), ("auto", "auto"), ("off", "off")):
        assert load_config(quickstart(jit=given))[0].jit == read
    with raising(PlanError, "jit-unknown", given="no way"):
        load_config(quickstart(jit="no way"))


def problems(path, overrides=None):
    with pytest.raises(PlanError) as caught:
        build_runner(*load_config(path, overrides), path.parent)
    return caught.value.problems


def test_all_that_is_wrong_in_a_config_is_listed_at_once(quickstart):
    path = quickstart(
        explainers=["Gradient", {"GradCAM": {"layr": "block6"}}, {"GradCAM": None, "Gradient": None}],
        metrics=["IoSr", {"PointingGame": {"network": 1}}],
        network={"factory": "explainrun.configs.digit_network:Digits"},
        data={"factory": "no_such_module:rows"},
    )
    told = problems(path)
    assert [(problem.code, problem.values["where"]) for problem in told] == [
        ("factory-unknown", "network"),
        ("module-not-found", "data"),
        ("option-unknown", "explainers[1]"),
        ("entry-malformed", "explainers[2]"),
        ("name-unknown", "metrics[0]"),
        ("option-unknown", "metrics[1]"),
    ]
    factory, module, layer, entry, metric, network = (problem.values for problem in told)
    assert (factory["name"], factory["nearest"]) == ("Digits", nearest("Digits", ["DigitNetwork"]))
    assert "'no_such_module'" in module["said"]
    assert (layer["name"], layer["option"]) == ("GradCAM", "layr")
    assert "'layer'" in layer["nearest"]
    assert entry["given"] == {"GradCAM": None, "Gradient": None}
    assert (metric["kind"], metric["name"], metric["nearest"]) == ("metric", "IoSr", nearest("IoSr", METRICS))
    assert (network["name"], network["option"]) == ("PointingGame", "network")


@pytest.mark.slow
def test_layers_options_and_values_are_checked(quickstart):
    (told,) = problems(quickstart(explainers=[{"GradCAM": {"layer": "blck6"}}]))
    nearest_blocks = nearest("blck6", ["block6", "block5", "block4"])
    assert (told.code, told.values) == (
        "layer-unknown",
        {"where": "explainers[0]", "network": "DigitNetwork", "layer": "blck6", "nearest": nearest_blocks},
    )
    size, activation = problems(quickstart(activation="sigmod", pass_size=0))
    assert (size.code, size.values) == ("not-a-whole-number", {"name": "pass_size", "least": 1, "given": 0})
    assert (activation.code, activation.values["key"]) == ("key-refused", "activation")
    assert problems(quickstart(explainers=[]))[0].code == "key-refused"
    (told,) = problems(quickstart(), {"network.checkpoin": "x"})
    assert told.code == "key-unknown"
    assert told.values == {"key": "network.checkpoin", "nearest": nearest("checkpoin", ["checkpoint"])}
    (told,) = problems(quickstart(), {"activation.kind": "x"})
    assert (told.code, told.values) == (
        "key-impossible", {"key": "activation.kind", "above": "activation", "section": "kind"}
    )  # fmt: skip
    (told,) = problems(quickstart(), {"metrics.9.x": 1})
    assert (told.code, told.values) == (
        "key-impossible", {"key": "metrics.9.x", "above": "metrics", "section": "9"}
    )  # fmt: skip


def test_values_are_set_by_dotted_key(quickstart):
    overrides = {"metrics.0.InsertionAUC.steps": 5, "data.options.count": 9, "explainers.1": "Gradient", "seed": 3}
    config, unknown = load_config(quickstart(), overrides)
    assert unknown == []
    assert config.metrics[0] == {"InsertionAUC": {"steps": 5}}
    assert config.data.options == {"split": "test", "first": 1, "count": 9}
    assert (config.explainers[1], config.seed) == ("Gradient", 3)


def test_faults_of_every_kind_are_told_in_one_go(quickstart, tmp_path):
    (tmp_path / "summary").write_text("a file")
    path = quickstart(
        sumary="x",
        class_names=["0", "0", *"23456789", "ten"],
        explainers=["Gradient", "Gradient", {"GradCAM": {"layer": "blok6"}}],
        metrics=["IoSR", {"PointingGame": {"tolerance": 0}}],
        data={"factory": "explainrun.configs.digit_scenes:scene_dataset", "options": {"columns": ["image", "labels"]}},
        network={"factory": "explainrun.configs.digit_network:DigitNetwork"},
    )
    told = problems(path)
    assert [problem.code for problem in told] == [
        *("key-unknown", "layer-unknown", "value-refused", "no-boxes"),
        *("name-repeated", "folder-is-file", "outputs-not-classes"),
    ]
    values = [problem.values for problem in told]
    assert values[0]["key"] == "sumary"
    assert (values[1]["where"], values[1]["layer"]) == ("explainers[2]", "blok6")
    assert values[2]["where"] == "metrics[1]"
    assert values[3:] == [
        {"metrics": ["IoSR"], "columns": ["image", "labels"]},
        {"kind": "explainer name", "name": "Gradient", "times": 2},
        {"folder": str(tmp_path / "summary")},
        {"outputs": 10, "classes": 11},
    ]


def test_a_checkpoint_that_does_not_fit_or_is_none(quickstart, tmp_path):
    network = {"factory": "explainrun.configs.digit_network:DigitNetwork", "checkpoint": "digit_network.ckpt"}
    (told,) = problems(quickstart(network=network | {"options": {"num_classes": 12}}))
    assert told.code == "checkpoint-does-not-fit"
    assert told.values == {
        "where": "network",
        "file": str(tmp_path / "digit_network.ckpt"),
        "differences": ["has head.weight (10, 128) instead of (12, 128)", "has head.bias (10,) instead of (12,)"],
        "more": "",
    }
    (told,) = problems(quickstart(network=network | {"checkpoint": "none.ckpt"}))
    assert told.code == "checkpoint-missing"
    assert told.values == {"where": "network", "file": str(tmp_path / "none.ckpt")}
    (tmp_path / "junk.ckpt").write_bytes(b"junk")
    (told,) = problems(quickstart(network=network | {"checkpoint": "junk.ckpt"}))
    assert told.code == "not-a-checkpoint"
    assert (told.values["where"], told.values["file"]) == ("network", str(tmp_path / "junk.ckpt"))


def test_files_that_are_no_config(tmp_path, raising):
    path = tmp_path / "config.yaml"
    for text, code, values in (
        ("[1, 2]", "yaml-no-mapping", {"kind": "list"}),
        ("a: [", "yaml-unreadable", {}),
        ("a: !!python/none", "yaml-unreadable", {}),
        ("a: 1\nb: {c: 1, c: 2}", "yaml-unreadable", {"said": re.compile("the key 'c'")}),
    ):
        path.write_text(text)
        with raising(PlanError, code, file=str(path), **values):
            load_config(path)


def test_the_lines_of_help_are_whole_phrases():
    """Click cuts a first sentence that is longer."""
    for command in main.commands.values():
        assert 0 < len(command.short_help) <= 45
        assert command.short_help.endswith(".")
    lines = CliRunner().invoke(main, ["--help"], terminal_width=80).stdout.splitlines()
    listed = [line.split(maxsplit=1) for line in lines[lines.index("Before a run:") :] if line.startswith("  ")]
    assert len(listed) == len(main.commands) == 17
    assert dict(listed) == {name: command.short_help for name, command in main.commands.items()}


def test_each_option_is_explained_in_a_sentence():
    """It begins with a capital and ends with a full stop; a default in brackets may follow."""
    for command in main.commands.values():
        for option in command.params:
            if isinstance(option, Option):
                assert re.fullmatch(r"[A-Z][a-z]+ .*\.( \[default: .*\])?", option.help or ""), option.name


def test_help_fits_a_terminal_of_80_columns():
    for name in ("", *main.commands):
        told = CliRunner().invoke(main, [*name.split(), "--help"], terminal_width=80).stdout
        assert [line for line in told.splitlines() if len(line) > 80] == []


def test_help_says_what_exit_codes_mean():
    told = CliRunner().invoke(main, ["--help"]).stdout
    for words in ("0 fine", "1 only of compare", "2 bad", "3 it"):
        assert words in " ".join(told.split())


@pytest.mark.parametrize("command", [[], ["run"], ["inspect"], ["merge"]])
def test_help_comes_without_what_takes_long_to_import(command):
    code = "import sys; from explainrun.runner.cli.main import main\n"
    code += f"try: main({[*command, '--help']})\n"
    code += "finally: print([name for name in ('mindspore', 'numpy', 'h5py', 'pydantic') if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "[]"


@pytest.mark.long
def test_files_named_in_a_config(quickstart, tmp_path):
    DigitScenes("test", 2, first=1).write_hdf5(tmp_path / "scenes.h5")
    (tmp_path / "names.txt").write_text("\n".join("0123456789"))
    (tmp_path / "nets.py").write_text("from explainrun.configs.digit_network import DigitNetwork\n")
    few = {"explainers": ["Gradient", "InputXGradient", "GuidedBackprop"]}
    config = quickstart(
        **few,
        data={"hdf5": "scenes.h5"},
        class_names="names.txt",
        network={"factory": "nets.py:DigitNetwork", "checkpoint": "digit_network.ckpt"},
        device="CPU",
    )
    done = explainrun("run", config)
    assert done.exit_code == 0, done.stderr
    direct = explainrun("run", quickstart(**few, summary_dir=str(tmp_path / "direct")), "--limit", 2)
    assert done.stdout.split("\n")[:5] == direct.stdout.split("\n")[:5]  # the same scores as from the dataset factory


def test_sources_devices_and_class_files_that_do_not_fit(quickstart):
    (told,) = problems(quickstart(data={"hdf5": "a.h5", "csv": "a.csv"}))
    assert (told.code, told.values["key"]) == ("key-refused", "data")
    told = problems(quickstart(data={"hdf5": "none.h5"}, class_names="none.txt", device="CPU"))
    assert [problem.values["where"] for problem in told] == ["class_names", "data"]
    (told,) = problems(quickstart(device="TPU"))
    assert (told.code, told.values["key"], told.values["given"]) == ("key-refused", "device", "TPU")


@pytest.mark.slow
def test_layers_of_a_config_and_of_a_factory(quickstart):
    of_config = started("layers", quickstart())
    assert of_config.returncode == 0, of_config.stderr
    lines = {line.split()[0]: line.split()[1:] for line in of_config.stdout.splitlines()[2:]}
    assert lines["block1.conv"] == ["Conv2d", "24x56x56"]
    assert lines["block6"] == ["ConvBlock", "128x14x14"]
    assert lines["head"] == ["Dense", "10"]
    factory = "explainrun.configs.digit_network:DigitNetwork"
    of_factory = explainrun("layers", factory, "--input-shape", "3,56,40")
    assert ["block6", "ConvBlock", "128x7x5"] in [line.split() for line in of_factory.stdout.splitlines()]
    for arguments, words in (
        ((factory,), "give the shape of an image with --input-shape C,H,W"),
        ((factory, "--input-shape", "3,56"), "must be three positive numbers C,H,W, got '3,56'"),
        ((factory + "s", "--input-shape", "3,56,40"), "has no factory 'DigitNetworks'; did you mean 'DigitNetwork'"),
    ):
        done = explainrun("layers", *arguments)
        assert (done.exit_code, "Traceback" in done.stderr) == (2, False)
        assert words in done.stderr


def test_list_names_every_explainer_and_metric_with_options():
    done = explainrun("list")
    assert done.exit_code == 0, done.stderr
    for name in (*EXPLAINERS, *METRICS):
        assert f"\n{name}" in done.stdout
    assert "layer=None, name=None, reshape=None" in done.stdout
    assert "tolerance=15, name=None" in done.stdout
