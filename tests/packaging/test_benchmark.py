"""scripts/benchmark: its rows, what it makes of what it measures, and the page in docs that it writes."""

import os
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from benchmarking import __main__, command, measuring, results, rows  # noqa: E402
from benchmarking.command import Session  # noqa: E402
from benchmarking.measuring import BatchSizes, Effort  # noqa: E402
from benchmarking.processes import RowError, Worker  # noqa: E402
from benchmarking.rows import Row  # noqa: E402
from benchmarking.shown import page, tables  # noqa: E402
from benchmarking.sides import bare  # noqa: E402
from benchmarking.sizes import paired_images  # noqa: E402
from benchmarking.subjects import SUBJECTS  # noqa: E402

from explainrun.benchmarks import METRICS  # noqa: E402
from explainrun.explainers import EXPLAINERS, GradCAM, Gradient, GuidedGradCAM, NoiseTunnel  # noqa: E402


class Answering:
    """A worker that answers from a list and notes what it was asked, after whose name."""

    ended = False

    def __init__(self, side, asked, **answers):
        self.side, self.asked, self.answers = side, asked, answers

    def ask(self, do, **request):
        self.asked.append(f"{self.side} {do}")
        answer = self.answers.get(do, {})
        if isinstance(answer, Exception):
            raise answer
        return next(answer) if hasattr(answer, "__next__") else answer


def run_of(seconds):
    costs = {"made": {"occlude": 64, "compile": 2}, "images": {"occlude": 1024}, "needed": {"occlude": 64}}
    return {"seconds": seconds, "compiling": 2.5, "peak_mib": seconds, **costs}


def row(key="digits/overhead/RISE", device="a CPU", **found):
    network, section, name = key.split("/")
    method, _, library = name.partition(" (")
    about = {"key": key, "network": network, "section": section, "method": method, "library": library.rstrip(")")}
    return {**about, "device": device, "at": "2026-11-27 20:00 UTC", **found}


def of_run(key="digits/overhead/RISE", device="a CPU", wall=(6.0, 5.0, 9.0), bare_=(5.0, 4.0, 6.0)):
    made = {"mask": 64, "infer": 1, "differentiate": 3}
    return row(key, device, wall=list(wall), bare=list(bare_), compiling=[2.5], peak_mib=30.2, made=made,
               images={}, needed={"mask": 64, "infer": 1, "differentiate": 2})  # fmt: skip


def of_call():
    return row(
        "lite0/beside/Occlusion (captum)", wall=[12.0, 9.0, 10.0], their_wall=[5.0, 4.0, 7.0], kind="forward",
        bare_image=[0.03, 0.04, 0.05], their_bare_image=[0.02, 0.02, 0.02], batch=16, their_batch=8, bare_batch=32,
        their_bare_batch=8, explained=4, peak_mib=None, their_peak_mib=None,
    )  # fmt: skip


def result(*found, not_measured=()):
    machine = {
        "at": "2026-11-27 20:00 UTC", "commit": "abc", "cores": 2, "load": [0.5, 0, 0],
        "versions": {"mindspore": "2.10.0"},
    }  # fmt: skip
    return {"format": 1, "machine": machine, "quick": False, "rows": list(found), "not_measured": dict(not_measured)}


def test_every_explainer_and_metric_has_a_row_on_every_network():
    assert sorted(rows.EXPLAINERS) == sorted(EXPLAINERS)
    assert sorted(rows.METRICS) == sorted(METRICS)
    keys = [one.key for one in rows.all_rows()]
    assert len(keys) == len(set(keys))
    for network in SUBJECTS:
        for name in (*EXPLAINERS, *METRICS, "uncertainty", "hierarchical occlusion"):
            assert f"{network}/overhead/{name}" in keys


@pytest.mark.parametrize(
    ("network", "pattern", "keys"),
    [
        ("digits", "RISE*", ["digits/overhead/RISE", "digits/overhead/RISEPlus"]),
        ("lite0", "beside/GradCAM (*", [f"lite0/beside/GradCAM ({library})" for library in
                                       ("captum", "grad-cam", "torchcam")]),
        ("", "whole", ["digits/whole/full.yaml", "digits/whole/job of the old package", "lite0/whole/photos.yaml"]),
        ("resnet50", "whole", []),
    ],
)  # fmt: skip
def test_rows_are_chosen_by_network_and_pattern(network, pattern, keys):
    assert [one.key for one in rows.chosen_rows(network, pattern)] == keys


