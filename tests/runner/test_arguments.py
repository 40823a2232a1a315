"""What an explainer or metric is: its class, its code and the arguments that it was given."""

import dataclasses
import enum
import importlib
import inspect
import json
import re
import sys
import threading
from collections import OrderedDict, defaultdict, deque
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.benchmarks import InsertionAUC, Metric, PointingGame, Robustness
from explainrun.benchmarks.core.family import MetricFamily
from explainrun.explainers import EXPLAINERS, Explainer, GradCAM, Gradient, NoiseTunnel, RandomMap
from explainrun.runner import ImageClassificationRunner, PlanError, compare
from explainrun.runner.plan.fingerprint import Description, UndescribedError
from explainrun.runner.up_to_date_run import current_run
from explainrun.summary_format import MergeError, Results, merge

describe = Description().to_jsonable


class Scaled(Explainer):
    """The image, scaled; keeps its argument under another name."""

    def __init__(self, network, scale=1.0, name=None):
        super().__init__(network, name)
        self._factor = scale

    def attribute(self, view):
        return view.asked_images[:, 0] * np.float32(self._factor)


class Packed(Explainer):
    """Takes what it is given as it comes."""

    def __init__(self, network, *factors, **more):
        super().__init__(network)
        self._product = np.float32(np.prod(factors) * more.get("last", 1))

    def attribute(self, view):
        return view.asked_images[:, 0] * self._product


class Ensemble(Explainer):
    """Weighs what another explainer gives, under a name that once meant something."""

    def __init__(self, network, member, weight=1.0):
        super().__init__(network)
        self.member, self._weight = member, weight

    def attribute(self, view):
        return self.member.attribute(view) * np.float32(self._weight)


class Threshold:
    def __init__(self, at):
        self.at = at

    def __call__(self, maps):
        return maps > self.at


class Share(Metric):
    """Share of pixels that a threshold lets through."""

    def __init__(self, num_labels=None, above=None, name=None):
        super().__init__(num_labels, name)
        self._over = above or Threshold(0.0)

    def score(self, explanation):
        return self._over(explanation.maps).mean(axis=(1, 2)).astype(np.float64)


@pytest.fixture
def run(two_channels, dataset, scenes, tmp_path):
    network = two_channels()

    def start(explainer, metric=None, folder="run", **options):
        data = dataset(list(scenes(6))), ["zero", "one"]
        runner = ImageClassificationRunner(tmp_path / folder, data, network, nn.Sigmoid(), pass_size=2, jit="off")
        runner.register_saliency([explainer(network)], [metric() if metric else Share()])
        return runner.run(**options)

    return start


CHANGES = [
    (lambda net: Scaled(net, 1.0), lambda net: Scaled(net, 100.0), "explainers.Scaled.scale was 1.0, is 100.0"),
    (
        lambda net: Packed(net, 2, 3),
        lambda net: Packed(net, 2, 4),
        r"Packed.factors was \[2, 3\], is \[2, 4\]",
    ),
    (lambda net: Packed(net, last=1), lambda net: Packed(net, last=2), "explainers.Packed.last was 1, is 2"),
    (
        lambda net: Ensemble(net, member=Gradient(net), weight=5.0),
        lambda net: Ensemble(net, member=Gradient(net), weight=1.0),
        "explainers.Ensemble.weight was 5.0, is 1.0",
    ),
    (
        lambda net: Ensemble(net, member=Scaled(net, 1.0)),
        lambda net: Ensemble(net, member=Scaled(net, 2.0)),
        "explainers.Ensemble.member.scale was 1.0, is 2.0",
    ),
]


