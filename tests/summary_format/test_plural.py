"""One way to write a plural."""

import re

import pytest

from explainrun.summary_format.plural import noun, plural, there_are


@pytest.mark.parametrize(
    ("count", "what", "told"),
    [
        (0, "sample", "0 samples"),
        (1, "sample", "1 sample"),
        (2, "class name", "2 class names"),
        (1, "batch", "1 batch"),
        (3, "batch", "3 batches"),
        (2, "class", "2 classes"),
        (2, "box", "2 boxes"),
    ],
)
def test_a_count_with_its_noun(count, what, told):
    assert plural(count, what) == told
    assert noun(count, what) == told.split(" ", 1)[1]


def test_in_a_sentence():
    assert (there_are(1, "row"), there_are(2, "row")) == ("there is 1 row", "there are 2 rows")


def test_nobody_else_makes_plurals(repository):
    by_hand = re.compile(r"""['"]s['"] \* |['"]s['"] if |['"]['"] if \w+ == 1 else ['"]s""")
    rooms = [repository / room for room in ("summary_format", "explainers", "benchmarks", "runner")]
    paths = {path.name for room in rooms for path in room.rglob("*.py") if by_hand.search(path.read_text())}
    assert paths == set()
