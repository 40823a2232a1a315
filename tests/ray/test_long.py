"""A cluster of three nodes: a worker is killed, a node stopped, the driver killed and started again."""

import signal

import pytest

SCENES = {"split": "test", "count": 300, "first": 1}


@pytest.mark.long
@pytest.mark.parametrize(
    ("config", "plan"),
    [
        ("quickstart.yaml", {"data": {"factory": "explainrun.configs.digit_scenes:scene_dataset", "options": SCENES}}),
        ("full.yaml", {"limit": 24}),
    ],
)
def test_merged_is_the_run_in_one(driver, clusters, how_runs_differ, config, plan):
    mine = driver(config, **plan)
    with clusters(1, 1, 1) as cluster:
        process = mine.start(12, cluster.address)
        mine.kill_a_worker(process)
        mine.wait_for(process, lambda: len(mine.finished()) >= 2)
        cluster.stop(2)
        mine.wait_for(process, lambda: len(mine.finished()) >= 5)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        finished = mine.finished()
        assert len(finished) < 12
        process = mine.start(12, cluster.address)
        _, logged = process.communicate()
    assert process.returncode == 0, logged
    assert how_runs_differ(mine.run_whole(), mine.out) == []
