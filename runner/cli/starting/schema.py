"""``explainrun schema``: what a config may hold, for editors."""

from __future__ import annotations

import json

import click

from ..process.errors import reported_errors
from ..process.standard_streams import echo_or_exit


@click.command(short_help="Print the JSON schema of configs.")
def schema() -> None:
    """Print the JSON schema of configs, by which editors complete keys and mark mistakes.

    It knows every explainer and metric that is installed here, with their options. For the YAML extension of VS Code,
    and whatever else uses its language server, keep the schema in a file and name that in a config's first line:

    \b
      explainrun schema > explainrun.schema.json
      # yaml-language-server: $schema=explainrun.schema.json

    Exit codes: 0 shown; 2 it cannot be written.
    """  # noqa: D301 - \b keeps click from wrapping
    with reported_errors(committed=False):
        from ...config.json_schema import config_schema  # noqa: PLC0415

        text = json.dumps(config_schema(), indent=1)
    echo_or_exit(text)
