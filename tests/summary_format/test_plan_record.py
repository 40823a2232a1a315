"""The plan of a run as it is written and read back."""

import json
import tracemalloc

import pytest

from explainrun.summary_format.plan_diff import plan_differences
from explainrun.summary_format.plan_record import PlanRecord

PLAN = {"class_names": ["a", "ü"], "explainers": {"First": {"layer": "conv"}}, "metrics": {"IoSR": {}}}


def test_what_is_said_is_typed_and_kept_as_it_is():
    said = {
        **PLAN,
        "shard": [2, 3],
        "samples": 7,
        "seed": 5,
        "a new option": [1, {"x": "\ud800"}],
        "settings": ["seed"],
    }
    record = PlanRecord.of(json.loads(json.dumps(said)))
    assert (record.class_names, record.shard, record.own_samples) == (("a", "ü"), (2, 3), 2)
    assert (record.explainers, record.settings) == ({"First": {"layer": "conv"}}, ("seed",))
    assert json.dumps(record.raw) == json.dumps(said)


@pytest.mark.parametrize(
    ("section", "differing"),
    [
        ({"data": {"limit": 4}}, ["config.data.limit was 3, is 4"]),
        ({"network": {"factory": "b"}}, ["config.network.factory was 'a', is 'b'"]),
        ({"seed": 2}, []),  # the plan itself has it
    ],
)
def test_what_a_config_says_of_network_and_data_is_part_of_the_plan(section, differing):
    config = {"network": {"factory": "a"}, "data": {"limit": 3}, "seed": 1}
    before, now = (PlanRecord.of({**PLAN, "config": one}) for one in (config, {**config, **section}))
    assert plan_differences(before, now) == differing


def test_plans_of_earlier_versions_say_less():
    record = PlanRecord.of(PLAN)
    assert (record.limit, record.shard, record.own_samples, record.searching) == (None, None, None, False)
    assert (record.dropout_samples, record.config, record.chosen_layers, record.device) == (0, None, {}, "")
    assert record.settings == ("mean", "std", "seed", "pass_size", "jit")
    assert record.raw == PLAN


def test_a_record_is_not_changed():
    with pytest.raises(ValueError, match="frozen"):
        PlanRecord.of(PLAN).limit = 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"explainers": {"a": None}}, "the plan's explainers must be a mapping of names to options"),
        ({"metrics": {".": {}}}, "the plan's metrics must not hold '.', which cannot be part of a path"),
        ({"samples": "3"}, "the plan's samples should be a valid integer"),
        ({"samples": True}, "the plan's samples should be a valid integer"),
        ({"limit": -1}, "the plan's limit should be greater than or equal to 0"),
        ({"shard": [3, 2]}, "the plan's shard must be two whole numbers i and n, with 1 <= i <= n <= 1048576"),
        ({"shard": [1, 2**40]}, "the plan's shard must be two whole numbers"),
        ({"shard": [1, 2.0]}, "the plan's shard must be two whole numbers"),
        (
            {"higher_is_better": {"IoSR": 1}},
            "the plan's higher_is_better must be a mapping of strings to true or false",
        ),
        ({"higher_is_better": ["IoSR"]}, "the plan's higher_is_better must be a mapping of strings to true or false"),
        ({"controls": "First"}, "the plan's controls must be a list of strings"),
        ({"chosen_layers": {"First": 3}}, "the plan's chosen_layers must be a mapping of strings to strings"),
        ({"chosen_reshapes": {"First": [3]}}, "the plan's chosen_reshapes must be a mapping of strings to two whole"),
        ({"chosen_reshapes": {"First": [3, 2**40]}}, "the plan's chosen_reshapes must be a mapping of strings to two"),
        ({"chosen_reshapes": {"First": [True, 2]}}, "the plan's chosen_reshapes must be a mapping of strings to two"),
        ({"network": None}, "the plan's network must be a mapping with strings as keys"),
        ({"device": "../CPU"}, "the plan's device must be a name that fits into a path"),
        ({"\ud800": 1}, "the plan is not a mapping with strings as keys"),
    ],
)
def test_what_a_plan_cannot_say(changes, words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its words are compared below
        PlanRecord.of({**PLAN, **changes})
    assert str(caught.value).startswith(words)


def test_keys_are_no_attributes():
    keys = ("raw", "_raw", "of", "model_dump", "__class__", "__dict__", "own_samples")
    record = PlanRecord.of({**PLAN, "samples": 4, **dict.fromkeys(keys, 3)})
    assert (record.own_samples, record.raw["raw"], type(record)) == (4, 3, PlanRecord)


def test_samples_that_nobody_has_are_not_counted():
    assert PlanRecord.of({**PLAN, "samples": 10**30}).own_samples is None
    assert PlanRecord.of({**PLAN, "samples": 10**30, "limit": 9, "shard": [1, 2]}).own_samples == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": [1] * 100_000},
        {"explainers": {f"{i}/": {} for i in range(100_000)}},
        {"metrics": {str(i): 1 for i in range(100_000)}},
        {"higher_is_better": {str(i): 1 for i in range(100_000)}},
        {f"\ud800{i}": 1 for i in range(100_000)},
    ],
)
def test_a_plan_of_many_mistakes_is_refused_at_once(changes):
    plan = {**PLAN, **changes}
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"^the plan"):
        PlanRecord.of(plan)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**20  # pydantic alone would keep an error for each
