"""What is wrong with what a user gave: collected, and put in words."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

from ..summary_format.errors import ExplainrunError, SeveralProblemsError
from ..summary_format.exit_codes import EXIT_RESUMABLE
from ..summary_format.problem import Problem

_TRACEBACK = "EXPLAINRUN_TRACEBACK"


class PlanError(SeveralProblemsError):
    """Everything found wrong with a plan, at once."""


class DatasetChangedError(PlanError):
    """The dataset does not give the samples that it gave to the run that the folder holds."""


class DamagedRunError(PlanError):
    """The folder holds this run, finished, and it can no longer be read."""


class SampleError(ExplainrunError, ValueError):
    """A sample that is not what the runner takes, or cannot be read; says which and why."""


class EngineError(ExplainrunError, RuntimeError):
    """An engine could not finish all shards; what they have committed is kept, and is resumed when it is run again."""

    exit_code = EXIT_RESUMABLE


class Problems(list[Problem]):
    """A sentence on each thing that is wrong, to be reported together."""

    def attempt(self, where: str, make: Callable[[], Any]) -> Any:
        """What a function gives; None where it fails, which is noted."""
        try:
            return make()
        except Exception as error:  # a factory of the user's may raise anything
            self.note(error, where)
            return None

    def note(self, error: Exception, where: str = "") -> None:
        """Add what an error says; its traceback is printed where the environment asks for that.

        Args:
            error: one that may hold several problems itself, which say where they are.
            where: what goes before the words of any other one.
        """
        if isinstance(error, SeveralProblemsError):
            self.extend(error.problems)
        else:
            show_traceback(error)
            problem = problem_of(error)
            self.append(problem.at(where) if where else problem)

    def raise_if_any(self) -> None:
        """Raise them, if there are any.

        Raises:
            PlanError: with all of them.
        """
        if self:
            raise PlanError(self)


def problem_of(error: BaseException) -> Problem:
    """What an error says, in one line: the problem it was raised with, or one with a code for its kind."""
    line, said = error_line(error), Problem.from_error(error)
    if said.code != "other":
        return Problem(line, said.code, said.values)
    kind = type(error).__name__
    if isinstance(error, ImportError):
        return Problem.of("import-failed", "{said}", said=line, error=kind)
    if isinstance(error, OSError):
        return Problem.of("file-failed", "{said}", said=line, error=kind)
    if isinstance(error, ValueError):
        return Problem.of("value-refused", "{said}", said=line, error=kind)
    return Problem.of("code-raised", "{said}", said=line, error=kind)


def first_line(error: BaseException) -> str:
    """The first line of what an error says, in words if any is; its kind where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines()]
    found = (line for holds in (str.isalpha, str.isalnum) for line in lines if any(map(holds, line)))
    return next(found, type(error).__name__)


def error_line(error: BaseException) -> str:
    """What an error says, in one line, with its kind where its words alone do not say enough."""
    plain = isinstance(error, (ValueError, OSError, ImportError, ExplainrunError))
    return first_line(error) if plain else _with_kind(error)


def unforeseen_line(error: BaseException) -> str:
    """What an unexpected error says, in one line, and how to see where it comes from."""
    hint = "" if wants_tracebacks() else f" ({_TRACEBACK}=1 shows where)"
    return f"{_with_kind(error)}{hint}"


def _with_kind(error: BaseException) -> str:
    line, kind = first_line(error), type(error).__name__
    return line if line == kind else f"{kind}: {line}"


def wants_tracebacks() -> bool:
    """Whether the environment asks for the tracebacks of errors, by ``EXPLAINRUN_TRACEBACK``."""
    return bool(os.environ.get(_TRACEBACK))


def show_traceback(error: BaseException) -> None:
    """Print an error's traceback, if the environment asks for it."""
    if wants_tracebacks():
        traceback.print_exception(error)


def checked_sequence(given: Any, kind: type[Any], name: str) -> tuple[Any, ...]:
    """A list or tuple of instances as a tuple.

    Raises:
        TypeError: if it is something else, naming the element.
    """
    if not isinstance(given, (list, tuple)):
        words = "{name} must be a list of {kind} objects, got {given}"
        raise TypeError(Problem.of("list-kind", words, name=name, kind=kind.__name__, given=type(given).__name__))
    for place, value in enumerate(given):
        if not isinstance(value, kind):
            words = "{place} must be a {kind} object, got {given}"
            said = {"place": f"{name}[{place}]", "kind": kind.__name__, "given": type(value).__name__}
            raise TypeError(Problem.of("list-element-kind", words, **said))
    return tuple(given)
