"""Which shard a process is: as it is told, or as its launcher says."""

import logging

import pytest

from explainrun.runner.plan.sharding import NotAWorker, Shard, shard_of


def test_every_sample_has_one_owner():
    shards = [Shard(number, 3) for number in (1, 2, 3)]
    assert [[sample for sample in range(7) if shard.owns(sample)] for shard in shards] == [[0, 3, 6], [1, 4], [2, 5]]
    assert [shard.size(7) for shard in shards] == [3, 2, 2]
    assert [shard.size(1) for shard in shards] == [1, 0, 0]
    assert [Shard(number, 12).name for number in (2, 12)] == ["shard-02-of-12", "shard-12-of-12"]


@pytest.mark.parametrize("given", [(2, 8), [2, 8], "2/8", " 2/8 ", Shard(2, 8)])
def test_is_given_in_several_forms(given):
    assert shard_of(given, {}) == Shard(2, 8)


def test_none_is_none():
    assert shard_of(None, {"RANK_ID": "1", "RANK_SIZE": "2"}) is None


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ((0, 3), ValueError, "i from 1 to n, got 0/3"),
        ("4/3", ValueError, "got 4/3"),
        ("1/0", ValueError, "got 1/0"),
        ("first", ValueError, "i/n, such as 2/8, or auto, got 'first'"),
        ("-1/3", ValueError, "i/n, such as 2/8"),
        (3, TypeError, r"two whole numbers \(i, n\), 'i/n' or 'auto', got 3"),
        ((1, 2.0), TypeError, "got"),
        ((True, 2), TypeError, "got"),
        ((1, 2, 3), TypeError, "got"),
    ],
)
def test_other_forms_are_refused(given, error, told):
    with pytest.raises(error, match=told):
        shard_of(given, {})


def slurm(task, first=0, last=199, count=200, step=1):
    return {
        "SLURM_ARRAY_TASK_ID": str(task),
        "SLURM_ARRAY_TASK_MIN": str(first),
        "SLURM_ARRAY_TASK_MAX": str(last),
        "SLURM_ARRAY_TASK_COUNT": str(count),
        "SLURM_ARRAY_TASK_STEP": str(step),
    }


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        ({"RANK_ID": "0", "RANK_SIZE": "4"}, Shard(1, 4)),
        ({"RANK_ID": "3", "RANK_SIZE": "4", "MS_ROLE": "MS_WORKER"}, Shard(4, 4)),
        (slurm(0), Shard(1, 200)),
        (slurm(199), Shard(200, 200)),
        (slurm(5, first=1, last=8, count=8), Shard(5, 8)),
        (slurm(30, first=10, last=50, count=3, step=20), Shard(2, 3)),
        ({"JOB_COMPLETION_INDEX": "6", "EXPLAINRUN_SHARDS": "7"}, Shard(7, 7)),
        ({"RANK_ID": "0", "RANK_SIZE": "1"}, Shard(1, 1)),
        ({"RANK_ID": "0", "RANK_SIZE": "1", **slurm(4, 1, 8, 8)}, Shard(4, 8)),
    ],
)
def test_launchers_say_it(environment, shard):
    assert shard_of("auto", environment) == shard


def test_slurm_without_a_step():
    environment = slurm(2, first=1, last=3, count=3)
    del environment["SLURM_ARRAY_TASK_STEP"]
    assert shard_of("auto", environment) == Shard(2, 3)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "no launcher names one: msrun sets RANK_ID"),
        ({"RANK_SIZE": "4"}, "RANK_ID must be a whole number, it is not set"),
        ({"RANK_ID": "4", "RANK_SIZE": "4"}, "RANK_ID is 4, which must be below the 4 of RANK_SIZE"),
        ({"RANK_ID": "-1", "RANK_SIZE": "4"}, "RANK_ID must be a whole number, it is '-1'"),
        (slurm(9, first=5, last=9, count=2), "2 tasks between 5 and 9, not all of them"),
        ({"JOB_COMPLETION_INDEX": "0"}, "set EXPLAINRUN_SHARDS in the pod to the job's completions"),
        (
            {"JOB_COMPLETION_INDEX": "7", "EXPLAINRUN_SHARDS": "7"},
            "JOB_COMPLETION_INDEX is 7, which must be below",
        ),
        (
            {"RANK_ID": "0", "RANK_SIZE": "2", **slurm(4, 1, 8, 8)},
            r"msrun \(1/2\) and a Slurm array \(4/8\)",
        ),
    ],
)
def test_launchers_that_do_not_say_it(environment, told):
    with pytest.raises(ValueError, match=told):
        shard_of("auto", environment)


def test_the_scheduler_of_msrun_ends_well(caplog):
    with caplog.at_level(logging.INFO, "explainrun"), pytest.raises(NotAWorker) as ended:
        shard_of("auto", {"MS_ROLE": "MS_SCHED", "RANK_ID": "0", "RANK_SIZE": "2"})
    assert ended.value.code == 0
    assert "msrun's scheduler" in caplog.text