@pytest.mark.parametrize(("before", "now", "told"), CHANGES)
def test_another_argument_is_another_run(run, kill, tmp_path, before, now, told, raising):
    assert not run(before).finished_before
    assert run(before).finished_before
    with raising(PlanError, "folder-holds-other-plan", kind="a finished", differences=re.compile(told)):
        run(now)
    kill(lambda: run(before, folder="half"), 0, 1)
    with raising(PlanError, "folder-holds-other-plan", kind="an unfinished", differences=re.compile(told)):
        run(now, folder="half")
    for number, made in ((1, before), (2, now)):
        run(made, folder=f"shard{number}", shard=(number, 2))
    with raising(MergeError, "shards-of-two-plans", differences=re.compile(told)):
        merge(tmp_path / "merged", [tmp_path / "shard1", tmp_path / "shard2"])


def test_a_metric_with_another_argument_is_another_metric(run, tmp_path, raising):
    run(Gradient, lambda: Share(above=Threshold(0.0)), "a")
    with raising(
        PlanError, "folder-holds-other-plan", differences=re.compile("metrics.Share.above.state.at was 0.0, is 0.5")
    ):
        run(Gradient, lambda: Share(above=Threshold(0.5)), "a")
    run(Gradient, lambda: Share(above=Threshold(0.5)), "b")
    with raising(ValueError, "metric-differs", metric="Share", differences="above.state.at was 0.0, is 0.5"):
        compare(tmp_path / "a", tmp_path / "b")


PROJECT = {
    "theirs.py": """\
from explainrun.explainers import Explainer
import numpy as np

class Scaled(Explainer):
    def __init__(self, network, scale=1.0):
        super().__init__(network)
        self._factor = scale

    def attribute(self, view):
        return view.asked_images[:, 0] * np.float32(self._factor)
""",
    "gate.yaml": """\
summary_dir: runs
network: {factory: "gated_network.py:looking"}
activation: softmax
data: {hdf5: scenes.h5}
class_names: [left, right]
explainers: [{Scaled: {scale: 1.0}}]
metrics: [{PointingGame: {tolerance: 1}}]
jit: "off"
""",
}


def test_the_plugin_recomputes_what_another_argument_would_change(gated_project, tmp_path, monkeypatch):
    project = gated_project(tmp_path / "project")
    for name, text in PROJECT.items():
        (project.folder / name).write_text(text)
    monkeypatch.syspath_prepend(project.folder)
    monkeypatch.chdir(project.folder)
    monkeypatch.setitem(EXPLAINERS._targets, "Scaled", ["theirs:Scaled"])
    config = project.folder / "gate.yaml"
    assert [current_run(config, {}).finished_before for _ in range(2)] == [False, True]
    config.write_text(config.read_text().replace("scale: 1.0", "scale: -1.0"))
    assert [current_run(config, {}).finished_before for _ in range(2)] == [False, True]
    sys.modules.pop("theirs")


def closing(over):
    return lambda x: x * over


@lru_cache
def cached(x):
    return x


class Colour(enum.Enum):
    RED, BLUE = 1, 2


@dataclasses.dataclass
class Options:
    steps: int
    inner: object = None


class Mode(str, enum.Enum):
    FAST = "fast"
    SLOW = "slow"


class Settings(dict):
    """A dict with something beside its items."""

    def __init__(self, level, **items):
        super().__init__(items)
        self.level = level


class Unit(str):
    def __new__(cls, text, scale):
        made = super().__new__(cls, text)
        made.scale = scale
        return made


class Caster:
    def __init__(self, kind):
        self.kind = kind

    def __reduce__(self):
        return Caster, (self.kind,)


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Warm(nn.Cell):
    def __init__(self, temperature):
        super().__init__()
        self.temperature, self.relu = temperature, ops.ReLU()


