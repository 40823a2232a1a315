"""How much worse a mean score may get."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....summary_format.errors import SeveralProblemsError, nearest
from ....summary_format.problem import Problem
from ...problems import problem_of

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class RulesError(SeveralProblemsError):
    """What is wrong with tolerances, floors and alpha, all at once."""


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


def number_of(said: Any) -> float | None:
    """What a number is, or a text that writes one, as YAML leaves 1e-3; None of anything else."""
    if isinstance(said, str) and _NUMBER.fullmatch(said.strip()):
        return float(said)
    return float(said) if isinstance(said, (int, float)) and not isinstance(said, bool) else None
