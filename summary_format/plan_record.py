"""The plan of a run as it is written and read back; it is checked both times, since what is read may be anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    StrictInt,
    ValidationError,
)

from .names import fits_path, is_text

_MOST_SHARDS = 1 << 20
_MOST_SAMPLES = 1 << 40  # a greater number is taken as unknown
_MOST_PLACES = 1 << 20  # along a side of a grid
_MOST_NEIGHBOURS = 1 << 20
NEAREST_SAMPLES = "nearest samples"  # as a layer is chosen for them, and as they are called
_SHOWN = 80  # characters of a name or a place


def _checked(fits: Callable[[Any], bool], what: str) -> BeforeValidator:
    """Refuses what does not fit at once: pydantic itself would collect an error for each of a million entries."""

    def check(value: Any) -> Any:
        if not fits(value):
            raise ValueError(f"must be {what}")
        return value

    return BeforeValidator(check)


def _is(kind: type[Any], value: Any) -> bool:
    return isinstance(value, kind) and (kind is not str or is_text(value))


def _list_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (list, tuple)) and all(_is(kind, inner) for inner in value)


def _mapping_to(kind: type) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, Mapping) and all(_is(str, key) and _is(kind, inner) for key, inner in value.items())
    )


def _mapping_to_names(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_is(str, key) and _list_of(str)(inner) for key, inner in value.items())


def _is_grid(value: Any) -> bool:
    pair = isinstance(value, (list, tuple)) and len(value) == 2
    return pair and all(type(side) is int and 1 <= side <= _MOST_PLACES for side in value)


def _mapping_to_grids(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_is(str, key) and _is_grid(grid) for key, grid in value.items())


def _fitting(names: Any) -> Any:
    """Names by which files and tables can be looked up."""
    wrong = next((name for name in names if not fits_path(name)), None)
    if wrong is not None:
        raise ValueError(f"must not hold {_cut(ascii(wrong))}, which cannot be part of a path")
    return names


def _shard(value: Any) -> Any:
    pair = isinstance(value, (list, tuple)) and len(value) == 2 and all(type(part) is int for part in value)
    if value is not None and not (pair and 1 <= value[0] <= value[1] <= _MOST_SHARDS):
        raise ValueError(f"must be two whole numbers i and n, with 1 <= i <= n <= {_MOST_SHARDS}")
    return value


def _counting(options: Mapping[str, Any] | None) -> Any:
    """Options that say how many nearest samples there are of each."""
    count = 1 if options is None else options.get("count")
    if type(count) is not int or not 1 <= count <= _MOST_NEIGHBOURS:
        raise ValueError(f"must say a whole number from 1 to {_MOST_NEIGHBOURS} as count")
    return options


Names = Annotated[tuple[str, ...], _checked(_list_of(str), "a list of strings")]
Words = Annotated[dict[str, str], _checked(_mapping_to(str), "a mapping of strings to strings")]
Options = Annotated[dict[str, Any], _checked(_mapping_to(object), "a mapping with strings as keys")]
# BeforeValidators are called from the last to the first.
Parts = Annotated[
    dict[str, dict[str, Any]], BeforeValidator(_fitting), _checked(_mapping_to(dict), "a mapping of names to options")
]
Grids = Annotated[
    dict[str, tuple[int, int]], _checked(_mapping_to_grids, "a mapping of strings to two whole numbers each")
]
NamesOf = Annotated[
    dict[str, Names], BeforeValidator(_fitting), _checked(_mapping_to_names, "a mapping of names to lists of strings")
]
Flags = Annotated[dict[str, StrictBool], _checked(_mapping_to(bool), "a mapping of strings to true or false")]
Place = Annotated[tuple[int, int] | None, BeforeValidator(_shard)]
Kind = Annotated[str, _checked(lambda value: _is(str, value) and fits_path(value), "a name that fits into a path")]
Count = Annotated[StrictInt, Field(ge=0)]


class PlanRecord(BaseModel):
    """What a run does, as ``plan.json`` and ``results.h5`` say it; ``of`` makes one.

    Options of runs (``runner/plan/options.py``) and whatever another version adds stand beside these fields: ``raw``
    has all of them. Defaults are what plans of earlier versions mean, which do not say all of it.

    Attributes:
        class_names: name of each label.
        explainers: options by name, in order.
        metrics: options by name, in order.
        network: the class of the classifier, and checksums.
        activation_fn: from its logits to probabilities, described.
        columns: of the dataset.
        samples: how many the dataset holds; None where it does not say that.
        limit: how many of them at most.
        shard: which of how many, from 1; None for a whole run.
        dropout_samples: how many dropout masks uncertainty is estimated from; 0 for none.
        pass_size: images per pass.
        measured_pass_size: whether a measurement chose that.
        hierarchical_occlusion: its options; None without it.
        nearest_samples: the options of nearest samples; None without them.
        chosen_layers: by explainer for which no layer was named, the one that was chosen; nearest samples are among
            them under ``NEAREST_SAMPLES``.
        chosen_reshapes: by explainer the grid that brings what that layer gives to (N, channels, h, w), if one does.
        errors: by explainer that knows how far off its maps may be, how that is said.
        higher_is_better: by metric; True where nothing is said.
        controls: explainers that know nothing of the network.
        control_insensitive: metrics in which beating those says nothing.
        curves: by metric whose curves are kept beside its scores, what they are called.
        settings: names of the options that say how it works.
        uncompared: names of those in which two starts of the same run may differ.
        graph_mode: whether MindSpore's graph mode was on.
        device: "CPU", "GPU" or "Ascend", or several; "" where that is not said.
        versions: of packages, by name.
        config: what it was made from; None without a config.
        skipped: why samples were left out as broken, by id; known once a run is finished.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    class_names: Names
    explainers: Parts
    metrics: Parts
    network: Options = {}
    activation_fn: Any = None
    columns: Names = ()
    samples: Count | None = None
    limit: Count | None = None
    shard: Place = None
    dropout_samples: Count = 0
    pass_size: Annotated[StrictInt, Field(ge=1)] = 16
    measured_pass_size: StrictBool = False
    hierarchical_occlusion: Options | None = None
    nearest_samples: Annotated[Options | None, AfterValidator(_counting)] = None
    chosen_layers: Words = {}
    chosen_reshapes: Grids = {}
    errors: Words = {}
    higher_is_better: Flags = {}
    controls: Names = ()
    control_insensitive: Names = Field(default=(), alias="uncontrolled")
    curves: NamesOf = {}
    settings: Names = ("mean", "std", "seed", "pass_size", "jit")
    uncompared: Names = ()
    graph_mode: StrictBool = False
    device: Kind = ""
    versions: Words = {}
    config: Options | None = None
    skipped: Words = {}
    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def of(cls, plan: Any) -> PlanRecord:
        """The record of a plan in plain values.

        Raises:
            ValueError: if it is not one; the message says what is wrong.
        """
        if not _mapping_to(object)(plan):
            raise ValueError("the plan is not a mapping with strings as keys")
        try:
            record = cls.model_validate(plan)
        except ValidationError as error:
            raise ValueError(_words(error)) from None
        record._raw = plan
        return record

    def leaving_out(self, skipped: Mapping[str, str]) -> PlanRecord:
        """The same of a run that left those samples out, or more of them."""
        if not skipped:
            return self
        ordered = dict(sorted({**self.skipped, **skipped}.items(), key=lambda entry: int(entry[0])))
        return PlanRecord.of({**self.raw, "skipped": ordered})

    @property
    def skipped_ids(self) -> list[int]:
        """Ids of the samples that were left out."""
        return [int(sample_id) for sample_id in self.skipped if sample_id.isdecimal()]

    @property
    def raw(self) -> dict[str, Any]:
        """All that the plan says, and nothing that it does not say, in plain values."""
        return self._raw

    @property
    def made_from(self) -> dict[str, Any]:
        """What its config says of the network and the data; the rest of a config stands in the plan itself."""
        return {key: value for key, value in (self.config or {}).items() if key in ("network", "data")}

    def kept_curves(self, metric: str) -> tuple[str, ...]:
        """What the curves of a metric are called that are kept; none where none are."""
        return self.curves.get(metric, ())

    @property
    def neighbours(self) -> int:
        """How many nearest samples there are of each; 0 without them."""
        return int((self.nearest_samples or {}).get("count", 0))

    @property
    def searching(self) -> bool:
        """Whether there is hierarchical occlusion."""
        return bool(self.hierarchical_occlusion)

    @property
    def own_samples(self) -> int | None:
        """How many samples the run has: the lesser of the dataset's length and the limit, and of that a shard's own.

        None where neither is known. Where the limit alone is, there may be fewer.
        """
        known = [count for count in (self.samples, self.limit) if count is not None and count <= _MOST_SAMPLES]
        if not known:
            return None
        return min(known) if self.shard is None else len(range(self.shard[0] - 1, min(known), self.shard[1]))


def _words(error: ValidationError) -> str:
    """The first of what is wrong with a plan, or all that it lacks."""
    lacking, where, what = first_wrong(error)
    return f"the plan does not say {', '.join(lacking)}" if lacking else f"the plan's {where} {what}"


def first_wrong(error: ValidationError) -> tuple[list[str], str, str]:
    """The keys that a mapping from a file lacks; the dotted place of what else is wrong first, and what is wrong there.

    The last is the rest of a sentence that begins with the place: "must be a list of strings".
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lacking = [str(one["loc"][0]) for one in found if one["type"] == "missing" and len(one["loc"]) == 1]
    where = _cut(".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in found[0]["loc"]))
    said = found[0]["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return lacking, where, "is missing" if found[0]["type"] == "missing" else said


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
