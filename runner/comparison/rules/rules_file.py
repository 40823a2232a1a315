"""All that a comparison is held to, and the YAML file that says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ....summary_format.errors import nearest
from ....summary_format.problem import Problem
from ...problems import Problems, problem_of
from ...yaml_loader import yaml_mapping
from ..formats.findings import SHOWN
from .floors import NO_FLOORS, Floors
from .tolerances import DEFAULTS, RulesError, Tolerance, Tolerances, number_of

ALPHA = 0.05
BY, REQUIRE = ("label",), (SHOWN,)  # what slices may be made by, and what may be required
_KEYS = ("tolerance", "tolerances", "alpha", "floors", "by", "require")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a file of rules says.

    Attributes:
        tolerances: how much worse means may get.
        alpha: chance of a false alarm anywhere in the table, at most.
        floors: the worst means that the candidate may have.
        by: "label" to judge the questions about each true label too; None not to.
        require: "shown" to let nothing pass that is inconclusive; None to.
    """

    tolerances: Tolerances = DEFAULTS
    alpha: float = ALPHA
    floors: Floors = NO_FLOORS
    by: str | None = None
    require: str | None = None

    def with_given(
        self,
        *,
        tolerance: Tolerances | float | str | Mapping[str, float | str] | None = None,
        alpha: float | None = None,
        floors: Floors | Mapping[str, float] | None = None,
        by: str | None = None,
        require: str | None = None,
    ) -> Rules:
        """The same rules with what a test or a command gives beside the file, which goes before it; None for nothing.

        Args:
            tolerance: of all metrics, or by metric, beside the file's. ``Tolerances`` are taken as they are.
            alpha: instead of the file's.
            floors: by metric, or explainer and metric, beside the file's. ``Floors`` are taken as they are.
            by: instead of the file's.
            require: instead of the file's.

        Raises:
            ValueError: if one is out of range.
        """
        return Rules(
            tolerances=Tolerances.of_given(tolerance, self.tolerances),
            alpha=self.alpha if alpha is None else alpha_of(alpha),
            floors=Floors.of_given(floors, self.floors),
            by=self.by if by is None else checked_choice("by", by, BY),
            require=self.require if require is None else checked_choice("require", require, REQUIRE),
        )


def rules_of(path: str | Path) -> Rules:
    """Read a YAML file of rules, of which each key may be left out.

    They are ``tolerance``, ``tolerances`` by metric, ``alpha``, ``floors`` by metric or explainer and metric, ``by``
    and ``require``.

    Raises:
        RulesError: if it cannot be read or holds anything else; all at once.
    """
    try:
        content = yaml_mapping(Path(path))
    except ValueError as error:
        raise RulesError([problem_of(error)]) from error
    problems = Problems(map(_unknown_key, (str(key) for key in content if key not in _KEYS)))
    own = _by_name(content, "tolerances", problems)
    everywhere = DEFAULTS.everywhere
    if "tolerance" in content:
        everywhere = problems.attempt("tolerance", partial(Tolerance.of, content["tolerance"]))
    by_metric = {
        metric: problems.attempt(f"tolerances.{metric}", partial(Tolerance.of, value)) for metric, value in own.items()
    }
    alpha = problems.attempt("", partial(alpha_of, content.get("alpha", ALPHA)))
    floors = [
        problems.attempt(f"floors.{name}", partial(Floors.of_given, {name: value}))
        for name, value in _by_name(content, "floors", problems).items()
    ]
    by = problems.attempt("", partial(checked_choice, "by", content.get("by"), BY))
    require = problems.attempt("", partial(checked_choice, "require", content.get("require"), REQUIRE))
    if problems:
        raise RulesError([problem.at(str(path)) for problem in problems])
    every = Floors({place: number for one in floors for place, number in one.by_place.items()})
    return Rules(tolerances=Tolerances(everywhere, by_metric), alpha=alpha, floors=every, by=by, require=require)


def _by_name(content: dict[Any, Any], key: str, problems: Problems) -> dict[str, Any]:
    """A mapping with texts as keys; empty where there is none, which is a problem if there is something else."""
    given = content.get(key, {})
    if isinstance(given, dict) and all(isinstance(name, str) for name in given):
        return given
    problems.append(_NO_MAPPING[key](given))
    return {}


_NO_MAPPING = {
    "tolerances": lambda given: Problem.of(
        "tolerances-no-mapping", "tolerances are a mapping from metrics to tolerances, got {given!r}", given=given
    ),
    "floors": lambda given: Problem.of(
        "floors-no-mapping", "floors are a mapping from metrics, or explainers/metrics, to numbers, got {given!r}",
        given=given,
    ),
}  # fmt: skip


def _unknown_key(key: str) -> Problem:
    return Problem.of("rule-unknown", "unknown key {key!r}; {nearest}", key=key, nearest=nearest(key, _KEYS))


def alpha_of(said: Any) -> float:
    """A chance between 0 and 1.

    Raises:
        ValueError: if it is something else.
    """
    number = number_of(said)
    if number is None or not 0.0 < number < 1.0:
        words = "alpha is a chance above 0 and below 1, got {given!r}"
        raise ValueError(Problem.of("alpha-out-of-range", words, given=said if number is None else number))
    return number


def checked_choice(name: str, said: Any, allowed: Sequence[str]) -> str | None:
    """One of a few words, or None.

    Raises:
        ValueError: if it is something else.
    """
    if said is None or (isinstance(said, str) and said in allowed):
        return said
    words = "{name} must be {allowed:repr or}, or left out, got {given!r}"
    raise ValueError(Problem.of("choice-unknown", words, name=name, allowed=list(allowed), given=said))