ALIKE = {
    "whole number": (3, 4),
    "number": (0.5, 0.25),
    "no number": (float("nan"), float("inf")),
    "text": (np.str_("a"), "b"),
    "member": (Colour.RED, Colour.BLUE),
    "array": (np.arange(3), np.arange(3.0)),
    "large array": (np.array([2**53, 1]), np.array([2**53 + 1, 1])),
    "array of objects": (np.array([Options(1)]), np.array([Options(2)])),
    "tensor": (Tensor([2**24, 1], ms.int64), Tensor([2**24 + 1, 1], ms.int64)),
    "kind of number": (np.float32, np.float64),
    "kind of tensor": (ms.float32, ms.float16),
    "dtype": (np.dtype("f4"), np.dtype("f8")),
    "path": (Path("a"), Path("b")),
    "bytes": (b"a", b"b"),
    "range": (range(3), range(4)),
    "pattern": (re.compile("a+"), re.compile("a*")),
    "set": ({"a", "b"}, {"a", "c"}),
    "keys": ({(1, 2): 3}, {(1, 3): 3}),
    "ordered": (OrderedDict(a=1), OrderedDict(a=2)),
    "queue": (deque([1, 2]), deque([1, 3])),
    "record": (Options(1, Options(2)), Options(1, Options(3))),
    "namespace": (SimpleNamespace(a=[1]), SimpleNamespace(a=[2])),
    "slots": (Slotted(1), Slotted(2)),
    "text of a class": (Unit("m", 1), Unit("m", 1000)),
    "member that is a text": (Mode.FAST, Mode.SLOW),
    "dict of a class": (Settings(1, a=2), Settings(2, a=2)),
    "dict with a default": (defaultdict(int), defaultdict(list)),
    "mixed keys": ({1: "a", "1": "b"}, {1: "b", "1": "a"}),
    "masked array": (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0])),
    "class that an object is made of": (Caster(np.float32), Caster(np.float64)),
    "generic class": (list[int], set[int]),
    "method of a builtin object": ({"a": 1}.get, {"a": 2}.get),
    "method of a generator": (np.random.default_rng(1).normal, np.random.default_rng(2).normal),
    "view": ({"a": 1}.keys(), {"b": 1}.keys()),
    "long double": (np.longdouble(1) / 3, np.longdouble(1) / 7),
    "large number": (10**5000, 10**5000 + 1),
    "long text": ("a" * 9000, "a" * 8999 + "b"),
    "long list": (list(range(5000)), [*range(4999), 0]),
    "compiled function": (ms.jit(closing(1)), ms.jit(closing(2))),
    "cached partial": (lru_cache(partial(max, 1)), lru_cache(partial(max, 2))),
    "callable": (Threshold(1), Threshold(2)),
    "method": (Threshold(1).__call__, Threshold(2).__call__),
    "partial": (partial(closing, 1), partial(closing, 2)),
    "closure": (closing(Options(1)), closing(Options(2))),
    "builtin": (len, max),
    "function of a library": (np.mean, np.median),
    "function of MindSpore": (ops.softmax, ops.relu),
    "ufunc": (np.tanh, np.cosh),
    "cached": (cached, lru_cache(closing)),
    "class": (Threshold, Slotted),
    "generator": (np.random.default_rng(1), np.random.default_rng(2)),
    "primitive": (ops.LeakyReLU() if hasattr(ops, "LeakyReLU") else ops.ReLU(), ops.Sigmoid()),
    "cell": (nn.Softmax(axis=0), nn.Softmax(axis=1)),
    "weights": (nn.Dense(2, 3, weight_init="ones"), nn.Dense(2, 3, weight_init="zeros")),
    "cell of the user's": (Warm(1.0), Warm(2.0)),
    "explainer": (NoiseTunnel(Gradient(Warm(1.0)), nt_samples=2), NoiseTunnel(Gradient(Warm(1.0)), nt_samples=3)),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_values_are_told_apart_by_all_that_they_hold(kind):
    one, other = ALIKE[kind]
    found = describe({"it": one})
    assert found == describe({"it": one}) != describe({"it": other})
    assert " at 0x" not in str(found)


def test_a_description_is_what_json_gives_back():
    found = describe({kind: pair[0] for kind, pair in ALIKE.items()})
    assert json.loads(json.dumps(found)) == found


