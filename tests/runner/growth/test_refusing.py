"""What a run cannot grow out of is refused with what differs, before anything is written; what is damaged too."""

import shutil

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import PointingGame
from explainrun.explainers import GradCAM
from explainrun.runner import DatasetChangedError, PlanError
from explainrun.runner.problems import DamagedRunError
from explainrun.summary_format import Results, find_runs

SIGMOID = nn.Sigmoid()
PLAN = {"explainers": ("Gradient", "GradCAM"), "masks": 3}
MORE = {**PLAN, "metrics": ("PointingGame", "IoSR")}
OTHERS = {  # what differs, by plan
    "seed": ({"seed": 3}, "seed was 0, is 3"),
    "pass_size": ({"pass_size": 4}, "pass_size was 2, is 4"),
    "labels": ({"labels": "truth"}, "labels was 'truth and confident', is 'truth'"),
    "masks": ({"masks": 4}, "dropout_samples was 3, is 4"),
    "an explainer's option": (
        {"own": {"GradCAM": lambda network: GradCAM(network, "conv")}},
        "explainers.GradCAM.layer was 'relu', is 'conv'",
    ),
    "a metric's option": (
        {"own": {"PointingGame": lambda _: PointingGame(3, tolerance=5)}},
        "metrics.PointingGame.tolerance was 3, is 5",
    ),
}


@pytest.fixture
def begun(grow, tmp_path):
    """A finished run, and its files as they are."""
    grow(**PLAN)()
    return tmp_path / "run"


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


FEW = ("seed", "an explainer's option")


@pytest.mark.parametrize("which", [pytest.param(one, marks=() if one in FEW else pytest.mark.slow) for one in OTHERS])
def test_other_options_are_refused_with_what_differs(which, grow, begun, raising):
    options, said = OTHERS[which]
    before = files(begun)
    with raising(PlanError, "folder-holds-other-plan", kind="a finished", differences=said):
        grow(**{**MORE, **options})()
    assert files(begun) == before


def test_other_weights_are_refused(grow, begun, striped, raising):
    kept = striped.head.weight.asnumpy().copy()
    striped.head.weight.set_data(ms.Tensor(kept + 1))
    try:
        with raising(PlanError, "folder-holds-other-plan") as refused:
            grow(**MORE)()
    finally:
        striped.head.weight.set_data(ms.Tensor(kept))
    assert refused.value.problems[0].values["differences"].startswith("network.parameters was ")


@pytest.mark.parametrize("place", [0, 4])
def test_other_samples_are_refused(place, grow, begun, pictures, raising):
    """Also one that the first pass does not show."""
    rows = list(pictures(8))
    rows[place] = (rows[place][0] + 1, *rows[place][1:])
    code = "dataset-changed" if place else "folder-holds-other-data"
    with raising(DatasetChangedError, code):
        grow(rows=rows, **MORE)()
    assert Results(find_runs(begun)[0].data).finished


def test_an_explainer_that_cannot_is_refused_before_a_folder_is_made(grow, begun, raising):
    before = files(begun)
    with raising(PlanError, "layer-shape"):
        grow(explainers=("Gradient", "Wrong"), own={"Wrong": lambda network: GradCAM(network, "head", name="Wrong")})()
    assert files(begun) == before


@pytest.mark.slow
@pytest.mark.parametrize("how", ["damaged", "gone", "of another run"])
def test_an_archive_that_is_not_the_runs_is_refused(how, grow, begun, raising):
    [run] = find_runs(begun)
    if how == "of another run":
        grow("other", seed=3, **PLAN)()
        run.archive.unlink()
        shutil.copy(find_runs(begun.parent / "other")[0].archive, run.archive)
    else:
        data = bytearray(run.archive.read_bytes())
        data[len(data) // 2] ^= 4
        run.archive.unlink()
        if how == "damaged":
            run.archive.write_bytes(data)
    with raising(DamagedRunError, "run-damaged"):
        grow(**MORE)()
    grow(**MORE)(overwrite=True)


@pytest.mark.slow
def test_an_archive_that_was_damaged_while_the_run_grew_is_refused(grow, begun, killed_at, raising):
    killed_at(grow(**MORE), 2)
    [path] = find_runs(begun)[-1].earlier.iterdir()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.unlink()
    path.write_bytes(data)
    with raising(DamagedRunError, "run-damaged"):
        grow(**MORE)()


@pytest.mark.slow
def test_a_state_that_says_something_else_is_refused(grow, begun, killed_at, raising):
    killed_at(grow(**MORE), 2)
    run = find_runs(begun)[-1]
    state = run.state()
    (run.data / "plan.json").unlink()
    run.write_state({**state, "grows": {**state["grows"], "ends": ["five"]}})
    with raising(PlanError, "folder-holds-unknown-run", kind="an unfinished"):
        grow(**MORE)()


@pytest.mark.slow
def test_maps_of_another_size_are_refused(grow, begun, monkeypatch, raising):
    """As a stranger's archive may hold them, under a sound checksum."""
    from explainrun.summary_format import BrokenRecordError  # noqa: PLC0415
    from explainrun.summary_format.growth.earlier import EarlierArchive  # noqa: PLC0415

    read = EarlierArchive.read

    def cut(archive, name, rows):
        return read(archive, name, rows)[..., :3] if name.endswith("/maps") else read(archive, name, rows)

    monkeypatch.setattr(EarlierArchive, "read", cut)
    with raising(BrokenRecordError, "record-broken"):
        grow(**MORE)()
    assert np.isfinite(Results(find_runs(begun)[0].data).logits).all()
