"""What is wrong with what a user gave: collected, and put in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..summary_format.errors import ExplainrunError, SeveralProblemsError


class PlanError(SeveralProblemsError):
    """Everything found wrong with a plan, at once."""


class DatasetChangedError(PlanError):
    """The dataset does not give the samples that it gave to the run that the folder holds."""


class DamagedRunError(PlanError):
    """The folder holds this run, finished, and it can no longer be read."""


def first_line(error: Exception) -> str:
    """The first line of what an error says, in words; its kind where it says nothing."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if any(map(str.isalpha, line))), type(error).__name__)


def checked_sequence(values: Any, kind: type[Any], name: str) -> tuple[Any, ...]:
    """A list or tuple of instances as a tuple.

    Raises:
        TypeError: if it is something else, naming the element.
    """
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{name} must be a list of {kind.__name__} objects, got {type(values).__name__}")
    for i, value in enumerate(values):
        if not isinstance(value, kind):
            raise TypeError(f"{name}[{i}] must be a {kind.__name__} object, got {type(value).__name__}")
    return tuple(values)


class Problems(list[str]):
    """A sentence on each thing that is wrong, to be told at once."""

    def attempt(self, where: str, make: Callable[[], Any]) -> Any:
        """What a function gives; None where it fails, which is noted."""
        try:
            return make()
        except PlanError as error:
            self.extend(error.problems)
        except Exception as error:  # a factory of the user's may raise anything
            self.append(f"{where}: {error_line(error)}" if where else error_line(error))
        return None

    def tell(self) -> None:
        """Raise them, if there are any.

        Raises:
            PlanError: with all of them.
        """
        if self:
            raise PlanError(self)


def error_line(error: Exception) -> str:
    """What an error says, in one line, with its kind where its words alone do not tell."""
    line = first_line(error)
    plain = isinstance(error, (ValueError, OSError, ImportError, ExplainrunError)) or line == type(error).__name__
    return line if plain else f"{type(error).__name__}: {line}"
