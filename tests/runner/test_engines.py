"""An engine hands out shards: with a stand-in for the few calls of Ray that are used, which works in this process."""

import io
import pickle
import shutil
import signal
import socket
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from mindspore import nn

from explainrun.explainers import Gradient
from explainrun.runner import EngineError, ImageClassificationRunner, PlanError, RunStopped, runner_from
from explainrun.runner.cli.main import main
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config
from explainrun.runner.engines import shard_worker
from explainrun.runner.engines.ray_engine import run_on_ray
from explainrun.runner.plan.engine_options import EngineOptions, checked_resources, engine_options
from explainrun.runner.plan.sharding import Shard
from explainrun.summary_format import FolderLock, find_runs
from explainrun.summary_format.inspection.progress import committed_samples


class RayError(Exception):
    """Ray's own, of which all its errors are."""


class StandIn:
    """Ray as far as the engine uses it. A task runs when it is asked for, as pickled as it would be on its way.

    Args:
        before: called with an order and the number of the attempt before a task runs; may change the order, or raise.
        nodes: the resources of each.
    """

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, before=lambda order, attempt: None, nodes=({"CPU": 4.0},)):
        self.before, self.resources, self.connected = before, nodes, False
        self.options, self.attempts, self.cancelled, self.given = {}, {}, [], []

    def is_initialized(self):
        return self.connected

    def init(self, address, **options):
        self.address, self.given, self.connected = address, options, True

    def shutdown(self):
        self.connected = False

    def nodes(self):
        dead = {"Alive": False, "Resources": {"CPU": 1000.0}}
        return [dead, *({"Alive": True, "Resources": each} for each in self.resources)]

    def remote(self, **options):
        self.options = options
        return lambda function: SimpleNamespace(remote=lambda order: Task(function, pickle.dumps(order)))

    def wait(self, tasks, timeout):
        return tasks[:1], tasks[1:]

    def get(self, task):
        if task in self.cancelled:
            raise RayError("cancelled")
        order = pickle.loads(task.order)
        attempt = self.attempts[order["shard"]] = self.attempts.get(order["shard"], 0) + 1
        self.before(order, attempt)
        return task.function(order)

    def cancel(self, task):
        self.cancelled.append(task)


class Task:
    def __init__(self, function, order):
        self.function, self.order = function, order


@pytest.fixture
def project(gated_project, tmp_path):
    """A project with six scenes, two a batch."""
    project = gated_project(tmp_path / "project")
    project.write_scenes(6)
    return project


@pytest.fixture
def run(project, tmp_path):
    """Runs the project's config on an engine."""

    def on(ray, folder="run", shards=3, address="here", resources=None, **how):
        config, _ = load_config(project.folder / "gate.yaml", {"summary_dir": str(tmp_path / folder), "pass_size": 1})
        runner = build_runner(config, [], project.folder, computes=False)
        options = engine_options("ray", shards, address, resources)
        return run_on_ray(runner.plan(), runner.maker, options, ray, **{"overwrite": False, "resume": True, **how})

    return on


@pytest.fixture
def whole(project, tmp_path):
    """The run of all samples in one."""
    config, _ = load_config(project.folder / "gate.yaml", {"summary_dir": str(tmp_path / "whole"), "pass_size": 1})
    build_runner(config, [], project.folder).run()
    return tmp_path / "whole"


def finished(folder, shards=3):
    """Which shards are."""
    paths = [folder / Shard(number, shards).name for number in range(1, shards + 1)]
    return [number for number, path in enumerate(paths, 1) if any(run.finished for run in find_runs(path))]


def dies(shard, *attempts):
    """Has the worker of a shard die before it begins, at some of its attempts."""

    def before(order, attempt):
        if order["shard"][0] == shard and attempt in attempts:
            raise RayError("The worker died unexpectedly\nSee the logs")

    return before