def test_by_default_one_library_stands_beside_each_method_and_quick_is_a_few():
    usual = [one.key for one in rows.chosen_rows()]
    assert "lite0/beside/GradCAM (captum)" in usual
    assert "lite0/beside/GradCAM (torchcam)" not in usual
    assert "digits/overhead/ConstantMap" in usual
    assert "lite0/overhead/ConstantMap" not in usual
    assert len(rows.chosen_rows(quick=True)) == 6


def test_a_run_and_its_bare_passes_take_turns():
    asked = []
    ours = Answering("ours", asked, run=map(run_of, (6.0, 5.0)), bare_of=iter([{"seconds": 5.0}, {"seconds": 4.0}]))
    found = measuring.overhead(Row("digits", "overhead", "RISE"), ours, Effort(repeats=2))
    assert asked == ["ours warm", *["ours run", "ours bare_of"] * 2]
    assert (found["wall"], found["bare"], found["peak_mib"]) == ([6.0, 5.0], [5.0, 4.0], 6.0)


@pytest.mark.parametrize(("clock", "trials"), [(count().__next__, 1), (lambda: 0.0, 3)])
def test_two_libraries_take_turns_each_at_its_best_size(clock, trials):
    asked = []
    answers = {"direct": {"seconds": 8.0, "images": 4, "peak_mib": None}, "bare": {"seconds": 0.02}}
    sides = [
        Answering(side, asked, sized={"sized": sized}, **answers) for side, sized in (("ours", False), ("theirs", True))
    ]
    sizes = BatchSizes(tried=(16, 8))
    found = measuring.beside(
        Row("lite0", "beside", "Occlusion", "captum"), *sides, Effort(repeats=2, clock=clock), sizes
    )
    assert asked[-8:] == ["ours direct", "theirs direct", "ours bare", "theirs bare"] * 2
    assert asked.count("ours direct") == 1 + 2  # no size to try
    assert asked.count("theirs direct") == 1 + 2 * trials + 2  # a trial takes a second by the first clock
    assert (found["batch"], found["kind"], found["explained"]) == (16, "forward", 4)


def test_the_size_of_which_an_image_takes_least_is_found_once():
    per_image, clock = {16: 0.5, 8: 0.25, 32: 0.75}, count().__next__
    sizes = BatchSizes(tried=(16, 8, 32))
    assert sizes.best("theirs", "Occlusion", per_image.__getitem__, clock) == 8
    assert sizes.best("theirs", "Occlusion", {}.__getitem__, clock) == 8
    slow = count(0, 30).__next__  # the limit is 40 seconds
    assert BatchSizes(tried=(16, 32, 8)).best("ours", "x", per_image.__getitem__, slow) == 16


@pytest.mark.parametrize("network", ["digits", "resnet20"])
@pytest.mark.parametrize(("method", "a_map"), [("Gradient", 1), ("IntegratedGradients", 32), ("NoiseTunnel", 16)])
def test_calls_fill_64_passes_on_small_networks(network, method, a_map):
    images = paired_images(Row(network, rows.BESIDE, method, rows.CAPTUM), SUBJECTS[network])
    assert images * a_map == 64 * 16


def test_what_a_process_leaves_goes_with_it(monkeypatch):
    left = "import os, sys, tempfile; print(tempfile.mkdtemp(), flush=True); sys.stdin.read(); os._exit(0)"
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **options: popen([sys.executable, "-c", left], **options))
    with Worker("ours", "digits") as worker:
        folder = Path(worker._process.stdout.readline().strip())
        (folder / "picture").write_bytes(b"1")
    assert not folder.parent.exists()
    assert folder.parent != Path(tempfile.gettempdir())


@pytest.mark.parametrize(("repeats", "seconds", "done"), [(3, 100.0, 3), (3, 1.5, 2), (5, 0.0, 1)])
def test_a_row_is_repeated_until_its_time_is_over(repeats, seconds, done):
    times = []
    assert Effort(repeats, seconds, clock=count().__next__).repeated(lambda: times.append(1)) == done == len(times)


