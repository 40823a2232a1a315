"""``explainrun demo``."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
from click.testing import CliRunner
from PIL import Image

from explainrun.runner import demo
from explainrun.runner.cli.main import main
from explainrun.summary_format import Results


@pytest.fixture
def few(monkeypatch, tmp_path):
    """The demo on few scenes, in an empty folder."""
    changes = {"limit": 4, "metrics": ["PointingGame"], "explainers": ["Gradient", "InputXGradient", "RandomMap"]}
    subject = replace(demo.DIGITS, changes=changes, methods=("Gradient", "InputXGradient"))
    monkeypatch.setattr(demo, "DIGITS", subject)
    monkeypatch.setattr(demo, "photos_installed", lambda: False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "explainrun-demo"


@pytest.mark.slow
def test_it_leaves_a_picture_a_page_and_a_run(few):
    done = CliRunner().invoke(main, ["demo"])
    assert done.exit_code == 0, done.output
    assert "explainrun-demo/picture.png" in done.stdout
    assert "explainrun[photos]" in done.stdout
    with Image.open(few / "picture.png") as picture:
        assert picture.width > picture.height > 300
    assert (few / "report" / "index.html").exists()
    assert len(Results(few / "run").samples) == 4
    again = CliRunner().invoke(main, ["demo"])
    assert "finished before" in again.stdout


@pytest.mark.long
def test_what_another_demo_left_is_replaced(few, monkeypatch):
    assert CliRunner().invoke(main, ["demo"]).exit_code == 0
    other = replace(demo.DIGITS, changes={**demo.DIGITS.changes, "seed": 1})
    monkeypatch.setattr(demo, "DIGITS", other)
    assert CliRunner().invoke(main, ["demo"]).exit_code == 0
    assert Results(few / "run").plan["seed"] == 1


@pytest.mark.slow
def test_something_else_there_is_left(few):
    few.mkdir()
    (few / "run").write_text("mine")
    done = CliRunner().invoke(main, ["demo"])
    assert done.exit_code == 2, done.output
    assert (few / "run").read_text() == "mine"


@pytest.mark.parametrize("subject", [demo.PHOTOS, demo.DIGITS])
def test_six_methods_are_shown(subject):
    assert len(subject.methods) == 6
    assert len(subject.shown) == 2


@pytest.mark.long
@pytest.mark.skipif(find_spec(demo.WEIGHTS) is None, reason="needs explainrun[photos]")
def test_photographs(tmp_path):
    found = demo.demonstrate(tmp_path, demo.PHOTOS)
    results = Results(tmp_path / "run")
    assert set(demo.PHOTOS.methods) <= set(results.explainers)
    assert found.result.scores.aggregate("GradCAM", "PointingGame").mean > 0.5
