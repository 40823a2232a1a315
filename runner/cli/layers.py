"""The ``layers`` command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tabulate import tabulate

from .process.errors import reported_errors
from .process.standard_streams import echo_or_exit

if TYPE_CHECKING:
    from ...explainers import Network
    from ...explainers.network import AttentionBlock


@click.command(short_help="List the layers of a network.")
@click.argument("network")
@click.option("--input-shape", metavar="C,H,W", help="Take images of this shape; by default a config's first sample's.")
def layers(network: str, input_shape: str | None) -> None:
    """List the layers of NETWORK: names, kinds and output shapes; and the attention that is found in them.

    NETWORK is a config (.yaml), package.module:factory, file.py:factory or mindcv:NAME.
    """
    with reported_errors(committed=False):
        import numpy as np  # noqa: PLC0415

        from ...explainers import Network  # noqa: PLC0415
        from ...explainers.network.tensors import require_pynative  # noqa: PLC0415
        from ...summary_format.errors import ExplainrunError  # noqa: PLC0415
        from ..execution.preflight import refusal  # noqa: PLC0415
        from ..problems import PlanError  # noqa: PLC0415

        cell, shape = _cell_and_shape(network, input_shape)
        asked = Network(cell)
        require_pynative("looking at layers")
        try:
            rows = asked.layers(np.zeros((1, *shape), np.float32))
        except ExplainrunError:
            raise
        except (ValueError, TypeError, RuntimeError) as error:
            raise PlanError(refusal(error, shape)) from error
        shown = [
            (name, kind, "not run" if found is None else "x".join(map(str, found[1:]))) for name, kind, found in rows
        ]
        table = tabulate(shown, ["layer", "kind", f"output for {'x'.join(map(str, shape))}"])
        attention = _attention(asked, shape)
    echo_or_exit("\n\n".join([table, *attention]))


def _attention(network: Network, shape: tuple[int, ...]) -> Iterator[str]:
    """What attention was found, as a table, and what was left out, in a line."""
    from ...explainers.network.probing import fixed_images  # noqa: PLC0415

    try:
        found = network.attention.found(fixed_images(shape))
    except (ValueError, TypeError, RuntimeError) as error:
        yield f"attention is not read: {error}"
        return
    rows = [_attention_row(block, (shape[1], shape[2])) for block in found.blocks]
    if rows:
        yield tabulate(rows, ["attention", "heads", "queries", "keys", "whole block", "LeGrad"])
    if found.left_out:
        left = [f"{layer} ({why})" for layer, why in found.left_out]
        yield f"not read: {', '.join(left)}"


def _attention_row(block: AttentionBlock, size: tuple[int, int]) -> tuple[str, int, int, str, str, str]:
    """A block's name, heads, queries and keys, its layer, and whether its own class scores can be asked for."""
    from ...explainers.attention.tokens import grid_of_keys  # noqa: PLC0415

    heads, queries, keys = block.shape
    try:
        height, width = grid_of_keys(block, size)
        before = keys - height * width
        places = f"{keys}: {f'{before} + ' if before else ''}{height}x{width}"
    except ValueError:
        places = f"{keys}, {block.windows} windows" if block.windows > 1 else f"{keys}"
    scored = "yes" if block.scored else "no"
    return block.name, heads // block.windows, queries, places, block.cell or "", scored


def _cell_and_shape(network: str, input_shape: str | None) -> tuple[Any, tuple[int, ...]]:
    """The network that was named and the shape of an image for it."""
    from ..config.build import network_of, sample_shape  # noqa: PLC0415
    from ..config.factories import load_network  # noqa: PLC0415
    from ..problems import PlanError, problem_of  # noqa: PLC0415

    shape = None if input_shape is None else _shape(input_shape)
    if network.endswith((".yaml", ".yml")):
        return network_of(Path(network)), shape or sample_shape(Path(network))
    if shape is None:
        raise click.UsageError("give the shape of an image with --input-shape C,H,W, or name a config")
    try:
        return load_network(network), shape
    except (ValueError, TypeError, ImportError, OSError) as error:
        raise PlanError([problem_of(error).at("network")]) from error


def _shape(text: str) -> tuple[int, ...]:
    parts = text.replace("x", ",").split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise click.UsageError(f"--input-shape must be three positive numbers C,H,W, got {text!r}")
    return tuple(int(part) for part in parts)
