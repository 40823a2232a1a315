"""What a network is: its parameters, its structure and what it computes, however it was written."""

import importlib.util
import re
import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import Gradient, Network
from explainrun.explainers.network import OutOfMemoryError, probe, probe_rows
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.plan.network_fingerprint import network_identity
from explainrun.runner.up_to_date_run import current_run
from explainrun.summary_format import MergeError, Results, merge
from explainrun.summary_format.probe import Answers, Probe

WRITTEN = """\
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from mindspore.common.initializer import HeUniform, Normal, TruncatedNormal, initializer

SHAPE = (4, 3, 3, 3)
INITIALISERS = [
    Normal(0.02), TruncatedNormal(0.02), HeUniform(), initializer(Normal(0.02), SHAPE), "he_uniform",
    Tensor(np.random.default_rng().random(SHAPE).astype(np.float32)),
]

def written(weight_init):
    net = nn.SequentialCell(
        nn.Conv2d(3, 4, 3, weight_init=weight_init, pad_mode="pad", padding=1), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Flatten(), nn.Dropout(p=0.3), nn.Dense(4 * 6 * 8, 2),
    )
    rng = np.random.default_rng(0)
    for parameter in net.get_parameters():
        parameter.set_data(ms.Tensor(rng.random(parameter.shape).astype(np.float32)))
    return net
"""
OTHER_PROCESS = """\
from explainrun.runner.up_to_date_run import current_run
from explainrun.runner.plan.network_fingerprint import network_identity
from written import INITIALISERS, written
print([network_identity(written(one)) for one in INITIALISERS])
"""


@pytest.mark.long
def test_how_weights_begin_says_nothing_in_any_process(tmp_path):
    (tmp_path / "written.py").write_text(WRITTEN)
    spec = importlib.util.spec_from_file_location("written", tmp_path / "written.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    here = [network_identity(module.written(one)) for one in module.INITIALISERS]
    assert here == [here[0]] * 6
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{OTHER_PROCESS}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert str(here) in done.stdout


class Holding(nn.Cell):
    """Holds one more parameter, or buffer, than it reads."""

    def __init__(self, value, dtype=ms.float32, *, buffer=False):
        super().__init__()
        values = Tensor(value, dtype)
        if buffer:
            self.register_buffer("held", values)
        else:
            self.held = ms.Parameter(values, requires_grad=False)


@pytest.mark.parametrize(
    ("one", "other", "dtype"),
    [
        (2**24, 2**24 + 1, ms.int64),
        (1.0, 1.0 + 1e-12, ms.float64),
        (0.0, -0.0, ms.float32),
        (1.0, 1.0078125, ms.bfloat16),
    ],
)
@pytest.mark.parametrize("buffer", [False, True])
def test_parameters_count_exactly(one, other, dtype, buffer):
    if buffer and not hasattr(nn.Cell, "register_buffer"):
        pytest.skip("MindSpore before 2.8 has no buffers")
    first, again, second = (
        network_identity(Holding([value], dtype, buffer=buffer))["parameters"] for value in (one, one, other)
    )
    assert first == again != second


class Scaled(nn.Cell):
    """Logits are two sums of pixels, times a plain attribute that no checksum sees."""

    def __init__(self, scale=0.5, inner=1.0):
        super().__init__()
        self.scale, self.parts = scale, nn.CellList([Shifted(inner)])

    def construct(self, x):
        rows = self.parts[0](x).reshape(x.shape[0], 2, -1)
        return rows.sum(axis=2) * self.scale


class Shifted(nn.Cell):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def construct(self, x):
        return x + self.by


class Held:
    """An activation whose number is out of sight of checksums: what pickling keeps of it is the same."""

    def __init__(self, temperature):
        self.temperature = temperature

    def __getstate__(self):
        return None

    def __call__(self, logits):
        return ops.softmax(logits / self.temperature, -1)


numbers = {"factor": 1.0}  # of a module, where no checksum looks for it


class Listening(Scaled):
    def construct(self, x):
        return super().construct(x) * numbers["factor"]


@pytest.fixture
def run(dataset, scenes, tmp_path):
    def start(network, activation=None, folder="run", **options):
        data = dataset(list(scenes(6))), ["a", "b"]
        runner = ImageClassificationRunner(
            tmp_path / folder, data, network, activation or nn.Softmax(), pass_size=2, jit="off"
        )
        runner.register_saliency([Gradient(network)])
        return runner.run(**options)

    return start


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (lambda: (Scaled(0.5), None), lambda: (Scaled(0.6), None), "logits are up to"),
        (lambda: (Scaled(inner=1.0), None), lambda: (Scaled(inner=1.01), None), "logits are up to"),
        (lambda: (Scaled(), Held(1.0)), lambda: (Scaled(), Held(1.5)), "logits are the same, and its probabilities"),
        (lambda: (Listening(), None), lambda: (numbers.update(factor=1.2) or Listening(), None), "logits are up to"),
    ],
)
def test_what_a_network_computes_counts(run, kill, tmp_path, before, now, told, raising):
    numbers["factor"] = 1.0
    assert not run(*before()).finished_before
    assert run(*before()).finished_before
    with raising(PlanError, "folder-holds-other-network", kind="a finished", how=re.compile(told)):
        run(*now())
    numbers["factor"] = 1.0
    kill(lambda: run(*before(), "half"), 0, 1)
    files = sorted(tmp_path.rglob("*"))
    with raising(PlanError, "folder-holds-other-network", kind="an unfinished", how=re.compile(told)):
        run(*now(), "half")
    assert sorted(tmp_path.rglob("*")) == files
    numbers["factor"] = 1.0
    assert run(*before(), "half").samples == 6
    shards = [tmp_path / f"shard{number}" for number in (1, 2)]
    run(*before(), shards[0], shard=(1, 2))
    run(*now(), shards[1], shard=(2, 2))
    with raising(
        MergeError,
        "shards-of-two-networks",
        folder=str(shards[1]),
        something=" something else",
        first=str(shards[0]),
        how=re.compile(told),
    ):
        merge(tmp_path / "merged", shards)


