"""Standard output and error of the command, which may be closed, full, or pipes that are not read.

Left to themselves they end a process with codes of Python's own: 1 where a write fails, 120 where the flush at its end
does. And where one of them is closed, the next file that is opened takes its descriptor, and native log lines with it.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

import click

from ....summary_format.exit_codes import EXIT_BAD_INPUT
from ....summary_format.names import without_controls, without_login

_CLOSED = "it is closed"


class TolerantStream:
    """Stands in for a text stream: no write and no flush of it fails, but the first failure is remembered.

    Everything else is the stream's own.

    Attributes:
        failure: why some of what was written is lost; None as long as nothing is.
        dealt_with: whether the command knows of that.
    """

    def __init__(self, found: TextIO | None) -> None:
        self._stream = open(os.devnull, "w", encoding="utf-8") if found is None else found  # noqa: SIM115 - close_own
        self._found = found
        self.failure: OSError | None = OSError(_CLOSED) if found is None else None
        self.dealt_with = False

    def write(self, text: str) -> int:
        self.attempt(lambda: _write_text(self._stream, text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self.attempt(self._stream.flush)

    @property
    def buffer(self) -> _TolerantBuffer:
        return _TolerantBuffer(self, self._stream.buffer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def attempt(self, action: Callable[[], object]) -> None:
        """Do something with the stream; a failure is remembered."""
        try:
            action()
        except (OSError, ValueError) as error:  # ValueError: the program closed it
            self.failure = self.failure or (error if isinstance(error, OSError) else OSError(_CLOSED))

    @property
    def may_go(self) -> bool:
        """Whether Python can flush what it stands in for at the end of the process."""
        return self._found is None or self.failure is None

    def close_own(self) -> None:
        """Close what it opened itself."""
        if self._found is None:
            self._stream.close()


class _TolerantBuffer:
    """The bytes below a ``TolerantStream``."""

    def __init__(self, owner: TolerantStream, stream: Any) -> None:
        self._owner, self._stream = owner, stream

    def write(self, data: Any) -> int:
        self._owner.attempt(lambda: _write_bytes(self._stream, data))
        return len(data)

    def flush(self) -> None:
        self._owner.attempt(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _write_text(stream: TextIO, text: str) -> None:
    try:
        _write_encodable(stream, text)
    except UnicodeEncodeError:  # nothing is written then
        _write_encodable(stream, encodable(text, stream))


def _write_encodable(stream: TextIO, text: str) -> None:
    below = getattr(stream, "buffer", None)
    if isinstance(below, io.RawIOBase):  # as of PYTHONUNBUFFERED, where the text layer forgets what did not fit
        _write_bytes(below, text.encode(stream.encoding, stream.errors or "strict"))
    else:
        stream.write(text)


def _write_bytes(stream: Any, data: Any) -> None:
    if not isinstance(stream, io.RawIOBase):
        stream.write(data)
        return
    left = memoryview(data)
    while left:
        written = stream.write(left)
        if written is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        left = left[written:]


def encodable(text: str, stream: Any) -> str:
    """A text with backslashes for what a stream cannot encode."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


@contextmanager
def tolerant_streams(*, to_the_end: bool) -> Iterator[TolerantStream]:
    """Have standard output and error on open descriptors and without failures; gives output.

    Args:
        to_the_end: whether the process ends afterwards. If not, streams that did not fail are put back.
    """
    open_closed_descriptors()
    found = sys.stdout, sys.stderr
    ours = TolerantStream(_behind(sys.stdout)), TolerantStream(_behind(sys.stderr))
    sys.stdout, sys.stderr = cast(TextIO, ours[0]), cast(TextIO, ours[1])
    try:
        yield ours[0]
    finally:
        for name, before, mine in zip(("stdout", "stderr"), found, ours, strict=True):
            mine.flush()
            if not to_the_end and getattr(sys, name) is mine and mine.may_go:
                setattr(sys, name, before)
                mine.close_own()


def _behind(stream: TextIO | None) -> TextIO | None:
    return stream._found if isinstance(stream, TolerantStream) else stream  # left by a command that could not write


def open_closed_descriptors() -> None:
    """Open those of input, output and error that are closed, on the null device, before another file takes them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # as a rule this gets the lowest number that is free
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)  # for programs that are started from here


def echo(text: str) -> None:
    """Write to standard output, whatever its encoding, and flush, so that failures show here and not at the end.

    Raises:
        OSError: if it, or something before it, could not be written.
    """
    stream = _standard_output()
    _echo(encodable(without_controls(text, "\n\t"), stream), stream)


def echo_bytes(data: bytes) -> None:
    """Write what a file would hold to standard output, and flush.

    Raises:
        OSError: if it, or something before it, could not be written.
    """
    _echo(data, _standard_output())


def _standard_output() -> TextIO:
    if sys.stdout is None:
        raise OSError(_CLOSED)
    return sys.stdout


def _echo(content: str | bytes, stream: TextIO) -> None:
    click.echo(content, file=stream, nl=isinstance(content, str))
    if isinstance(stream, TolerantStream) and stream.failure:
        stream.dealt_with = True
        raise stream.failure


def report(message: str) -> None:
    """Write a message to standard error, if that takes it."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            shown = without_controls(without_login(f"explainrun: {message}"), "\n\t")
            click.echo(encodable(shown, sys.stderr), file=sys.stderr)


def echo_or_exit(text: str) -> None:
    """Write what a command is there to show; where that fails, end the process with exit code 2."""
    try:
        echo(text)
    except OSError as error:
        report_lost_output(error)
        sys.exit(EXIT_BAD_INPUT)


def echo_after(text: str, done: str) -> None:
    """Write about work that is done whether or not this can be written.

    Args:
        text: what to write.
        done: what is done, for the message that stands on standard error otherwise.
    """
    try:
        echo(text)
    except OSError as error:
        report(f"{done}, but standard output takes nothing: {error}")


def report_lost_output(error: OSError) -> None:
    """Say why there is no output, unless its reader chose to read no more."""
    if not isinstance(error, BrokenPipeError):
        report(f"standard output takes nothing: {error}")
