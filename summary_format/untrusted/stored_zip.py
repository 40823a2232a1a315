"""Zips whose members lie in them as they are, so that none is larger than what is at hand."""

from __future__ import annotations

import io
import zipfile


def stored_members(data: bytes, what: str, unlike: str) -> dict[str, bytes]:
    """The members of a zip by name, each name once, together no larger than it is.

    Args:
        data: the zip.
        what: what errors call its content.
        unlike: of which files errors say that they are not compressed.

    Raises:
        ValueError: if it is something else, or a member is compressed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            members = packed.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError(f"it is compressed, and {unlike} are not")
            if sum(member.file_size for member in members) > len(data):
                raise ValueError("its members are larger than it is")
            if len({member.filename for member in members}) < len(members):
                raise ValueError("it holds a name twice")
            return {member.filename: packed.read(member) for member in members}
    except Exception as error:  # of a broken zip Python's reader raises nearly anything
        raise ValueError(f"{what} cannot be unpacked: {error or type(error).__name__}") from error
