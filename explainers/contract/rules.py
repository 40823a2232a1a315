"""A rule of the contract, and the error that names the one that is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from mindspore import nn

from ...summary_format.errors import ExplainrunError
from ..network.tensors import FloatArray

Subject = TypeVar("Subject")


class ContractError(ExplainrunError, AssertionError):
    """A class breaks a rule of the contract.

    Attributes:
        rule: the rule's name.
        expected: what it demands.
        found: what the class does instead.
        fix: what to change.
    """

    def __init__(self, rule: str, kind: str, finding: Finding) -> None:
        self.rule = rule
        self.expected, self.found, self.fix = finding
        super().__init__(
            f"{kind} breaks the rule {rule!r}\n  expected: {self.expected}\n  found: {self.found}\n  fix: {self.fix}"
        )


class Finding(NamedTuple):
    """What a rule demands, what a class does instead, and what to change."""

    expected: str
    found: str
    fix: str


@dataclass(frozen=True)
class Rule(Generic[Subject]):
    """One rule, which a class is checked by when it is called.

    Attributes:
        name: what errors call it.
        says: what it demands.
        broken: all that a subject, which the class was made into, does against it; nothing where it does not apply.
        subject: makes the class, its images and its arguments a subject.
    """

    name: str
    says: str
    broken: Callable[[Subject], Iterable[Finding]]
    subject: Callable[..., Subject]

    def __call__(self, kind: type[Any], /, *, images: FloatArray | None = None, **arguments: Any) -> None:
        """Check a class by this rule.

        Args:
            kind: the class.
            images: see ``check_explainer``.
            arguments: see ``check_explainer``.

        Raises:
            ContractError: if the class breaks it, or fails where it shall not.
            TypeError: if the class is of another kind, or its constructor needs an argument that is not given.
        """
        subject = self.subject(kind, images, arguments)
        for finding in self._broken(kind, subject):
            raise ContractError(self.name, kind.__name__, finding)

    def __str__(self) -> str:
        return self.name

    def _broken(self, kind: type[Any], subject: Subject) -> Iterator[Finding]:
        try:
            yield from self.broken(subject)
        except Exception as error:
            found = Finding(self.says, f"{type(error).__name__}: {error}", "the error that caused this one says where")
            raise ContractError(self.name, kind.__name__, found) from error


class OfNetwork(NamedTuple):
    """A constructor argument that belongs to a network, and so is made for each network that a rule builds.

    Attributes:
        make: from the network to the argument.
    """

    make: Callable[[nn.Cell], Any]
