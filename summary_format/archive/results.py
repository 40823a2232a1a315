"""Reading what a run computed: maps, scores, predictions and plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..deprecated_names import Renamed
from ..event_file.records import PREDICTED_ABOVE, Revealed
from ..untrusted.array_schema import NEAREST, SEARCHED
from .neighbours import Neighbours
from .search_batch import OUTCOMES, SearchBatch
from .segments import Array
from .sources import ArchiveSource, Source, source_of
from .tables import SPREAD


class Results:
    """What a run computed. Of an unfinished run, what is complete so far: its first samples, with all explainers.

    Maps are read when they are asked for; of an unfinished run, which may finish meanwhile, ask soon.

    Args:
        path: a summary folder, of which the newest run is read (while one grows out of a finished one, that one), a
            run's data folder, or a ``results.h5``.
        check: False to read a ``results.h5`` that was checked just before.

    Attributes:
        finished: whether the run came to its end.
        plan: what it did, in plain values: options, seed, versions, device, and the config it was made from.
        plan_record: the same, typed.
        class_names: name of each label.
        explainers: names, in the order in which they were registered.
        metrics: names, in the order in which they were registered.
        costs: passes "made", those of them that ran as "compiled" graphs, "images" in them, "pass_seconds" and passes
            "needed", each by kind of pass; "seconds" by part of the run; what was "refused" as a graph and why, with in
            how many starts.

    Raises:
        FileNotFoundError: if there is no run.
        BrokenRecordError: if the archive or a segment is damaged; nothing damaged is ever parsed.
        ValueError: if the archive is of a newer version, or another version began the run and did not finish it.
        OSError: if a file cannot be read.
    """

    def __init__(self, path: str | Path, *, check: bool = True) -> None:
        path = Path(path)
        self._source: Source = ArchiveSource(path, check=check) if path.is_file() else source_of(path)
        self.finished = isinstance(self._source, ArchiveSource)
        self.plan_record, self.costs = self._source.plan, self._source.costs
        self.plan = self.plan_record.raw
        self.class_names = self.plan_record.class_names
        self.explainers, self.metrics = tuple(self.plan_record.explainers), tuple(self.plan_record.metrics)

    @property
    def samples(self) -> Array:
        """(N,) ids: positions in the dataset."""
        return self._source.table("samples/id")

    @property
    def digests(self) -> Array:
        """(N,) checksums of what the dataset gave."""
        return self._source.table("samples/digest")

    @property
    def truth(self) -> Array:
        """(N, K) true labels, ascending, padded with -1."""
        return self._source.table("samples/truth")

    @property
    def logits(self) -> Array:
        """(N, classes) the network's outputs."""
        return self._source.table("samples/logits")

    @property
    def probabilities(self) -> Array:
        """(N, classes)."""
        return self._source.table("samples/probabilities")

    @property
    def computed(self) -> Array:
        """(N,) whether the network gave numbers."""
        return self._source.table("samples/computed")

    @property
    def recorded(self) -> Array:
        """Ids of the samples that are in the event file: those with numbers and a label, true or predicted."""
        labelled = (self.truth >= 0).any(axis=1) | (self.probabilities > PREDICTED_ABOVE).any(axis=1)
        ids: Array = self.samples[self.computed & labelled]
        return ids

    @property
    def labels_out_of_range(self) -> Array:
        """(N,) how many labels of the sample are out of range: neither a class nor padding."""
        return self._source.table("samples/beyond")

    beyond = Renamed("labels_out_of_range")

    @property
    def uncertainty(self) -> Array | None:
        """(3, N, classes): standard deviation, lower and upper end of the 95 % interval; None without uncertainty."""
        if not self.plan_record.dropout_samples:
            return None
        return np.stack([self._source.table(f"samples/{name}") for name in SPREAD])

    @property
    def nearest_samples(self) -> Neighbours | None:
        """Of each sample, in the order of ``samples``, those of the pool that are nearest; None without them."""
        if not self.plan_record.neighbours:
            return None
        return Neighbours.among({name: self._source.table(f"samples/{name}") for name in NEAREST})

    @property
    def questions(self) -> Array:
        """(Q, 2): the sample id and label of each question, in the order of maps and scores."""
        return np.stack([self._source.table("questions/sample"), self._source.table("questions/label")], axis=1)

    def scores(self, explainer: str, metric: str) -> Array:
        """(Q,) what a metric says of an explainer, NaN where it could not be computed.

        Raises:
            ValueError: if the run has no such explainer or metric.
        """
        self._check("explainer", explainer, self.explainers)
        self._check("metric", metric, self.metrics)
        return self._source.table(f"explainers/{explainer}/scores/{metric}")

    def curves(self, explainer: str, metric: str) -> dict[str, Array]:
        """The curves that a metric makes its scores of, by their names, if they were kept.

        Returns:
            For each (Q, 2, points): where the points lie, and how high they are. Curves with fewer points than the
            longest are padded with NaN at the end; of a question without curves all is NaN.

        Raises:
            ValueError: if the run has no such explainer or metric, or did not keep the metric's curves.
        """
        self._check("explainer", explainer, self.explainers)
        self._check("metric", metric, self.metrics)
        self._check("curves of", metric, tuple(self.plan_record.curves))
        table = self._source.table(f"explainers/{explainer}/curves/{metric}")
        return {name: table[:, place] for place, name in enumerate(self.plan_record.kept_curves(metric))}

    @property
    def curve_bytes(self) -> int:
        """What all curves take together."""
        kept = [metric for metric in self.metrics if self.plan_record.kept_curves(metric)]
        return sum(self._source.size(f"explainers/{one}/curves/{metric}") for one in self.explainers for metric in kept)

    def computed_maps(self, explainer: str) -> Array:
        """(Q,) which of an explainer's maps are finite.

        Raises:
            ValueError: if the run has no such explainer.
        """
        self._check("explainer", explainer, self.explainers)
        return self._source.table(f"explainers/{explainer}/computed")

    def errors(self, explainer: str) -> Array:
        """(Q,) how far off an explainer's maps may be; NaN where it does not know.

        Raises:
            ValueError: if the run has no such explainer.
        """
        self._check("explainer", explainer, self.explainers)
        return self._source.table(f"explainers/{explainer}/error")

    def maps(self, explainer: str, first: int = 0, last: int | None = None) -> Array:
        """(questions, H, W) the maps of the questions ``first`` to ``last`` (excluded), float32, as they were computed.

        Raises:
            ValueError: if the run has no such explainer.
        """
        self._check("explainer", explainer, self.explainers)
        total = len(self._source.table("questions/label"))
        return self._source.maps(explainer, first, total if last is None else min(last, total))

    def map(self, explainer: str, sample: int, label: int) -> Array:
        """(H, W) one map.

        Raises:
            ValueError: if the run has no such explainer, or did not ask that label of that sample.
        """
        self._check("explainer", explainer, self.explainers)
        place = self._place(sample, label)
        one: Array = self.maps(explainer, place, place + 1)[0]
        return one

    @property
    def sample_pictures(self) -> Array | None:
        """(N,) CRC-32C of each sample's picture, 0 where it has none; None where an earlier version wrote the run."""
        return self._source.table("samples/picture") if self._source.pictured else None

    def map_pictures(self, explainer: str) -> Array | None:
        """(Q,) CRC-32C of each picture of an explainer's maps, 0 where there is none; None where an earlier version
        wrote the run.

        Raises:
            ValueError: if the run has no such explainer.
        """
        self._check("explainer", explainer, self.explainers)
        return self._source.table(f"explainers/{explainer}/picture") if self._source.pictured else None

    @property
    def outcomes(self) -> list[str] | None:
        """What hierarchical occlusion came to for each question: "found", "blur suffices" (the blurred image alone
        reaches the threshold), "not reached", or "below threshold" (the untouched image misses it); None without it.
        """
        if not self.plan_record.searching:
            return None
        return [OUTCOMES[outcome] for outcome in self._source.table("hierarchical_occlusion/outcomes")]

    def revealed(self, sample: int, label: int) -> Revealed | None:
        """The layers of boxes that hierarchical occlusion found for a label of a sample; None if it found nothing.

        Raises:
            ValueError: if the run has no hierarchical occlusion, or did not ask that label of that sample.
        """
        if not self.plan_record.searching:
            raise ValueError("the run has no hierarchical occlusion; register it to have it")
        self._place(sample, label)
        return self.all_revealed().get((sample, label))

    def all_revealed(self) -> dict[tuple[int, int], Revealed]:
        """By sample and label, the layers of boxes that hierarchical occlusion found; empty without it."""
        if not self.plan_record.searching:
            return {}
        tables: dict[str, Any] = {name: self._source.table(f"hierarchical_occlusion/{name}") for name in SEARCHED}
        revealed = SearchBatch(**tables).revealed(self.questions)
        return {(of_sample, one.label): one for of_sample, one in revealed}

    def frame(self) -> Any:
        """A pandas ``DataFrame``, one row for each (question, explainer, metric).

        Columns: sample, label, class_name, true, probability, explainer, metric, score.

        Raises:
            ModuleNotFoundError: if pandas is not installed.
        """
        import pandas  # noqa: PLC0415 - only where it is there

        questions, ids = self.questions, self.samples
        rows = np.searchsorted(ids, questions[:, 0])
        asked = pandas.DataFrame(
            {
                "sample": questions[:, 0],
                "label": questions[:, 1],
                "class_name": [self.class_names[label] for label in questions[:, 1]],
                "true": (self.truth[rows] == questions[:, 1:]).any(axis=1),
                "probability": self.probabilities[rows, questions[:, 1]],
            }
        )
        parts = [
            asked.assign(explainer=explainer, metric=metric, score=self.scores(explainer, metric))
            for explainer in self.explainers
            for metric in self.metrics
        ]
        empty = asked.iloc[:0].assign(explainer="", metric="", score=0.0)
        return pandas.concat(parts, ignore_index=True) if parts else empty

    def _place(self, sample: int, label: int) -> int:
        """Which question asks a label of a sample."""
        questions = self.questions
        places = np.flatnonzero((questions == (sample, label)).all(axis=1))
        if not len(places):
            asked = ", ".join(map(str, questions[questions[:, 0] == sample, 1])) or "none"
            raise ValueError(f"the run did not ask label {label} of sample {sample}; it asked {asked}")
        return int(places[0])

    def _check(self, kind: str, name: str, known: Sequence[str]) -> None:
        if name not in known:
            raise ValueError(f"the run has no {kind} {name!r}; it has {', '.join(known) or 'none'}")
