"""A group of commands that ends with the documented exit codes, whatever happens to its standard streams."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import click

from ....summary_format.exit_codes import EXIT_BAD_INPUT, EXIT_RESUMABLE
from .errors import unforeseen
from .standard_streams import TolerantStream, report, report_lost_output, tolerant_streams


class CommandGroup(click.Group):
    """Its commands, ``--help`` and ``--version`` end with exit code 0, 2 or 3, and with 1 if one chooses to.

    A command chooses by ``click.Context.exit``. Python and click would end with 1 for interrupts, unforeseen errors and
    pipes that are not read, and with 120 where standard output is full.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sections: list[tuple[str, Sequence[str]]] = []

    def add_section(self, heading: str, commands: Iterable[click.Command]) -> None:
        """Add commands, which ``--help`` lists under a heading and in this order."""
        added = [*commands]
        for command in added:
            self.add_command(command)
        self._sections.append((heading, [str(command.name) for command in added]))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for ``--help``, its columns as wide in each section."""
        width = max(map(len, self.commands))
        for heading, names in self._sections:
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), self.commands[name].short_help or "") for name in names])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command, as ``click.Group.main`` does."""
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        with tolerant_streams(to_the_end=args is None and standalone_mode) as output:
            if not standalone_mode:
                return run()
            code = _exit_code(run)
            if code == 0:
                code = _code_of_lost_output(output)
        sys.exit(code)


def _exit_code(run: Callable[[], Any]) -> int:
    """Run a command without letting anything out of it."""
    try:
        return int(run() or 0)
    except click.ClickException as error:
        error.show(file=sys.stderr)
        return EXIT_BAD_INPUT
    except (click.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):  # click takes a file that ends early for somebody at a prompt
            report(f"failed: {unforeseen(error.__cause__)}")
        else:
            report("stopped")
        return EXIT_RESUMABLE
    except SystemExit as end:
        if end.code in (None, 0, EXIT_BAD_INPUT, EXIT_RESUMABLE):
            return int(end.code or 0)
        report(f"failed: something ended it with {end.code!r}")
        return EXIT_RESUMABLE
    except Exception as error:
        report(f"failed: {unforeseen(error)}")
        return EXIT_RESUMABLE


def _code_of_lost_output(output: TolerantStream) -> int:
    """The exit code where all went well but that the output may be lost: of ``--help``, say."""
    output.flush()
    if output.failure is None or output.dealt_with:
        return 0
    report_lost_output(output.failure)
    return EXIT_BAD_INPUT