def on_a_device(monkeypatch, name):
    real = ms.get_context
    monkeypatch.setattr(ms, "get_context", lambda key: name if key == "device_target" else real(key))


@pytest.mark.parametrize("apart", [0.0, 1e-7, 1e-3])
def test_shards_from_other_devices(run, monkeypatch, tmp_path, how_runs_differ, apart, raising):
    shards = [tmp_path / "1", tmp_path / "2"]
    run(Scaled(), folder="whole")
    run(Scaled(), folder=shards[0], shard=(1, 2))
    with monkeypatch.context() as patch:
        on_a_device(patch, "GPU")
        patch.setattr("explainrun.runner.plan.network_fingerprint._plain_options", lambda held: [("elsewhere", True)])
        run(Scaled(0.5 * (1 + apart)), folder=shards[1], shard=(2, 2))
    plans = [Results(shard).plan for shard in shards]
    assert [plan["device"] for plan in plans] == ["CPU", "GPU"]
    if apart > 1e-5:
        with raising(
            MergeError,
            "shards-of-two-networks",
            first=str(shards[0]),
            something=re.compile("on GPU .* on CPU"),
            how=re.compile("logits"),
        ):
            merge(tmp_path / "merged", shards)
        return
    merged = merge(tmp_path / "merged", shards)
    assert merged.plan["device"] == "CPU and GPU"
    np.testing.assert_allclose(merged.logits, Results(tmp_path / "whole").logits, rtol=1e-6)
    assert not apart or how_runs_differ(tmp_path / "merged", tmp_path / "whole")


class Random(nn.Cell):
    def __init__(self, size=1.0):
        super().__init__()
        self.size = size

    def construct(self, x):
        return x.reshape(len(x), -1)[:, :2] + self.size * ops.rand(len(x), 2)


def test_a_network_that_draws_random_numbers_is_reported(run, kill, caplog):
    kill(lambda: run(Random()), 0, 1)
    assert "different outputs for the same image each time" in caplog.text
    caplog.clear()
    assert run(Random()).samples == 6  # as it would be refused otherwise
    assert "different outputs for the same image each time" in caplog.text


