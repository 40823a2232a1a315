"""The wheel holds everything, and works outside the clone."""

import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOMS = ("summary_format", "explainers", "benchmarks", "runner", "configs")
SUFFIXES = {".py", ".pyi", ".proto", ".yaml", ".ckpt", ".txt", ".typed", ".js", ".css", ".j2"}


def sources(repository):
    """All that belongs into the wheel, by its name there."""
    files = [path.relative_to(repository).as_posix() for room in ROOMS for path in (repository / room).rglob("*")]
    return {name.replace("runner/_root/", "") for name in files if Path(name).suffix in SUFFIXES}


def folder_of(package, folders):
    """Where a package lies, by the longest of its parents' names that setup.cfg maps to a folder."""
    parent, below = package, []
    while parent not in folders:
        parent, _, name = parent.rpartition(".")
        below.insert(0, name)
    return Path(folders[parent], *below)


def test_setup_cfg_names_every_source_file_and_nothing_else(repository):
    """What ``scripts/test_wheel`` installs and runs is made by these lines."""
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg", "utf-8")
    folders = dict(line.split(" = ") for line in setup["options"]["package_dir"].strip().splitlines())
    packages = setup["options"]["packages"].split()
    assert len(packages) == len(set(packages))
    named = []
    for package in packages:
        patterns = ["*.py", *setup["options.package_data"].get(package, "").replace(",", " ").split()]
        inside = Path(*package.split(".")[1:])
        for pattern in patterns:
            folder = repository / folder_of(package, folders)
            named += [(inside / path.relative_to(folder)).as_posix() for path in folder.glob(pattern)]
    assert sorted(named) == sorted(sources(repository))


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


@pytest.mark.long
def test_holds_every_source_file_and_nothing_else(wheel, repository):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.split("/", 1)[1] for name in archive.namelist() if name.startswith("explainrun/")}
    assert inside == sources(repository)


@pytest.mark.long
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
