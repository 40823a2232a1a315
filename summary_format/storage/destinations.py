"""Where users may have something written: regular files, new or there already, and what is open already."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from ..problem import Problem

_STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_OPEN = re.compile(r"/dev/(?:stdout|stderr|fd/\d+)|/proc/self/fd/\d+")
_KINDS = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISDIR, "a folder"))


def is_standard_output(path: str | Path) -> bool:
    """Whether a user who names this path means standard output."""
    return str(path) in _STANDARD_OUTPUT


def is_written_directly(path: str | Path) -> bool:
    """Whether it is what this process has open, as by a shell's ``>(...)``, or the null device: never replaced."""
    return bool(_OPEN.fullmatch(str(path))) or _is_null_device(Path(path))


def check_destination(path: str | Path, *, replaced: bool = False) -> None:
    """Make sure that a file can be written there, as far as one can see beforehand. Its folder need not be there.

    Args:
        path: where.
        replaced: whether a file that is there is replaced by a new one, instead of written to.

    Raises:
        ValueError: if a folder, a pipe or a device is there, which may never take what is written, a file in the place
            of a folder, or one that this user must not write.
    """
    place = Path(path)
    if is_written_directly(place):
        return
    try:
        kind = os.stat(place).st_mode
    except FileNotFoundError:
        _check_folder(place)
        return
    except OSError as error:  # a file in the place of a folder, a name that is too long, a circle of links
        words = "{file} cannot be written: {said}"
        raise ValueError(Problem.of("output-impossible", words, file=place, said=error.strerror)) from error
    if not stat.S_ISREG(kind):
        what = next((what for is_kind, what in _KINDS if is_kind(kind)), "a device")
        words = "{file} is {what}; name a file"
        raise ValueError(Problem.of("output-not-a-file", words, file=place, what=what))
    _check_allowed(place, place.resolve().parent if replaced else place)


def _check_folder(place: Path) -> None:
    """Of a file that is not there yet, look at the folder that it, or its missing folders, would be made in."""
    above = next(folder for folder in place.absolute().parents if os.path.lexists(folder))
    if not above.is_dir():
        words = "{file} cannot be written: {above} is not a folder"
        raise ValueError(Problem.of("output-in-no-folder", words, file=place, above=above))
    _check_allowed(place, above)


def _check_allowed(place: Path, there: Path) -> None:
    if not os.access(there, os.W_OK):
        words = "{file} cannot be written: you have no right to write to {there}"
        raise ValueError(Problem.of("output-not-allowed", words, file=place, there=there))


def _is_null_device(path: Path) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.stat(os.devnull))
    except OSError:
        return False
