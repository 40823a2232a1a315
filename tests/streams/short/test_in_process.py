"""Exit codes and messages of commands whose standard output or error takes nothing, in this process."""

import contextlib
import io
import os
import sys

import pytest

from explainrun.runner.cli.main import main

WHY = {"None": "it is closed", "closed": "it is closed", "full": "[Errno 28]", "unread": "[Errno 32]"}


@contextlib.contextmanager
def stream_that_is(kind, *, buffered):
    """A text stream that takes nothing."""
    if kind == "None":
        yield None
        return
    with open(full_or_unread(kind), "wb", -1 if buffered else 0) as binary:
        stream = io.TextIOWrapper(binary, encoding="utf-8", write_through=not buffered)
        if kind == "closed":
            stream.close()
        yield stream
        if kind != "closed":
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, binary.fileno())  # takes what the stream still holds
            os.close(nowhere)
            stream.close()


def full_or_unread(kind):
    if kind != "unread":
        return os.open("/dev/full", os.O_WRONLY)
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.fixture
def called(monkeypatch):
    def call(arguments, *, buffered=True, **kinds):
        """The exit code, and what standard output and error hold; None of one that takes nothing."""
        with monkeypatch.context() as patch, contextlib.ExitStack() as opened:
            given = [
                opened.enter_context(stream_that_is(kinds[name], buffered=buffered)) if name in kinds else io.StringIO()
                for name in ("stdout", "stderr")
            ]
            for name, stream in zip(("stdout", "stderr"), given, strict=True):
                patch.setattr(sys, name, stream)
            with pytest.raises(SystemExit) as ended:
                main(arguments)
            for left in filter(None, (sys.stdout, sys.stderr)):
                left.closed or left.flush()  # as Python does at its end, which gives exit code 120 where it fails
            return ended.value.code, *(of.getvalue() if isinstance(of, io.StringIO) else None for of in given)

    return call


def test_nothing_is_wrong(short_command, places, called):
    code, output, errors = called(short_command.arguments(places))
    assert code == short_command.code, errors
    assert bool(output) == (short_command.said is not None)
    assert "takes nothing" not in errors


@pytest.mark.parametrize("kind", ["None", "full"])
def test_standard_output_takes_nothing(short_command, places, called, kind):
    code, _, errors = called(short_command.arguments(places), stdout=kind)
    assert code == short_command.without_output, errors
    assert "Traceback" not in errors
    if short_command.said is not None:
        assert short_command.said.format(**places) + WHY[kind] in errors


def test_standard_error_takes_nothing(short_command, places, called):
    code, output, _ = called(short_command.arguments(places), stderr="full")
    assert code == short_command.code
    assert bool(output) == (short_command.said is not None)


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("kind", WHY)
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("--version", 2, "explainrun: standard output takes nothing: "),
        ("inspect {run}", 2, "explainrun: standard output takes nothing: "),
        ("baseline {run} -o {kept}", 3, "explainrun: {kept} stays as it is, but standard output takes nothing: "),
    ],
)
def test_every_kind(places, called, line, code, said, kind, buffered):
    arguments = [word.format(**places) for word in line.split()]
    found, _, errors = called(arguments, stdout=kind, buffered=buffered)
    assert found == code
    if kind == "unread" and line.startswith(("--version", "inspect")):
        assert errors == ""  # the reader chose to read no more
    else:
        assert said.format(**places) + WHY[kind] in errors
    assert called(arguments, stdout=kind, stderr=kind, buffered=buffered)[0] == code
    assert called(arguments, stderr=kind, buffered=buffered)[:2] == called(arguments)[:2]
