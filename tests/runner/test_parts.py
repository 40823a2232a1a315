"""What takes many passes is committed in parts, of which a kill costs one; the other work fills its passes."""

import json
from collections import Counter

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.benchmarks import ClassSensitivity, DeletionAUC, InsertionAUC, PointingGame, Robustness
from explainrun.explainers import AblationCAM, GradCAM, Gradient, GuidedBackprop, Occlusion
from explainrun.runner import ImageClassificationRunner, NotComputedError, RunStopped
from explainrun.runner.batches import part_sizes
from explainrun.runner.batches.batch_loop import BatchLoop
from explainrun.runner.batches.part_sizes import cut
from explainrun.summary_format import Results, find_runs, inspect_run, remove_runs
from explainrun.summary_format.archive.parts import PartName, Parts

OCCLUSION = "000000.Occlusion.maps"


class Refined(Gradient):
    """Reads a pass that others read, and makes two of its own for each question."""

    def attribute(self, view):
        images = (image * factor for image in view.asked_images for factor in (0.5, 2.0))
        logits = view.network.pooled_logits(images, "refine").reshape(len(view.rows), 2, -1)
        return super().attribute(view) + logits[:, :, 0].sum(axis=1)[:, None, None]

    def images_needed(self, images, questions, shape):
        return {"refine": 2 * questions}


@pytest.fixture
def run(two_channels, dataset, scenes, tmp_path, monkeypatch):
    """Runs one plan, with parts of so many passes, on batches of eight samples and of two."""
    network = two_channels()

    def run_with(folder="run", passes=8, explainers=None, rows=None, **options):
        monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", passes)
        data = dataset(list(scenes(10)) if rows is None else rows), ["zero", "one"]
        settings = {"pass_size": 2, "jit": "off", **options}
        runner = ImageClassificationRunner(tmp_path / folder, data, network, nn.Sigmoid(), **settings)
        explainers = explainers or [
            Gradient(network),
            Occlusion(network, nn.Sigmoid(), window=1),
            Refined(network),
            AblationCAM(network, "relu"),
        ]
        metrics = [InsertionAUC(2, nn.Sigmoid(), steps=4), PointingGame(2, tolerance=1), ClassSensitivity()]
        runner.register_saliency(explainers, [*metrics, Robustness(2, nn.Sigmoid(), samples=2, threshold=9)])
        return runner.run()

    return run_with


@pytest.fixture
def whole(run):
    """The same without parts."""
    return run("whole", passes=10**6)


def parts_of(folder):
    [made] = find_runs(folder)
    return sorted(path.relative_to(made.parts).as_posix() for path in made.parts.glob("*/*"))


@pytest.mark.parametrize("passes", [8, *(pytest.param(passes, marks=pytest.mark.slow) for passes in (1, 30))])
def test_parts_change_nothing(run, whole, tmp_path, how_runs_differ, passes):
    result = run(passes=passes)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    assert not list(tmp_path.rglob("parts"))
    for name in ("images", "needed"):
        assert result.costs[name] == whole.costs[name]
    cheap = ("infer", "activate", "noise")  # which are passes of whole batches, whatever is beside them
    assert [result.costs["made"][kind] for kind in cheap] == [whole.costs["made"][kind] for kind in cheap]


def commits_of(run, folder):
    """How many commits each batch of a run has."""
    counted, now, begin, commit = Counter(), [0], BatchLoop.batch, BatchLoop._commit

    def at_batch(self, index, *rest):
        now[0] = index
        begin(self, index, *rest)

    def at_commit(self, *work, **options):
        commit(self, *work, **options)
        counted[now[0]] += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchLoop, "batch", at_batch)
        patch.setattr(BatchLoop, "_commit", at_commit)
        run(folder)
    return counted


@pytest.mark.long
def test_killed_after_any_commit_it_ends_as_if_it_had_not_been(run, whole, kill, tmp_path, how_runs_differ, every):
    commits = commits_of(run, "counted")
    assert commits[0] > 15  # samples, records, four explainers, and the rest are parts
    for number in range(1, commits[0] + 1, every(9)):
        folder = f"run {number}"
        kill(lambda folder=folder: run(folder), 0, number)
        result = run(folder)
        assert how_runs_differ(tmp_path / "whole", tmp_path / folder) == [], number
        for kind in ("occlude", "perturb", "infer"):  # what is committed is neither made nor needed again
            again = result.costs["images"][kind] - whole.costs["images"][kind]
            assert again in ((0, 1) if kind == "perturb" else (0,)), (number, kind)  # each start asks the baseline
            assert result.costs["needed"][kind] == whole.costs["needed"][kind], (number, kind)


