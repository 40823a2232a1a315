"""The ``list`` command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from tabulate import tabulate

from .process.errors import reported_errors
from .process.standard_streams import echo_or_exit


@click.command(name="list", short_help="List explainers, metrics and their options.")
def list_() -> None:
    """List the explainers and metrics that can be named in a config, with their options."""
    with reported_errors(committed=False):
        from ...benchmarks import METRICS  # noqa: PLC0415
        from ...explainers import EXPLAINERS  # noqa: PLC0415

        explainers = _options_table("explainer", EXPLAINERS, ("network",))
        metrics = _options_table("metric", METRICS, ("num_labels", "activation_fn"))
    echo_or_exit(f"{explainers}\n\n{metrics}")


def _options_table(kind: str, registry: Mapping[str, Any], given: tuple[str, ...]) -> str:
    from inspect import Parameter, signature  # noqa: PLC0415

    rows = []
    for name in registry:
        try:
            made = registry[name]
        except Exception as error:  # of another package
            rows.append((name, "", f"cannot be loaded: {type(error).__name__}: {error}"))
            continue
        parameters = signature(made).parameters.values()
        options = (
            option.name if option.default is Parameter.empty else f"{option.name}={option.default!r}"
            for option in parameters
            if option.name not in given
        )
        what = (made.__doc__ or "").strip().splitlines() or [""]
        rows.append((name, ", ".join(options), what[0]))
    return str(tabulate(rows, [kind, "options", "what it does"], maxcolwidths=[None, 40, 70]))