def test_merged_is_the_run_in_one(run, whole, tmp_path, how_runs_differ):
    ray = StandIn(nodes=[{"CPU": 2.0, "GPU": 1.0, "disk": 3.0, "memory": 1e9}])
    result = run(ray, resources={"CPU": 2, "GPU": 0.5, "memory": 1000, "disk": 1})
    assert how_runs_differ(whole, tmp_path / "run") == []
    assert (result.samples, result.summary_dir) == (6, tmp_path / "run")
    assert ray.options.pop("scheduling_strategy") == "SPREAD"
    own = {"num_cpus": 2, "num_gpus": 0.5, "memory": 1000, "resources": {"disk": 1}}
    assert ray.options == {"max_calls": 1, "max_retries": 0, **own}
    assert (ray.address, ray.connected) == ("here", False)
    assert not list((tmp_path / "run").glob(".explainrun*"))


def test_a_worker_that_dies_is_replaced(run, whole, tmp_path, how_runs_differ, caplog):
    ray = StandIn(dies(2, 1, 2))
    run(ray)
    assert ray.attempts == {(1, 3): 1, (2, 3): 3, (3, 3): 1}
    assert caplog.text.count("shard 2/3, on ?: The worker died unexpectedly; trying again") == 1
    assert how_runs_differ(whole, tmp_path / "run") == []


@pytest.mark.slow
def test_a_shard_that_fails_three_times_is_given_up(run, whole, tmp_path, how_runs_differ, raising):
    with raising(EngineError, "shards-given-up") as caught:
        run(StandIn(dies(2, 1, 2, 3)))
    assert caught.value.exit_code == 3
    [said] = caught.value.problems[0].values["shards"]
    assert said.startswith("shard 2/3, on ?: The worker died unexpectedly")
    assert finished(tmp_path / "run") == [1, 3]
    ray = StandIn()
    run(ray)
    assert how_runs_differ(whole, tmp_path / "run") == []


def test_what_fails_in_the_worker_counts_as_well(run, raising, monkeypatch, project):
    """Other than bad input, it may be the host's fault."""

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("explainrun.runner.execution.engine.execute", full)
    ray = StandIn()
    with raising(EngineError, "shards-given-up") as caught:
        run(ray, shards=1)
    assert ray.attempts == {(1, 1): 3}
    assert "No space left on device" in caught.value.problems[0].values["shards"][0]


def changed(**values):
    """Has the worker of shard 2 find something else in its order."""

    def before(order, attempt):
        if order["shard"][0] == 2:
            order.update(values)

    return before


def without_network(project):
    def before(order, attempt):
        if order["shard"][0] == 2:
            (project.folder / "gated_network.py").unlink(missing_ok=True)

    return before


@pytest.mark.parametrize(
    ("before", "code", "values"),
    [
        (changed(versions={"explainrun": "0.0.1"}), "worker-version", {}),
        (changed(mark="/nowhere/.explainrun.1"), "summary-dir-not-shared", {"folder": "/nowhere"}),
        (without_network, "file-missing", {}),
    ],
)
def test_what_would_be_wrong_again_stops_all(run, project, tmp_path, raising, before, code, values):
    ray = StandIn(before(project) if before is without_network else before)
    with raising(PlanError, code, **values) as caught:
        run(ray)
    assert "shard 2/3, on " in str(caught.value)
    assert len(caught.value.problems) == 1
    assert (ray.attempts, len(ray.cancelled)) == ({(1, 3): 1, (2, 3): 1}, 1)
    assert finished(tmp_path / "run") == [1]


def test_versions_name_both(run, raising):
    with raising(PlanError, "worker-version") as caught:
        run(StandIn(changed(versions={"explainrun": "0.0.1"})))
    [said] = caught.value.problems[0].values["versions"]
    assert said.endswith(" instead of 0.0.1")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all(run, whole, tmp_path, how_runs_differ, number):
    def before(order, attempt):
        if order["shard"][0] == 2:
            signal.raise_signal(number)

    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    ray = StandIn(before)
    with pytest.raises(RunStopped):
        run(ray)
    assert handlers == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    assert len(ray.cancelled) == 1
    assert not any(found.finished for found in find_runs(tmp_path / "run"))
    run(StandIn())
    assert how_runs_differ(whole, tmp_path / "run") == []


