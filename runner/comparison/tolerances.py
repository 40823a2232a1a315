"""How much worse a mean score may get: in the command, or in a file of rules."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ...summary_format.errors import SeveralProblemsError, nearest
from ...summary_format.problem import Problem
from ..problems import Problems, problem_of
from ..yaml_loader import yaml_mapping

ALPHA = 0.05
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_KEYS = ("tolerance", "tolerances", "alpha")


class RulesError(SeveralProblemsError):
    """What is wrong with tolerances and alpha, all at once."""


@dataclass(frozen=True)
class Tolerance:
    """How much worse a mean may get.

    Attributes:
        value: in the metric's unit, or in per cent of the baseline's mean.
        per_cent: which of the two.

    Raises:
        ValueError: if the value is negative or no finite number.
    """

    value: float
    per_cent: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value >= 0):
            words = "a tolerance is a number of at least 0, got {given}"
            raise ValueError(Problem.of("tolerance-out-of-range", words, given=self.value))

    @classmethod
    def of(cls, said: Any) -> Tolerance:
        """Read 0.01, "0.01", "2%" or "2 %".

        Raises:
            ValueError: if it is something else.
        """
        text = str(said).strip() if isinstance(said, (int, float, str)) and not isinstance(said, bool) else ""
        number = text.removesuffix("%").rstrip()
        if not _NUMBER.fullmatch(number):
            words = "a tolerance is a number of at least 0 such as 0.01 or 2%, got {given!r}"
            raise ValueError(Problem.of("tolerance-malformed", words, given=said))
        return cls(float(number), text.endswith("%"))

    def absolute(self, baseline_mean: float) -> float:
        """In the metric's unit; NaN if it is per cent of a mean that is not known."""
        return self.value / 100.0 * abs(baseline_mean) if self.per_cent else self.value


@dataclass(frozen=True)
class Tolerances:
    """How much worse the means of each metric may get.

    Attributes:
        everywhere: of metrics without one of their own.
        by_metric: of the others.
    """

    everywhere: Tolerance = Tolerance(0.01)
    by_metric: Mapping[str, Tolerance] = field(default_factory=dict)

    @classmethod
    def of_given(
        cls, given: Tolerances | float | str | Mapping[str, float | str] | None, rest: Tolerances | None = None
    ) -> Tolerances:
        """Read one for all metrics, or some by metric; what is read already is taken as it is.

        Args:
            given: to be read; None for nothing.
            rest: what it does not say; the defaults if None.

        Raises:
            ValueError: if one is not a tolerance.
        """
        if isinstance(given, Tolerances):
            return given
        rest = rest or cls()
        if given is None:
            return rest
        if isinstance(given, Mapping):
            own = {metric: Tolerance.of(said) for metric, said in given.items()}
            return cls(rest.everywhere, {**rest.by_metric, **own})
        return cls(Tolerance.of(given), rest.by_metric)

    def of(self, metric: str) -> Tolerance:
        """Of a metric."""
        return self.by_metric.get(metric, self.everywhere)

    def check(self, metrics: Iterable[str]) -> None:
        """Make sure that those with tolerances of their own are among the metrics that there are.

        Raises:
            RulesError: if not; the nearest names are offered.
        """
        known = list(dict.fromkeys(metrics))
        problems = [
            Problem.of(
                "tolerance-of-no-metric",
                "tolerance: no run has a metric {metric!r}; {nearest}",
                metric=name,
                nearest=nearest(name, known),
            )
            for name in self.by_metric
            if name not in known
        ]
        if problems:
            raise RulesError(problems)


DEFAULTS = Tolerances()


@dataclass(frozen=True)
class Rules:
    """What a file of rules says.

    Attributes:
        tolerances: how much worse means may get.
        alpha: chance of a false alarm anywhere in the table, at most.
    """

    tolerances: Tolerances = DEFAULTS
    alpha: float = ALPHA


def tolerances_of(texts: Sequence[str], rules: Tolerances = DEFAULTS) -> Tolerances:
    """Tolerances as the command takes them: "0.01" for all metrics, "InsertionAUC=2%" for one; the last one counts.

    Args:
        texts: of the command.
        rules: of a file, which the command's go before. One for all metrics leaves the file's for single ones.

    Raises:
        RulesError: if any is neither.
    """
    everywhere, by_metric, problems = rules.everywhere, dict(rules.by_metric), []
    for text in texts:
        metric, equals, said = text.rpartition("=")
        try:
            tolerance = Tolerance.of(said)
            if equals and not metric.strip():
                words = "no metric stands before the = of {given!r}"
                raise ValueError(Problem.of("tolerance-without-metric", words, given=text))
        except ValueError as error:
            problems.append(problem_of(error).at(f"--tolerance {text!r}"))
            continue
        if equals:
            by_metric[metric.strip()] = tolerance
        else:
            everywhere = tolerance
    if problems:
        raise RulesError(problems)
    return Tolerances(everywhere, by_metric)


def rules_of(path: str | Path) -> Rules:
    """Read a YAML file of rules: ``tolerance``, ``tolerances`` by metric, ``alpha``; each may be left out.

    Raises:
        RulesError: if it cannot be read or holds anything else; all at once.
    """
    try:
        content = yaml_mapping(Path(path))
    except ValueError as error:
        raise RulesError([problem_of(error)]) from error
    problems = Problems(map(_unknown_key, (str(key) for key in content if key not in _KEYS)))
    own = content.get("tolerances", {})
    if not isinstance(own, dict) or not all(isinstance(metric, str) for metric in own):
        words = "tolerances are a mapping from metrics to tolerances, got {given!r}"
        problems.append(Problem.of("tolerances-no-mapping", words, given=own))
        own = {}
    everywhere = DEFAULTS.everywhere
    if "tolerance" in content:
        everywhere = problems.attempt("tolerance", partial(Tolerance.of, content["tolerance"]))
    by_metric = {
        metric: problems.attempt(f"tolerances.{metric}", partial(Tolerance.of, value)) for metric, value in own.items()
    }
    alpha = problems.attempt("", partial(alpha_of, content.get("alpha", ALPHA)))
    if problems:
        raise RulesError([problem.at(str(path)) for problem in problems])
    return Rules(Tolerances(everywhere, by_metric), alpha)


def _unknown_key(key: str) -> Problem:
    return Problem.of("rule-unknown", "unknown key {key!r}; {nearest}", key=key, nearest=nearest(key, _KEYS))


def alpha_of(said: Any) -> float:
    """A chance between 0 and 1.

    Raises:
        ValueError: if it is something else.
    """
    number = isinstance(said, (int, float)) and not isinstance(said, bool)
    if isinstance(said, str) and _NUMBER.fullmatch(said.strip()):  # YAML takes 1e-3 for a text
        said, number = float(said), True
    if not number or not 0.0 < said < 1.0:
        words = "alpha is a chance above 0 and below 1, got {given!r}"
        raise ValueError(Problem.of("alpha-out-of-range", words, given=said))
    return float(said)
