"""Plans that grow: of a tiny network on pictures large enough for hierarchical occlusion."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.benchmarks import ClassSensitivity, InsertionAUC, IoSR, PointingGame, Robustness
from explainrun.explainers import RISE, GradCAM, Gradient, Occlusion
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.batches.batch_loop import BatchLoop
from explainrun.runner.execution import engine

SHAPE, CLASSES = (3, 56, 60), 3
EXPLAINERS = {
    "Gradient": Gradient,
    "GradCAM": lambda network: GradCAM(network, "relu"),
    "Automatic": lambda network: GradCAM(network, name="Automatic"),  # whose layer is chosen
    "Occlusion": lambda network: Occlusion(network, nn.Sigmoid(), window=(28, 20)),
    "RISE": lambda network: RISE(network, nn.Sigmoid(), num_masks=5, grid=3),
}
METRICS = {
    "PointingGame": lambda _: PointingGame(CLASSES, tolerance=3),
    "InsertionAUC": lambda _: InsertionAUC(CLASSES, SIGMOID, steps=2),
    "IoSR": lambda _: IoSR(CLASSES),
    "ClassSensitivity": lambda _: ClassSensitivity(),
    "Robustness": lambda _: Robustness(CLASSES, SIGMOID, samples=2),
}
SIGMOID = nn.Sigmoid()


class Killed(BaseException):
    """Stands for SIGKILL: nobody catches it."""


class Striped(nn.Cell):
    """Logits of contrast, by places, on (N, 3, 56, 60)."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.conv = nn.Conv2d(3, 8, 7, stride=7, pad_mode="valid")
        self.conv.weight.set_data(Tensor(rng.normal(size=(8, 3, 7, 7)).astype(np.float32) / 6))
        self.relu, self.dropout = nn.ReLU(), nn.Dropout(p=0.3)
        self.head = nn.Dense(8, CLASSES, has_bias=False)
        self.head.weight.set_data(Tensor(rng.normal(size=(CLASSES, 8)).astype(np.float32) * 2))

    def construct(self, x):
        return self.head(self.dropout(self.relu(self.conv(x)).mean((2, 3))))


def make_pictures(count):
    """Rows of pictures with texture at places, labels (padded) and boxes."""
    rng = np.random.default_rng(7)
    for i in range(count):
        image = np.zeros(SHAPE, np.float32)
        image[:, 10:30, 5 + i : 25 + i] = rng.normal(size=(3, 20, 20))
        image += 0.1 * rng.normal(size=SHAPE).astype(np.float32)
        labels = np.array([[0, -1], [1, 2], [2, 0]][i % 3], np.int32)
        yield image, labels, np.array([[5, 10, 20, 20], [30, 20, 9, 8]], np.int32)


@pytest.fixture(scope="session")
def striped():
    return Striped()


@pytest.fixture
def pictures():
    return make_pictures


@pytest.fixture
def grow(striped, dataset, tmp_path):
    """Runs a plan in a folder: with these explainers, metrics, samples, uncertainty and so on."""

    def make(
        folder="run", *, explainers=("Gradient",), metrics=("PointingGame",), count=5, masks=0, search=False, **other
    ):
        rows, own, nearest = other.pop("rows", 8), other.pop("own", {}), other.pop("nearest", None)
        data = (dataset(list(make_pictures(rows) if isinstance(rows, int) else rows)), ["a", "b", "c"])
        options = {"pass_size": 2, "jit": "off", **other}
        runner = ImageClassificationRunner(tmp_path / folder, data, striped, SIGMOID, **options)
        made = {**EXPLAINERS, **METRICS, **own}
        runner.register_saliency(
            [made[name](striped) for name in explainers], [made[name](striped) for name in metrics]
        )
        if masks:
            runner.register_uncertainty(masks)
        if search:
            runner.register_hierarchical_occlusion()
        if nearest is not None:
            runner.register_nearest_samples(**{"count": 2, "pool": 5, **nearest})

        def run(**how):
            return runner.run(**{"limit": count, **how})

        run.plan = partial(runner.plan, count)
        return run

    return make


@pytest.fixture
def counting(striped):
    """Counts the passes of the network during an action; gives what that gives, or raised, too."""

    def counted(action):
        runs, called = [], nn.Cell.__call__

        def counting_call(cell, *arguments, **options):
            runs.append(1) if cell is striped else None
            return called(cell, *arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nn.Cell, "__call__", counting_call)
            result = action()
        return len(runs), result

    return counted


@pytest.fixture
def killed_at(monkeypatch):
    """Ends a run as a kill would after so many commits, or before it is finished."""

    def kill(run, commits):
        commit, done = BatchLoop._commit, []

        def counted(self, *work, **options):
            commit(self, *work, **options)
            done.append(1)
            if len(done) == commits:
                self._committer.drain()
                raise Killed

        def at_the_end(*_):
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(BatchLoop, "_commit", counted)
            patch.setattr(engine, "finish", at_the_end)
            with pytest.raises(Killed):
                run()

    return kill


@pytest.fixture
def more():
    """By kind of pass, how many more one run made than an earlier one."""
    return lambda now, before: dict(Counter(now.costs["made"]) - Counter(before.costs["made"]))
