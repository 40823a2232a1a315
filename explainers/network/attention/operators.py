"""The operators that run in a pass, as MindSpore shows them (``MsDispatchMode``, from 2.10 on), but for views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from mindspore import Tensor

from ..backward.dispatch import Dispatch, leaves

SHOWS_OPERATORS = Dispatch is not object


class Site(NamedTuple):
    """The n-th run of an operator in a pass, by which it is known again in later passes of the network.

    Attributes:
        operator: its name.
        run: how many runs of it came before.
    """

    operator: str
    run: int


class SeenOperators(Dispatch):
    """Sees every operator that runs within, whoever calls it and by whatever name; a subclass says what it looks at.

    MindSpore records for gradients what a network computes, and nothing of what is done here.
    """

    _seeing = True

    def __init__(self) -> None:
        super().__init__()
        self._runs: Counter[str] = Counter()

    @staticmethod
    @contextmanager
    def unseen() -> Iterator[None]:
        """Within run operators that are none of the network's, which is not to be seen, nor counted."""
        SeenOperators._seeing = False
        try:
            yield
        finally:
            SeenOperators._seeing = True

    def __ms_dispatch__(self, func: Any, args: Any, kwargs: Any = None) -> Any:
        if not self._seeing:
            return func(*args, **(kwargs or {}))
        site = Site(func.name, self._runs[func.name])
        self._runs[func.name] += 1
        tensors = list(tensors_in((args, kwargs)))
        self.before(site, tensors)
        return self.after(site, tensors, func(*args, **(kwargs or {})))

    def before(self, site: Site, given: list[Tensor]) -> None:
        """Look at the tensors that an operator is given."""

    def after(self, site: Site, given: list[Tensor], result: Any) -> Any:
        """Look at what it gives, and say what the network gets of it."""
        return result


class ChangedResults(SeenOperators):
    """Gives the network something else of the operators at some sites.

    Args:
        changes: from what an operator gives to what the network gets, by site.
    """

    def __init__(self, changes: Mapping[Site, Callable[[Any], Any]]) -> None:
        super().__init__()
        self._changes = changes

    def after(self, site: Site, given: list[Tensor], result: Any) -> Any:
        return self._changes[site](result) if site in self._changes else result


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dictionaries."""
    return (one for one in leaves([value]) if isinstance(one, Tensor))
