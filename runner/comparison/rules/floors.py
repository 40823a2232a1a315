"""The worst mean scores that a candidate may have, whatever its baseline had."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....summary_format.errors import nearest
from ....summary_format.problem import Problem
from ...problems import problem_of
from .tolerances import RulesError, number_of

EVERY = ""  # in the place of an explainer: all of them
Place = tuple[str, str]  # explainer, or EVERY, and metric


@dataclass(frozen=True)
class Floors:
    """Floors under means; where a metric is better the lower it is, they are what means must not exceed.

    Attributes:
        by_place: numbers by explainer and metric; that of a named explainer goes before that of all.
    """

    by_place: Mapping[Place, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.by_place)

    @classmethod
    def of_given(cls, given: Floors | Mapping[str, Any] | None, rest: Floors | None = None) -> Floors:
        """Read floors by "METRIC" or "EXPLAINER/METRIC"; what is read already is taken as it is.

        Args:
            given: to be read; None for nothing.
            rest: what it does not say.

        Raises:
            ValueError: if one is not a finite number.
        """
        if isinstance(given, Floors):
            return given
        own = {_place(name): _floor(said) for name, said in (given or {}).items()}
        return cls({**(rest.by_place if rest else {}), **own})

    def of(self, explainer: str, metric: str) -> float | None:
        """Of an explainer in a metric; None where there is none."""
        return self.by_place.get((explainer, metric), self.by_place.get((EVERY, metric)))

    def check(self, explainers: Iterable[str], metrics: Iterable[str]) -> None:
        """Make sure that they are for explainers and metrics of the candidate.

        Raises:
            RulesError: if not; the nearest names are offered.
        """
        problems = list(self._problems(list(explainers), list(metrics)))
        if problems:
            raise RulesError(problems)

    def _problems(self, explainers: Sequence[str], metrics: Sequence[str]) -> Iterator[Problem]:
        for explainer, metric in self.by_place:
            for kind, name, known in (("explainer", explainer, explainers), ("metric", metric, metrics)):
                if name != EVERY and name not in known:
                    words = "floor: the candidate has no {kind} {name!r}; {nearest}"
                    values = {"kind": kind, "name": name, "nearest": nearest(name, known)}
                    yield Problem.of("floor-of-none", words, **values)


NO_FLOORS = Floors()


def floors_of(texts: Sequence[str], rules: Floors | None = None) -> Floors:
    """Floors as the command takes them: "InsertionAUC=0.6" or "GradCAM/InsertionAUC=0.6"; the last one counts.

    Args:
        texts: of the command.
        rules: of a file, which the command's go before.

    Raises:
        RulesError: if any is neither.
    """
    found, problems = dict(rules.by_place if rules else {}), []
    for text in texts:
        name, equals, said = text.rpartition("=")
        try:
            if not equals or not name.strip():
                words = "{given!r} is not METRIC=NUMBER or EXPLAINER/METRIC=NUMBER"
                raise ValueError(Problem.of("floor-malformed", words, given=text))
            found[_place(name)] = _floor(said)
        except ValueError as error:
            problems.append(problem_of(error).at(f"--floor {text!r}"))
    if problems:
        raise RulesError(problems)
    return Floors(found)


def _place(name: str) -> Place:
    explainer, _, metric = str(name).strip().rpartition("/")
    return explainer.strip() or EVERY, metric.strip()


def _floor(said: Any) -> float:
    """A finite number.

    Raises:
        ValueError: if it is something else.
    """
    number = number_of(said)
    if number is None or not math.isfinite(number):
        words = "a floor is a number such as 0.6, got {given!r}"
        raise ValueError(Problem.of("floor-not-a-number", words, given=said))
    return number
