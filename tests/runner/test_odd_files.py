"""Files and names that come from anybody: nothing waits, fills the memory, or speaks to the terminal."""

import logging
import os

import pytest
import yaml
from click.testing import CliRunner

from explainrun.runner import PlanError
from explainrun.runner.cli.main import main
from explainrun.runner.comparison.rules.rules_file import rules_of
from explainrun.runner.config.schema import load_config
from explainrun.runner.data.file_datasets import csv_dataset, hdf5_dataset, npz_dataset
from explainrun.runner.yaml_loader import yaml_value
from explainrun.summary_format import find_runs
from explainrun.summary_format.names import without_controls
from explainrun.summary_format.problem import Problem

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def endless(path):
    path.touch()
    os.truncate(path, 2**40)


def folder(path):
    path.mkdir()


FILES = {
    "plan": lambda run: run.data / "plan.json",
    "manifest": lambda run: run.manifest,
    "events": lambda run: run.event_file,
    "archive": lambda run: run.archive,
    "segment": lambda run: next(iter(sorted(run.segments.iterdir())), None),
    "picture": lambda run: next(iter(sorted(run.root.rglob("*.png")))),
}
ODD = [pipe, device, endless, folder]


def commands(odd):
    yield ["inspect", odd]
    yield ["scores", odd]
    yield ["compare", odd, odd]
    yield ["baseline", odd, "--output", f"{odd}.json"]


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("which", ["plan", "manifest", "events", "archive", "picture"])
def test_in_a_finished_run(whole, which, make):
    """Reading ends, with one of the documented codes; what is wrong is named where it is read."""
    [run] = find_runs(whole)
    path = FILES[which](run)
    path.unlink()
    make(path)
    for command in commands(str(whole)):
        done = CliRunner().invoke(main, command)
        assert done.exit_code in (0, 1, 2, 3), (command, done.exception)
        assert "Traceback" not in done.output
    said = CliRunner().invoke(main, ["inspect", str(whole)])
    assert said.exit_code in (2, 3)


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("which", ["plan", "events", "segment"])
def test_in_an_unfinished_run(make_runner, kill, tmp_path, how_runs_differ, whole, which, make):
    """A start computes again what it cannot read, or begins again; it neither waits nor ends elsewhere."""
    kill(make_runner().run, 1, 2)
    [run] = find_runs(tmp_path / "run")
    path = FILES[which](run)
    path.unlink()
    make(path)
    assert CliRunner().invoke(main, ["inspect", str(tmp_path / "run")]).exit_code in (2, 3)
    if (
        make is not folder and which != "plan"
    ):  # without its plan a folder is not known to be a run's, and is left alone
        make_runner().run()
        assert how_runs_differ(whole, tmp_path / "run") == []


@pytest.mark.parametrize("make", ODD)
def test_as_baseline_config_and_class_names(repository, tmp_path, whole, make):
    odd = tmp_path / "odd.yaml"
    make(odd)
    for command in (["compare", str(odd), str(whole)], ["run", str(odd)], ["explain", "a.png", "--network", str(odd)]):
        assert CliRunner().invoke(main, command).exit_code == 2, command
    config = repository / "configs" / "quickstart.yaml"
    line = ["run", str(config), "--set", f"class_names={odd}", "--summary-dir", str(tmp_path / "out")]
    done = CliRunner().invoke(main, line)
    assert (done.exit_code, "class_names" in done.stderr) == (2, True)


@pytest.mark.parametrize("make", [pipe, device, folder])
@pytest.mark.parametrize("source", [hdf5_dataset, npz_dataset, lambda path: csv_dataset(path, ["a"])])
def test_as_data(tmp_path, source, make):
    path = tmp_path / "data"
    make(path)
    with pytest.raises((ValueError, OSError), match="data"):
        source(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: " + "[" * 5000 + "]" * 5000, "nest more than 100 deep"),
        ("a: " + "{b: " * 300 + "}" * 300, "nest more than 100 deep"),
        ("a: [" + "b," * 600_000 + "]", "larger than 1 MiB"),
    ],
)
def test_configs_that_take_minutes(tmp_path, text, words):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(PlanError, match=words):
        load_config(path)


