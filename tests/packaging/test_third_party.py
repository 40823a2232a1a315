"""Explainers and metrics of another package, found through its entry points."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from explainrun.explainers import Registry
from explainrun.summary_format import read_summary


@pytest.fixture(scope="module")
def environment(request, tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    source = request.path.parent / "third_party"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, source]
    subprocess.run(command, check=True, capture_output=True)
    return os.environ | {"PYTHONPATH": str(site)}


def explainrun(environment, *arguments):
    command = [sys.executable, "-m", "explainrun", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_are_listed_and_run(environment, repository, tmp_path):
    told = explainrun(environment, "list").stdout
    assert re.search(r"SquaredGradient +scale=1.0", told)
    assert "Spread" in told
    config = repository / "configs" / "quickstart.yaml"
    done = explainrun(
        environment, "run", config, "--limit", 3, "--summary-dir", tmp_path / "out",
        "--set", "explainers=[Gradient, {SquaredGradient: {scale: 2.0}}]", "--set", "metrics=[Spread]",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1 differentiate" in done.stdout  # it shares the pass
    assert np.isfinite(read_summary(tmp_path / "out").scores["SquaredGradient", "Spread"].total)
    typo = explainrun(environment, "run", config, "--set", "explainers=[SquareGradient]")
    assert (typo.returncode, "did you mean 'SquaredGradient'" in typo.stderr) == (2, True)


def test_a_name_that_two_give_is_refused_when_asked_for(monkeypatch):
    class Entry:
        name, value = "Gradient", "other:Gradient"

    monkeypatch.setattr("explainrun.explainers.registry.entry_points", lambda group: [Entry] if group == "g" else [])
    registry = Registry("explainer", "g", {"Gradient": "explainrun.explainers.gradient:Gradient", "GradCAM": "a:b"})
    assert list(registry) == ["Gradient", "GradCAM"]
    with pytest.raises(
        ValueError, match=r"explainer 'Gradient' is given by several packages: .*gradient:Gradient, other"
    ):
        registry["Gradient"]
