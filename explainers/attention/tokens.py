"""Which tokens of attention are places of the image, and which stand before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...summary_format.problem import Problem
from ..core.layout import Grid, token_grid
from ..network import AttentionBlock
from ..network.tensors import FloatArray


def grid_of_keys(block: AttentionBlock, size: Grid) -> Grid:
    """The grid (height, width) that the last of a block's keys form; those before it are class tokens and the like.

    Args:
        block: of attention.
        size: of the image.

    Raises:
        ValueError: if windows of the image attend by themselves, or keys form no grid that is known.
    """
    keys = block.shape[2]
    if block.windows > 1:
        words = (
            "layer {layer!r} attends in {windows} windows of an image, for which the method is not defined; name "
            "layers that attend to the whole image with the option 'layers'"
        )
        raise ValueError(Problem.of("attention-windows", words, layer=block.name, windows=block.windows))
    grid = token_grid(keys, block.grids, size) or token_grid(keys, (), size)
    if grid is None:
        words = "layer {layer!r} attends to {keys:plural token}, which form no grid that is known"
        raise ValueError(Problem.of("attention-without-grid", words, layer=block.name, keys=keys))
    return grid


@dataclass(frozen=True)
class TokenChain:
    """Blocks of attention one behind the other, which mix the same tokens.

    Tokens are numbered alike in all blocks: class tokens and the like, then the image's places. Where a block attends
    to fewer, these are the last ones. Where it has fewer queries than keys, as class attention has, its queries are the
    first of its tokens, or tokens of their own before them, and others stay as they are.

    Attributes:
        grid: (height, width) of the image's places.
        tokens: how many there are in all.
        blocks: in the order in which they run.
    """

    grid: Grid
    tokens: int
    blocks: tuple[AttentionBlock, ...]

    @classmethod
    def of(cls, blocks: Sequence[AttentionBlock], size: Grid) -> TokenChain:
        """The chain that blocks make for images of a size.

        Raises:
            ValueError: if they do not mix the same tokens; says where these change.
        """
        grids = [grid_of_keys(block, size) for block in blocks]
        for before, after, grid, following in zip(blocks, blocks[1:], grids, grids[1:], strict=False):
            if grid != following:
                words = (
                    "tokens change from {before} places in {first!r} to {after} in {second!r}, and the method is "
                    "defined for the same ones; name layers between such changes with the option 'layers'"
                )
                values = {"before": _written(grid), "first": before.name, "after": _written(following)}
                raise ValueError(Problem.of("attention-tokens-change", words, second=after.name, **values))
        for block, grid in zip(blocks, grids, strict=True):
            _check_queries(block, grid)
        return cls(grids[0], max(_tokens(block, grids[0]) for block in blocks), tuple(blocks))

    def keys(self, block: AttentionBlock) -> slice:
        """Where a block's keys are among the tokens."""
        return slice(self.tokens - block.shape[2], self.tokens)

    def queries(self, block: AttentionBlock) -> slice:
        """Where a block's queries are among the tokens."""
        first = self.tokens - _tokens(block, self.grid)
        return slice(first, first + block.shape[1])

    def read(self) -> FloatArray:
        """(tokens,) how much of what the classes are made from each token is behind the last block.

        All tokens that the logits depend on alike; those of the last block's queries, where that could not be seen.
        """
        last = self.blocks[-1]
        shares, queries = np.zeros(self.tokens, np.float32), self.queries(last)
        used = last.used
        if used is None or len(used) not in last.shape[1:]:
            used = np.ones(last.shape[1], bool)
        first = queries.start if len(used) == last.shape[1] else self.keys(last).start
        shares[first : first + len(used)] = used / np.float32(used.sum())
        return shares

    def places(self, relevance: FloatArray) -> FloatArray:
        """The image's places (Q, height, width) of what is said of tokens (Q, tokens)."""
        height, width = self.grid
        return relevance[:, self.tokens - height * width :].reshape(len(relevance), height, width)


def _tokens(block: AttentionBlock, grid: Grid) -> int:
    """How many tokens a block distinguishes: its keys, and queries that are none of them."""
    _, queries, keys = block.shape
    before = keys - grid[0] * grid[1]
    return keys + (queries if before < queries < keys else 0)


def _check_queries(block: AttentionBlock, grid: Grid) -> None:
    """Refuse attention whose keys are fewer tokens than its queries.

    Raises:
        ValueError: if they are.
    """
    _, queries, keys = block.shape
    if queries > keys:
        words = (
            "layer {layer!r} attends from {queries} tokens to {keys} that they were reduced to, for which the method "
            "is not defined; name layers whose tokens attend to each other with the option 'layers'"
        )
        raise ValueError(Problem.of("attention-reduced", words, layer=block.name, queries=queries, keys=keys))


def _written(grid: Grid) -> str:
    return f"{grid[0]} x {grid[1]}"