def lines_of_nine(first, line):
    """Eight lines, each of nine times the one before."""
    more = (f"a{i}: &a{i} {line(', '.join([f'*a{i - 1}'] * 9))}" for i in range(1, 9))
    return "\n".join([f"a0: &a0 {first}", *more])


MUCH_OF_LITTLE = {
    "lists": lines_of_nine("lol", "[{}]".format),
    "merged mappings": lines_of_nine("{x: 1}", "{{<<: [{}]}}".format),
    "keys": "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} {{? *a{i - 1} : *a{i - 1}}}" for i in range(1, 30))]),
    "a long text": f"a: &a {'b' * 30000}\nc: [{'*a,' * 200}]",
}


@pytest.mark.parametrize("name", MUCH_OF_LITTLE)
def test_aliases_that_stand_for_too_much(tmp_path, name):
    path, text = tmp_path / "config.yaml", MUCH_OF_LITTLE[name]
    path.write_text(text)
    said = "its aliases written out make more than 4 MiB"
    with pytest.raises(PlanError, match=said):
        load_config(path)
    with pytest.raises(ValueError, match=said):
        rules_of(path)
    done = CliRunner().invoke(main, ["run", str(path), "--set", f"data={{{text.replace(chr(10), ', ')}}}"])
    assert (done.exit_code, said in " ".join(done.stderr.split())) == (2, True), done.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [*a]", "an alias stands for what it lies in"), ("a: &a {b: {c: *a}}", "an alias stands for what"),
        ("- " * 200 + "a", "nests more than 100 deep"), ("- " * 1500 + "a", "nests more than 100 deep"),
        ("\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 200))]), "nests more than 100 deep"),
        ("a: 2020-99-99", "month must be in 1..12"),
    ],
)  # fmt: skip
def test_yaml_that_goes_on(text, said):
    with pytest.raises(ValueError, match=said):
        yaml_value(text)


def test_aliases_and_merges_that_are_meant():
    text = "a: &a {x: [1, 2], z: 0}\nb: *a\nc: {<<: *a, x: 3}"
    assert yaml_value(text) == {"a": {"x": [1, 2], "z": 0}, "b": {"x": [1, 2], "z": 0}, "c": {"x": 3, "z": 0}}
    assert yaml_value("") is None
    with pytest.raises(yaml.YAMLError, match="'x' stands twice"):
        yaml_value("a: {x: 1, x: 2}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\nPASSED", "a\\nPASSED"),
        ("a\r\x08b\x9bc", "a\\r\\x08b\\x9bc"),
        ("abc\u202edef\u2028", "abc\\u202edef\\u2028"),
        ("caf\u00e9 \u00a0\u5c71 \U0001f468\u200d\U0001f469", "caf\u00e9 \u00a0\u5c71 \U0001f468\u200d\U0001f469"),
    ],
)
def test_names_do_not_reach_the_terminal_as_commands(text, shown):
    assert without_controls(text) == shown
    assert Problem.of("other", "no {name}", name=text) == f"no {shown}"
    assert Problem.of("other", "no {names:list}", names=[text]) == f"no {shown}"


@pytest.fixture
def root_logger():
    """The root logger, whose level is put back: commands set it for good."""
    root = logging.getLogger()
    level = root.level
    yield root
    root.setLevel(level)


def test_nor_do_paths_logs_and_messages(tmp_path, capsys):
    line = ["inspect", str(tmp_path / "\x1b[2J\nall sound")]
    said = CliRunner().invoke(main, line)
    assert ("\x1b" in said.output, "\\x1b[2J" in said.output) == (False, True)


def test_nor_do_lines_of_the_log(root_logger, capsys, monkeypatch):
    monkeypatch.setattr(root_logger, "handlers", [])  # only now: pytest adds its own before the test
    with pytest.raises(SystemExit):
        main(["layers", "--help"])
    with pytest.raises(SystemExit):
        main(["list"])
    logging.getLogger("explainrun").warning("no %s", "\x1b[2J")
    assert "no \\x1b[2J" in capsys.readouterr().err
