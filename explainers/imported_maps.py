"""Maps that another library or a person made, beside those of methods here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from mindspore import nn

from ..summary_format.imported_maps.checked_index import LONGEST_SOURCE, is_source
from ..summary_format.imported_maps.map_store import MapStore
from ..summary_format.imported_maps.maps_file import MapsFile
from ..summary_format.problem import Problem
from .arguments import plain_text
from .core.construction import Configuration
from .core.explainer import Explainer
from .core.view import View
from .network.tensors import FloatArray


class ImportedMaps(Explainer):
    """Maps from a file, which other libraries or people made; a run scores, ranks and shows them like any other.

    What a file holds says ``explainrun.summary_format.imported_maps.maps_file``: ``maps``, ``sample`` and ``label``.
    Maps belong to the samples of a run, by their positions in its dataset, so that a direct call, which knows of no
    positions, gets NaN. So do questions that the file has no map for; they count as not computed. There is no map for
    changed images either: metrics that need those, such as ``Robustness``, cannot be computed (NaN). No pass is made.

    A run knows the maps again by their source and content, wherever the file lies.

    Args:
        network: see ``Explainer``. That the maps explain this network is taken on trust.
        path: the file, or maps that a run keeps.
        source: who made the maps, up to 200 characters; by default what the file says.
        name: see ``Explainer``.

    Attributes:
        source: who made the maps; may be empty.
        digest: checksum of the maps and what they belong to.
        questions: (Q, 2) sample id and label of each map.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``, or source not a text.
        MapsFileError: if the file is not one of maps; a ValueError, with a code for each reason.
        ValueError: if source is longer than that, or has several lines.
        OSError: if the file cannot be read.
    """

    recomputable = False

    def __init__(
        self, network: nn.Cell, path: str | Path | MapStore, source: str | None = None, name: str | None = None
    ) -> None:
        super().__init__(network, name)
        given = None if source is None else plain_text(source, "source")
        if given is not None and not is_source(given):
            words = "source must be a text in one line, of up to {most} characters, got {given!r}"
            raise ValueError(Problem.of("source-unfit", words, most=LONGEST_SOURCE, given=given))
        self._store = path if isinstance(path, MapStore) else MapsFile(path)
        self.source = self._store.source if given is None else given
        self.digest, self.questions = self._store.digest, self._store.questions

    def configuration(self) -> Configuration:
        """Source and content, and not the path."""
        return Configuration(ImportedMaps, {"source": self.source, "digest": self.digest, "name": self.name})

    def images_needed(self, images: int, questions: int, shape: tuple[int, ...]) -> Mapping[str, int]:
        height, width = self._store.size
        if (height, width) != shape[1:]:
            words = "the imported maps are {height} x {width}, the images {images}; bring the maps to the images' size"
            values = {"height": height, "width": width, "images": " x ".join(map(str, shape[1:]))}
            raise ValueError(Problem.of("imported-maps-of-other-size", words, **values))
        return {}

    def attribute(self, view: View) -> FloatArray:
        maps = np.full((len(view.rows), *view.size), np.nan, np.float32)
        if not view.of_samples:
            return maps
        self._check_labels(view.logits.shape[1])
        places = self._store.places(view.sample_ids[view.rows], view.labels)
        known = places >= 0
        maps[known] = self._store.read(places[known])
        return maps

    def _check_labels(self, classes: int) -> None:
        """Refuse maps for classes that the network does not have.

        Raises:
            ValueError: then.
        """
        largest = int(self.questions[:, 1].max(initial=0))
        if largest >= classes:
            words = "the imported maps explain label {label}, and the network has {classes:plural class}"
            raise ValueError(Problem.of("imported-maps-of-other-classes", words, label=largest, classes=classes))
