"""What was found in summary folders, in words and tables."""

from __future__ import annotations

import math
import shutil
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from tabulate import tabulate

from ....summary_format.inspection.committed_work import Part
from ....summary_format.inspection.inspection import DAMAGED, FINISHED, NO_RUN, Inspection
from ....summary_format.inspection.progress import Progress
from ....summary_format.plan_record import PlanRecord
from ....summary_format.plural import plural
from ....summary_format.storage.sizes import size_of
from ...results.profile_table import profile_table
from .shard_status import Shards, how_apart

_KEY_WIDTH = 14
_SHOWN_FAULTS = 20
_SHOWN_PARTS = 3
_UNSHOWN = ("class", "activation_fn", "resolved")  # of an explainer or metric
_SHOWN_COST = 0.005
_NO_CHECKSUMS = "the version of Explainrun that wrote them kept no checksums of theirs"


def run_text(found: Inspection) -> str:
    """Everything about one run."""
    rows = [*_state_rows(found), *_fault_rows(found), *_result_rows(found), *_size_rows(found)]
    rows += [*_growth_rows(found), *_plan_rows(found)]
    blocks = [f"{found.folder}: {_headline(found)}", _key_value_lines(rows)]
    if found.progress is not None:
        blocks.append(_parts_table(found.progress))
    if found.not_computed is not None:
        blocks += _unscored_table(found.not_computed.scores)
    if found.costs:
        spent = {
            what: {kind: took for kind, took in of.items() if took >= _SHOWN_COST} for what, of in found.costs.items()
        }
        blocks.append(profile_table(spent))
    return "\n\n".join(block for block in blocks if block)


def runs_text(found: Iterable[Inspection], shards: Iterable[Shards]) -> str:
    """Several runs, a row each, then what is broken, then which shards there are."""
    found, shards = list(found), list(shards)
    rows = [_row(one) for one in found]
    table = tabulate(rows, ["folder", "shard", "state", "done", "to go", "size", "broken"], disable_numparse=True)
    broken = [f"{one.folder}: {fault}" for one in found for fault in one.faults[:_SHOWN_FAULTS]]
    broken += [f"{one.folder}: {one.unsupported}" for one in found if one.unsupported is not None]
    return "\n\n".join(
        [
            "\n".join(block)
            for block in ([table], broken, [one.sentence() for one in shards] + how_apart(shards))
            if block
        ]
    )


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever is precise enough."""
    whole = round(seconds)
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes / 60 / 24:.1f} days"


def size(count: float) -> str:
    """Bytes, in the unit that needs four digits at most."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 9.95 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _headline(found: Inspection) -> str:
    progress = found.progress
    if found.run is None or found.finished or progress is None:
        begins = found.run is None and found.running
        return "a run begins, nothing is committed yet" if begins else _state(found)
    unknown = "progress unknown (dataset has no length)"
    share = unknown if progress.share is None else f"{_per_cent(progress.share)} done"
    return f"{_state(found)}, {share}, {_time_to_go(progress)}"


def _state(found: Inspection) -> str:
    if found.run is None:
        return "beginning" if found.running else NO_RUN
    base = FINISHED if found.finished else "running" if found.running else "unfinished"
    return f"{base}, {DAMAGED}" if found.faults else base


def _per_cent(share: float) -> str:
    return f"{math.floor(share * 100)}%"  # 100 only where all is done


def _time_to_go(progress: Progress) -> str:
    known, whole = progress.known_seconds_to_go, progress.seconds_to_go
    if whole == 0 and progress.samples:
        return "nothing to go but joining"
    if whole is not None:
        return f"about {duration(whole)} to go"
    if known is None:
        return "time to go unknown, since the dataset does not say its length"
    untried = progress.untried
    missing = ", ".join(untried) if len(untried) <= _SHOWN_PARTS else f"{len(untried)} of {len(progress.parts)} parts"
    return f"time to go unknown, since nothing of {missing} is committed yet" + (
        f" (the rest: {duration(known)})" if known else ""
    )


def _moment(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):  # no moment that a clock knows
        return f"{seconds} s after 1970"


def _state_rows(found: Inspection) -> Iterator[tuple[str, str]]:
    run, writer = found.run, found.writer
    if writer is not None:
        who = f"process {writer.pid or '?'} on {writer.host or 'an unknown host'}"
        if writer.alive:
            yield "writing", f"{who}, last sign of life {duration(writer.silent)} ago"
        else:
            yield "died", f"{who} held the folder; last sign of life {duration(writer.silent)} ago"
    if run is None:
        return
    ended = f", finished {_moment(found.ended)}" if found.ended else ""
    yield "run", f"{run.data.name}, begun {_moment(run.timestamp)}{ended}"
    if found.unsupported is not None:
        yield "next", found.unsupported
    if found.progress is not None and not found.running and not found.faults:
        merging = "merged" in (run.state() or {})
        yield "next", "merge again, which starts over" if merging else "run the same again to resume"
    if found.progress is not None and found.running and found.progress.seconds_to_go is not None:
        yield "ends", f"about {_moment(time.time() + found.progress.seconds_to_go)}"
    if found.others:
        names = ", ".join(other.data.name for other in found.others)
        yield "other runs", f"{names}; name the data folder to look at one: explainrun inspect {found.others[0].data}"


