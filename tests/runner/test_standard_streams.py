"""Streams that do not fail in the place of standard output and error."""

import io
import os
import sys

import click
import pytest

from explainrun.runner.cli.process.command_group import CommandGroup
from explainrun.runner.cli.process.standard_streams import TolerantStream, echo, echo_after, report, tolerant_streams


class Failing(io.StringIO):
    """Takes so many characters."""

    def __init__(self, room=0):
        super().__init__()
        self.room = room

    def write(self, text):
        if len(self.getvalue()) + len(text) > self.room:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_the_first_failure_is_remembered_and_later_text_still_tried():
    found = Failing(4)
    stream = TolerantStream(found)
    assert (stream.write("abc"), stream.failure) == (3, None)
    assert stream.write("more") == 4
    first = stream.failure
    assert first.errno == 28
    stream.writelines(["d", "more"])
    assert (found.getvalue(), stream.failure) == ("abcd", first)


def test_it_is_else_the_stream_itself(tmp_path):
    with open(tmp_path / "file", "w", encoding="ascii") as found:
        stream = TolerantStream(found)
        assert (stream.encoding, stream.fileno(), stream.isatty()) == ("ascii", found.fileno(), False)
        print("dög", file=stream, flush=True)
        stream.buffer.write(b"\xff")
        stream.buffer.flush()
        assert (tmp_path / "file").read_bytes() == b"d\\xf6g\n\xff"
        assert not hasattr(stream, "nosuch")
    stream.write("closed")
    stream.buffer.write(b"closed")
    assert str(stream.failure) == "it is closed"


class Slow(io.RawIOBase):
    """Takes seven bytes at a time."""

    def __init__(self):
        super().__init__()
        self.taken = b""

    def writable(self):
        return True

    def write(self, data):
        self.taken += bytes(data[:7])
        return min(len(data), 7)


def test_all_of_a_text_is_written_without_a_buffer():
    below = Slow()
    stream = TolerantStream(io.TextIOWrapper(below, encoding="utf-8", write_through=True))
    stream.write("übung macht den meister\n")
    stream.buffer.write(b"no less so with bytes\n")
    assert below.taken.decode() == "übung macht den meister\nno less so with bytes\n"
    assert stream.failure is None


def test_a_pipe_that_is_full_and_does_not_wait():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with open(reading, "rb"), io.TextIOWrapper(open(writing, "wb", 0), write_through=True) as found:
        stream = TolerantStream(found)
        stream.write("x" * 1_000_000)
        assert isinstance(stream.failure, BlockingIOError)


def test_streams_are_put_back_unless_they_failed(monkeypatch):
    fine, failing = io.StringIO(), Failing()
    monkeypatch.setattr(sys, "stdout", fine)
    monkeypatch.setattr(sys, "stderr", failing)
    with tolerant_streams(to_the_end=False):
        assert isinstance(sys.stdout, TolerantStream)
        report("lost")
    assert sys.stdout is fine
    assert isinstance(sys.stderr, TolerantStream)
    sys.stderr.flush()  # as Python does at its end
    with tolerant_streams(to_the_end=False) as output:  # what was left is not taken for a sound stream
        report("lost again")
        assert output.failure is None
    assert isinstance(sys.stderr, TolerantStream)
    with tolerant_streams(to_the_end=True):
        pass
    assert isinstance(sys.stdout, TolerantStream)


def test_streams_that_were_closed_at_the_start_are_none_afterwards(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with tolerant_streams(to_the_end=False):
        print("a library's", file=sys.stdout)
        print("words", file=sys.stderr)
        with pytest.raises(OSError, match="it is closed"):
            echo("text")
    assert (sys.stdout, sys.stderr) == (None, None)
    report("nowhere")
    with pytest.raises(OSError, match="it is closed"):
        echo("text")


@pytest.fixture
def group():
    @click.group(cls=CommandGroup)
    def commands():
        """Commands."""

    def command(name):
        def add(function):
            commands.add_command(click.Command(name, callback=function))
            return function

        return add

    commands.command_of = command
    return commands


def ended(group, name, **options):
    with pytest.raises(SystemExit) as end:
        group.main([name], **options)
    return end.value.code


def test_what_a_users_code_prints_costs_nothing(group, monkeypatch):
    """As it would where Python does not buffer standard output."""
    monkeypatch.setattr(sys, "stdout", Failing())
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    @group.command_of("work")
    def work():
        print("a user's own words")
        echo_after("done", "the work is done")

    assert ended(group, "work") == 0
    assert "explainrun: the work is done, but standard output takes nothing: [Errno 28]" in sys.stderr.getvalue()


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (None, 0), (2, 2), (3, 3), (1, 3), (120, 3), ("words", 3)])
def test_only_codes_that_mean_something(group, code, ends):
    @group.command_of("work")
    def work():
        sys.exit(code)

    assert ended(group, "work") == ends


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_command_chooses_its_code(group, code):
    @group.command_of("work")
    def work():
        click.get_current_context().exit(code)

    assert ended(group, "work") == code


def test_a_callers_own_handling(group):
    """Click's standalone mode of False hands errors on."""

    @group.command_of("work")
    def work():
        raise RuntimeError("row 5")

    before = sys.stdout, sys.stderr
    with pytest.raises(RuntimeError, match="row 5"):
        group.main(["work"], standalone_mode=False)
    with pytest.raises(click.UsageError):
        group.main(["nosuch"], standalone_mode=False)
    assert (sys.stdout, sys.stderr) == before