def test_a_row_that_fails_or_comes_too_late_is_reported_and_the_others_measured(monkeypatch, capsys):
    answers = {"run": iter([run_of(6.0)]), "bare_of": {"seconds": 5.0}}
    workers = [Answering("ours", [], run=RowError("ours: no memory")), Answering("ours", [], **answers)]
    workers[0].ended = True
    for worker in workers:
        worker.close = lambda: None
    made = iter(workers)
    monkeypatch.setattr(command, "Worker", lambda *_, **__: next(made))
    clock = count(0, 10).__next__
    chosen = [Row("digits", "overhead", name) for name in ("RISE", "Gradient", "GradCAM", "CAM")]
    kept = []
    found = Session("CPU", Effort(1, 40.0, clock), ends=35.0, keep=kept.append).measure(chosen)
    assert [one["key"] for one in kept[0]["rows"]] == ["digits/overhead/Gradient"]
    assert [one["key"] for one in found["rows"]] == ["digits/overhead/Gradient"]
    assert found["not_measured"]["digits/overhead/RISE"] == "ours: no memory"
    assert "--minutes" in found["not_measured"]["digits/overhead/GradCAM"]
    assert "maximum" in found["not_measured"]["digits/overhead/CAM"]
    assert capsys.readouterr().err.count("!!! NOT MEASURED") == 3


def test_passes_are_grouped_as_they_are_made_bare():
    made = {"occlude": 64, "infer": 2, "network probe": 1, "integrate": 5, "differentiate": 3, "guided": 4,
            "dropout": 6, "ablate": 7, "compile": 2}  # fmt: skip
    assert bare.grouped(made) == {"forward": 67, "plain": 8, "guided": 4, "forward as written": 13}
    assert bare.grouped({"expect": 3, "rescale": 2}) == {"plain": 3, "rescale": 2}
    assert bare.grouped({"differentiate": 3, "infer": 1}, biases=True) == {"plain with biases": 3, "forward": 1}


def test_passes_of_other_rules_are_made_bare(tiny_network):
    import numpy as np  # noqa: PLC0415

    images = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    passes = bare.BarePasses(tiny_network, images, 4, compiled=False)
    assert passes.seconds({"rescale": 2, "plain with biases": 2}, {}, 1.0) > 0
    assert passes._service.passes.made["rescale"] == passes._service.passes.made["differentiate"] == 3


def test_layers_are_read_in_bare_passes_too(tiny_network):
    explainers = [GuidedGradCAM(tiny_network, "0"), NoiseTunnel(GradCAM(tiny_network, "1")), Gradient(tiny_network)]
    assert bare.taps_of(explainers) == {"plain": {"0", "1"}, "guided": set()}


@pytest.fixture
def tiny_network():
    from mindspore import nn  # noqa: PLC0415

    return nn.SequentialCell([nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dense(2, 2)])


def test_figures_of_a_run_and_of_a_call():
    assert results.overhead_of(of_run()) == 1.25  # of 1.2, 1.25 and 1.5
    call = of_call()
    assert results.outright(call) == 2.0
    assert results.bare_ratio(call) == pytest.approx(2.0)
    assert results.beside_bare(call) == pytest.approx(1.0)
    assert results.overhead_of(of_run(bare_=(0.0, 0.0, 0.0))) is None  # a method without passes


def test_rows_of_another_device_and_others_stay(tmp_path):
    before = result(of_run(), of_run(device="a GPU"), of_call(), not_measured={"digits/overhead/LIME": "late"})
    now = result(of_run(wall=(7.0,)), of_run("digits/overhead/LIME"))
    results.write(tmp_path / "found.json", results.merged(before, now))
    found = results.read(tmp_path / "found.json")
    assert [(one["method"], one["device"], one["wall"][0]) for one in found["rows"]] == [
        ("RISE", "a GPU", 6.0), ("Occlusion", "a CPU", 12.0), ("RISE", "a CPU", 7.0), ("LIME", "a CPU", 6.0),
    ]  # fmt: skip
    assert found["not_measured"] == {}
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(ValueError, match="is not a result"):
        results.read(tmp_path / "other.json")


def test_results_are_compared_row_by_row():
    text = tables.compared(result(of_run(wall=(12.0,), bare_=(5.0,)), of_call()), result(of_run()))
    assert text.splitlines()[-1].split() == ["digits/overhead/RISE", "12.00", "6.00", "0.50", "2.40", "1.25"]
    assert "no row is in both" in tables.compared(result(of_call()), result(of_run()))