def test_an_unfinished_run_shows_its_whole_segments_and_counts_its_parts(run, kill, tmp_path):
    kill(run, 0, 3)
    before = inspect_run(tmp_path / "run")
    kill(run, 0, 6)
    found = inspect_run(tmp_path / "run")
    assert parts_of(tmp_path / "run")
    assert (found.state, found.faults) == ("unfinished", ())
    assert sum(found.costs["made"].values()) > sum(before.costs["made"].values())
    assert found.progress.share > before.progress.share > 0
    so_far = Results(tmp_path / "run")
    assert (len(so_far.samples), so_far.costs["made"]) == (0, found.costs["made"])


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 4
    path.unlink()
    path.write_bytes(data)


def cut_short(path):
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-5])


def of_another_run(path):
    [other] = find_runs(path.parents[4] / "other")
    name = path.relative_to(path.parents[1])
    data = (other.parts / name).read_bytes()
    path.unlink()
    path.write_bytes(data)


def of_other_samples(path):
    path.rename(path.with_name("maps-1-3" if path.name != "maps-1-3" else "maps-2-4"))


RARE = [pytest.param(change, marks=pytest.mark.slow) for change in (cut_short, of_other_samples)]


@pytest.mark.slow
@pytest.mark.parametrize("change", [damage, of_another_run, *RARE])
def test_a_part_that_does_not_belong_is_reported_and_made_again(
    run, whole, kill, tmp_path, how_runs_differ, caplog, change
):
    kill(run, 0, 6)
    kill(lambda: run("other", seed=1), 0, 6)
    name = parts_of(tmp_path / "run")[0]
    [made] = find_runs(tmp_path / "run")
    change(made.parts / name)
    [fault] = inspect_run(tmp_path / "run").faults if change is not of_other_samples else [None]
    result = run()
    reported = [message for message in caplog.messages if message.endswith("; it is computed again")]
    assert len(reported) == 1
    assert name.rpartition("/")[0] in reported[0]
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    assert result.costs["needed"]["perturb"] == whole.costs["needed"]["perturb"]
    assert fault is None or "run again to recompute it" in str(fault)


def test_a_run_in_parts_is_replaced_with_all_that_it_holds(run, kill, tmp_path):
    kill(run, 0, 6)
    [before] = find_runs(tmp_path / "run")
    assert before.parts.exists()
    remove_runs(tmp_path / "run")
    assert not before.data.exists()


@pytest.mark.slow
def test_parts_left_beside_their_segment_are_removed(run, whole, kill, tmp_path, how_runs_differ):
    kill(run, 0, 6)
    [made] = find_runs(tmp_path / "run")
    name = parts_of(tmp_path / "run")[0]
    kept = (made.parts / name).read_bytes()
    kill(run)
    assert not parts_of(tmp_path / "run")
    (made.parts / name).parent.mkdir(parents=True)
    (made.parts / name).write_bytes(kept)
    result = run()
    assert not made.parts.exists()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    assert result.costs["made"]["occlude"] == whole.costs["made"]["occlude"]


def test_a_map_that_is_not_finite_ends_a_strict_run_before_its_part_is_committed(
    two_channels, dataset, scenes, run, tmp_path, raising
):
    rows = list(scenes(8))

    class Holey(Occlusion):
        def attribute(self, view):
            maps = super().attribute(view)
            maps[view.sample_ids[view.rows] == 5] = np.nan
            return maps

    explainers = [Holey(two_channels(), nn.Sigmoid(), window=1)]
    network = explainers[0].network
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part_sizes, "PASSES_A_COMMIT", 8)
        runner = ImageClassificationRunner(
            tmp_path, (dataset(rows), ["zero", "one"]), network, nn.Sigmoid(), pass_size=2, strict=True, jit="off"
        )
        runner.register_saliency(explainers)
        with raising(NotComputedError, "map-not-finite", sample=5):
            runner.run()
    assert parts_of(tmp_path) == [f"000000.Holey.maps/maps-{first}-{first + 2}" for first in (0, 2)]


def test_a_signal_loses_the_part_at_hand_at_most(run, whole, tmp_path, how_runs_differ, monkeypatch):
    commit, parts = BatchLoop._commit, []

    def stopping(self, *work, **options):
        self._stop = lambda: parts.append(parts_of(tmp_path / "run")) or stop_with(self, parts)
        commit(self, *work, **options)

    def stop_with(loop, parts):
        loop._committer.drain()
        if len(parts_of(tmp_path / "run")) == 2:
            raise RunStopped("stopped by a signal; run again to resume")

    with monkeypatch.context() as patch:
        patch.setattr(BatchLoop, "_commit", stopping)
        with pytest.raises(RunStopped):
            run()
    assert len(parts_of(tmp_path / "run")) == 2
    run()
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []


