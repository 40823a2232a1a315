"""Every command, with the exit code that it ends with, and that where standard output takes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from explainrun.runner import SampleError
from explainrun.runner.comparison import scored_run, write_baseline
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config
from explainrun.summary_format import merge

FAILING_ROWS = """\
import mindspore.dataset as ds, numpy as np

def rows():
    data = [(np.full((1, 5 if row == 70 else 6, 8), 0.1, np.float32), np.int32([row % 2])) for row in range(80)]
    return ds.GeneratorDataset(data, ["image", "labels"], shuffle=False, num_parallel_workers=1)
"""


@dataclass(frozen=True)
class Command:
    """A command line, and what it ends with.

    {out} is a new place each time; other names in braces are those of ``projects``.
    """

    line: str
    code: int
    without_output: int  # the code where nothing can be written to standard output
    said: str | None = None  # on standard error then, before the reason; None for no matter what

    def arguments(self, places: dict[str, Path]) -> list[str]:
        return [word.format(**places) for word in self.line.split()]


TAKES_NOTHING = "but standard output takes nothing: "
LOST = "explainrun: standard output takes nothing: "
UNWRITTEN = "was not written to standard output: "
EXPLAIN = "explain {picture} --network {gate} --channels 1 --savefig {out}.png --method"
# One of each command and each way to deal with output that is lost; these alone are tried in one process.
SHORT = (
    Command("--help", 0, 2, LOST),
    Command("compare -h", 0, 2, LOST),
    Command("nosuch", 2, 2),
    Command("run {gate} --summary-dir {out}", 0, 0, f"the run in {{out}} is finished, {TAKES_NOTHING}"),
    Command("layers {gate}", 0, 2, LOST),
    Command("list", 0, 2, LOST),
    Command("new {out}", 0, 0, f"explain.yaml, network.py, dataset.py are written into {{out}}, {TAKES_NOTHING}"),
    Command("check {gate}", 0, 2, LOST),
    Command("schema", 0, 2, LOST),
    Command("merge {out} {shards}/1 {shards}/2", 0, 0, f"{{out}} is merged, {TAKES_NOTHING}"),
    Command("score {grown} --metric IoSR", 0, 0, f"the run in {{grown}} is scored, {TAKES_NOTHING}"),
    Command("import {grown} {maps} --name maps", 0, 0, f"the maps are imported into {{grown}}, {TAKES_NOTHING}"),
    Command("inspect {run}", 0, 2, LOST),
    Command("scores {unfinished}", 3, 2, LOST),
    Command("compare {run} {worse} --format json", 1, 2, f"json {UNWRITTEN}"),
    Command("baseline {run} -o {out}", 0, 3, f"{{out}} is written, {TAKES_NOTHING}"),
    Command(f"{EXPLAIN} Gradient", 0, 0, f"{{out}}.png is written, {TAKES_NOTHING}"),
    Command(f"{EXPLAIN} GuidedBackprop", 2, 2, f"{{out}}.png is written, {TAKES_NOTHING}"),
)
COMMANDS = (
    *SHORT,
    Command("--version", 0, 2, LOST),
    Command("run --help", 0, 2, LOST),
    Command("run {project}/none.yaml", 2, 2),
    Command("run {gate} --summary-dir {run}", 0, 0, f"the run in {{run}} is finished, {TAKES_NOTHING}"),
    Command("run {gate} --summary-dir {run} --profile", 0, 0, f"the run in {{run}} is finished, {TAKES_NOTHING}"),
    Command("run {gate} --summary-dir {out} --set sed=1", 2, 2),
    Command("run {fails} --summary-dir {out}", 2, 2),
    Command("layers nowhere:network --input-shape 1,6,8", 2, 2),
    Command("check {gate} --set sed=1", 2, 2),
    Command("check {gate} --json", 0, 2, LOST),
    Command("merge {merged} {shards}/1 {shards}/2", 0, 0, f"{{merged}} is merged, {TAKES_NOTHING}"),
    Command("merge {out} {shards}/1", 3, 3),
    Command("merge {out} {run} {worse}", 2, 2),
    Command("score {grown} --metric IoSS", 2, 2),
    Command("import {grown} {gate} --name maps", 2, 2),
    Command("inspect {run} --json", 0, 2, LOST),
    Command("inspect {unfinished}", 3, 2, LOST),
    Command("inspect {project}", 2, 2, LOST),
    Command("scores {run}", 0, 2, LOST),
    Command("scores {project}", 2, 2),
    Command("trend {kept} {run} {worse}", 0, 2, LOST),
    Command("trend {kept}", 2, 2),
    Command("compare {kept} {run}", 0, 2, f"table {UNWRITTEN}"),
    Command("compare {run} {worse} --format table --format json={out}", 1, 2, f"table {UNWRITTEN}"),
    Command("compare {run} {unfinished}", 2, 2),
    Command("compare {run} {worse} --tolerance 9 --require shown --no-maps", 1, 2, f"table {UNWRITTEN}"),
    Command("baseline {run} -o {kept}", 0, 3, f"{{kept}} stays as it is, {TAKES_NOTHING}"),
    Command("baseline {unfinished} -o {out}", 2, 2),
    Command(f"{EXPLAIN} Gradent", 2, 2),
)


@pytest.fixture(scope="session")
def projects(gated_project, tmp_path_factory):
    """Runs that are finished, unfinished, worse, and shards; a baseline, a picture, configs, a folder with nothing."""
    project = gated_project(tmp_path_factory.mktemp("streams") / "project")
    places = {name: project.folder / name for name in ("run", "worse", "unfinished", "shards", "merged", "project")}
    places |= {"gate": project.folder / "gate.yaml", "fails": project.folder / "fails.yaml"}
    places |= {"kept": project.folder / "kept.json", "picture": project.folder / "scene.png"}
    places["project"].mkdir()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(places["picture"])
    run(places["gate"], places["run"])
    places |= {"grown": shutil.copytree(places["run"], project.folder / "grown"), "maps": project.folder / "maps.h5"}
    with h5py.File(places["maps"], "w") as file:
        file["maps"], file["sample"], file["label"] = np.arange(96).reshape(2, 6, 8), [0, 1], [0, 1]
    write_baseline(scored_run(places["run"]), places["kept"])
    shards = [run(places["gate"], places["shards"] / str(number), shard=(number, 2)) for number in (1, 2)]
    merge(places["merged"], [shard.summary_dir for shard in shards])
    project.looks_at(project.BAD)
    run(places["gate"], places["worse"])
    project.looks_at(project.GOOD)
    (project.folder / "failing_rows.py").write_text(FAILING_ROWS)
    failing = places["gate"].read_text().replace("{hdf5: scenes.h5}", '{factory: "failing_rows.py:rows"}')
    places["fails"].write_text(
        failing.replace("[{PointingGame: {tolerance: 1}}, IoSR]", "[{InsertionAUC: {steps: 2}}]")
    )
    with pytest.raises(SampleError):
        run(places["fails"], places["unfinished"])
    return places


def run(config, folder, **options):
    loaded, problems = load_config(config, {"summary_dir": str(folder)})
    return build_runner(loaded, problems, config.parent).run(**options)


@pytest.fixture
def started():
    """Runs the command in a process, without what this one's environment says of Python."""

    def start(arguments, *, unbuffered=False, **kinds):
        given = {name: stream_that_is(kind) for name, kind in kinds.items()}
        closed = [number for number, name in enumerate(("stdin", "stdout", "stderr")) if kinds.get(name) == "closed"]
        environment = {name: os.environ[name] for name in ("HOME", "PATH")}
        environment |= {"PYTHONUNBUFFERED": "1"} if unbuffered else {}
        try:
            return subprocess.run(
                [sys.executable, "-m", "explainrun", *map(str, arguments)],
                **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **given},
                preexec_fn=lambda: list(map(os.close, closed)), env=environment, text=True, check=False,
            )  # fmt: skip
        finally:
            list(map(os.close, given.values()))

    return start


def stream_that_is(kind):
    """A descriptor to write to; the process closes that of one that is to be closed."""
    if kind != "unread":
        return os.open("/dev/full", os.O_RDWR)
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.fixture
def places(projects, tmp_path):
    """Where things are, with a new place to write to."""
    return {**projects, "out": tmp_path / "out"}


def pytest_generate_tests(metafunc):
    given = {"command": COMMANDS, "short_command": SHORT}
    for name in metafunc.fixturenames:
        if name in given:
            metafunc.parametrize(name, given[name], ids=[command.line for command in given[name]])
