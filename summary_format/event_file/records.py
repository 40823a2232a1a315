"""What an event file says, as plain values, and its form on the wire.

Order in a file: one ``Metadata``, then a ``SampleRecord`` for every sample, then one ``ScoresRecord``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from .._gen import records_pb2 as wire

PREDICTED_ABOVE = 0.5  # the viewer's own threshold
_BLUR = "gaussian:"


@dataclass(frozen=True)
class Metadata:
    """Names that the other records refer to: class names (by index), explainers and metrics."""

    labels: tuple[str, ...]
    explainers: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """A label and its probability in 0..1.

    Attributes:
        label: its index.
        probability: what the network says.
        spread: standard deviation and lower and upper end of the 95 % interval under dropout; on every prediction of a
            run or on none.
    """

    label: int
    probability: float
    spread: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Heatmap:
    """Where the picture of one explainer's map for one label lies, relative to the summary folder."""

    explainer: str
    label: int
    path: str


@dataclass(frozen=True)
class RevealedLayer:
    """Regions that suffice together for a label.

    Attributes:
        probability: of the label where all but they is blurred.
        boxes: x, y, width, height of each, in pixels from the top left.
    """

    probability: float
    boxes: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Revealed:
    """What hierarchical occlusion found for a label.

    Attributes:
        label: its index, one of those that are true or predicted.
        sigma: of the blur that covers the image, in pixels, at least 1.
        layers: from the largest regions to the smallest.
    """

    label: int
    sigma: int
    layers: tuple[RevealedLayer, ...]


@dataclass(frozen=True)
class SampleRecord:
    """One sample.

    Attributes:
        sample_id: position in the dataset, from 0.
        image_path: the original picture, relative to the summary folder.
        truth: the true labels with their probabilities.
        predicted: the labels whose probability exceeds 0.5, and those asked about that are not true.
        heatmaps: one for every explainer and explained label whose map is finite.
        revealed: one for every label for which hierarchical occlusion found anything.
    """

    sample_id: int
    image_path: str
    truth: tuple[Prediction, ...] = ()
    predicted: tuple[Prediction, ...] = ()
    heatmaps: tuple[Heatmap, ...] = ()
    revealed: tuple[Revealed, ...] = ()


@dataclass(frozen=True)
class Score:
    """What one metric says of one explainer: in all and by label; NaN where nothing could be scored."""

    explainer: str
    metric: str
    total: float
    per_label: tuple[float, ...] = ()


@dataclass(frozen=True)
class ScoresRecord:
    """All scores of a run, explainer by explainer, the metrics of each in the same order."""

    scores: tuple[Score, ...] = field(default=())


Record = Metadata | SampleRecord | ScoresRecord


def encode(record: Record, wall_time: float) -> bytes:
    """The record as a serialised ``Event``.

    Args:
        record: what to write.
        wall_time: seconds since the epoch.

    Raises:
        ValueError: if a probability is not finite or a score is infinite (the viewer's pages break on those).
    """
    event = wire.Event(wall_time=wall_time, step=1)
    if isinstance(record, Metadata):
        event.explain.metadata.label.extend(record.labels)
        event.explain.metadata.explain_method.extend(record.explainers)
        event.explain.metadata.benchmark_method.extend(record.metrics)
    elif isinstance(record, SampleRecord):
        _encode_sample(record, event.explain)
    else:
        _encode_scores(record, event.explain)
    return bytes(event.SerializeToString(deterministic=True))


def decode(payload: bytes) -> tuple[Record, float]:
    """The record and its wall time.

    Raises:
        ValueError: if the payload is not an event of ours.
    """
    event = wire.Event()
    try:
        event.ParseFromString(payload)
    except DecodeError as error:
        raise ValueError(f"not an event: {error}") from None
    explain = event.explain
    if explain.HasField("metadata"):
        meta = explain.metadata
        names = (tuple(map(_decoded_text, of)) for of in (meta.label, meta.explain_method, meta.benchmark_method))
        return Metadata(*names), event.wall_time
    if explain.benchmark:
        return _decode_scores(explain), event.wall_time
    if explain.HasField("sample_id"):
        return _decode_sample(explain), event.wall_time
    raise ValueError("an event that holds neither metadata nor a sample nor scores")