def around_itself():
    value = Options(1)
    value.inner = [value]
    return value


def test_what_holds_itself_is_described():
    assert describe(around_itself()) == describe(around_itself())
    listed = [1]
    listed.append(listed)
    assert Scaled(nn.ReLU(), listed).configuration().arguments["scale"][0] == 1


def test_objects_that_know_each_other_are_described_once():
    people = [SimpleNamespace(name=number) for number in range(30)]
    for one in people:
        one.others = people
    assert len(json.dumps(describe(people))) < 20_000
    shared = Options(1)
    assert describe([shared, shared]) == describe([shared, shared]) != describe([shared, Options(2)])


UNDESCRIBED = {
    "lock": (threading.Lock, "argument 'above': it is a lock"),
    "in a list": (lambda: [1, threading.Lock()], r"argument 'above': \[1\]: it is a lock"),
    "in an object": (lambda: Options(1, threading.Lock()), "argument 'above': state: .*'inner'.*: it is a lock"),
    "closed over": (lambda: closing(threading.Lock()), "argument 'above': over: it is a lock"),
    "generator": (lambda: (i for i in range(3)), "argument 'above': it is a generator"),
}


@pytest.mark.parametrize("kind", UNDESCRIBED)
def test_what_cannot_be_described_is_refused_before_the_first_pass(run, two_channels, tmp_path, kind, raising):
    make, told = UNDESCRIBED[kind]
    network = two_channels()
    network.construct = lambda x: pytest.fail("a pass was made")
    with raising(PlanError, "not-recognisable", what="Share", said=re.compile(told)):
        run(Gradient, lambda: Share(above=make()))
    assert not (tmp_path / "run").exists()


def test_everything_that_cannot_be_described_is_said_at_once(run):
    with pytest.raises(PlanError) as caught:
        run(lambda net: Scaled(net, threading.Lock()), lambda: Share(above=threading.Lock()))
    assert caught.value.codes == ("not-recognisable",) * 2


class KeepsBack(Explainer):
    def __new__(cls, network, scale):
        return super().__new__(cls)

    def __init__(self, network, scale):
        super().__init__(network)

    def attribute(self, view):
        return view.asked_images[:, 0]


def test_a_class_that_keeps_its_arguments_back_is_refused(run, raising):
    with raising(PlanError, "not-recognisable", said=re.compile("the arguments of KeepsBack .*pass them on")):
        run(lambda net: KeepsBack(net, 2))


@dataclasses.dataclass(eq=False)
class Recorded(Explainer):
    """An explainer that is a dataclass, whose constructor is made after the class."""

    network: object
    scale: float = 1.0
    name: str = "Recorded"

    def attribute(self, view):
        return view.asked_images[:, 0]


def test_arguments_are_those_that_were_given(two_channels):
    network = two_channels()
    options = Description(network).component_options
    assert options(Recorded(network, 3.0))["scale"] == 3.0
    assert options(Scaled(network))["scale"] == 1.0  # by default
    factors = [1, 2]
    made = Packed(network, factors)
    factors.append(3)
    assert options(made)["factors"] == [[1, 2]]
    assert options(GradCAM(network, "relu")) == {"class": "GradCAM", "layer": "relu", "reshape": None}
    assert options(GradCAM(network, ["relu", "conv"]))["layer"] == ["relu", "conv"]


class ByLayer(Explainer):
    """Takes layers of the network themselves, as captum and grad-cam do."""

    def __init__(self, network, layer, structure=0):
        super().__init__(network)
        self.cell = layer

    def attribute(self, view):
        return view.asked_images[:, 0]


