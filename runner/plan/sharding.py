"""Which samples a process works on, where several share a dataset."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from ...summary_format.problem import Problem

PLACE = "{shard}"  # in a summary_dir stands for the shard's name
_FORM = re.compile(r"0*([0-9]{1,9})/0*([0-9]{1,9})")
_MOST = 2**20  # plans with more are not read back
_SHOWN = 40  # characters
_log = logging.getLogger("explainrun")
_SCHEDULER = "MS_SCHED"  # msrun starts the script once more under this role


class NotAWorker(SystemExit):
    """This process is msrun's scheduler, which works on no samples; it ends with exit code 0 unless it is caught."""

    exit_code = 0

    def __init__(self) -> None:
        super().__init__(0)


@dataclass(frozen=True)
class Shard:
    """Every ``count``-th sample, from the ``number``-th on.

    Attributes:
        number: which shard, from 1 to count.
        count: how many there are.

    Raises:
        ValueError: if number is not in 1..count, or there are too many.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            words = "shard must be i/n with i from 1 to n, got {number!r}/{count!r}"
            raise ValueError(Problem.of("shard-out-of-range", words, **vars(self)))
        if self.count > _MOST:
            words = "there may be at most {most} shards, got {count!r}"
            raise ValueError(Problem.of("shards-too-many", words, most=_MOST, count=self.count))

    @property
    def name(self) -> str:
        """For its folder; names of all shards sort as their numbers do."""
        return f"shard-{self.number:0{len(str(self.count))}}-of-{self.count}"

    def owns(self, sample_id: int) -> bool:
        """Whether a sample is among its own."""
        return sample_id % self.count == self.number - 1

    def size(self, total: int) -> int:
        """How many of so many samples are its own."""
        return len(range(self.number - 1, total, self.count))

    def folder(self, summary_dir: str) -> str:
        """Where it writes: ``summary_dir`` with its name in place of ``{shard}``."""
        return summary_dir.replace(PLACE, self.name)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def with_place(summary_dir: str) -> str:
    """The same, with ``{shard}`` in it: below it where it has none."""
    return summary_dir if PLACE in summary_dir else f"{summary_dir}/{PLACE}"


def shard_of(given: Any, environment: Mapping[str, str] = os.environ) -> Shard | None:
    """The shard that is given as one, as (i, n), "i/n", or "auto" for the one that the launcher names.

    Args:
        given: i counts from 1 to n. None means no shard, hence all samples.
        environment: where launchers say who this process is.

    Raises:
        TypeError: if it is something else.
        ValueError: if i is not in 1..n, a text is neither "i/n" nor "auto", or no launcher names a shard, two name one
            each, or what one says does not fit.
        NotAWorker: if this is msrun's scheduler.
    """
    if given is None or isinstance(given, Shard):
        return given
    if isinstance(given, str):
        return _launched(environment) if given == "auto" else _written(given)
    if not (isinstance(given, (tuple, list)) and len(given) == 2 and all(map(_is_whole, given))):
        words = "shard must be two whole numbers (i, n), 'i/n' or 'auto', got {given!r}"
        raise TypeError(Problem.of("shard-kind", words, given=given))
    return Shard(int(given[0]), int(given[1]))


def _is_whole(number: Any) -> bool:
    """As ``is_whole`` of explainers, which loads NumPy: a command that shows its help does without."""
    return isinstance(number, Integral) and not isinstance(number, bool)


def _written(given: str) -> Shard:
    """The shard of a text."""
    form = _FORM.fullmatch(given.strip())
    if form is None:
        words = "shard must be i/n, such as 2/8, or auto, got {given!r}"
        raise ValueError(Problem.of("shard-malformed", words, given=given[:_SHOWN]))
    return Shard(int(form[1]), int(form[2]))


def _launched(environment: Mapping[str, str]) -> Shard:
    """The shard that the launcher of this process names."""
    if environment.get("MS_ROLE") == _SCHEDULER:
        _log.info("this process is msrun's scheduler, which works on no samples")
        raise NotAWorker
    launchers: dict[str, Callable[[Mapping[str, str]], Shard | None]] = {
        "msrun": _msrun,
        "a Slurm array": _slurm_array,
        "a Kubernetes indexed job": _kubernetes,
    }
    found = {name: shard for name, look in launchers.items() if (shard := look(environment)) is not None}
    several = {name: shard for name, shard in found.items() if shard.count > 1} or found
    if len(several) > 1:
        words = "shard is auto, and {launchers:and} each name one; give it as i/n"
        named = [f"{name} ({shard})" for name, shard in several.items()]
        raise ValueError(Problem.of("shard-of-two-launchers", words, launchers=named))
    if not several:
        words = (
            "shard is auto, and no launcher names one: msrun sets RANK_ID and RANK_SIZE, a Slurm array "
            "SLURM_ARRAY_TASK_ID and its kin, a Kubernetes indexed job JOB_COMPLETION_INDEX; give it as i/n"
        )
        raise ValueError(Problem.of("shard-of-no-launcher", words))
    return next(iter(several.values()))


def _msrun(environment: Mapping[str, str]) -> Shard | None:
    if "RANK_SIZE" not in environment and "RANK_ID" not in environment:
        return None
    rank, size = _environment_number(environment, "RANK_ID"), _environment_number(environment, "RANK_SIZE")
    return _counted_from_0(rank, size, "RANK_ID", "RANK_SIZE")


def _slurm_array(environment: Mapping[str, str]) -> Shard | None:
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return None
    names = ("ID", "MIN", "MAX", "COUNT", "STEP")
    given = {"SLURM_ARRAY_TASK_STEP": "1", **environment}
    task, first, last, count, step = (_environment_number(given, f"SLURM_ARRAY_TASK_{name}") for name in names)
    if len(range(first, last + 1, step)) != count:
        words = (
            "shard is auto, and the Slurm array has {count} tasks between {first} and {last}, not all of them: which "
            "shard a task is cannot be known; submit the whole array (finished shards end at once), or give it as i/n"
        )
        raise ValueError(Problem.of("shard-of-part-of-array", words, count=count, first=first, last=last))
    return _counted_from_0((task - first) // step, count, "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")


def _kubernetes(environment: Mapping[str, str]) -> Shard | None:
    if "JOB_COMPLETION_INDEX" not in environment:
        return None
    if "EXPLAINRUN_SHARDS" not in environment:
        words = (
            "shard is auto, and Kubernetes gives an index (JOB_COMPLETION_INDEX), but not of how many: set "
            "EXPLAINRUN_SHARDS in the pod to the job's completions, or give it as i/n"
        )
        raise ValueError(Problem.of("shard-of-unknown-count", words))
    index, count = (
        _environment_number(environment, "JOB_COMPLETION_INDEX"),
        _environment_number(environment, "EXPLAINRUN_SHARDS"),
    )
    return _counted_from_0(index, count, "JOB_COMPLETION_INDEX", "EXPLAINRUN_SHARDS")


def _counted_from_0(index: int, count: int, says_index: str, says_count: str) -> Shard:
    if not 0 <= index < count:
        words = "shard is auto, and {says_index} is {index}, which must be below the {count} of {says_count}"
        values = {"says_index": says_index, "index": index, "count": count, "says_count": says_count}
        raise ValueError(Problem.of("shard-index-too-large", words, **values))
    return Shard(index + 1, count)


def _environment_number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name)
    if text is None or not text.isdecimal():
        words = "shard is auto, and {name} must be a whole number, it is {given}"
        raise ValueError(Problem.of("shard-variable", words, name=name, given=(text and repr(text)) or "not set"))
    return int(text)