def test_a_folder_in_use_is_waited_for(run, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(shard_worker, "WAIT_SECONDS", -1.0)
    lock = FolderLock(tmp_path / "run" / "shard-2-of-3")

    def before(order, attempt):
        if order["shard"][0] == 2 and attempt == 5:
            lock.__exit__(None, None, None)

    ray = StandIn(before)
    lock.__enter__()
    run(ray)
    assert ray.attempts[2, 3] == 5  # more often than a shard may fail
    assert caplog.text.count("another run is writing to") == 1


def test_two_drivers(run, tmp_path, raising):
    with FolderLock(tmp_path / "run"), raising(OSError, "folder-in-use"):
        run(StandIn())


@pytest.mark.slow
def test_finished_shards_end_at_once(run, project, tmp_path):
    run(StandIn())
    for path in (tmp_path / "run").iterdir():
        if not path.name.startswith("shard"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("results.h5")}
    assert len(made) == 3
    run(StandIn())
    assert made == {path: path.stat().st_mtime_ns for path in made}


@pytest.mark.slow
def test_overwriting_begins_each_shard_once(run, project, tmp_path):
    """A worker that dies after it has begun leaves what the next one resumes."""
    run(StandIn())
    shard = tmp_path / "run" / "shard-2-of-3"
    [old] = find_runs(shard)
    seen = []

    def before(order, attempt):
        if order["shard"][0] == 2:
            seen.append([found.data for found in find_runs(shard)])

    class DiesAtTheEnd(StandIn):
        def get(self, task):
            answer = super().get(task)
            if len(seen) == 1 and pickle.loads(task.order)["shard"][0] == 2:
                seen.append([found.data for found in find_runs(shard)])
                raise RayError("The node died")
            return answer

    run(DiesAtTheEnd(before), overwrite=True)
    at_first, once_made, at_second = seen[0], seen[1], seen[2]
    assert at_first == [old.data]
    assert old.data not in once_made
    assert at_second == once_made == [found.data for found in find_runs(shard)]


def test_no_cluster(run, raising):
    class Alone(StandIn):
        def init(self, address, **options):
            raise ConnectionError("ray client connection timeout\nand more")

    with raising(EngineError, "no-ray-cluster", address="here", said="ray client connection timeout"):
        run(Alone())


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "localhost:99999"])
def test_nothing_listens(run, raising, address):
    with raising(EngineError, "no-ray-cluster", address=address):
        run(StandIn(), address=address)


