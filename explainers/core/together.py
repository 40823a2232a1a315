"""What several explainers give for the questions of a view, each pass that they share made once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ...summary_format.plural import plural
from ..network.tensors import FloatArray
from .view import Needs, View


class Estimate(NamedTuple):
    """Maps (Q, H, W), and how far off each is, (Q,), in the unit that ``error_format`` says; None where unknown."""

    maps: FloatArray
    errors: npt.NDArray[np.floating[Any]] | None = None

    @classmethod
    def with_standard_errors(cls, maps: FloatArray, errors: npt.NDArray[np.floating[Any]]) -> Estimate:
        """Maps, and of each the mean of its pixels' standard errors (Q, H, W) as a share of its range."""
        ranges = np.ptp(maps.reshape(len(maps), -1), axis=1)
        shares = np.divide(errors.mean(axis=(1, 2)), ranges, out=np.full(len(maps), np.nan), where=ranges > 0)
        return cls(maps, shares)


class Method(Protocol):
    """What is asked of an explainer here."""

    name: str
    needs: Needs

    def estimate(self, view: View) -> Estimate:
        """Its maps, and how far off they may be."""


def attribute_together(explainers: Sequence[Method], view: View) -> tuple[dict[str, Estimate], dict[str, ValueError]]:
    """What several explainers give for the questions of a view, by name, and the errors of those that refused.

    Those that read differentiated passes go through the questions pass by pass, side by side, so that each pass is
    made once for all of them and none is held longer than they look at it.
    """
    sharing = [explainer for explainer in explainers if explainer.needs.passes]
    others = [explainer for explainer in explainers if not explainer.needs.passes]
    found: dict[str, list[Estimate]] = {explainer.name: [] for explainer in explainers}
    errors: dict[str, ValueError] = {}
    for group, parts in ((sharing, view.chunks(view.network.pass_size)), (others, [view])):
        for part in parts if group else ():
            for explainer in group:
                try:
                    if explainer.name not in errors:
                        found[explainer.name].append(_attributed(explainer, part))
                except ValueError as error:
                    errors[explainer.name] = error
    return {name: _joined_estimates(parts) for name, parts in found.items() if name not in errors}, errors


def _attributed(explainer: Method, view: View) -> Estimate:
    maps, errors = explainer.estimate(view)
    asked = plural(len(view.rows), "question")
    if maps.shape != (len(view.rows), *view.size):
        raise ValueError(f"{explainer.name} gave maps {maps.shape} for {asked} of {view.size}")
    if errors is not None and errors.shape != (len(view.rows),):
        raise ValueError(f"{explainer.name} gave errors {errors.shape} for {asked}")
    return Estimate(maps.astype(np.float32, copy=False), errors)


def _joined_estimates(parts: Sequence[Estimate]) -> Estimate:
    maps = np.concatenate([part.maps for part in parts])
    errors = [part.errors for part in parts if part.errors is not None]
    return Estimate(maps, np.concatenate(errors) if len(errors) == len(parts) else None)
