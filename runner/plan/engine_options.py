"""What works on the shards of a run where that is not this process: which engine, and what it is asked for."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ...explainers.arguments import plain_text, positive_number, whole_number
from ...summary_format.problem import Problem
from ..problems import PlanError
from .sharding import PLACE, Shard

ENGINES = ("ray",)
_DEFAULTS = {"CPU": 1}
_log = logging.getLogger("explainrun")


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """An engine, and how a run uses it.

    Attributes:
        engine: its name; "ray" is the only one.
        shards: into how many the run is split.
        address: of a cluster that is there; None for what the engine finds or starts itself.
        resources: what each shard is given for itself, a number by name.
    """

    engine: str
    shards: int
    address: str | None = None
    resources: Mapping[str, float] = field(default_factory=lambda: dict(_DEFAULTS))

    @property
    def all_shards(self) -> list[Shard]:
        """Every shard, in the order of its number."""
        return [Shard(number, self.shards) for number in range(1, self.shards + 1)]

    @property
    def ray_options(self) -> dict[str, Any]:
        """The resources as options of a Ray task, which has words of its own for some."""
        own = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
        asked = {own[name]: value for name, value in self.resources.items() if name in own}
        return {**asked, "resources": {name: value for name, value in self.resources.items() if name not in own}}

    def check_room(self, nodes: Sequence[Mapping[str, float]], *, may_grow: bool) -> None:
        """Say that shards wait where no node has what each asks for; refuse that where there will be none.

        Args:
            nodes: the resources of each.
            may_grow: whether there may be others later.

        Raises:
            PlanError: then.
        """
        if any(all(node.get(name, 0) >= asked for name, asked in self.resources.items()) for node in nodes):
            return
        asked = [f"{name} {number:g}" for name, number in self.resources.items()]
        lack = Problem.of("no-node-fits", "no node of the cluster has what a shard needs: {asked:and}", asked=asked)
        if not may_grow:
            raise PlanError([lack])
        _log.warning("%s; shards wait until one has", lack)


def checked_resources(given: Any) -> dict[str, float]:
    """What each shard is given for itself, with one CPU where nothing is said of them.

    Args:
        given: a number by name. "CPU", whole, is how many cores a shard has for itself; "GPU", a whole number or a
            share of one device; "memory" in bytes; any other name is that of a resource that the cluster's nodes
            declare, such as "NPU".

    Raises:
        ValueError: if it is something else.
    """
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name.strip() for name in given):
        words = "resources must be a mapping from names, such as CPU, to numbers, got {given!r}"
        raise ValueError(Problem.of("resources-no-mapping", words, given=given))
    known = {**_DEFAULTS, **given}
    found = {name: positive_number(value, f"resources.{name}") for name, value in known.items() if name != "CPU"}
    for name, value in found.items():
        if value > 1 and value != int(value):
            words = "resources.{name} must be a whole number, or below 1 for a share of one, got {given!r}"
            raise ValueError(Problem.of("resource-no-whole-number", words, name=name, given=value))
    return {"CPU": whole_number(known["CPU"], "resources.CPU", 0), **found}


def check_listening(address: str, seconds: float = 10.0) -> None:
    """Make sure that something listens at an address, where Ray would try for minutes.

    Args:
        address: "host:port", "protocol://host:port", or a word such as "auto", which is not looked at.
        seconds: how long to wait for an answer.

    Raises:
        OSError: if nothing does.
        ValueError: if the port is none.
    """
    place = urlsplit(address if "://" in address else f"//{address}")
    if place.hostname is not None and place.port is not None:
        socket.create_connection((place.hostname, place.port), seconds).close()


def engine_options(
    engine: Any, shards: Any, address: Any = None, resources: Any = None, *, shard: Any = None, summary_dir: str = ""
) -> EngineOptions | None:
    """An engine's options as a run is given them; None where none is named.

    Args:
        engine: its name, or None.
        shards: how many, which an engine needs.
        address: of a cluster, as ``EngineOptions`` has it.
        resources: as ``checked_resources`` takes them; None for its defaults.
        shard: the one that a process is to work on itself, which an engine leaves no room for.
        summary_dir: where the merged run goes; shards go below it.

    Raises:
        TypeError: if engine or address is not a text.
        ValueError: if there is no such engine, an option lacks, is out of its range or has no engine to go with it.
    """
    if engine is None:
        lone = {"shards": shards, "address": address, "resources": resources}
        names = [name for name, value in lone.items() if value is not None]
        if names:
            words = "{names:and} need an engine that works on the shards; name it: engine 'ray' (--engine ray)"
            raise ValueError(Problem.of("engine-missing", words, names=names))
        return None
    if plain_text(engine, "engine") not in ENGINES:
        words = "there is no engine {engine!r}; there is {known:repr and}"
        raise ValueError(Problem.of("engine-unknown", words, engine=engine, known=ENGINES))
    if shards is None:
        words = "an engine needs to know into how many shards to split the run: shards (--shards)"
        raise ValueError(Problem.of("engine-without-shards", words))
    if shard is not None or PLACE in summary_dir:
        words = "an engine hands out all shards and places them below summary_dir; leave out {what}"
        what = "shard (--shard)" if shard is not None else f"{PLACE} in summary_dir"
        raise ValueError(Problem.of("engine-places-shards", words, what=what))
    return EngineOptions(
        engine=engine,
        shards=Shard(1, whole_number(shards, "shards")).count,
        address=None if address is None else plain_text(address, "address"),
        resources=checked_resources({} if resources is None else resources),
    )
