"""The ``explainrun`` command."""

from __future__ import annotations

import logging

import click

from ..execution.reporting import lines_on_stderr
from .baseline import baseline
from .compare import compare
from .explain import explain
from .import_maps import import_
from .inspect import inspect
from .layers import layers
from .list import list_
from .merge import merge
from .process.command_group import CommandGroup
from .report import report
from .run import run
from .score import score
from .scores import scores
from .starting.check import check
from .starting.demo import demo
from .starting.new import new
from .starting.schema import schema
from .trend import trend

# MindSpore takes seconds to import, so commands import what needs it: --help answers at once.


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="explainrun")
def main() -> None:
    """Explain image classifiers in batches on MindSpore, and score the explanations.

    For a first look: explainrun demo. For your own network and pictures: explainrun new DIR, fill in what is marked
    there, then check, run and report.

    Exit codes: 0 fine; 1 only of compare: the explanations got worse, or not all that was required is shown; 2 bad
    input, or what a command is there to show cannot be written to standard output; 3 it failed or was stopped, and can
    be run again as it is. inspect and scores also end with 3 where a run is unfinished.
    """
    logging.basicConfig(level=logging.INFO, handlers=[lines_on_stderr()])


main.add_section("Before a run", (demo, new, check, schema, list_, layers))
main.add_section("A run", (run, inspect, merge, score, import_))
main.add_section("To look at", (report, scores, explain))
main.add_section("Did it get worse", (compare, baseline, trend))
