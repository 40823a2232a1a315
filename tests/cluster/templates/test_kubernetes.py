"""The Kubernetes template: containers' command lines, and what its parts must agree on."""

import pytest

from explainrun.runner.cli.main import merge
from explainrun.runner.cli.run import run
from explainrun.runner.plan.sharding import Shard, shard_of


def pod(job):
    return job["spec"]["template"]["spec"]


@pytest.fixture
def jobs(templates):
    return templates.manifests()


def test_shards(templates, kubelet, jobs, monkeypatch):
    job = jobs["explainrun"]
    (container,) = pod(job)["containers"]
    for index in range(job["spec"]["completions"]):
        assert kubelet.start(container, JOB_COMPLETION_INDEX=str(index)).returncode == 0
    calls = templates.calls()
    assert [shard_of("auto", call["environment"]) for call in calls] == [Shard(number, 8) for number in range(1, 9)]
    for name, value in calls[3]["environment"].items():
        monkeypatch.setenv(name, value)
    parsed = run.make_context("run", calls[3]["arguments"][1:]).params
    assert (parsed["summary_dir"], parsed["shard"]) == (f"{templates.out}/{{shard}}", Shard(4, 8))


def test_merge_waits_for_all_shards(templates, kubelet, jobs):
    (waiting,), (container,) = (pod(jobs["explainrun-merge"])[kind] for kind in ("initContainers", "containers"))
    finished = [templates.out / f"shard-{number}-of-8" / "_explain_1" / "manifest.json" for number in range(1, 9)]
    templates.stand_in("sleep", "terminating_sleep")  # which ends who waits
    for manifest in finished:
        assert kubelet.start(waiting).returncode == 143
        manifest.parent.mkdir(parents=True)
        manifest.touch()
    assert kubelet.start(waiting).returncode == 0
    assert kubelet.start(container).returncode == 0
    (call,) = templates.calls()
    assert merge.make_context("merge", call["arguments"][1:]).params["out"] == templates.out


def test_exit_codes(jobs):
    for job in jobs.values():
        fails, ignores = job["spec"]["podFailurePolicy"]["rules"]
        (container,) = pod(job)["containers"]
        assert (fails["action"], fails["onExitCodes"]["values"]) == ("FailJob", [2])  # 3 is tried again
        assert fails["onExitCodes"]["containerName"] == container["name"]
        assert (ignores["action"], ignores["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
        assert pod(job)["restartPolicy"] == "Never"  # else Kubernetes refuses the policy


def test_numbers_agree(jobs):
    shards = jobs["explainrun"]["spec"]["completions"]
    told = [
        entry["value"]
        for job in jobs.values()
        for container in [*pod(job).get("initContainers", []), *pod(job)["containers"]]
        for entry in container.get("env", [])
        if entry["name"] == "EXPLAINRUN_SHARDS"
    ]
    assert told == [str(shards)] * 2
