"""What a config may hold, and reading one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

from mindspore import nn
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from ...explainers.arguments import whole_number
from ...summary_format.errors import nearest_or_place
from ...summary_format.problem import Problem
from ..plan.engine_options import checked_resources
from ..plan.options import BLANK_FOLDER, SETTINGS, RunOptions, option_problem
from ..problems import PlanError, problem_of
from ..yaml_loader import yaml_mapping
from .components import Entry

_OF_PICTURES = ("size", "channels")
SOURCES: Mapping[str, Sequence[str]] = {  # with the options that each takes
    "factory": ("options",),
    "hdf5": (),
    "npz": (),
    "csv": ("folder", *_OF_PICTURES),
    "image_folder": _OF_PICTURES,
    "mindrecord": ("columns", *_OF_PICTURES),
}
ACTIVATIONS: Mapping[str, Callable[[], nn.Cell]] = {"sigmoid": nn.Sigmoid, "softmax": nn.Softmax}


Whole = Annotated[int, BeforeValidator(lambda value, info: whole_number(value, info.field_name))]


def _section_of_path(value: Any) -> Any:
    """A path alone stands for a section with that path."""
    return {"path": value} if isinstance(value, str) else value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkSection(_Section):
    """The classifier: its factory ("package.module:factory", "file.py:factory", "mindcv:NAME") and its checkpoint."""

    factory: str
    options: dict[str, Any] = {}
    checkpoint: str | None = None


class DataSection(_Section):
    """The dataset: what a factory makes, or files; one of them.

    Attributes:
        factory: "package.module:factory" or "file.py:factory", called with the options.
        hdf5: a file with images, and optionally labels and bboxes, masks or segmentation.
        npz: the same in a NumPy file.
        csv: a file with the columns image, label and x, y, width, height, or mask, or segmentation.
        image_folder: a folder that holds one of pictures for each class.
        mindrecord: one of MindRecord files.
        folder: where the CSV's pictures are.
        columns: of MindRecord files those of images, labels and boxes or masks, in this order.
        size, channels: (height, width) and channels to bring pictures to.
    """

    factory: str | None = None
    options: dict[str, Any] = {}
    hdf5: str | None = None
    npz: str | None = None
    csv: str | None = None
    image_folder: str | None = None
    mindrecord: str | None = None
    folder: str | None = None
    columns: list[str] | None = None
    size: tuple[Whole, Whole] | None = None
    channels: Whole = 3

    @model_validator(mode="after")
    def _one_source(self) -> DataSection:
        named = [source for source in SOURCES if getattr(self, source) is not None]
        if len(named) != 1:
            *others, last = SOURCES
            raise ValueError(f"name one source: {', '.join(others)} or {last}")
        given = [name for name in type(self).model_fields if name in self.model_fields_set and name not in SOURCES]
        others = [name for name in given if getattr(self, name) is not None and name not in SOURCES[named[0]]]
        if others:
            words = "data: {source} takes no {options:repr or}; it takes {allowed}"
            known = ", ".join(SOURCES[named[0]]) or "nothing else"
            values = {"source": named[0], "options": others, "allowed": known}
            raise ValueError(Problem.of("data-option-of-another", words, **values))
        return self


class UncertaintySection(_Section):
    """Monte Carlo dropout."""

    samples: Annotated[int, BeforeValidator(lambda value: whole_number(value, "samples", 2))] = 20


class ImportedSection(_Section):
    """Maps that another library or a person made: their file, and who made them where the file does not say that."""

    path: str
    source: str | None = None


class HierarchicalOcclusionSection(_Section):
    """Hierarchical occlusion, as ``register_hierarchical_occlusion`` takes it."""

    threshold: float = 0.5
    window_sides: list[Whole] | None = None
    strides: list[Whole] | None = None
    blur: Whole | None = None


class NearestSamplesSection(_Section):
    """Nearest samples, as ``register_nearest_samples`` takes them.

    Attributes:
        layer: dotted name of the layer whose features are compared; by default the one that GradCAM reads.
        count: how many nearest samples of each.
        pool: how many of the dataset's first samples to compare with.
        distance: "cosine" or "euclidean".
    """

    layer: str | None = None
    count: Whole = 5
    pool: Whole = 20
    distance: Literal["cosine", "euclidean"] = "cosine"


class EngineSection(_Section):
    """What an engine (``--engine``) gives each shard for itself: see ``checked_resources``."""

    resources: Annotated[dict[str, Any], BeforeValidator(checked_resources)] = {}


class RunConfig(RunOptions):
    """A whole run; the keys of ``RunOptions`` too.

    Attributes:
        summary_dir: where to write, relative to the working directory; all other paths are relative to the config.
        network: makes the Cell.
        activation: "sigmoid" (several labels per image) or "softmax" (one).
        data: makes the MindSpore dataset.
        class_names: in the order of the network's outputs, by index, or the path of a text file with one per line.
        device: "CPU", "GPU", "Ascend", or "auto" for what MindSpore's setting says.
        uncertainty: how many dropout ``samples`` to estimate the spread of probabilities from.
        hierarchical_occlusion: the search for regions that suffice for a label; ``{}`` for its defaults.
        nearest_samples: for each sample those of the dataset's first ones that look most alike to the network; ``{}``
            for its defaults.
        explainers, metrics: names, or one-entry mappings from a name to its options. The ``ood_net`` of RISEPlus is the
            path of a checkpoint, the ``explainer`` of NoiseTunnel an entry of its own, the ``partners`` of Focus the
            path of an HDF5 or npz file, "pool" or {pool: K}.
        imported: maps of other libraries or people, by the names under which they appear: paths of their files, or
            mappings with ``path`` and ``source``. They come after the explainers.
        limit: only the first so many samples.
        engine: what shards are given where an engine works on them; no part of what the run is.
    """

    summary_dir: str
    network: NetworkSection
    activation: Literal["sigmoid", "softmax"]
    data: DataSection
    class_names: list[str | int] | dict[int, str | int] | str
    device: Literal["auto", "CPU", "GPU", "Ascend"] = "auto"
    explainers: list[Entry] = Field(default_factory=list)
    metrics: list[Entry] = Field(default_factory=list)
    imported: dict[str, Annotated[ImportedSection, BeforeValidator(_section_of_path)]] = Field(default_factory=dict)
    uncertainty: UncertaintySection | None = None
    hierarchical_occlusion: HierarchicalOcclusionSection | None = None
    nearest_samples: NearestSamplesSection | None = None
    limit: Whole | None = None
    engine: EngineSection = EngineSection()

    @model_validator(mode="after")
    def _something_to_do(self) -> RunConfig:
        if not (self.explainers or self.imported) and self.hierarchical_occlusion is None:
            raise ValueError("name explainers, hierarchical_occlusion, or both")
        return self

    @field_validator("class_names", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        indices = value if isinstance(value, dict) else ()
        if not isinstance(value, (list, dict, str)) or not all(re.fullmatch(r"-?\d+", str(one)) for one in indices):
            words = "class_names must be a list of names, a mapping from index to name, or a file, got {given!r}"
            raise ValueError(Problem.of("class-names-key-kind", words, given=value))
        names = {"": value} if isinstance(value, str) else value.values() if isinstance(value, dict) else value
        for name in names:
            if isinstance(name, bool) or not isinstance(name, (str, int)):
                words = "class_names holds {name!r}, which YAML does not take for a text; put it in quotes"
                raise ValueError(Problem.of("class-name-no-text", words, name=name))
        return value

    @field_validator("summary_dir")
    @classmethod
    def _not_blank_folder(cls, value: str) -> str:
        if not value.strip():
            raise ValueError(BLANK_FOLDER)
        return value

    @field_validator("uncertainty", "hierarchical_occlusion", "nearest_samples", mode="before")
    @classmethod
    def _not_blank(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("the key has no value; write {} for the defaults, or leave it out")
        return value

    @property
    def options(self) -> RunOptions:
        """The run's options alone."""
        return RunOptions(**{name: getattr(self, name) for name in SETTINGS})


