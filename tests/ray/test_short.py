"""A cluster of one node: two shards, the worker of one is killed; and errors that only Ray itself can show."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PLAN = {
    "limit": 24,
    "explainers": ["Gradient", {"GradCAM": {"layer": "block6"}}],
    "metrics": [{"InsertionAUC": {"steps": 8}}, "PointingGame"],
}


@pytest.fixture(scope="module")
def cluster(clusters):
    with clusters(2) as cluster:
        yield cluster


@pytest.fixture
def entrypoint(repository):
    """The command of the KubeRay template, a word each, of another number of shards, and with its mounts as folders."""
    job = yaml.safe_load((repository / "scripts" / "cluster" / "kuberay.yaml").read_text())

    def of(shards, **mounts):
        words = job["spec"]["entrypoint"].split()
        words[words.index("--shards") + 1] = str(shards)
        for mount, folder in mounts.items():
            words = [re.sub(f"^/{mount}/", f"{folder}/", word) for word in words]
        return words

    return of


def test_a_worker_killed(driver, cluster, entrypoint, how_runs_differ):
    """Under the command of the KubeRay template, which finds the cluster as KubeRay says where it is."""
    mine = driver("quickstart.yaml", **PLAN)
    words = entrypoint(2, data=mine.folder, runs=mine.folder / "runs")
    assert words[0] == "explainrun"
    command = [sys.executable, "-m", *words]
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, **pipes)
    mine.kill_a_worker(process)
    said, logged = process.communicate()
    assert process.returncode == 0, logged
    assert "trying again" in logged
    assert "GradCAM" in said
    assert how_runs_differ(mine.run_whole(), mine.out) == []


def test_no_cluster_at_the_address(driver):
    process = driver("quickstart.yaml", **PLAN).start(2, "127.0.0.1:1")
    _, logged = process.communicate()
    assert (process.returncode, logged.count("no Ray cluster answers at 127.0.0.1:1")) == (3, 1), logged


def test_stopped(driver, cluster):
    """While both shards are at work, each on a core of its own."""
    scenes = {"split": "test", "count": 400, "first": 1}
    data = {"factory": "explainrun.configs.digit_scenes:scene_dataset", "options": scenes}
    mine = driver("quickstart.yaml", **PLAN | {"limit": 400, "data": data})  # so that neither is finished before
    process = mine.start(2, cluster.address)
    mine.wait_for(process, lambda: len(mine.folders()) == 2 and all(map(mine.committed, mine.folders())))
    first, second = map(mine.cores, mine.folders())
    process.terminate()
    _, logged = process.communicate()
    assert (process.returncode, logged.splitlines()[-1]) == (3, "explainrun: stopped by a signal; run again to resume")
    assert not list(Path(mine.out).rglob(".explainrun.lock"))
    if len(os.sched_getaffinity(0)) > 1:
        assert (len(first), len(second), len(first & second)) == (1, 1, 0)
