"""The built wheel works outside the clone, and holds everything."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest


@pytest.fixture(scope="module")
def wheel(request, tmp_path_factory):
    repository = request.path.parent.parent.parent
    scratch = tmp_path_factory.mktemp("wheel")
    source = scratch / "source"
    ignored = shutil.ignore_patterns(".*", "build", "runs", "*.egg-info", "__pycache__")
    shutil.copytree(repository, source, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", scratch, source]
    subprocess.run(command, check=True, capture_output=True)
    return next(scratch.glob("*.whl"))


def test_holds_every_source_file_and_nothing_else(wheel, repository):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.split("/", 1)[1] for name in archive.namelist() if name.startswith("explainrun/")}
    rooms = ("summary_format", "explainers", "benchmarks", "runner", "configs")
    suffixes = {".py", ".pyi", ".proto", ".yaml", ".ckpt", ".typed"}
    files = [path.relative_to(repository).as_posix() for room in rooms for path in (repository / room).rglob("*")]
    expected = {name.replace("runner/_root/", "") for name in files if any(name.endswith(end) for end in suffixes)}
    assert inside == expected


def test_runs_the_packaged_quickstart(wheel, tmp_path):
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    environment = os.environ | {"PYTHONPATH": str(site)}
    where = [sys.executable, "-c", "import explainrun.configs as c, pathlib; print(pathlib.Path(c.__file__).parent)"]
    told = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    configs = told.stdout.strip()
    assert configs == str(site / "explainrun" / "configs")
    command = [sys.executable, "-m", "explainrun", "run", f"{configs}/quickstart.yaml", "--limit", "2"]
    command += ["--set", 'metrics=["PointingGame"]']
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "quickstart").is_dir()