def test_lines_of_the_tables():
    made = "64 mask, 3 differentiate (2), 1 infer"
    assert tables.run_cells(of_run()) == ["RISE", made, "6.00", "5.00", "1.25", "2.5", "30", "3"]
    assert tables.call_cells(of_call()) == [
        "Occlusion, captum", "4", "10.00", "5.00", "2.00", "2.00", "1.00", "16, 8", "3"
    ]  # fmt: skip


def test_each_line_ends_with_when_it_was_measured():
    later = {**of_run(), "at": "2026-11-28 21:05 UTC", "method": "LIME"}
    for measured, last in (
        (result(of_run(), later), [" 11-27 20:00", " 11-28 21:05"]),
        (result(of_call()), [" 11-27 20:00"]),
    ):
        ((*_, table),) = tables.tables(measured)
        titles, _, *lines = table.splitlines()
        assert titles.rstrip().endswith(" measured")
        assert [line.rstrip()[-12:] for line in lines] == last


def test_the_page_is_what_the_measurement_in_docs_makes():
    measured = results.read(ROOT / "docs" / "costs.json")
    assert page.PAGE.read_text("utf-8") == page.page(measured)
    assert page.PLOT.stat().st_size < 200_000


def test_the_page_and_plot_of_a_result(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "PAGE", tmp_path / "costs.md")
    monkeypatch.setattr(page, "PLOT", tmp_path / "costs.png")
    left_out = {"resnet50/overhead/RISE": "MindCV is not installed"}
    page.write_page(result(of_run(), of_call(), not_measured=left_out))
    text = (tmp_path / "costs.md").read_text("utf-8")
    assert "Of 1 rows the median is 1.25, the largest 1.25." in text
    assert "- `resnet50/overhead/RISE`: MindCV is not installed" in text
    assert (tmp_path / "costs.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_says_where_the_machine_was_busy_or_the_work_a_trial():
    found = result(of_run())
    assert "measure again" not in page.page(found)
    found["machine"]["load"] = [3.5, 0, 0]
    assert "measure again" in page.page(found)
    assert "hardly any work" in page.page({**found, "quick": True})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "RAISE"], "no row is named RAISE"),
        (["--repeats", "0"], "whole number from 1, got 0"),
        (["--compare", "nothing.json"], "nothing.json"),
        (["--json", "list.json"], "list.json is not a result"),
        (["--json", "usual.json", "--quick"], "usual.json holds rows"),
        (["--page", "nothing.json"], "nothing.json"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_measured(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("list.json").write_text("[]")
    results.write(Path("usual.json"), result(of_run()))
    monkeypatch.setattr(Session, "measure", None)
    with pytest.raises(SystemExit, match="2"):
        __main__.main(arguments)
    assert words in capsys.readouterr().err


def test_rows_are_measured_shown_compared_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Session, "measure", lambda _self, chosen: result(*(of_run(one.key) for one in chosen)))
    results.write(tmp_path / "then.json", result(of_run(wall=(12.0,), bare_=(5.0,))))
    arguments = ["--rows", "overhead/RISE", "--network", "digits", "--json", str(tmp_path / "now.json")]
    with pytest.raises(SystemExit, match="0"):
        __main__.main([*arguments, "--compare", str(tmp_path / "then.json")])
    said = capsys.readouterr().out
    assert "bundled digit network, 112 x 112: overhead, on a CPU" in said
    assert "64 mask, 3 differentiate (2), 1 infer" in said
    assert [one["key"] for one in results.read(tmp_path / "now.json")["rows"]] == ["digits/overhead/RISE"]
    assert said.splitlines()[-1].startswith("digits/overhead/RISE")


@pytest.mark.long
def test_all_of_it_works_on_hardly_any_work(tmp_path):
    """With a real process; rows beside other libraries where those are installed, else they are reported."""
    file = tmp_path / "found.json"
    path = os.pathsep.join([str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    arguments = ["--quick", "--network", "digits", "--json", str(file)]
    subprocess.run([sys.executable, "-m", "benchmarking", *arguments], check=True, env=environment)
    found = {one["method"]: one for one in results.read(file)["rows"]}
    assert set(found) == {"Gradient", "Occlusion", "InsertionAUC", "job of the old package"}
    assert found["Occlusion"]["made"]["occlude"] == 2  # 2 samples of 4 x 4 windows
    assert results.overhead_of(found["Occlusion"]) > 0