def _growth_rows(found: Inspection) -> Iterator[tuple[str, str]]:
    """What the run grew out of, and what of that it hides."""
    if (before := found.grown_from) is not None:
        kind = "a finished run" if before.finished else "an unfinished run"
        yield "grown from", f"{kind} begun {_moment(before.began)}: {'; '.join(before.parts)}"
    for one in found.hidden:
        yield (
            "hidden",
            f"{one.surplus} ({size(size_of(one.path))}); name it again to have it back, or remove it: --prune",
        )


def _plan_rows(found: Inspection) -> Iterator[tuple[str, str]]:
    if found.plan is None:
        return
    plan = found.plan
    yield "network", _network(plan)
    yield "data", f"{_data(plan)}, {len(plan.class_names)} classes"
    if plan.shard is not None:
        yield "shard", "{} of {}".format(*plan.shard)
    for kind, parts in (("explainers", plan.explainers), ("metrics", plan.metrics)):
        if parts:
            yield kind, "; ".join(_with_options(name, options) for name, options in parts.items())
    if plan.curves:
        taken = "" if found.curve_bytes is None else f": {size(found.curve_bytes)} of the archive"
        named = (f"{metric} ({', '.join(names)})" for metric, names in plan.curves.items())
        yield "curves", f"{'; '.join(named)}{taken}"
    if plan.chosen_layers:
        yield "layers", f"chosen automatically: {_options_text(plan.chosen_layers)}"
    if plan.chosen_reshapes:
        yield "reshape", f"that goes with it: {_options_text(plan.chosen_reshapes)}"
    if plan.hierarchical_occlusion:
        yield "hierarchical", f"occlusion ({_options_text(plan.hierarchical_occlusion)})"
    if plan.nearest_samples:
        yield "nearest", f"samples ({_options_text(plan.nearest_samples)})"
    yield "settings", _options_text({key: plan.raw.get(key) for key in (*plan.settings, "dropout_samples")})
    versions = ", ".join(f"{name} {number}" for name, number in plan.versions.items())
    yield "made with", _comma_joined(versions, plan.device and f"on {plan.device}")


def _network(plan: PlanRecord) -> str:
    network, given = plan.network, _inner(plan.config or {}, "network")
    activation = plan.activation_fn
    made_from = _comma_joined(given.get("factory"), given.get("checkpoint"))
    return _comma_joined(
        network.get("class"),
        network.get("parameters", network.get("weights and layers")),
        made_from,
        activation.get("cell", activation) if isinstance(activation, Mapping) else activation,
    )


_SOURCES = ("factory", "hdf5", "npz", "csv", "image_folder", "mindrecord", "folder")


def _data(plan: PlanRecord) -> str:
    given = _inner(plan.config or {}, "data")
    source = next((given[key] for key in _SOURCES if given.get(key)), None)
    counted = "samples not counted" if plan.samples is None else plural(plan.samples, "sample")
    limit = None if plan.limit is None else f"limit {plan.limit}"
    return _comma_joined(source, _options_text(_inner(given, "options")), counted, limit)


def _result_rows(found: Inspection) -> Iterator[tuple[str, str]]:
    if found.samples is not None:
        samples = plural(found.samples, "sample")
        if found.progress is not None:
            samples += f" by all parts, {found.progress.parts[0].samples} by the network"
        yield "done", f"{samples}; {plural(found.questions or 0, 'question')}; {duration(found.seconds)} of work"
    lacking = found.not_computed
    if lacking is None:
        return
    parts = [f"{plural(times, what)} {why}" for what, why, times in (
        ("broken sample", "left out", lacking.broken),
        ("sample", "without numbers from the network", lacking.outputs),
        ("sample", "without any label to explain", lacking.unlabelled),
        ("label", "out of range", lacking.labels_out_of_range),
        *(("map", f"of {name} not finite", times) for name, times in lacking.maps.items()),
    ) if times]  # fmt: skip
    if sum(sum(by_metric.values()) for by_metric in lacking.scores.values()):
        parts.append("scores as below")
    yield "not computed", "; ".join(parts) or f"nothing: all {'was' if found.finished else 'so far was'} computed"