_SECTIONS: Mapping[str, type[_Section]] = {
    "network": NetworkSection,
    "data": DataSection,
    "uncertainty": UncertaintySection,
    "imported": ImportedSection,
    "hierarchical_occlusion": HierarchicalOcclusionSection,
    "nearest_samples": NearestSamplesSection,
    "engine": EngineSection,
}


def load_config(path: str | Path, overrides: Mapping[str, Any] | None = None) -> tuple[RunConfig, list[Problem]]:
    """Read a config file.

    Args:
        path: the YAML file.
        overrides: values by dotted key ("data.options.count", "metrics.0.InsertionAUC.steps") that replace the file's.

    Returns:
        The config without its unknown keys, and a sentence on each of those, for ``build_runner`` to report with what
        else is wrong.

    Raises:
        PlanError: if the file cannot be read, is not a YAML mapping, or holds wrong values; all of those at once.
    """
    path = Path(path)
    try:
        content = yaml_mapping(path)
    except ValueError as error:
        raise PlanError([problem_of(error)]) from error
    for key, value in (overrides or {}).items():
        _set(content, key, deepcopy(value))  # what is set and removed below is none of the caller's
    unknown: list[Problem] = []
    while True:
        try:
            return RunConfig.model_validate(content), unknown
        except ValidationError as error:
            found = error.errors()
            extra = [problem for problem in found if problem["type"] == "extra_forbidden"]
            unknown += [_said(problem) for problem in extra]
            if not extra:
                raise PlanError([*unknown, *map(_said, found)]) from error
            for problem in extra:
                _remove(content, problem["loc"])


