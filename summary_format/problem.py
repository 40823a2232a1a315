"""One thing that is wrong: a sentence for people, and what scripts go by: its code and what the sentence names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from string import Formatter
from typing import Any

from .names import without_controls, without_login
from .plural import plural, there_are

_BETWEEN = {"list": ", ", "and": " and ", "or": " or ", "lines": "; "}
_AS_TEXT: Mapping[str, Callable[[Any], str]] = {"": str, "repr": repr, "ascii": ascii}


class Problem(str):
    """A sentence on one thing that is wrong.

    It is a text, so that it can be printed, compared and joined as any other.

    Attributes:
        code: which kind of problem it is. It stays when the words change; docs/problems.md lists all. "other" is that
            of a sentence that came without.
        values: what the sentence names, by words that stay too; paths are texts.
    """

    code: str
    values: Mapping[str, Any]

    def __new__(cls, sentence: str, code: str = "other", values: Mapping[str, Any] | None = None) -> Problem:
        problem = super().__new__(cls, sentence)
        problem.code, problem.values = code, dict(values or {})
        return problem

    @classmethod
    def of(cls, code: str, words: str, /, **values: Any) -> Problem:
        """A problem whose sentence is made of its values.

        Args:
            code: see the class.
            words: as for ``str.format``. A list is joined by ``{names:list}`` (commas), ``{names:and}`` or
                ``{names:or}``, its elements written by ``repr`` with ``{names:repr or}``; a count is written with its
                noun by ``{count:plural sample}`` or ``{count:there are sample}``.
            values: see the class.
        """
        plain = {name: str(value) if isinstance(value, PurePath) else value for name, value in values.items()}
        return cls(_FORMATTER.vformat(words, (), plain), code, plain)

    @classmethod
    def from_error(cls, error: BaseException) -> Problem:
        """The problem that an error was raised with; what it says, with the code "other", if that was a plain text."""
        raised_with = error.args[0] if error.args else ""
        return raised_with if isinstance(raised_with, Problem) else cls(str(error))

    @classmethod
    def from_text(cls, sentence: str) -> Problem:
        """A sentence as a problem, which it may be already."""
        return sentence if isinstance(sentence, Problem) else cls(sentence)

    def at(self, where: str) -> Problem:
        """The same with the place where it is before its sentence, and as its value ``where``."""
        inner = self.values.get("where")
        place = where if inner is None else f"{where}: {inner}"
        return Problem(f"{where}: {self}", self.code, {**self.values, "where": place})


class _Words(Formatter):
    """Writes lists and counts as ``Problem.of`` says."""

    def convert_field(self, value: Any, conversion: Any) -> Any:
        try:
            return super().convert_field(value, conversion)
        except Exception:  # of a number of thousands of digits, or what a user's class shows itself as
            return object.__repr__(value)

    def format_field(self, value: Any, format_spec: str) -> str:
        *how, what = format_spec.split(" ")
        if what in _BETWEEN:
            return _BETWEEN[what].join(_shown(_AS_TEXT["".join(how)](one)) for one in value)
        for written, start in ((plural, "plural "), (there_are, "there are ")):
            if format_spec.startswith(start):
                return written(value, format_spec.removeprefix(start))
        try:
            return _shown(str(super().format_field(value, format_spec)))
        except Exception:  # as above
            return object.__repr__(value)


def _shown(text: str) -> str:
    return without_controls(without_login(text))


_FORMATTER = _Words()
