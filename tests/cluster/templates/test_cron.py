"""The cron template: one at a time, shards on cores of their own, quiet unless it fails."""

import fcntl

import pytest

from explainrun.runner.cli.main import merge
from explainrun.runner.cli.run import run

NIGHT = "2026-11-21"
BOTH = "merge 2026-11-21 shard-1-of-2 shard-2-of-2"


@pytest.fixture
def night(templates):
    """Runs one night, as cron would, with the variables that it sets."""
    for number in (1, 2):
        (templates.folder / "runs" / NIGHT / f"shard-{number}-of-2").mkdir(parents=True)

    def go(**settings):
        script = templates.edited("cron.sh", WORKERS=2, **settings)
        return templates.run(script, NIGHT, PATH="/usr/bin:/bin", SHELL="/bin/sh")

    return go


def test_shards_then_merge(templates, night):
    done = night()
    assert (done.returncode, done.stdout + done.stderr) == (0, "")  # so that cron sends no mail
    assert (sorted(templates.started()[:2]), templates.started()[2:]) == (["1/2", "2/2"], [BOTH])
    first, *_, merging = templates.calls()
    assert run.make_context("run", first["arguments"][1:]).params["summary_dir"].endswith(f"/{NIGHT}/{{shard}}")
    assert merge.make_context("merge", merging["arguments"][1:]).params["out"].name == NIGHT


def test_shards_have_their_own_cores(templates, night, all_cores):
    if len(all_cores) < 2:
        pytest.skip("one core cannot be parted")
    night()
    first, second = ({*call["cores"]} for call in templates.calls()[:2])
    assert not first & second
    assert first | second == {*all_cores}


def test_second_one_ends_at_once(templates, night):
    with (templates.folder / "runs" / ".cron.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = night()
    assert (done.returncode, done.stdout + done.stderr, templates.calls()) == (0, "", [])


def test_failed_shard_goes_on(templates, night):
    templates.ends_with("2/2", 3, 137, 0)
    assert night(ATTEMPTS=3).returncode == 0
    assert sorted(templates.started()[:4]) == ["1/2", "2/2", "2/2", "2/2"]
    assert templates.started()[4:] == [BOTH]


def test_failure_is_told(templates, night):
    templates.ends_with("1/2", 3)
    done = night(ATTEMPTS=2)
    assert done.returncode == 3
    assert f"the run of {NIGHT} failed with exit code 3" in done.stdout
    assert "explainrun: ends with 3" in done.stdout
    assert sorted(templates.started()) == ["1/2", "1/2", "2/2"]


def test_bad_input_is_not_tried_again(templates, night):
    templates.ends_with("1/2", 2)
    assert (night(ATTEMPTS=2).returncode, sorted(templates.started())) == (2, ["1/2", "2/2"])


def test_hanging_shard_is_stopped(templates, night):
    templates.ends_with("1/2", "hang")
    assert (night(LONGEST="1s").returncode, sorted(templates.started())) == (124, ["1/2", "2/2"])


def test_merge_that_fails_is_told(templates, night):
    templates.ends_with("merge", 3)
    assert "failed with exit code 3" in night().stdout