def test_something_listens(run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        run(StandIn(), address=f"127.0.0.1:{server.getsockname()[1]}")


def test_a_cluster_that_is_lost(run, raising):
    class Lost(StandIn):
        def wait(self, tasks, timeout):
            raise RayError("the GCS is gone")

    ray = Lost()
    with raising(EngineError, "ray-failed", said="the GCS is gone"):
        run(ray)
    assert not ray.connected


@pytest.mark.slow
def test_which_cluster(run, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ray = StandIn()
    run(ray, "one", 1, address=None)
    assert ray.address == "local"
    assert ray.given["num_cpus"] >= 1
    monkeypatch.setenv("RAY_ADDRESS", "there")
    run(ray, "two", 1, address=None)
    assert ray.address == "there"
    assert "num_cpus" not in ray.given
    ray.connected = True
    run(ray, "three", 1)
    assert (ray.address, ray.connected) == ("there", True)  # what the script has is left as it is


def test_too_few_resources(run, raising, caplog, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    nodes = [{"CPU": 3.0}, {"CPU": 1.0, "GPU": 1.0}]
    with raising(PlanError, "no-node-fits", asked=["CPU 2", "GPU 1"]):
        run(StandIn(nodes=nodes), address=None, resources={"CPU": 2, "GPU": 1})
    run(StandIn(nodes=nodes), resources={"CPU": 2, "GPU": 1})
    assert "shards wait until one has" in caplog.text


def test_without_ray(run, raising, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with raising(PlanError, "ray-missing"):
        run(None)


@pytest.mark.slow
class TestBefore:
    """What the merged run's folder holds before shards begin."""

    @pytest.fixture
    def runner(self, project, tmp_path):
        config, _ = load_config(project.folder / "gate.yaml", {"summary_dir": str(tmp_path / "run"), "pass_size": 1})
        return build_runner(config, [], project.folder)

    @pytest.fixture(autouse=True)
    def without_ray(self, monkeypatch):
        """What comes so far asks for it."""
        monkeypatch.setitem(sys.modules, "ray", None)

    def test_nothing(self, runner, raising):
        with raising(PlanError, "ray-missing"):
            runner.run(engine="ray", shards=3)

    def test_the_same_run(self, run, runner):
        run(StandIn())
        assert runner.run(engine="ray", shards=3).finished_before

    def test_another_run(self, run, runner, project, raising):
        run(StandIn())
        project.looks_at(project.BAD)
        other = runner.maker()
        with raising(PlanError, "folder-holds-other-plan"):
            other.run(engine="ray", shards=3)
        with raising(PlanError, "ray-missing"):
            other.run(engine="ray", shards=3, overwrite=True)

    def test_an_unfinished_run_in_one(self, runner, kill, raising):
        kill(runner.run, 0, 1)
        with raising(PlanError, "folder-holds-whole-run"):
            runner.run(engine="ray", shards=3)


MAKER = """
from pathlib import Path

from mindspore import nn
from explainrun.explainers import Gradient
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.config.factories import load_network
from explainrun.runner.data.file_datasets import hdf5_dataset

def made(folder, scenes):
    network = load_network("gated_network.py:looking", folder=Path(__file__).parent)
    data = hdf5_dataset(scenes), ["left", "right"]
    runner = ImageClassificationRunner(folder, data, network, nn.Softmax(), jit="off")
    runner.register_saliency([Gradient(network)])
    return runner

def nothing():
    return None
"""


def test_a_script(project, tmp_path, how_runs_differ, raising):
    (project.folder / "mine.py").write_text(MAKER)
    scenes = project.folder / "scenes.h5"
    runner_from("mine.py:made", project.folder, folder=str(tmp_path / "whole"), scenes=scenes).run()
    runner = runner_from("mine.py:made", project.folder, folder=str(tmp_path / "run"), scenes=scenes)
    run_on_ray(
        runner.plan(), runner.maker, EngineOptions(engine="ray", shards=2), StandIn(), overwrite=False, resume=True
    )
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    with raising(PlanError, "factory-made-no-runner", kind="NoneType"):
        runner_from("mine.py:nothing", project.folder)
    with raising(PlanError, "factory-unknown", where="mine.py:lost"):
        runner_from("mine.py:lost", project.folder)


def test_a_runner_of_live_objects(two_channels, dataset, tmp_path, raising):
    network, data = two_channels(), dataset([(two_channels.IMAGE[0], 0)])
    runner = ImageClassificationRunner(tmp_path / "run", (data, ["zero", "one"]), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network)])
    with raising(PlanError, "runner-without-maker", engine="ray"):
        runner.run(engine="ray", shards=2)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "kind", "code"),
    [
        ({"engine": "spark", "shards": 2}, ValueError, "engine-unknown"),
        ({"engine": 3, "shards": 2}, TypeError, "not-a-text"),
        ({"engine": "ray", "shards": None}, ValueError, "engine-without-shards"),
        ({"engine": "ray", "shards": 0}, ValueError, "not-a-whole-number"),
        ({"engine": "ray", "shards": 2**21}, ValueError, "shards-too-many"),
        ({"engine": None, "shards": 2}, ValueError, "engine-missing"),
        ({"engine": None, "shards": None, "resources": {}}, ValueError, "engine-missing"),
        ({"engine": "ray", "shards": 2, "shard": "1/2"}, ValueError, "engine-places-shards"),
        ({"engine": "ray", "shards": 2, "summary_dir": "runs/{shard}"}, ValueError, "engine-places-shards"),
        ({"engine": "ray", "shards": 2, "address": 6379}, TypeError, "not-a-text"),
    ],
)
def test_options(given, kind, code, raising):
    with raising(kind, code):
        engine_options(**given)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (["CPU"], "resources-no-mapping"),
        ({"": 1}, "resources-no-mapping"),
        ({"CPU": 1.5}, "not-a-whole-number"),
        ({"CPU": -1}, "not-a-whole-number"),
        ({"CPU": True}, "not-a-whole-number"),
        ({"GPU": 0}, "not-above-zero"),
        ({"GPU": float("nan")}, "not-a-number"),
        ({"GPU": 1.5}, "resource-no-whole-number"),
        ({"disk": "much"}, "not-a-number"),
    ],
)
def test_odd_resources(given, code, raising, project):
    with raising(ValueError, code):
        checked_resources(given)
    with raising(PlanError, code):
        load_config(project.folder / "gate.yaml", {"engine": {"resources": given}})