def test_layers_of_the_runs_network_are_their_names(two_channels):
    network, again = two_channels(), two_channels()
    made = [
        lambda net: net.conv,
        lambda net: net.relu,
        lambda net: [net.conv, net.relu],
        lambda net: net.relu.construct,
    ]
    made += [lambda net: [net.relu, net.conv], lambda net: nn.SequentialCell(net.conv, net.relu)]
    made += [lambda net: nn.SequentialCell(net.relu, net.conv), lambda net: net]
    found = [Description(network).component_options(ByLayer(network, take(network))) for take in made]
    assert found == [Description(again).component_options(ByLayer(again, take(again))) for take in made]
    assert len({str(one) for one in found}) == len(made)
    assert found[0]["layer"] == "the run's network: conv"


def test_shards_of_other_arguments_are_not_merged_though_they_may_differ_in_structure(
    run, monkeypatch, tmp_path, raising
):
    real = ms.get_context
    for number, device in ((1, "CPU"), (2, "GPU")):
        with monkeypatch.context() as patch:
            patch.setattr(ms, "get_context", lambda key, to=device: to if key == "device_target" else real(key))
            run(lambda net, at=number: ByLayer(net, net.conv, structure=at), folder=f"{number}", shard=(number, 2))
    with raising(MergeError, "shards-of-two-plans", differences=re.compile(r"ByLayer\.structure was 1, is 2")):
        merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "2"])


class Filter(Explainer):
    """Means something else by name and num_labels than a run does."""

    def __init__(self, network, name, num_labels=1):
        super().__init__(network)

    def attribute(self, view):
        return view.asked_images[:, 0]


def passing_on(function):
    def passed(*args, **kwargs):
        return function(*args, **kwargs)

    return passed


class Decorated(Explainer):
    @passing_on
    def __init__(self, network, factor, /, **more):
        super().__init__(network)

    def attribute(self, view):
        return view.asked_images[:, 0]


@dataclasses.dataclass(frozen=True)
class Frozen(Metric):
    above: float = 0.0
    num_labels: int | None = None
    name: str = "Frozen"

    def score(self, explanation):
        return np.zeros(len(explanation.maps))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda net: Filter(net, "blur"), lambda net: Filter(net, "sharpen")),
        (lambda net: Filter(net, "blur", 3), lambda net: Filter(net, "blur", 5)),
        (lambda net: Decorated(net, 1), lambda net: Decorated(net, 2)),
        (lambda net: Decorated(net, 1, factor=3), lambda net: Decorated(net, 2, factor=3)),
        (lambda net: Frozen(0.25), lambda net: Frozen(0.5)),
        (
            lambda net: NoiseTunnel(GradCAM(net)).with_layer("conv"),
            lambda net: NoiseTunnel(GradCAM(net)).with_layer("relu"),
        ),
    ],
)
def test_forms_of_constructors(two_channels, one, other):
    network = two_channels()
    found = [Description(network).component_options(made(network)) for made in (one, one, other)]
    assert found[0] == found[1] != found[2]


class Reserved(Explainer):
    def __init__(self, network, code=0, resolved=0, **more):
        super().__init__(network)

    def attribute(self, view):
        return view.asked_images[:, 0]


def test_arguments_may_be_called_as_anything(two_channels):
    network = two_channels()
    found = [
        Description(network).component_options(Reserved(network, *given, **{"class": given[0]}))
        for given in ((1, 2), (1, 3), (4, 2))
    ]
    assert len({str(one) for one in found}) == 3
    assert all(one["class"] == "Reserved" and len(one["code"]) == 16 for one in found)


def test_an_attribute_that_is_changed_afterwards_counts(two_channels):
    network = two_channels()
    tunnel, metric = NoiseTunnel(Gradient(network), nt_samples=2), PointingGame(2, tolerance=3)
    before = [Description(network).component_options(one) for one in (tunnel, metric)]
    tunnel.nt_samples, metric.tolerance = 5, 4
    after = [Description(network).component_options(one) for one in (tunnel, metric)]
    assert [one["resolved"] for one in after] == [{"nt_samples": 5}, {"tolerance": 4}]
    assert all("resolved" not in one for one in before)
    tunnel.explainer, metric.tolerance = GradCAM(network, "conv"), None
    after = [Description(network).component_options(one) for one in (tunnel, metric)]
    assert after[0]["resolved"]["explainer"]["layer"] == "conv"
    assert after[1]["resolved"] == {"tolerance": None}


