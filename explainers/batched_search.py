"""Searches that ask a network question after question, advanced together so that its passes are full."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Generic, Protocol, TypeVar

import numpy as np

from .network import Block
from .network.tensors import FloatArray, IntArray

Result = TypeVar("Result")


class Request(Protocol):
    """Images (C, H, W), or blocks of them, that a search wants answered before it continues; built for their pass."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: slice, /) -> Iterable[FloatArray | Block]: ...


# A search yields requests of one image or more, is sent the answers (a number per image, or a row of them), and returns
# its result.
Search = Generator[Request, FloatArray, Result]


def search_together(
    searches: Sequence[Search[Result]],
    columns: Sequence[int | IntArray],
    ask: Callable[[list[FloatArray | Block]], FloatArray],
    pass_size: int,
) -> list[tuple[Result, tuple[int, ...]]]:
    """Run searches to their ends, with images of any of them side by side in a pass.

    Images wait in one queue, first in, first out. A search continues as soon as its whole request is answered, and its
    next request joins the queue's end. So a pass has less than ``pass_size`` images only when every search that is
    not over waits for that very pass.

    Args:
        searches: not yet begun. All begin at once, so each holds what it needs to build its images.
        columns: for each search, which column of the answers is its own (its label), or which several.
        ask: one pass: from at most ``pass_size`` images to numbers (images, columns).
        pass_size: images per pass.

    Returns:
        For each search its result, and how many images each of its requests held, in order.

    Raises:
        ValueError: if a search requests no images, or there are not as many columns as searches.
    """
    running = [_Running(search, column) for search, column in zip(searches, columns, strict=True)]
    queue = deque(image for search in running for image in search.begun())
    while queue:
        taken = [queue.popleft() for _ in range(min(pass_size, len(queue)))]
        rows = ask([image for search, places in _spans(taken) for image in search.request[places]])
        for (search, place), row in zip(taken, rows, strict=True):
            queue.extend(search.answered(place, row))
    return [(search.result, tuple(search.rounds)) for search in running]


def passes_needed(rounds: Sequence[Sequence[int]], pass_size: int) -> int:
    """How many passes ``search_together`` takes, worked out from the sizes of each search's requests alone.

    It runs nothing and counts in whole requests, so it can check that no pass was wasted.

    Args:
        rounds: for each search how many images each of its requests holds, in order; may be empty.
        pass_size: images per pass.
    """
    ahead = [deque(of_search) for of_search in rounds]
    waiting = deque((later, later.popleft()) for later in ahead if later)
    passes = 0
    while waiting:
        room, answered = pass_size, []
        while waiting and room:
            later, images = waiting.popleft()
            if images > room:
                waiting.appendleft((later, images - room))
            else:
                answered.append(later)
            room -= min(images, room)
        waiting.extend((later, later.popleft()) for later in answered if later)
        passes += 1
    return passes


def _spans(taken: Iterable[tuple[_Running[Result], int]]) -> Iterator[tuple[_Running[Result], slice]]:
    """The places of each search, which follow one another."""
    for search, of_search in groupby(taken, itemgetter(0)):
        places = [place for _, place in of_search]
        yield search, slice(places[0], places[-1] + 1)


class _Running(Generic[Result]):
    """A search between two requests: what it asked, and what of it is answered."""

    result: Result
    request: Request
    answers: FloatArray

    def __init__(self, search: Search[Result], column: int | IntArray) -> None:
        self.search, self.column = search, column
        self.rounds: list[int] = []
        self.lacking = 0

    def begun(self) -> Iterable[tuple[_Running[Result], int]]:
        """Its first images."""
        return self._until_next_request(lambda: next(self.search))

    def answered(self, place: int, row: FloatArray) -> Iterable[tuple[_Running[Result], int]]:
        """Take the answer to one image; its next images, if that was the last that lacked."""
        self.answers[place] = row[self.column]
        self.lacking -= 1
        return () if self.lacking else self._until_next_request(lambda: self.search.send(self.answers))

    def _until_next_request(self, go_on: Callable[[], Request]) -> Iterable[tuple[_Running[Result], int]]:
        try:
            self.request = go_on()
        except StopIteration as stop:
            self.result, self.request = stop.value, ()  # lets go of the images
            return ()
        self.lacking = len(self.request)
        if not self.lacking:
            raise ValueError("a search requested no images, it must request at least one or end")
        self.rounds.append(self.lacking)
        self.answers = np.empty((self.lacking, *np.shape(self.column)), np.float32)
        return [(self, place) for place in range(self.lacking)]