def _set(content: dict[str, Any], key: str, value: Any) -> None:
    """Replace the value at a dotted key; a number picks an element of a list, a missing mapping is made."""
    inner: Any = content
    *sections, last = key.split(".")
    for depth, section in enumerate((*sections, last)):
        if isinstance(inner, list) and section.isdigit() and int(section) < len(inner):
            place: Any = int(section)
        elif isinstance(inner, dict):
            place = section
        else:
            above = ".".join(sections[:depth])
            words = "cannot set {key}: {above} is neither a mapping nor a list with an element {section}"
            raise PlanError([Problem.of("key-impossible", words, key=key, above=above, section=section)])
        if depth == len(sections):
            inner[place] = value
        else:
            inner = inner[place] if isinstance(inner, list) else inner.setdefault(place, {})


def _remove(content: Any, where: tuple[Any, ...]) -> None:
    for part in where[:-1]:
        content = content[part]
    del content[where[-1]]


def _said(problem: Any) -> Problem:
    """One sentence on one of pydantic's findings."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *above, key = map(str, problem["loc"])
        sections: dict[str, type[BaseModel]] = {"the top level": RunConfig, **_SECTIONS}
        section = sections.pop(above[0] if above else "the top level")
        near = nearest_or_place(key, section.model_fields, {at: one.model_fields for at, one in sections.items()})
        return Problem.of("key-unknown", "unknown key {key!r}; {nearest}", key=where, nearest=near)
    if problem["type"] == "missing":
        return Problem.of("key-missing", "the key {key!r} is missing", key=where)
    if problem["type"] in ("model_type", "model_attributes_type", "dict_type"):
        words = "{key} must be a mapping of options, {{}} for the defaults, got {given!r}"
        return Problem.of("key-no-mapping", words, key=where, given=problem["input"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error" and (ours := option_problem(problem)).code != "other":  # which says it all
        return ours if len(problem["loc"]) == 1 else ours.at(str(problem["loc"][0]))
    said = f"{message[0].lower()}{message[1:]}"
    values = {"key": where, "said": said, "given": problem["input"]}
    if problem["type"] == "value_error" and (not where or problem["input"] is None):  # the whole config, or nothing
        return Problem(f"{where}: {said}" if where else said, "key-refused", values)
    return Problem.of("key-refused", "{key}: {said}, got {given!r}", **values)
