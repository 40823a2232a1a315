"""Searches advanced together: full passes, right answers, and the count of passes told in advance."""

import numpy as np
import pytest

from explainrun.explainers.batched_search import passes_needed, search_together


def image(number):
    return np.full((1, 1, 2), number, np.float32)


class Lazy:
    """Images of these numbers, noted when they are built."""

    def __init__(self, numbers, built):
        self.numbers, self.built = numbers, built

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, places):
        self.built += self.numbers[places]
        return map(image, self.numbers[places])


def asking(sizes, first, built=None):
    """A search that requests so many images, numbered on from the first, and returns all answers."""
    answers = []
    for size in sizes:
        numbers = range(first + len(answers), first + len(answers) + size)
        answers += (yield Lazy(numbers, [] if built is None else built)).tolist()
    return answers


class Network:
    """Column 0 answers an image's number, column 1 ten times as much."""

    def __init__(self):
        self.passes = []

    def __call__(self, images):
        numbers = [float(one[0, 0, 0]) for one in images]
        self.passes.append(numbers)
        return np.array([[number, 10 * number] for number in numbers], np.float32)


def test_passes_by_hand():
    network = Network()
    found = search_together([asking([1, 5], 100), asking([2, 1, 3], 200)], [0, 1], network, 4)
    assert network.passes == [
        [100, 200, 201],  # nothing else can be asked yet
        [101, 102, 103, 104],
        [105, 202],  # the first search's last, and what the second asked meanwhile
        [203, 204, 205],
    ]
    assert found == [
        ([100, 101, 102, 103, 104, 105], (1, 5)),
        ([2000, 2010, 2020, 2030, 2040, 2050], (2, 1, 3)),
    ]
    assert passes_needed([[1, 5], [2, 1, 3]], 4) == 4


def test_a_search_goes_on_as_soon_as_it_is_answered():
    network = Network()
    search_together([asking([2, 2], 100), asking([6], 200)], [0, 0], network, 4)
    assert network.passes == [[100, 101, 200, 201], [202, 203, 204, 205], [102, 103]]


@pytest.mark.parametrize("pass_size", [1, 3, 16])
def test_the_count_told_in_advance_is_the_count_made(pass_size):
    rng = np.random.default_rng(0)
    for _ in range(50):
        rounds = [rng.integers(1, 40, rng.integers(0, 6)).tolist() for _ in range(rng.integers(0, 7))]
        network = Network()
        searches = [asking(sizes, 1000 * i) for i, sizes in enumerate(rounds)]
        found = search_together(searches, [0] * len(rounds), network, pass_size)
        assert [asked for _, asked in found] == [tuple(sizes) for sizes in rounds]
        assert [answers for answers, _ in found] == [
            list(range(1000 * i, 1000 * i + sum(sizes))) for i, sizes in enumerate(rounds)
        ]
        assert len(network.passes) == passes_needed(rounds, pass_size)


def test_one_search_alone_fills_what_it_can():
    assert passes_needed([[1, 33, 2]], 16) == 1 + 3 + 1
    assert passes_needed([], 16) == passes_needed([[]], 16) == 0


def test_images_are_built_for_their_pass():
    built = []

    def ask(images):
        assert len(built) == len(images)
        built.clear()
        return np.zeros((len(images), 1))

    search_together([asking([5, 3], 0, built), asking([4], 50, built)], [0, 0], ask, 4)


def test_what_cannot_go_on_is_refused():
    with pytest.raises(ValueError, match="requested no images"):
        search_together([asking([2, 0], 0)], [0], Network(), 4)
    with pytest.raises(ValueError, match="shorter"):
        search_together([asking([2], 0), asking([2], 0)], [0], Network(), 4)
