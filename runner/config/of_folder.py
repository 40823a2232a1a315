"""The config that a finished run was made from, read back from its folder, so that the run can grow without a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ...summary_format import Results, find_runs
from ...summary_format.imported_maps.archived_maps import ArchivedMaps, imported_names
from ...summary_format.imported_maps.map_store import MapStore
from ...summary_format.imported_maps.maps_file import MapsFile
from ...summary_format.plan_record import first_wrong
from ...summary_format.problem import Problem
from ..plan.options import UNCOMPARED
from ..plan.sharding import Shard
from ..problems import PlanError
from .schema import DataSection, RunConfig

_log = logging.getLogger("explainrun")


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """A finished run and the config that it was made from.

    Attributes:
        config: the config, with the folder and the limit that the run had.
        folder: what the config's paths are relative to.
        results: what the run found.
        archive: where that is.
        shard: which shard it is; None for a whole run.
    """

    config: RunConfig
    folder: Path
    results: Results
    archive: Path
    shard: Shard | None

    @cached_property
    def stores(self) -> Mapping[str, MapStore]:
        """By name, the maps that were imported into the run.

        Those of their file, which may have more than the run asked for, if it still has the same; else those that the
        run keeps, which a logged line says.
        """
        return {name: self._store(name) for name in imported_names(self.results)}

    def _store(self, name: str) -> MapStore:
        kept = ArchivedMaps(self.results, name)
        if name not in self.config.imported:
            return kept
        path = self.folder / self.config.imported[name].path
        with suppress(ValueError, OSError):
            found = MapsFile(path)
            if found.digest == kept.digest:
                return found
        _log.info("%s no longer holds the maps of %s; those that the run keeps are used", path, name)
        return kept

    def with_entries(self, **more: Any) -> RunConfig:
        """The config with more entries in some of its sections.

        Args:
            more: by section what to add: a list to a list, a mapping to a mapping.

        Raises:
            PlanError: if the config would hold something else than configs may.
        """
        content = self.config.model_dump(exclude_unset=True)
        for section, entries in more.items():
            before = content.get(section, type(entries)())
            content[section] = {**before, **entries} if isinstance(before, dict) else [*before, *entries]
        return _validated(content, Path(self.config.summary_dir))


def config_of_folder(summary_dir: Path, folder: Path | None, instead: str) -> FolderConfig:
    """The newest finished run of a summary folder and the config that it was made from.

    A newer one that is not finished may be what that grows into, and was stopped.

    Args:
        summary_dir: the summary folder.
        folder: what the config's paths are relative to; by default what they were when the run was made.
        instead: what to do in a script, if the run was made by one.

    Raises:
        PlanError: if there is no run, it is not finished, or was not made from a config.
        BrokenRecordError: if it is damaged.
        OSError: if it cannot be read.
    """
    runs = find_runs(summary_dir)
    if not runs:
        raise PlanError([Problem.of("folder-holds-no-run", "there is no run in {folder}", folder=summary_dir)])
    finished = [run for run in runs if run.finished]
    if not finished:
        words = "the run in {folder} is not finished; run it again to resume, then it can grow"
        raise PlanError([Problem.of("folder-holds-unfinished-run", words, folder=summary_dir)])
    archive = finished[-1].archive
    results = Results(archive)
    record = results.plan_record
    if record.config is None:
        words = "the run in {folder} was made by a script and not from a config; {instead}"
        raise PlanError([Problem.of("run-without-config", words, folder=summary_dir, instead=instead)])
    content = {**_as_written(record.config, RunConfig), "summary_dir": str(summary_dir), "limit": record.limit}
    place = content.pop("folder", None)
    if not (isinstance(place, str) or folder):
        _log.warning("the run does not say where its config lay; its paths are taken to be relative to where you are")
    content |= {name: record.raw[name] for name in UNCOMPARED if name in record.raw}
    content["imported"] = {
        name: {**section, "source": record.explainers.get(name, {}).get("source", "")}
        for name, section in content.get("imported", {}).items()
    }
    content["data"] = _as_written(content.get("data", {}), DataSection)
    content["class_names"] = list(record.class_names)  # which a plan says in full, however many there are
    return FolderConfig(
        config=_validated(content, summary_dir),
        folder=folder or Path(place if isinstance(place, str) else ""),
        results=results,
        archive=archive,
        shard=None if record.shard is None else Shard(*record.shard),
    )


def _as_written(values: Mapping[str, Any], kind: type[BaseModel]) -> dict[str, Any]:
    """A section without what it says by default: its author did not write that, and not all of it may be written."""
    fields = kind.model_fields
    defaults = {key: one.get_default(call_default_factory=True) for key, one in fields.items()}
    return {key: value for key, value in values.items() if key not in defaults or value != defaults[key]}


def _validated(content: Mapping[str, Any], summary_dir: Path) -> RunConfig:
    """A config in plain values, as one.

    Raises:
        PlanError: if it is none, as that of a run of another version may be.
    """
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        lacking, where, what = first_wrong(error)
        said = f"it does not say {', '.join(lacking)}" if lacking else f"{where} {what}"
        words = "the config that the run in {folder} was made from cannot be used: {said}"
        raise PlanError([Problem.of("config-of-run-unusable", words, folder=summary_dir, said=said)]) from error
