"""Imported maps as a finished run keeps them, so that their file is not needed any more."""

from __future__ import annotations

import numpy as np

from ..archive.results import Results
from ..problem import Problem
from .map_store import Integers, Maps, MapsFileError, MapStore, stretches

IMPORTED = "ImportedMaps"  # the class that plans name


class ArchivedMaps(MapStore):
    """The maps of an imported explainer that a run's archive has: those of the questions that it asked.

    Source and digest are those of the file that they came from, which may have held more.

    Args:
        results: the run's.
        name: the explainer's.

    Raises:
        MapsFileError: if the run has no imported maps of that name.
    """

    def __init__(self, results: Results, name: str) -> None:
        options = results.plan_record.explainers.get(name, {})
        source, digest = options.get("source"), options.get("digest")
        if options.get("class") != IMPORTED or not isinstance(source, str) or not isinstance(digest, str):
            words = "the run has no imported maps called {name!r}"
            raise MapsFileError(Problem.of("no-imported-maps", words, name=name))
        self._results, self._name = results, name
        self.source, self.digest = source, digest
        self.questions = results.questions.astype(np.int64)
        height, width = results.maps(name, 0, 1).shape[1:]
        self.size = height, width

    def read(self, places: Integers) -> Maps:
        maps: Maps = np.zeros((len(places), *self.size), np.float32)
        for which, rows in stretches(places):
            maps[which] = self._results.maps(self._name, rows.start, rows.stop)
        return maps


def imported_names(results: Results) -> list[str]:
    """The explainers of a run whose maps were imported."""
    return [name for name, options in results.plan_record.explainers.items() if options.get("class") == IMPORTED]
