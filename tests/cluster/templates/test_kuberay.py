"""The KubeRay template: the command of its job, and what its parts must agree on; tests/ray runs the command."""

import pytest
import yaml

from explainrun.runner.cli.run import run
from explainrun.runner.plan.engine_options import engine_options


@pytest.fixture
def job(repository):
    return yaml.safe_load((repository / "scripts" / "cluster" / "kuberay.yaml").read_text())["spec"]


@pytest.fixture
def groups(job):
    cluster = job["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def test_command(job, tmp_path):
    program, command, config, *options = job["entrypoint"].split()
    assert (program, command, config) == ("explainrun", "run", "/data/config.yaml")
    (tmp_path / "config.yaml").touch()
    given = run.make_context("run", [str(tmp_path / "config.yaml"), *options]).params
    assert given["summary_dir"] == "/runs/mine"
    asked = engine_options(*(given[name] for name in ("engine", "shards", "address")))
    workers = sum(group["replicas"] for group in job["rayClusterSpec"]["workerGroupSpecs"])
    assert asked.shards > workers
    assert asked.address is None  # KubeRay sets RAY_ADDRESS


def test_all_pods_see_the_same(groups):
    pods = [group["template"]["spec"] for group in groups]
    for pod in pods:
        (container,) = pod["containers"]
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/runs"}
        assert container["resources"]["requests"] == container["resources"]["limits"]
    assert len({pod["containers"][0]["image"] for pod in pods}) == 1
    assert len({str(pod["volumes"]) for pod in pods}) == 1
    assert len({str(pod["securityContext"]) for pod in pods}) == 1


def test_the_head_works_on_no_shard(groups):
    head, *workers = groups
    assert head["rayStartParams"]["num-cpus"] == "0"
    for group in workers:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