def test_a_probe_survives_being_written():
    logits = np.array([[0.1, -3e38, np.inf], [1e-42, 0, np.nan]], np.float32)
    found = Probe((1, 2, 4), Answers(logits, np.abs(logits)))
    again = Probe.of(found.to_jsonable())
    assert found.difference(again) is None
    assert again.difference(found) is None
    np.testing.assert_array_equal(again.answers.logits[:, :2], logits[:, :2])
    np.testing.assert_array_equal(np.isfinite(again.answers.logits), np.isfinite(logits))
    assert again.answers.logits[1, 0] == logits[1, 0]
    assert Probe.of(Probe((1, 2, 4), None).to_jsonable()).answers is None


@pytest.mark.parametrize(
    ("factor", "same"), [(1.0, True), (1 + 9e-6, True), (1 + 1.1e-5, False), (1 - 1.1e-5, False), (-1.0, False)]
)
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_probes_agree_up_to_a_share_of_the_largest_logit(factor, same, size):
    logits, chances = np.array([[1.0, 0.25], [-0.5, 0.0]], np.float32) * np.float32(size), np.ones((2, 2), np.float32)
    one, other = (Probe((1, 2, 4), Answers(of, chances)) for of in (logits, (logits * factor).astype(np.float32)))
    assert (one.difference(other) is None) == same


def test_probes_of_other_forms_differ():
    one = Probe((1, 2, 4), Answers(np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)))
    few = Answers(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32))
    assert "images of shape" in one.difference(Probe((1, 4, 2), one.answers))
    assert "3 outputs there, 2 here" in one.difference(Probe((1, 2, 4), few))
    unlike = Answers(np.array([[0, 0, np.nan], [0, 0, 0]], np.float32), one.answers.probabilities)
    assert one.difference(Probe((1, 2, 4), unlike)) is not None


@pytest.mark.parametrize(
    "said",
    [None, [], {}, {"shape": [1, 2]}, {"shape": [1, 2, -3]}, {"shape": [1, 2, True]}]
    + [{"shape": [1, 2, 3], "logits": logits, "probabilities": [[0.5], [0.5]]}
       for logits in ("x", [], [[1], [1, 2]], [[1], ["1"]], [[1], 1], [[[1]], [[1]]])],
)  # fmt: skip
def test_what_is_not_a_probe_is_refused(said):
    with pytest.raises(ValueError, match="probe of its network"):
        Probe.of(said)


class Noting(nn.Cell):
    """Notes the images that it is asked about."""

    def __init__(self, refused=lambda images: False):
        super().__init__()
        self.asked, self.refused = [], refused

    def construct(self, x):
        if self.refused(x.asnumpy()):
            raise ValueError("pixels must be 0 to 255")
        self.asked.append(x.asnumpy())
        return x.reshape(len(x), -1)[:, :2]