def _decoded_text(said: str | bytes) -> str:
    """A text of the wire; protobuf gives bytes where it is not UTF-8."""
    if not isinstance(said, str):
        raise ValueError(f"a text that is not UTF-8: {said[:80]!r}")
    return said


def _encode_sample(record: SampleRecord, explain: wire.Explain) -> None:
    explain.sample_id = record.sample_id
    explain.image_path = record.image_path
    explain.ground_truth_label.extend(item.label for item in record.truth)
    inference = explain.inference
    inference.SetInParent()
    inference.ground_truth_prob.extend(_finite(item, record) for item in record.truth)
    inference.predicted_label.extend(item.label for item in record.predicted)
    inference.predicted_prob.extend(_finite(item, record) for item in record.predicted)
    _encode_spreads(record.truth, inference, "ground_truth_prob")
    _encode_spreads(record.predicted, inference, "predicted_prob")
    for map_ in record.heatmaps:
        explain.explanation.add(explain_method=map_.explainer, label=map_.label, heatmap_path=map_.path)
    for found in record.revealed:
        hoc = explain.hoc.add(label=found.label, mask=f"{_BLUR}{found.sigma}")
        for layer in found.layers:
            hoc.layer.add(prob=layer.probability, box=[edge for box in layer.boxes for edge in box])


_SPREAD_FIELDS = ("sd", "itl95_low", "itl95_hi")


def _encode_spreads(items: tuple[Prediction, ...], inference: wire.Explain.Inference, prefix: str) -> None:
    for place, suffix in enumerate(_SPREAD_FIELDS):
        values = [item.spread[place] for item in items if item.spread is not None]
        getattr(inference, f"{prefix}_{suffix}").extend(values)


def _decode_predictions(
    labels: Iterable[int], inference: wire.Explain.Inference, prefix: str
) -> tuple[Prediction, ...]:
    spreads = list(zip(*(getattr(inference, f"{prefix}_{suffix}") for suffix in _SPREAD_FIELDS), strict=False))
    pairs = list(zip(labels, getattr(inference, prefix), strict=False))
    padded = spreads if len(spreads) == len(pairs) else [None] * len(pairs)
    return tuple(Prediction(*pair, spread) for pair, spread in zip(pairs, padded, strict=True))


def _finite(item: Prediction, record: SampleRecord) -> float:
    if not math.isfinite(item.probability):
        raise ValueError(f"sample {record.sample_id}: probability of label {item.label} is {item.probability}")
    return item.probability


def _encode_scores(record: ScoresRecord, explain: wire.Explain) -> None:
    for score in record.scores:
        if any(math.isinf(value) for value in (score.total, *score.per_label)):
            raise ValueError(f"infinite score of {score.explainer} in {score.metric}")
        explain.benchmark.add(
            explain_method=score.explainer,
            benchmark_method=score.metric,
            total_score=score.total,
            label_score=score.per_label,
        )


def _decode_sample(explain: wire.Explain) -> SampleRecord:
    inference = explain.inference
    maps = (
        Heatmap(_decoded_text(item.explain_method), item.label, _decoded_text(item.heatmap_path))
        for item in explain.explanation
    )
    return SampleRecord(
        explain.sample_id,
        _decoded_text(explain.image_path),
        _decode_predictions(explain.ground_truth_label, inference, "ground_truth_prob"),
        _decode_predictions(inference.predicted_label, inference, "predicted_prob"),
        tuple(maps),
        tuple(_decode_revealed(found) for found in explain.hoc),
    )


def _decode_revealed(found: wire.Explain.Hoc) -> Revealed:
    layers = (
        RevealedLayer(layer.prob, tuple(zip(*(layer.box[edge::4] for edge in range(4)), strict=True)))
        for layer in found.layer
    )
    sigma = _decoded_text(found.mask).removeprefix(_BLUR)
    if not sigma.isdecimal() or any(len(layer.box) % 4 for layer in found.layer):
        raise ValueError(f"a hierarchical occlusion under {found.mask!r} or with incomplete boxes")
    return Revealed(found.label, int(sigma), tuple(layers))


def _decode_scores(explain: wire.Explain) -> ScoresRecord:
    scores = (
        Score(
            _decoded_text(item.explain_method),
            _decoded_text(item.benchmark_method),
            item.total_score,
            tuple(item.label_score),
        )
        for item in explain.benchmark
    )
    return ScoresRecord(tuple(scores))
