"""Which names can be written: in records, in the paths of pictures and of tables."""

from __future__ import annotations


def fits_path(name: str) -> bool:
    """Whether a name can stand alone between the slashes of a path, in a summary folder as in an archive."""
    return bool(name.strip()) and not set(name) & set("/\\\0") and not name.startswith(".") and is_text(name)


def is_text(name: str) -> bool:
    """Whether a name can be written in UTF-8: no half of a surrogate pair."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
