"""Counts with their nouns."""

from __future__ import annotations


def noun(count: int, what: str) -> str:
    """The noun as it stands behind a count: "sample" or "samples", "batch" or "batches"."""
    if count == 1:
        return what
    return f"{what}{'es' if what.endswith(('ch', 's', 'x')) else 's'}"


def plural(count: int, what: str) -> str:
    """A count with its noun: "1 sample", "2 samples"."""
    return f"{count} {noun(count, what)}"


def there_are(count: int, what: str) -> str:
    """A count in a sentence: "there is 1 sample", "there are 2 samples"."""
    return f"there {'is' if count == 1 else 'are'} {plural(count, what)}"
