"""The msrun template, under MindSpore's own msrun."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from explainrun.runner.plan.sharding import Shard, shard_of

BOTH = "merge mine shard-1-of-2 shard-2-of-2"


@pytest.fixture
def script(templates):
    for number in (1, 2):
        (templates.out / f"shard-{number}-of-2").mkdir(parents=True)
    return templates.edited("msrun.sh", WORKERS=2, ATTEMPTS=2)


@pytest.mark.slow
def test_shards_then_merge_after_a_failure(templates, script, all_cores):
    templates.ends_with("2/2", 3, 0)
    done = templates.run(script)
    assert (done.returncode, templates.started()[-1]) == (0, BOTH), done.stderr
    assert "explainrun: ends with 3" in done.stderr
    first, second = sorted(templates.calls()[-3:-1], key=lambda call: call["environment"]["RANK_ID"])
    assert [shard_of("auto", call["environment"]) for call in (first, second)] == [Shard(1, 2), Shard(2, 2)]
    assert [call["environment"]["ASCEND_RT_VISIBLE_DEVICES"] for call in (first, second)] == ["0", "1"]
    assert [call["environment"]["DEVICE_ID"] for call in (first, second)] == ["0", "0"]
    if len(all_cores) > 1:
        assert not {*first["cores"]} & {*second["cores"]}


@pytest.mark.slow
def test_bad_input_is_not_tried_again(templates, script):
    templates.ends_with("1/2", 2)
    assert templates.run(script).returncode == 2
    assert not any(call.startswith("merge") for call in templates.started())
    assert len(templates.calls()) <= 2


@pytest.mark.slow
def test_stopped_with_its_workers(templates, script):
    templates.ends_with("1/2", "hang")
    templates.ends_with("2/2", "hang")
    process = subprocess.Popen([str(script)], env=templates.environment, stderr=subprocess.PIPE, text=True)
    while len(templates.calls()) < 2:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert "start it again to resume" in process.communicate()[1]
    assert process.returncode == 3
    assert not any(alive(call["process"]) for call in templates.calls())


def alive(process):
    """Whether a process runs; of one that is dead and not yet buried the command line is empty."""
    path = Path("/proc") / str(process) / "cmdline"
    return path.exists() and b"explainrun" in path.read_bytes()
