"""The Slurm template: what is submitted, started again, given up and merged."""

import json

import pytest

from explainrun.runner.cli.main import merge
from explainrun.runner.cli.run import run
from explainrun.runner.plan.sharding import Shard, shard_of

BOTH = "merge mine shard-1-of-2 shard-2-of-2"


@pytest.fixture
def submit(templates):
    """Submits two shards, whose folders are there, and gives what was said."""
    script = templates.edited("slurm_array.sh", SHARDS=2, MAX_RESTARTS=3)
    for number in (1, 2):
        (templates.out / f"shard-{number}-of-2").mkdir(parents=True)

    def go(*tasks):
        return templates.run(script, *tasks, PATH=f"{templates.folder}/venv/bin:/usr/bin:/bin")

    return go


def jobs(templates):
    return [json.loads(path.read_text()) for path in sorted((templates.folder / "jobs").iterdir())]


def test_shards_then_merge(templates, submit):
    done = submit()
    assert (done.returncode, templates.started()) == (0, ["1/2", "2/2", BOTH])
    assert "shards: job 100, logs in" in done.stdout
    array, merging = (job["options"] for job in jobs(templates))
    assert (array["array"], array["signal"], merging["dependency"]) == ("1-2", "TERM@300", "afterok:100")


def test_command_lines_are_explainruns(templates, submit):
    submit()
    first, second, merging = templates.calls()
    parsed = run.make_context("run", first["arguments"][1:]).params
    assert (parsed["summary_dir"], parsed["shard"]) == (f"{templates.out}/{{shard}}", Shard(1, 2))
    assert shard_of("auto", second["environment"]) == Shard(2, 2)  # the variables are those that a whole array has
    assert first["environment"]["SRUN_CPUS_PER_TASK"] == "4"
    parsed = merge.make_context("merge", merging["arguments"][1:]).params
    assert (parsed["out"], len(parsed["shards"])) == (templates.out, 2)


def test_failed_shard_is_requeued(templates, submit):
    templates.ends_with("1/2", 3, 137, 0)
    done = submit()
    assert (done.returncode, templates.started()) == (0, ["1/2", "1/2", "1/2", "2/2", BOTH])
    assert "shard 1/2: exit code 137, to be restarted (1 restarts so far)" in done.stderr


def test_bad_input_is_not_tried_again(templates, submit):
    templates.ends_with("1/2", 2)
    assert "bad input" in submit().stderr
    assert templates.started() == ["1/2", "2/2"]
    assert [job["codes"] for job in jobs(templates)] == [[2, 0], []]


def test_restarts_are_limited(templates, submit):
    templates.ends_with("2/2", 3)
    assert "exit code 3 after 3 restarts, giving up" in submit().stderr
    assert templates.started() == ["1/2", "2/2", "2/2", "2/2", "2/2"]


def test_part_of_the_array(templates, submit):
    submit("2")
    assert templates.started() == ["2/2", BOTH]
