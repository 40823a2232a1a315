"""What a baseline file holds, checked: the shape of it by pydantic, and then that its parts belong together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, FailFast, Field, StrictFloat, StrictInt, ValidationError

from ...summary_format.plan_record import Flags, Names, Options, Parts, first_wrong
from ...summary_format.problem import Problem

FORMAT, VERSION = "explainrun baseline", 1
COLUMNS = ("id", "digest", "truth", "predicted", "asked")
_SHOWN = 80  # characters of a value

# FailFast, since pydantic itself would collect an error for each of a million entries.
Whole = Annotated[StrictInt, Field(ge=0, lt=1 << 63)]
Labels = Annotated[list[Whole], FailFast()]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{8}$")]
Number = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Numbers = Annotated[list[Number | None], FailFast()]
Sample = tuple[Whole, Digest, Labels, Labels, Labels]


class BaselineContent(BaseModel):
    """A baseline file; ``of`` makes one. Keys that it does not know are left alone.

    Attributes:
        class_names: name of each label.
        explainers: options by name, in order.
        metrics: options by name, in order.
        controls: explainers that know nothing of the network.
        higher_is_better: by metric.
        run: what the run's plan says of it.
        made_by: versions and device.
        sample_columns: what a row of the samples holds: COLUMNS.
        samples: a row for each, ascending.
        scores: by explainer and metric, one for each question; None where there is none.
        means_of_true_labels: by explainer and metric, for those who read the file; None where there is none.
    """

    model_config = ConfigDict(frozen=True)

    class_names: Names
    explainers: Parts
    metrics: Parts
    controls: Names = ()
    higher_is_better: Flags
    run: Options
    made_by: Options
    sample_columns: Names
    samples: Annotated[list[Sample], FailFast()]
    scores: dict[str, dict[str, Numbers]]
    means_of_true_labels: dict[str, dict[str, Number | None]]

    @classmethod
    def of(cls, content: Any) -> BaselineContent:
        """The content of a file that was read as JSON.

        Raises:
            ValueError: with a problem, if it is not a baseline, or one that is damaged or of a newer version.
        """
        _check_version(content)
        try:
            found = cls.model_validate(content)
        except ValidationError as error:
            lacking, where, said = first_wrong(error)
            if lacking:
                raise ValueError(Problem.of("baseline-lacks", "it says no {keys:list}", keys=lacking)) from None
            words = "its {place} {said}"
            raise ValueError(Problem.of("baseline-malformed", words, place=where, said=said)) from None
        problem = next(found._problems(), None)
        if problem is not None:
            raise ValueError(problem)
        return found

    @property
    def questions(self) -> list[tuple[int, int]]:
        """Sample and label of each, in the order of scores."""
        return [(sample, label) for sample, *_, asked in self.samples for label in asked]

    def _problems(self) -> Iterator[Problem]:
        """What does not belong together; the first one is enough."""
        if self.sample_columns != COLUMNS:
            yield Problem.of("baseline-columns", "its sample_columns are not {columns:list}", columns=COLUMNS)
        if not set(self.controls) <= self.explainers.keys():
            yield Problem.of("baseline-controls", "its controls are not some of its explainers")
        yield from _key_problems("higher_is_better", self.higher_is_better, self.metrics)
        yield from self._sample_problems()
        tables: dict[str, Mapping[str, Mapping[str, Any]]] = {
            "scores": self.scores,
            "means_of_true_labels": self.means_of_true_labels,
        }
        for name, table in tables.items():
            yield from _key_problems(name, table, self.explainers)
            for explainer, by_metric in table.items():
                yield from _key_problems(f"{name}.{explainer}", by_metric, self.metrics)
        yield from self._score_problems()

    def _sample_problems(self) -> Iterator[Problem]:
        for place, (one, two) in enumerate(pairwise(self.samples), start=1):
            if one[0] >= two[0]:
                words = "row {place} of its samples has the id {given}: ids are whole numbers that ascend"
                yield Problem.of("baseline-id", words, place=place, given=two[0])
        for sample, _, *columns in self.samples:
            for column, labels in zip(COLUMNS[2:], columns, strict=True):
                if labels and (labels[-1] >= len(self.class_names) or any(a >= b for a, b in pairwise(labels))):
                    words = "sample {sample}: {column} is {given}, where labels below {classes} belong, ascending"
                    given = {"given": str(labels)[:_SHOWN], "classes": len(self.class_names)}
                    yield Problem.of("baseline-labels", words, sample=sample, column=column, **given)

    def _score_problems(self) -> Iterator[Problem]:
        questions = len(self.questions)
        for explainer, by_metric in self.scores.items():
            for metric, values in by_metric.items():
                if len(values) != questions:
                    words = "its {place} has {scores:plural score}, {questions:there are question}"
                    place = f"scores.{explainer}.{metric}"
                    counts = {"scores": len(values), "questions": questions}
                    yield Problem.of("baseline-score-count", words, place=place, **counts)


def _check_version(content: Any) -> None:
    """Refuse what is not a baseline at all, and those that a later version wrote.

    Raises:
        ValueError: with a problem.
    """
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        words = "it is not a baseline; explainrun baseline RUN -o FILE writes one"
        raise ValueError(Problem.of("not-a-baseline", words))
    version = content.get("version")
    if type(version) is not int or version < 1:
        words = "its version is {given!r}, where a number belongs"
        raise ValueError(Problem.of("baseline-version", words, given=str(version)[:_SHOWN]))
    if version > VERSION:
        words = "it is of version {version}, this Explainrun reads up to {known}"
        raise ValueError(Problem.of("baseline-newer", words, version=version, known=VERSION))


def _key_problems(place: str, given: Mapping[str, Any], wanted: Collection[str]) -> Iterator[Problem]:
    """Whether a mapping has an entry for each of some names, and no others."""
    lacking, more = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if lacking or more:
        parts = [f"{verb} {', '.join(names)}" for verb, names in (("lacks", lacking), ("also holds", more)) if names]
        yield Problem.of("baseline-keys", "its {place} {how}", place=place, how=" and ".join(parts)[:250])
