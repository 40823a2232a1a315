"""A run's data for the page, group by group, so that memory holds the maps of a few samples at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...summary_format import Inspection, Results, RunFolder
from ...summary_format.inspection.integrity import ANEW, REMOVED
from ...summary_format.map_scale import holds_negatives
from .agreement import SIDE, Agreement
from .encoded_arrays import Array, base64_of, map_codes, reduced
from .files import DataFiles
from .nearest_samples import nearest_samples
from .occlusion_layers import occlusion_layers
from .run_summary import run_summary
from .sample_index import SampleIndex
from .sample_pictures import THUMBNAIL, SamplePicture, SamplePictures

GROUP = 32  # samples whose pictures, or whose maps by one explainer, are a file


@dataclass(kw_only=True)
class RunFiles:
    """Writes what the page shows of a run.

    Attributes:
        name: of the run among those of the page: "run", "baseline" or "candidate".
        found: on looking at its folder.
        results: what it computed.
        rows: (N,) the places of the samples shown among all of the run.
        pictured: names of the explainers whose maps are shown; scores are shown of all.
        files: where the data go.
    """

    name: str
    found: Inspection
    run: RunFolder
    results: Results
    rows: Array
    files: DataFiles
    pictured: tuple[str, ...]
    size: tuple[int, int] | None = None  # of maps, in full
    signed: set[int] = field(default_factory=set)
    larger: bool = False  # whether a picture or a map is larger than in lists

    def write(self) -> None:
        """Write all of it; what could not be shown is counted among the run's faults."""
        index = SampleIndex.of(self.results, self.rows)
        pictures = SamplePictures(self.run, self.results)
        agreement = Agreement(len(self.pictured))
        for group, samples in enumerate(self._groups(index)):
            self._write_group(group, index, samples, pictures, agreement)
        self._put("index", index.columns(self.results, np.array(agreement.disagreement, np.float32)))
        layers = occlusion_layers(self.results, index.questions)
        if layers is not None:
            self._put("occlusion", layers)
        nearest = nearest_samples(self.results, self.rows, pictures)
        if nearest is not None:
            self._put("nearest", nearest)
        summary = run_summary(self.found, self.results)
        remedy = ANEW if self.found.finished else REMOVED
        faults = [{"file": file, "what": what, "remedy": remedy} for file, what in dict.fromkeys(pictures.faults)]
        known = {fault["file"] for fault in summary["faults"]}
        summary["faults"] += [fault for fault in faults if fault["file"] not in known]
        self._put("summary", {**summary, **self._shown(index, agreement)})

    def _shown(self, index: SampleIndex, agreement: Agreement) -> dict[str, Any]:
        return {
            "samples": len(self.rows),
            "questions": len(index.questions),
            "group_size": GROUP,
            "thumbnail": THUMBNAIL,
            "map_size": self.size,
            "larger": self.larger,
            "pictured": [self.results.explainers.index(name) for name in self.pictured],
            "signed": sorted(self.signed),
            "agreement": {"matrix": agreement.matrix(), "samples": agreement.samples, "side": SIDE},
        }

    def _groups(self, index: SampleIndex) -> Iterator[range]:
        for start in range(0, len(index.samples), GROUP):
            yield range(start, min(start + GROUP, len(index.samples)))

    def _write_group(
        self, group: int, index: SampleIndex, samples: range, pictures: SamplePictures, agreement: Agreement
    ) -> None:
        shown = [pictures.of(int(index.samples[sample])) for sample in samples]
        self._put(f"pictures-{group}", [picture and picture.small for picture in shown])
        first, last = (int(index.first_question[place]) for place in (samples.start, samples.stop))
        maps = [self._maps(name, index.questions[first:last]) for name in self.pictured]
        agreement.add(maps, len(samples))
        for place, of in zip(map(self.results.explainers.index, self.pictured), maps, strict=True):
            self.size = (of.shape[1], of.shape[2]) if len(of) else self.size
            if any(map(holds_negatives, of)):
                self.signed.add(place)
            self._put(f"maps-{place}-{group}", _coded(reduced(of, THUMBNAIL)))
        if self._are_larger(shown, maps):
            self.larger = True
            for sample, picture in zip(samples, shown, strict=True):
                span = slice(*(int(index.first_question[at]) - first for at in (sample, sample + 1)))
                content = {"picture": picture and picture.full, "maps": [_coded(of[span]) for of in maps]}
                self._put(f"full-{sample}", content)

    def _are_larger(self, shown: list[SamplePicture | None], maps: list[Array]) -> bool:
        sides = [side for of in maps if len(of) for side in of.shape[1:]]
        sides += [side for picture in shown if picture for side in (picture.width, picture.height)]
        return max(sides, default=0) > THUMBNAIL

    def _maps(self, explainer: str, questions: Array) -> Array:
        """(Q, H, W) maps of questions by their places among all of the run, ascending."""
        if not len(questions):
            return np.zeros((0, 0, 0), np.float32)
        first, last = int(questions[0]), int(questions[-1]) + 1
        wanted: Array = self.results.maps(explainer, first, last)[questions - first]
        return wanted

    def _put(self, name: str, value: Any) -> None:
        self.files.put(f"{self.name}/{name}", value)


def _coded(maps: Array) -> dict[str, Any]:
    codes, scales = map_codes(maps)
    return {"size": list(maps.shape[1:]), "scales": scales, "codes": base64_of(codes)}
