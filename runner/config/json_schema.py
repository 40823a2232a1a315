"""What a config may hold as a JSON schema, by which editors complete and check configs as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import Parameter, cleandoc, signature
from typing import Any

from pydantic import BaseModel

from ...benchmarks import METRICS
from ...explainers import EXPLAINERS, Registry
from .schema import (
    DataSection,
    EngineSection,
    HierarchicalOcclusionSection,
    ImportedSection,
    NearestSamplesSection,
    NetworkSection,
    RunConfig,
    UncertaintySection,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SECTIONS = (
    NetworkSection, DataSection, UncertaintySection, ImportedSection, HierarchicalOcclusionSection,
    NearestSamplesSection, EngineSection,
)  # fmt: skip
_GIVEN = ("network", "num_labels", "activation_fn")  # arguments that a config fills in itself
_ENTRIES: Mapping[str, Registry] = {"explainers": EXPLAINERS, "metrics": METRICS}
# Of keys whose types are checked by functions, pydantic knows less than a config may hold.
_TYPES: Mapping[str, Mapping[str, Any]] = {
    "jit": {"anyOf": [{"enum": ["auto", "on", "off"]}, {"type": "boolean"}]},
    "pass_size": {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1}]},
    "class_names": {
        "anyOf": [
            {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 1},
            {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
            {"type": "string"},
        ]
    },
}


def config_schema() -> dict[str, Any]:
    """The JSON schema of configs, of draft 2020-12, with every explainer and metric that is installed.

    What it marks as wrong a run refuses too. A run also refuses what no schema can say, such as a layer that the
    network does not have.
    """
    schema = RunConfig.model_json_schema(mode="validation")
    sections = schema["$defs"]
    for section in _SECTIONS:
        sections[section.__name__]["properties"] = _described(section, sections[section.__name__]["properties"])
    schema["properties"] = _described(RunConfig, schema["properties"])
    for key, registry in _ENTRIES.items():
        schema["properties"][key]["items"] = {"anyOf": list(_entries(registry))}
    sections["ImportedSection"] = {"anyOf": [{"type": "string"}, {**sections["ImportedSection"]}]}
    return {"$schema": DIALECT, "title": "A run of Explainrun", **_without_titles(schema)}


def _described(section: type[BaseModel], properties: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a section with what its docstring, or that of what it derives from, says of each."""
    said = {name: text for kind in reversed(section.__mro__) for name, text in explained_names(kind.__doc__)}
    return {
        key: {**of_key, **_TYPES.get(key, {}), **({"description": said[key]} if key in said else {})}
        for key, of_key in ((key, _bare(key, value)) for key, value in properties.items())
    }


def _bare(key: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """What pydantic says of a key, without a type that is replaced."""
    return {name: said for name, said in value.items() if key not in _TYPES or name in ("default", "title")}


def _entries(registry: Registry) -> Iterator[dict[str, Any]]:
    """An entry of a config for each name: the name alone where no option is required, or a mapping to its options."""
    lone, required = [], []
    for name in registry:
        try:
            options, lacking = _options(registry[name])
        except Exception:  # of another package, which may not be importable
            continue
        if not lacking:
            lone.append(name)
        required.append((name, options))
    yield {"enum": lone}
    for name, options in required:
        yield {"type": "object", "properties": {name: options}, "required": [name], "additionalProperties": False}


def _options(made: Any) -> tuple[dict[str, Any], list[str]]:
    """The options of an explainer or metric as a schema, and the names of those that it needs."""
    said = dict(explained_names(made.__doc__))
    taken = {name: one for name, one in signature(made).parameters.items() if name not in _GIVEN}
    lacking = [name for name, one in taken.items() if one.default is Parameter.empty]
    kind: dict[str, Any] = {"type": "object" if lacking else ["object", "null"]}
    properties = {name: _option(one, said.get(name)) for name, one in taken.items()}
    first_line = cleandoc(made.__doc__ or "").partition("\n")[0]
    schema = {"description": first_line, **kind, "properties": properties, "additionalProperties": False}
    return {**schema, **({"required": lacking} if lacking else {})}, lacking


def _option(parameter: Parameter, said: str | None) -> dict[str, Any]:
    """An option: its default, where JSON can hold that, and what its docstring says of it."""
    plain = isinstance(parameter.default, (bool, int, float, str, type(None)))
    default = {"default": parameter.default} if plain and parameter.default is not Parameter.empty else {}
    return {**({} if said is None or said.startswith("see ``") else {"description": said}), **default}


def explained_names(docstring: str | None) -> Iterator[tuple[str, str]]:
    """The names that the sections ``Args`` and ``Attributes`` of a docstring explain, each with its sentence.

    A line that explains several names, as in ``mean, std: of the images.``, explains each.
    """
    for block in re.findall(r"^(?:Args|Attributes):\n((?: {4}.*\n?|\n)*)", cleandoc(docstring or ""), re.M):
        for names, text in re.findall(r"^ {4}(\w+(?:, \w+)*): (.*(?:\n {5,}.*)*)", block, re.M):
            yield from ((name, " ".join(text.split())) for name in names.split(", "))


def _without_titles(schema: Any) -> Any:
    """A schema without the titles that pydantic makes of names, which say nothing more."""
    if isinstance(schema, dict):
        return {
            key: _named(value) if key in ("properties", "$defs") else _without_titles(value)
            for key, value in schema.items()
            if key != "title"
        }
    return list(map(_without_titles, schema)) if isinstance(schema, list) else schema


def _named(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Schemas by a name that may be "title" itself."""
    return {name: _without_titles(schema) for name, schema in schemas.items()}
