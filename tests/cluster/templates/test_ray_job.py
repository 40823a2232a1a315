"""The template of a Ray job, with a stand-in for the ray command."""

import signal
import subprocess
import time

import pytest

from explainrun.runner.cli.run import run


@pytest.fixture
def script(templates):
    templates.stand_in("ray", "ray")
    return templates.edited("ray_job.sh", ADDRESS="http://head:8265", SHARDS=4, ATTEMPTS=2)


def ends_with(templates, *codes):
    """Have the driver end so, one code a start: ``explainrun run`` without a shard is noted as "run"."""
    templates.ends_with("run", *codes)


def test_command(templates, script):
    assert templates.run(script).returncode == 0
    (call,) = templates.calls()
    given = run.make_context("run", call["arguments"][1:]).params
    assert (given["engine"], given["shards"], given["address"]) == ("ray", 4, None)
    assert (given["config"], given["summary_dir"]) == (templates.config, str(templates.out))


@pytest.mark.parametrize(
    ("codes", "code", "starts"), [((3, 0), 0, 2), ((3, 3), 3, 2), ((2,), 2, 1), ((23, 0), 0, 2)], ids=str
)
def test_exit_codes(templates, script, codes, code, starts):
    ends_with(templates, *codes)
    assert templates.run(script).returncode == code
    assert len(templates.calls()) == starts


def test_stopped_with_its_job(templates, script):
    ends_with(templates, "hang")
    process = subprocess.Popen([str(script)], env=templates.environment, stderr=subprocess.PIPE, text=True)
    while not templates.calls():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert "start it again to resume" in process.communicate()[1]
    assert process.returncode == 3
    assert len(templates.calls()) == 1
    assert [path.read_text() for path in (templates.folder / "ray_jobs").glob("explainrun-*")] == ["stopped"]
