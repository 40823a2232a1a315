"""What commands say when something is wrong, and the exit codes that go with it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click
import yaml

from ....summary_format.errors import ExplainrunError
from ....summary_format.exit_codes import EXIT_BAD_INPUT, EXIT_RESUMABLE
from ...execution.signals import RunStopped
from ...plan.sharding import NotAWorker
from ...problems import show_traceback, unforeseen_line
from ...yaml_loader import yaml_value
from .standard_streams import report

# MindSpore takes seconds to import, so what needs it is imported when there is something to do.


@contextmanager
def reported_errors(again: str = "", *, committed: bool = True) -> Iterator[None]:
    """Errors in words, without a traceback unless the environment asks for it; ours end with the exit codes they carry.

    Args:
        again: what to do otherwise when running again.
        committed: whether this is a run, which keeps what it has committed.
    """
    failed = "the run failed" if committed else "failed"
    with ended_by_signals():
        from ....summary_format import FolderInUseError  # noqa: PLC0415
        from ...batches import batch_loop  # noqa: F401, PLC0415 - MindSpore, and most of what a command imports

    try:
        yield
    except NotAWorker:
        raise
    except click.UsageError as error:
        exit_with(error.format_message())
    except (RunStopped, KeyboardInterrupt) as error:
        said = str(error).replace("run again", f"run again{again}")
        exit_with(said or "stopped before anything was written", EXIT_RESUMABLE)
    except FolderInUseError as error:
        exit_with(str(error), error.exit_code)
    except ExplainrunError as error:
        bad_input = error.exit_code == EXIT_BAD_INPUT
        exit_with(str(error) if bad_input else f"{failed}: {error}", error.exit_code)
    except OSError as error:
        kept = f"; what is committed is kept, run again{again} to resume" if committed else ""
        exit_with(f"{failed}: {error}{kept}", EXIT_RESUMABLE)
    except SystemExit as error:  # its code would be taken for ours
        exit_with(f"{failed}: your own code ended it, by exit({error.code!r})", EXIT_RESUMABLE)
    except Exception as error:
        exit_with(f"{failed}: {unforeseen(error)}", EXIT_RESUMABLE)


@contextmanager
def reported_read_errors() -> Iterator[None]:
    """Errors of reading what a command names in one line, and exit code 2; without MindSpore, so that it is soon there.

    An interrupt ends with 3, as everywhere.
    """
    try:
        yield
    except click.UsageError as error:
        exit_with(error.format_message())
    except KeyboardInterrupt:
        exit_with("stopped", EXIT_RESUMABLE)
    except (OSError, ValueError) as error:
        show_traceback(error)
        exit_with(str(error))
    except Exception as error:  # what a file holds may be anything
        exit_with(unforeseen(error))


def unforeseen(error: BaseException) -> str:
    """What an unexpected error says, in one line; its traceback goes before, if that is asked for."""
    show_traceback(error)
    return unforeseen_line(error)


def exit_with(message: str, code: int = EXIT_BAD_INPUT) -> NoReturn:
    """End the process with a message."""
    report(message)
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


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Have SIGTERM interrupt as SIGINT does, until a run itself listens; threads other than the main one cannot."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def setting(text: str) -> tuple[str, Any]:
    """Key and value of KEY=VALUE.

    Raises:
        click.BadParameter: if it has another form.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
    try:
        return key, yaml_value(value)
    except yaml.YAMLError:
        raise click.BadParameter(f"the value of {text!r} is not YAML", param_hint="--set") from None
    except ValueError as error:
        raise click.BadParameter(f"the value of {key} cannot be read: {error}", param_hint="--set") from None