class Family(MetricFamily):
    members: ClassVar = {"Robustness": Robustness}

    def __init__(self, num_labels, metric="Robustness", **options):
        super().__init__(num_labels, metric, **options)


def test_a_family_is_described_as_its_member_and_asks_what_it_asks(two_channels):
    member = Robustness(2, nn.Sigmoid(), samples=3)
    family = Family(2, activation_fn=nn.Sigmoid(), samples=3)
    assert Description().component_options(family) == Description().component_options(member)
    assert family.map_recomputations == member.map_recomputations == 3
    assert Description().component_options(InsertionAUC(2, nn.Sigmoid()))["class"] == "InsertionAUC"


def test_the_rest_of_a_package_counts_for_what_comes_from_it(tmp_path, monkeypatch):
    package = tmp_path / "purelib" / "theirmaps"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        PROJECT["theirs.py"].replace("* np", "* blurred(1) * np") + "\n\nfrom .blur import blurred\n"
    )
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr("explainrun.runner.plan.code_fingerprint._INSTALLED", [package.parent])

    def described(formula):
        (package / "blur.py").write_text(f"def blurred(x):\n    return {formula}\n")
        for name in [name for name in sys.modules if name.startswith("theirmaps")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return Description().component_options(importlib.import_module("theirmaps").Scaled(nn.ReLU()))["code"]

    assert described("x") == described("x") != described("x + 100")


def test_an_undescribed_value_names_where_it_is():
    with pytest.raises(UndescribedError, match=r"\['deep'\]: \[1\]: it is a lock"):
        describe({"deep": [1, threading.Lock()]})


def test_results_hold_the_arguments(run, tmp_path):
    run(lambda net: Scaled(net, 7.0))
    assert Results(tmp_path / "run").plan["explainers"]["Scaled"]["scale"] == 7.0


SIGNATURES = {
    RandomMap: "(network, name=None)",  # an inherited constructor: Python before 3.11.4 looks at __new__ first
    Scaled: "(network, scale=1.0, name=None)",
    Packed: "(network, *factors, **more)",
    PointingGame: "(num_labels=None, tolerance=15, name=None)",
}


@pytest.mark.parametrize("kind", SIGNATURES)
def test_a_class_shows_the_arguments_of_its_constructor(kind):
    shown = inspect.signature(kind)
    bare = [one.replace(annotation=one.empty) for one in shown.parameters.values()]
    assert str(shown.replace(parameters=bare, return_annotation=shown.empty)) == SIGNATURES[kind]


class Counted(Explainer):
    """Has a ``__new__`` of its own, whose arguments are those to give."""

    def __new__(cls, network, how_many):
        return super().__new__(cls, network, how_many)

    def __init__(self, network, how_many):
        super().__init__(network)

    def attribute(self, view):
        return view.asked_images[:, 0]


def test_a_class_with_a_constructor_of_both_kinds_shows_its_own():
    assert list(inspect.signature(Counted).parameters) == ["network", "how_many"]


def test_an_explainer_shows_how_it_is_called(two_channels):
    assert list(inspect.signature(Gradient(two_channels())).parameters) == [
        "inputs",
        "targets",
        "ret",
        "show",
        "output",
        "jit",
        "pass_size",
    ]


def test_a_plan_names_all_classes_however_many(two_channels, dataset, tmp_path):
    names = [f"class {number}" for number in range(1203)]
    runner = ImageClassificationRunner(
        tmp_path, (dataset([(np.zeros((1, 2, 4), np.float32),)]), names), two_channels(), nn.Sigmoid()
    )
    runner.register_saliency([Gradient(two_channels())])
    assert runner.plan().described.raw["class_names"] == names
