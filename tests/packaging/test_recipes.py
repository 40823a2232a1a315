"""The recipes of CONTRIBUTING, followed to the letter, pass what all explainers and metrics are held to."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

ROOMS = ("summary_format", "explainers", "benchmarks", "runner", "configs")
MODULE = re.compile(r"`([a-z_/]+\.py)`:\n\n```python\n(.*?)^```$", re.M | re.S)
DIFF = re.compile(r"^```diff\n(.*?)^```$", re.M | re.S)
CLASS = re.compile(r"^class (\w+)", re.M)

STYLE = '"$0" -m ruff check -n explainers benchmarks && "$0" -m ruff format -n --check explainers benchmarks'
CONTRACTS = 'exec "$0" -m pytest tests/explainers/test_contract.py tests/benchmarks/test_contract.py "$@"'


@pytest.fixture
def text(repository):
    return (repository / "CONTRIBUTING.md").read_text("utf-8")


def modules(text):
    """The example modules, by their path."""
    return dict(MODULE.findall(text))


def added_lines(text):
    """(path, the line that stands before, lines to add after it) of each change that the diffs show."""
    for diff in DIFF.findall(text):
        for of_file in diff.split("--- ")[1:]:
            path, *lines = of_file.splitlines()
            for hunk in "\n".join(lines).split("@@\n"):
                before, *added = hunk.splitlines()
                assert before.startswith(" ")
                assert added
                assert all(line.startswith("+") for line in added)
                yield path, before[1:], [line[1:] for line in added]


def followed(text, root):
    """Do to the files of a folder what the recipes say."""
    for path, module in modules(text).items():
        (root / path).write_text(module, "utf-8")
    for path, before, added in reversed([*added_lines(text)]):  # so that two after one line stand in their own order
        lines = (root / path).read_text("utf-8").splitlines()
        assert lines.count(before) == 1, f"{path} does not have the line {before!r} once"
        place = lines.index(before) + 1
        (root / path).write_text("\n".join([*lines[:place], *added, *lines[place:], ""]), "utf-8")


@pytest.fixture
def copy(repository, tmp_path):
    """The sources and tests, importable as explainrun from ``site``."""
    ignored = shutil.ignore_patterns("__pycache__", "build")
    for folder in (*ROOMS, "tests/explainers", "tests/benchmarks"):
        shutil.copytree(repository / folder, tmp_path / folder, ignore=ignored)
    (tmp_path / "docs" / "reference").mkdir(parents=True)
    tables = ("docs/reference/explainers.md", "docs/reference/metrics.md")
    for name in (*tables, "setup.cfg", "ruff.toml", "tests/conftest.py"):
        shutil.copy(repository / name, tmp_path / name)
    package = tmp_path / "site" / "explainrun"
    shutil.copytree(tmp_path / "runner" / "_root", package)
    for room in ROOMS:
        (package / room).symlink_to(tmp_path / room)
    return tmp_path


@pytest.mark.slow
def test_the_examples_pass_what_all_explainers_and_metrics_do(copy, text):
    followed(text, copy)
    names = [name for module in modules(text).values() for name in CLASS.findall(module)]
    assert names == ["ElementwiseGradient", "Spread", "TopHalf"]
    wanted = " or ".join([*(f"{name}]" for name in names), "exported"])
    command = ["sh", "-c", f"{STYLE} && {CONTRACTS}", sys.executable, "-k", wanted, "-p", "no:cacheprovider", "-vv"]
    environment = os.environ | {"PYTHONPATH": str(copy / "site")}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in names:
        assert len(re.findall(rf"[-\[]{name}\] PASSED", done.stdout)) >= 10, done.stdout


def test_the_config_of_all_explainers_has_the_example(copy, text):
    """Which tests/runner/test_explainers_in_runs.py demands of every explainer."""
    followed(text, copy)
    config = yaml.safe_load((copy / "configs" / "explainers.yaml").read_text("utf-8"))
    assert {"ElementwiseGradient": {"layer": "block6"}} in config["explainers"]


def test_what_a_package_of_your_own_imports_is_there(text):
    block = re.search(r"^```python\n(from explainrun\..*?)^```$", text, re.M | re.S)[1]
    names = {}
    exec(block, names)
    assert {"Explainer", "Metric", "View", "Scores"} <= set(names)


def test_a_line_that_moved_is_noticed(copy, text):
    """The recipes and the files that they change cannot drift apart unseen."""
    path = copy / "benchmarks" / "__init__.py"
    path.write_text(path.read_text().replace("        IoSR,\n", ""))
    with pytest.raises(AssertionError, match="IoSR"):
        followed(text, copy)