def test_parts_know_their_run(tmp_path, run, kill):
    kill(run, 0, 6)
    [made] = find_runs(tmp_path / "run")
    names = Parts(made).all()
    assert names
    assert all(Parts(made).has(name) for name in names)
    assert not Parts(made).has(PartName(OCCLUSION, "scores", 0, 99))
    plan = made.data / "plan.json"
    content = json.loads(plan.read_text())
    plan.write_text(json.dumps({**content, "state": {**content["state"], "begins": []}}))
    with pytest.raises(ValueError, match="of a run of another plan"):
        Parts(made).read(names[0])


@pytest.mark.parametrize(
    ("images", "parts"),
    [
        ([], [(0, 0)]),
        ([{}, {}], [(0, 2)]),
        ([{"a": 10}] * 3, [(0, 3)]),  # 30 of 32 images
        ([{"a": 10}] * 4, [(0, 2), (2, 4)]),  # of 20 and of 30 images the first fill five passes
        ([{"a": 100}] * 2, [(0, 1), (1, 2)]),
        ([{"a": 8, "b": 2}] * 5, [(0, 2), (2, 5)]),  # two of b twice
        ([{}, {"a": 20}, {}, {"a": 20}], [(0, 3), (3, 4)]),
    ],
)
def test_where_parts_end(monkeypatch, images, parts):
    """Passes of 4, of which 8 make a part."""
    monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", 8)
    assert cut(images, 4) == parts


def test_parts_of_a_search_have_so_many_samples_at_least(monkeypatch):
    monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", 8)
    assert cut([{"search": 100}] * 5, 4, least=2) == [(0, 2), (2, 4), (4, 5)]


class Small(nn.Cell):
    """Three logits of contrast in images (3, 64, 64)."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.conv = nn.Conv2d(3, 4, 8, stride=8, pad_mode="valid")
        self.conv.weight.set_data(Tensor((rng.normal(size=(4, 3, 8, 8)) / 8).astype(np.float32)))
        self.relu, self.dropout = nn.ReLU(), nn.Dropout(p=0.3)
        self.head = nn.Dense(4, 3, has_bias=False)
        self.head.weight.set_data(Tensor(rng.normal(size=(3, 4)).astype(np.float32)))

    def construct(self, x):
        return self.head(self.dropout(ops.amax(self.relu(self.conv(x)), (2, 3))))


def noise_images(count):
    rng = np.random.default_rng(1)
    for i in range(count):
        image = rng.normal(size=(3, 64, 64)).astype(np.float32)
        yield image, np.int32([i % 3, (i + 1) % 3]), np.int32([[5, 30, 20, 8]] * 2)


@pytest.mark.slow
def test_hierarchical_occlusion_in_parts(dataset, tmp_path, monkeypatch, kill, how_runs_differ):
    network = Small()

    def run(folder, passes=2):
        monkeypatch.setattr(part_sizes, "PASSES_A_COMMIT", passes)
        data = dataset(list(noise_images(6))), list("abc")
        runner = ImageClassificationRunner(tmp_path / folder, data, network, nn.Softmax(), pass_size=2, jit="off")
        runner.register_saliency([Gradient(network)])
        runner.register_hierarchical_occlusion(threshold=0.4)
        return runner.run()

    whole = run("whole", passes=10**6)
    assert whole.outcomes["found"]
    kill(lambda: run("run"), 0, 3)
    assert parts_of(tmp_path / "run") == ["000000.searched/searched-0-2", "000000.searched/searched-2-4"]
    result = run("run")
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    assert result.costs["images"]["search"] == whole.costs["images"]["search"]
    assert not list(tmp_path.rglob("parts"))


@pytest.mark.long
def test_a_job_of_the_old_package_makes_as_many_passes_as_its_images_fill(dataset, tmp_path):
    """Four explainers, of which Occlusion takes 2,048 passes, three metrics, uncertainty, hierarchical occlusion."""
    network = Small()
    data = dataset(list(noise_images(32))), list("abc")
    runner = ImageClassificationRunner(tmp_path, data, network, nn.Softmax(), labels="top-2", jit="off")
    explainers = [GradCAM(network, "relu"), GuidedBackprop(network), Gradient(network)]
    metrics = [InsertionAUC(3, nn.Softmax(), steps=32), DeletionAUC(3, nn.Softmax(), steps=32), PointingGame(3)]
    runner.register_saliency([*explainers, Occlusion(network, nn.Softmax())], metrics)
    runner.register_uncertainty(10)
    runner.register_hierarchical_occlusion()
    costs = runner.run().costs
    fewest = {kind: -(-images // 16) for kind, images in costs["images"].items()}
    assert costs["images"]["occlude"] == 32 * 32 * 32
    assert costs["images"]["differentiate"] == costs["images"]["guided"] == 64
    assert costs["images"]["perturb"] == 4 * 64 * 62 + 1
    assert costs["made"] == fewest
    assert costs["needed"] == fewest
    assert ms.get_context("mode") == ms.PYNATIVE_MODE
