"""Each template with Explainrun itself: a shard is killed after its first commit; what is merged is the whole run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
PLAN = {
    "limit": 6,
    "explainers": ["Gradient", {"GradCAM": {"layer": "block6"}}],
    "metrics": [{"InsertionAUC": {"steps": 8}}, "PointingGame"],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A config, part of the bundled example, and beside it a run of all its samples."""
    folder = tmp_path_factory.mktemp("whole")
    config = yaml.safe_load((CONFIGS / "quickstart.yaml").read_text()) | PLAN
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    shutil.copy(CONFIGS / "digit_network.ckpt", folder)
    command = [sys.executable, "-m", "explainrun", "run", folder / "config.yaml", "--summary-dir", folder / "run"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def killed(templates, whole):
    """The templates with the real config and an explainrun whose second shard is killed once."""
    for name in ("config.yaml", "digit_network.ckpt"):
        shutil.copy(whole / name, templates.folder)
    templates.stand_in("explainrun", "killed_once")
    templates.environment["KILLED_SHARD"] = "2/2"
    yield templates
    assert (templates.folder / "killed").exists()


def test_slurm(killed, whole, how_runs_differ):
    script = killed.edited("slurm_array.sh", SHARDS=2)
    done = killed.run(script, PATH=f"{killed.folder}/venv/bin:/usr/bin:/bin")
    assert "exit code 137, to be restarted" in done.stderr
    assert how_runs_differ(whole / "run", killed.out) == []


def test_kubernetes(killed, kubelet, whole, how_runs_differ):
    shards, merging = (job["spec"]["template"]["spec"] for job in killed.manifests().values())
    for container in (*shards["containers"], *merging["initContainers"]):
        container["env"] = [{"name": "EXPLAINRUN_SHARDS", "value": "2"}]
    codes = [kubelet.start(shards["containers"][0], JOB_COMPLETION_INDEX=index).returncode for index in "011"]
    assert codes == [0, 137, 0]
    for container in (*merging["initContainers"], *merging["containers"]):
        assert kubelet.start(container).returncode == 0
    assert how_runs_differ(whole / "run", killed.out) == []


def test_msrun(killed, whole, how_runs_differ):
    done = killed.run(killed.edited("msrun.sh", WORKERS=2))
    assert "a worker failed" in done.stderr
    assert done.stdout.splitlines()[-1] == "merged", done.stderr
    assert how_runs_differ(whole / "run", killed.out) == []


def test_cron_twice_at_once(killed, whole, how_runs_differ):
    script = killed.edited("cron.sh", WORKERS=2)
    both = [
        subprocess.Popen([script, "tonight"], env=killed.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]
    assert [(process.communicate()[0], process.returncode) for process in both] == [(b"", 0)] * 2
    log = (killed.folder / "runs" / "tonight.log").read_text()
    assert log.splitlines().count("merged") == 1
    assert how_runs_differ(whole / "run", killed.folder / "runs" / "tonight") == []
