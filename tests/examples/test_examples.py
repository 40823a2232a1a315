"""The scripts of scripts/examples, each as it stands, on less."""

import os
import runpy
import subprocess
import sys

import pytest
from PIL import Image

from explainrun.summary_format import Results, inspect_run


@pytest.fixture
def example(repository):
    return lambda name: runpy.run_path(str(repository / "scripts" / "examples" / name))


@pytest.mark.slow
def test_register_and_run(example, tmp_path):
    script = example("register_and_run.py")
    result = script["make_runner"](str(tmp_path / "run"), scenes=2).run()
    assert "GradCAM, InsertionAUC: 0." in script["shown"](result)
    assert inspect_run(tmp_path / "run").faults == ()
    results = Results(tmp_path / "run")
    assert results.explainers == ("Gradient", "GradCAM", "RandomMap")
    assert results.uncertainty is not None
    assert results.outcomes is not None


@pytest.mark.slow
def test_own_network_and_jpegs(example, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "own"
    folder.mkdir()
    script = example("own_network_and_jpegs.py")
    script["what_you_have"](folder, each=4, steps=30)
    script["main"](folder)
    with Image.open(folder / "explained.png") as picture:
        assert picture.width > picture.height > 300  # two rows of four panels
    results = Results(folder / "run")
    assert (len(results.samples), results.class_names) == (8, ("disc", "square"))
    assert results.explainers == ("Gradient", "IntegratedGradients", "GradCAM", "RandomMap")
    assert (folder / "report" / "index.html").exists()
    assert "explained.png" in capsys.readouterr().out


@pytest.mark.slow
def test_own_explainer_and_metric(example, tmp_path):
    script = example("own_explainer_and_metric.py")
    result = script["run"](tmp_path / "run", scenes=2)
    spread = {name: result.scores.aggregate(name, "Spread").mean for name in result.scores.explainers}
    assert 0 < spread["SquaredGradient"] < spread["Gradient"] < spread["RandomMap"] < 1  # a square is narrower


@pytest.mark.slow
def test_gate(example, tmp_path, capsys):
    script = example("gate.py")
    script["SMALL"]["limit"] = 8
    assert script["main"](tmp_path) == 0
    assert (tmp_path / "baseline.json").exists()
    assert script["main"](tmp_path) == 1
    assert "FAILED" in capsys.readouterr().out
    whole = script["CONFIGS"] / "digit_network.ckpt"
    assert script["main"](tmp_path, whole) == 0  # the same weights


@pytest.mark.slow
def test_cluster_job(repository, tmp_path):
    command = tmp_path / "explainrun"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m explainrun "$@"\n')
    command.chmod(0o755)
    options = "--limit 3 --set metrics=[PointingGame] --set explainers=[Gradient]"
    environment = os.environ | {"EXPLAINRUN": str(command), "OPTIONS": options}
    script = [repository / "scripts" / "examples" / "cluster_job.sh", repository / "configs" / "quickstart.yaml", "2"]
    done = subprocess.run(
        [*script, tmp_path / "run"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert Results(tmp_path / "run").samples.tolist() == [0, 1, 2]
