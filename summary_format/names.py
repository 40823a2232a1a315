"""Which names can be written: in records, in the paths of pictures and of tables."""

from __future__ import annotations

import re
import unicodedata

_OBEYED = {"Cc", "Zl", "Zp", "Cs"}  # control characters, line and paragraph separators, halves of surrogate pairs
_DIRECTIONS = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}  # would reorder what follows
# The name and password in an address, also where a slash in them that should be written %2F seems to end the host.
_LOGIN = re.compile(
    r"(?<![a-z0-9+.-])([a-z][a-z0-9+.-]*:/{1,2})(?:[^/?#\s]*@|[^/?#\s@:]*:(?!\d{0,5}(?:[/?#\s]|$))\S*@)", re.IGNORECASE
)


def without_login(text: str) -> str:
    """The same with three asterisks for the name and password of every address in it, as of ``https://me:word@host``."""
    return _LOGIN.sub(r"\1***@", text) if "@" in text else text


def without_controls(text: str, keep: str = "") -> str:
    r"""The same, so that no terminal obeys it: line breaks and control characters as \n, \x1b and the like.

    Args:
        text: names and messages that may come from anybody.
        keep: which of them stay.
    """
    if text.isprintable():
        return text
    return "".join(
        one.encode("unicode_escape").decode()
        if one not in keep and (unicodedata.category(one) in _OBEYED or one in _DIRECTIONS)
        else one
        for one in text
    )


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