def _size_rows(found: Inspection) -> Iterator[tuple[str, str]]:
    sizes = found.sizes
    if sizes is None:
        return
    kinds = (("event file", sizes.event_file), (plural(sizes.picture_files, "picture"), sizes.pictures),
             ("archive", sizes.archive), ("segments", sizes.segments))  # fmt: skip
    yield "size", f"{size(sizes.total)}: " + ", ".join(f"{what} {size(count)}" for what, count in kinds if count)
    if found.progress is None or sizes.free is None:
        return
    left = found.progress.bytes_to_go(sizes)
    if left is None:
        yield "disk", f"{size(sizes.free)} free"
    else:
        enough = "" if left < sizes.free else ": NOT ENOUGH"
        yield "disk", f"{size(sizes.free)} free, the rest takes up to {size(left)}, the archive included{enough}"


def _fault_rows(found: Inspection) -> Iterator[tuple[str, str]]:
    for fault in found.faults[:_SHOWN_FAULTS]:
        yield "broken" if found.run else "why", str(fault)
    if len(found.faults) > _SHOWN_FAULTS:
        yield "broken", f"and {len(found.faults) - _SHOWN_FAULTS} more; --json names all"
    if found.run is None or found.faults or found.unsupported:
        return
    if found.records is None:
        yield "broken", f"nothing in {'results.h5' if found.finished else 'the segments'}; no more was looked at"
        return
    whole = "archive" if found.progress is None else f"segments ({found.progress.parts_committed})"
    records, pictures = f"records ({found.records.records})", f"pictures ({found.pictures})"
    if found.verified:
        sound = f"{records}, {whole} and {pictures} are sound"
    else:
        sound = f"{records} and {whole} are sound, {pictures} are there, but were not verified: {_NO_CHECKSUMS}"
    torn = found.records.torn and not found.running
    mended = "; the last record is cut short, the next start rewrites the file" if torn else ""
    yield "broken", f"nothing; {sound}{mended}"


def _parts_table(progress: Progress) -> str:
    total = "?" if progress.batches_total is None else progress.batches_total
    rows = [
        (
            part.name,
            f"{part.batches} of {total}",
            part.samples,
            "?" if part.seconds_a_sample is None else f"{part.seconds_a_sample:.3f}",
            _left(part, progress.left(part)),
        )
        for part in progress.parts
    ]
    headers = ["part", "batches", "samples", "seconds per sample", "to go"]
    return tabulate(rows, headers, disable_numparse=True, colalign=("left", *("right",) * 4))


def _left(part: Part, samples: int | None) -> str:
    if samples == 0:
        return "done"
    return "?" if part.seconds_a_sample is None or samples is None else duration(part.seconds_a_sample * samples)


def _unscored_table(scores: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Explainers by the metrics that could not score something."""
    metrics = [metric for metric in next(iter(scores.values()), ()) if any(by[metric] for by in scores.values())]
    rows = [(name, *(by_metric[metric] for metric in metrics)) for name, by_metric in scores.items()]
    align = ("left", *("right",) * len(metrics))
    return [tabulate(rows, ["not scored", *metrics], disable_numparse=True, colalign=align)] if metrics else []


def _row(found: Inspection) -> tuple[str, ...]:
    shard = found.plan.shard if found.plan else None
    progress = found.progress
    share = 1.0 if found.finished else progress.share if progress else None
    to_go = "?" if progress is None or progress.seconds_to_go is None else duration(progress.seconds_to_go)
    return (
        str(found.folder),
        "{} of {}".format(*shard) if shard else "",
        _state(found),
        "?" if share is None else _per_cent(share),
        "" if found.finished or found.run is None else to_go,
        size(found.sizes.total) if found.sizes else "",
        str(len(found.faults) or ""),
    )


def _key_value_lines(rows: Iterable[tuple[str, str]]) -> str:
    """Keys with texts beside them, wrapped at the terminal's edge."""
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 120)
    filled = partial(textwrap.fill, width=width, break_long_words=False, break_on_hyphens=False)
    blank = " " * _KEY_WIDTH
    return "\n".join(filled(text, initial_indent=key.ljust(_KEY_WIDTH), subsequent_indent=blank) for key, text in rows)


def _inner(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A mapping within another; an empty one where there is something else."""
    found = values.get(key)
    return found if isinstance(found, Mapping) else {}


def _comma_joined(*parts: Any) -> str:
    return ", ".join(str(part) for part in parts if part)


def _with_options(name: str, options: Any) -> str:
    """An explainer or metric with its options."""
    given = options if isinstance(options, Mapping) else {}
    kind, given = given.get("class"), {**given, **_inner(given, "resolved")}
    text = _options_text({key: value for key, value in given.items() if key not in _UNSHOWN})
    inside = _comma_joined(None if kind == name else kind, text)
    return f"{name} ({inside})" if inside else name


def _options_text(values: Mapping[str, Any]) -> str:
    single = {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in values.items()}
    return ", ".join(f"{key}={value}" for key, value in single.items() if value is not None)