def test_resources():
    assert checked_resources({}) == {"CPU": 1}
    assert checked_resources({"GPU": 0.25, "CPU": 0}) == {"CPU": 0, "GPU": 0.25}


def test_an_engine_is_no_part_of_a_plan(project, tmp_path):
    plans = [
        build_runner(load_config(project.folder / "gate.yaml", given)[0], [], project.folder).plan().described
        for given in ({}, {"engine.resources.CPU": 4})
    ]
    assert plans[0].raw == plans[1].raw


class TestCommand:
    @pytest.fixture
    def command(self, project, tmp_path):
        start = ["run", str(project.folder / "gate.yaml"), "--summary-dir", str(tmp_path / "run")]
        return lambda *options: CliRunner().invoke(main, [*start, *options])

    @pytest.mark.parametrize(
        "options",
        [
            ["--engine", "spark", "--shards", "2"],
            ["--engine", "ray"],
            ["--shards", "2"],
            ["--engine", "ray", "--shards", "2", "--shard", "1/2"],
            ["--engine", "ray", "--shards", "2", "--set", "engine.resources.CPU=x"],
        ],
    )
    def test_bad_input(self, command, options, tmp_path):
        ended = command(*options)
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert not (tmp_path / "run").exists()

    def test_one_line_where_ray_is_missing(self, command, monkeypatch):
        monkeypatch.setitem(sys.modules, "ray", None)
        ended = command("--engine", "ray", "--shards", "2")
        assert (ended.exit_code, ended.stderr.count("\n")) == (2, 1)
        assert "pip install 'explainrun[ray]'" in ended.stderr


def test_one_bar_over_all_shards(run, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    run(StandIn())
    assert "6/6" in screen.getvalue()
    assert "3 of 3 shards finished" in screen.getvalue()


def test_how_far_a_shard_is(make_runner, kill, tmp_path):
    """Of the first batch, four samples, the samples and one of two explainers; another batch of two is to come."""
    assert committed_samples(tmp_path / "run", 2, 4, 6) == 0
    kill(make_runner().run, 0, 2)
    assert committed_samples(tmp_path / "run", 2, 4, 6) == pytest.approx(6 * (2 / 3) / 2)
    assert committed_samples(tmp_path / "run", 2, 4, None) == pytest.approx(4 * 2 / 3)
    assert committed_samples(tmp_path / "run", 0, 1, 1) == 1  # never more than there are
