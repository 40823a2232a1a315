"""What commands say when something is wrong, and the exit codes that go with it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click
import yaml

from .stopping import EXIT_RESUMABLE, RunStopped

EXIT_BAD_INPUT = 2

# MindSpore takes seconds to import, so what needs it is imported when there is something to do.


@contextmanager
def told(again: str = "", *, committed: bool = True) -> Iterator[None]:
    """Errors in words, without a traceback unless the environment asks for it.

    Args:
        again: what to do otherwise when running again.
        committed: whether there is anything to go on with.
    """
    with ended_by_signals():
        from ..summary_format import BrokenRecordError, FolderInUseError  # noqa: PLC0415
        from .plan import PlanError, first_line  # noqa: PLC0415
        from .samples import SampleError  # noqa: PLC0415
        from .work import NotComputedError  # noqa: PLC0415

    try:
        yield
    except (PlanError, click.UsageError) as error:
        message = error.format_message() if isinstance(error, click.UsageError) else error
        click.echo(f"explainrun: {message}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except (RunStopped, KeyboardInterrupt) as error:
        said = str(error).replace("run again", f"run again{again}") or "stopped before anything was written"
        click.echo(f"explainrun: {said}", err=True)
        sys.exit(EXIT_RESUMABLE)
    except FolderInUseError as error:
        click.echo(f"explainrun: {error}", err=True)
        sys.exit(EXIT_RESUMABLE)
    except (SampleError, NotComputedError, BrokenRecordError) as error:
        click.echo(f"explainrun: the run failed: {error}", err=True)
        sys.exit(EXIT_RESUMABLE)
    except OSError as error:
        kept = f"; what is committed is kept, run again{again} to go on" if committed else ""
        click.echo(f"explainrun: the run failed: {error}{kept}", err=True)
        sys.exit(EXIT_RESUMABLE)
    except Exception as error:
        if os.environ.get("EXPLAINRUN_TRACEBACK"):
            raise
        said = f"explainrun: the run failed: {type(error).__name__}: {first_line(error)}"
        click.echo(f"{said} (EXPLAINRUN_TRACEBACK=1 shows where)", err=True)
        sys.exit(EXIT_RESUMABLE)


@contextmanager
def refused() -> Iterator[None]:
    """Errors of reading what a command names in one line, and exit code 2; without MindSpore, so that it is soon there.

    Nothing is at work here that could be gone on with, so an interrupt ends with 2 as well.
    """
    try:
        yield
    except click.UsageError as error:
        end(error.format_message())
    except KeyboardInterrupt:
        end("stopped")
    except (OSError, ValueError) as error:
        if os.environ.get("EXPLAINRUN_TRACEBACK"):
            raise
        end(str(error))
    except Exception as error:  # what a file holds may be anything
        if os.environ.get("EXPLAINRUN_TRACEBACK"):
            raise
        end(f"{type(error).__name__}: {error} (EXPLAINRUN_TRACEBACK=1 shows where)")


def echo(text: str) -> None:
    """Write to standard output, whatever its encoding, and flush, so that failures show here and not at the end.

    Raises:
        OSError: if it cannot be written.
    """
    if sys.stdout is None:
        raise OSError("it is closed")
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding))


def end(message: str, code: int = EXIT_BAD_INPUT) -> NoReturn:
    """End the process with a message."""
    click.echo(f"explainrun: {message}", err=True)
    sys.exit(code)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Have SIGINT end the process at once, without a word: libraries that are half imported fail in their own ways."""
    before = signal.getsignal(signal.SIGINT)
    mine = before is signal.default_int_handler and threading.current_thread() is threading.main_thread()
    if mine:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGINT, before)


def setting(text: str) -> tuple[str, Any]:
    """Key and value of KEY=VALUE.

    Raises:
        click.BadParameter: if it has another form.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        raise click.BadParameter(f"the value of {text!r} is no YAML", param_hint="--set") from None
