"""Explainers and metrics of another package, found through its entry points."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from explainrun.explainers import Registry
from explainrun.summary_format import read_summary


@pytest.fixture(scope="module")
def environment(request, tmp_path_factory):
    site, source = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("source") / "third_party"
    shutil.copytree(request.path.parent / "third_party", source)  # pip builds where the source is
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, source]
    subprocess.run(command, check=True, capture_output=True)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


CALLS = """
import json, sys
from click.testing import CliRunner
from explainrun.runner.cli.main import main

calls = [CliRunner().invoke(main, arguments) for arguments in json.loads(sys.argv[1])]
print(json.dumps([(call.exit_code, call.stdout, call.stderr) for call in calls]))
"""


@pytest.mark.slow
def test_are_listed_and_run(environment, repository, tmp_path):
    config = str(repository / "configs" / "quickstart.yaml")
    given = [
        "--set",
        "explainers=[Gradient, {SquaredGradient: {scale: 2.0}}]",
        "--set",
        "metrics=[{Spread: {threshold: 0.25}}]",
    ]
    lines = [
        ["list"],
        ["run", config, "--limit", "3", "--summary-dir", str(tmp_path / "out"), *given],
        ["run", config, "--set", "explainers=[SquareGradient]"],
    ]
    command = [sys.executable, "-c", CALLS, json.dumps(lines)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (_, listed, _), (code, shown, errors), (typo, _, refused) = json.loads(done.stdout.splitlines()[-1])
    assert re.search(r"SquaredGradient +scale=1.0", listed)
    assert re.search(r"Spread +threshold=0.5", listed)
    assert code == 0, errors
    assert "1 differentiate" in shown  # it shares the pass
    assert np.isfinite(read_summary(tmp_path / "out").scores["SquaredGradient", "Spread"].total)
    assert (typo, "did you mean 'SquaredGradient'" in refused) == (2, True)


CHECKED = """
from explainrun.testing import check_explainer, check_metric
from third_party_maps import Spread, SquaredGradient

check_explainer(SquaredGradient)
check_explainer(SquaredGradient, scale=2.0)
check_metric(Spread)
"""


@pytest.mark.long
def test_keep_to_the_contract_without_a_test_framework(environment):
    code = f"import sys; sys.modules['pytest'] = None\n{CHECKED}"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.slow
def test_building_it_leaves_its_sources_as_they_were(environment, request):
    files = {path.name for path in (request.path.parent / "third_party").iterdir()}
    assert files == {"pyproject.toml", "third_party_maps.py"}


class Gradient:
    """Ours."""


@pytest.fixture
def registry(monkeypatch):
    """A registry of one class of ours, and what other packages give."""

    def made(*entries):
        found = [EntryPoint(name, value, "g") for name, value in entries]
        monkeypatch.setattr(
            "explainrun.explainers.core.registry.entry_points", lambda group: found if group == "g" else []
        )
        return Registry("explainer", "g", [Gradient])

    return made


def test_a_name_that_two_give_is_refused_when_asked_for(registry, raising):
    known = registry(("Gradient", "other:Gradient"), ("GradCAM", "nowhere:b"))
    assert list(known) == ["Gradient", "GradCAM"]  # and imports neither
    with raising(
        ValueError, "name-ambiguous", kind="explainer", name="Gradient", packages=re.compile(":Gradient', 'other:Gra")
    ):
        known["Gradient"]
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        known["GradCAM"]


def test_a_class_of_ours_is_itself_and_others_are_imported(registry, raising):
    known = registry(("Gradient", f"{Gradient.__module__}:Gradient"), ("Counter", "collections:Counter"))
    assert known["Gradient"] is Gradient  # named as an entry point too
    assert known["Counter"] is Counter
    assert (len(known), "Counter" in known, "Gradients" in known) == (2, True, False)
    with raising(ValueError, "name-unknown", kind="explainer", name="Gradients", nearest=re.compile("'Gradient'")):
        known["Gradients"]


def test_two_classes_of_ours_of_one_name_are_refused_too(raising):
    other = type("Gradient", (), {"__module__": "elsewhere"})
    with raising(ValueError, "name-ambiguous"):
        Registry("explainer", "no such group", [Gradient, other])["Gradient"]