@pytest.mark.parametrize(("size", "given"), [(1, 1), (2, 2), (5, 3), (16, 2)])
def test_the_images_of_a_probe_are_the_same_everywhere(size, given):
    cell, known = Noting(), np.random.default_rng(0).normal(size=(given, 3, 5, 7)).astype(np.float32)
    network = Network(cell, size, fill=True)
    found = probe(network, known, nn.Sigmoid())
    kinds = 2 + min(given, 2)
    images = np.concatenate(cell.asked)[: probe_rows(network, given)]
    assert len(images) == kinds * max(2, size // kinds)
    np.testing.assert_array_equal(images, np.tile(images[:kinds], (len(images) // kinds, 1, 1, 1)))
    np.testing.assert_array_equal(images[2:kinds], known[:2])
    np.testing.assert_array_equal(found.answers.logits, images[:kinds].reshape(kinds, -1)[:, :2])
    noise, patches = images[:2]
    assert len(np.unique(noise)) == noise.size
    assert [len(np.unique(channel)) for channel in patches] == [16] * 3
    np.testing.assert_allclose(noise[0, 0, :3], [-0.7477417, -0.1321012, -1.2861530], rtol=1e-6)
    np.testing.assert_allclose(patches[2, 4, :4], [0.4935967, 0.4935967, -1.2696880, -1.2696880], rtol=1e-6)


def test_a_network_that_checks_its_pixels_is_asked_about_those_of_the_dataset():
    cell, known = Noting(lambda images: images.min() < 0), np.arange(70, dtype=np.float32).reshape(2, 1, 5, 7)
    found = probe(Network(cell, 4, fill=True), known, nn.Sigmoid())
    assert found.answers.logits.tolist() == [[0, 1], [35, 36]]
    cell.refused = lambda images: False
    whole = probe(Network(cell, 4, fill=True), known, nn.Sigmoid())
    assert "it takes images of noise here, and not there" in found.difference(whole)
    assert "it takes images of noise there, and not here" in whole.difference(found)


class Powers(nn.Cell):
    """Of the pixels of the dataset, which are positive, numbers; of noise none."""

    def __init__(self, power):
        super().__init__()
        self.power = power

    def construct(self, x):
        return (x**self.power).reshape(len(x), -1)[:, :2]


class Clamped(nn.Cell):
    """Cuts what only the dataset's pixels reach."""

    def __init__(self, most):
        super().__init__()
        self.most = most

    def construct(self, x):
        return ops.clamp(x, max=self.most).reshape(len(x), -1)[:, :2]


class Rectified(nn.Cell):
    """Holds a function of MindSpore's."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def construct(self, x):
        return self.function(x).reshape(len(x), -1)[:, :2]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (lambda: Powers(2.2), lambda: Powers(1.1), "logits are up to"),
        (lambda: Clamped(100), lambda: Clamped(200), "logits are up to"),
        (lambda: Rectified(ops.relu), lambda: Rectified(ops.relu6), None),  # which the network's structure shows
        (Random, lambda: Random(0.0), "there it gives different answers"),
        (lambda: Random(0.0), Random, "here it gives different answers"),
    ],
)
def test_what_only_the_datasets_pixels_show_counts(dataset, tmp_path, before, now, told, raising):
    pixels = np.random.default_rng(0).uniform(120, 255, (5, 1, 2, 4)).astype(np.float32)

    def run(network):
        data = dataset([(image, np.int32([0])) for image in pixels]), ["a", "b"]
        runner = ImageClassificationRunner(tmp_path, data, network, nn.Softmax(), pass_size=2, jit="off")
        runner.register_saliency([Gradient(network)])
        return runner.run()

    run(before())
    assert run(before()).finished_before
    differing = {"differences": re.compile("^network.structure was")} if told is None else {"how": re.compile(told)}
    with raising(PlanError, f"folder-holds-other-{'plan' if told is None else 'network'}", **differing):
        run(now())


def test_a_passing_failure_of_the_probe_is_no_other_network(run, monkeypatch):
    run(Scaled())
    full = OutOfMemoryError(2)
    monkeypatch.setattr("explainrun.runner.execution.recognition.probe", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(OutOfMemoryError):
        run(Scaled())


class Counting(Scaled):
    """Counts its passes in a parameter."""

    def __init__(self):
        super().__init__()
        self.passes = ms.Parameter(Tensor(0, ms.int32), requires_grad=False)

    def construct(self, x):
        self.passes.set_data(self.passes + 1)
        return super().construct(x)


def test_a_network_is_what_it_was_before_the_first_pass(run, kill):
    kill(lambda: run(Counting()), 0, 1)
    assert run(Counting()).samples == 6
    assert run(Counting()).finished_before


def test_the_plugin_recomputes_for_a_network_that_computes_something_else(gated_project, tmp_path, monkeypatch):
    project = gated_project(tmp_path / "project")
    network = project.folder / "gated_network.py"
    scaled = network.read_text().replace("self.flatten(x))", "self.flatten(x)) * self.scale")
    scaled = scaled.replace(
        "super().__init__()", "super().__init__(); self.scale = float((HERE / 'scale').read_text())"
    )
    network.write_text(scaled)
    (project.folder / "scale").write_text("1.0")
    monkeypatch.chdir(project.folder)
    before = [current_run(project.folder / "gate.yaml", {}).finished_before for _ in range(2)]
    (project.folder / "scale").write_text("1.5")
    after = [current_run(project.folder / "gate.yaml", {}).finished_before for _ in range(2)]
    assert before == after == [False, True]
