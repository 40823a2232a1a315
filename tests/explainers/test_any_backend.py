"""Pictures that are written need no backend: whatever MPLBACKEND names, matplotlib is loaded."""

import ast
import importlib
import os
import subprocess
import sys

import pytest


def imports_of_matplotlib(tree):
    """Lines that import matplotlib while a module runs, and those that import ``any_backend``."""
    typing = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    left_out = {inner for node in typing for inner in ast.walk(node)}
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)) and node not in left_out]
    named = {node: [getattr(node, "module", "") or "", *(alias.name for alias in node.names)] for node in found}
    theirs = [node.lineno for node, names in named.items() if any(name.split(".")[0] == "matplotlib" for name in names)
              and not getattr(node, "level", 0)]  # fmt: skip
    ours = [node.lineno for node, names in named.items() if any(part in name for name in names
            for part in ("any_backend", "visual.figures"))]  # fmt: skip
    return theirs, ours


@pytest.mark.parametrize("room", ["explainers", "benchmarks", "runner", "summary_format"])
def test_matplotlib_is_loaded_in_one_way(repository, room):
    for path in (repository / room).rglob("*.py"):
        theirs, ours = imports_of_matplotlib(ast.parse(path.read_text("utf-8")))
        assert not theirs or (ours and min(ours) < min(theirs)), path


@pytest.mark.parametrize("named", ["nonsense", "module://matplotlib_inline.backend_inline"])
def test_a_backend_that_is_not_there(monkeypatch, named):
    module = importlib.import_module("explainrun.explainers.visual.any_backend")
    monkeypatch.setenv("MPLBACKEND", named)
    assert module._loaded() is sys.modules["matplotlib"]  # which is left as it was
    assert os.environ["MPLBACKEND"] == named


@pytest.mark.long
@pytest.mark.parametrize("named", ["nonsense", "module://not.there", "svg"])
def test_pictures_are_written_whatever_backend_is_named(tmp_path, named):
    code = (
        "import numpy as np, os\n"
        "from explainrun.explainers import saliency_to_image, visualize\n"
        "saliency_to_image(np.eye(4, 6, dtype=np.float32)).save('overlay.png')\n"
        "visualize(np.eye(4, 6, dtype=np.float32), None, 'heat_map').savefig('map.png')\n"
        "import matplotlib; print(matplotlib.get_backend(auto_select=False), os.environ['MPLBACKEND'])\n"
    )
    told = {"cwd": tmp_path, "env": {**os.environ, "MPLBACKEND": named}, "capture_output": True, "text": True}
    ended = subprocess.run([sys.executable, "-c", code], check=False, **told)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == [{"nonsense": "None"}.get(named, named), named]
    assert {path.name for path in tmp_path.iterdir()} >= {"overlay.png", "map.png"}
