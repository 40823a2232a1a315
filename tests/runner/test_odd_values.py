"""Odd values of every option: each is refused before the first pass, with a code, or the run ends and can be read.

The options are those of the signatures and of the fields; one that is new fails here until it has values.
"""

import enum
import os
from fractions import Fraction
from inspect import signature
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from mindspore import Tensor, nn

from explainrun import ExplainrunError
from explainrun.benchmarks import PointingGame
from explainrun.explainers import Gradient, RandomMap
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.cli.main import main
from explainrun.runner.config import schema
from explainrun.runner.plan.options import SETTINGS
from explainrun.summary_format import Results, inspect_run
from explainrun.summary_format.problem import Problem

IMAGE = np.array([[[1, 2, 0, 3], [0, 1, 4, 1]]], np.float32)
ROWS = [(IMAGE * k, [k % 2], [[[3, 0, 1, 2]], [[0, 0, 2, 1]]][k % 2]) for k in (1, 2)]
WEIGHTS = [[[1, 0, 0, 0], [0, 0, 0, 3]], [[0, 0, 2, 0], [-2, 0, 0, 0]]]
REGISTERING = ("register_saliency", "register_uncertainty", "register_hierarchical_occlusion")


class Another(str):
    """Shows itself as something else than it is."""

    def __str__(self):
        return "another"


class Word(str, enum.Enum):
    PLAIN, ON, TRUTH = "plain", "on", "truth"


class Whole(enum.IntEnum):
    TWO = 2


class Silent(int):
    def __repr__(self):
        raise RuntimeError("no")


def sequences(first, second):
    """A sequence of two as what may stand for one; those that are used up are made when they are asked for."""
    several = [first, second]
    kinds = (tuple, iter, lambda some: (one for one in some), lambda some: dict(enumerate(some)).values(), list)
    return [*(lambda kind=kind: kind(several) for kind in kinds), [], (), [several], {0: first, 1: second}]


TEXTS = [
    np.str_("plain"), Another("plain"), Word.PLAIN, Path("plain"), b"plain", "e\u0301", "שלום", "a\u202eb",
    "👩\u200d🚀", "\ud800", "", " ", "a/b", "a\\b", "..", ".", "a\nb", "a\0b", "\x1b[31m", "a\x9bb",
    "a\u2028b", "\uffff", "x" * 200,
    "é" * 101, "x" * 5000, "1", "nan", "{0}%s", "plain ", "<b>&'\"", "CON", "-", 3, None,
]  # fmt: skip
NUMBERS = [
    np.int64(2), np.uint8(2), Whole.TWO, Silent(2), np.bool_(True), True, np.array(2), np.array([2]), "2", "", None,
    [2], 0, -0.0, -1, 2.0, np.float16(0.5), np.float64("nan"), float("inf"), float("-inf"), 1e308, 5e-324, 2**31, 2**63,
    2**64, 10**400, 10**5000, -(10**5000), Silent(-2),
    Fraction(1, 2), 2 + 0j, np.timedelta64(2), np.complex64(2), Tensor(2),
]  # fmt: skip
FLAGS = [np.bool_(True), np.bool_(False), 1, 0, "true", None, np.array(True), [True], float("nan"), ""]
CHANNELS = [*NUMBERS, *sequences(0.5, 0.25), np.array([0.5]), np.array([0.5], object), [[0.5]]]
CLASSES = [*sequences("zero", "one"), np.array(["zero", "one"]), {"a", "b"}, ["zero", 1], {True: "a", False: "b"}, "ab"]

ODD = {
    "summary_dir": [value for value in TEXTS if value not in ("..", ".")],
    "data": [None, [], (None, ["zero", "one"]), ("x", ["zero", "one"])],
    "network": [None, "x", nn.Sigmoid, str.upper],
    "activation_fn": [None, "sigmoid", nn.Sigmoid, np.exp, (x for x in ())],
    "mean": CHANNELS,
    "std": CHANNELS,
    "seed": NUMBERS,
    "pass_size": NUMBERS,
    "strict": FLAGS,
    "skip_broken": FLAGS,
    "jit": [*FLAGS, Word.ON, np.str_("off"), "ON", ["on"], {}],
    "labels": [*TEXTS, *NUMBERS, *sequences("zero", "one"), *sequences(0, np.int64(1)), Word.TRUTH, np.str_("top-1"),
               [Another("one")], "top-99", "top-0", [True], [-1], [0.0], [2**70], {"zero"}],
    "output": [*TEXTS, *NUMBERS, *sequences(0, 1)],
    "register_saliency.explainers": [None, "Gradient", Gradient, [Gradient], [], *TEXTS[:3]],
    "register_saliency.benchmarkers": [None, 0, False, "IoSR", np.array([]), [], (), PointingGame, [None]],
    "register_uncertainty.samples": NUMBERS,
    "register_hierarchical_occlusion.threshold": NUMBERS,
    "register_hierarchical_occlusion.window_sides": [*NUMBERS, *sequences(2, 1)],
    "register_hierarchical_occlusion.strides": [*NUMBERS, *sequences(2, 1)],
    "register_hierarchical_occlusion.blur": NUMBERS,
    "run.overwrite": FLAGS,
    "run.resume": FLAGS,
    "run.prune": FLAGS,
    "run.engine": [*TEXTS, *NUMBERS, ["ray"]],
    "run.shards": NUMBERS,
    "run.address": [*TEXTS, *NUMBERS],
    "run.resources": [{}, {"CPU": 1}, {"CPU": "1"}, [1], "CPU", 1],
    "run.limit": NUMBERS,
    "run.shard": [*TEXTS, *NUMBERS, *sequences(1, 2), np.str_("1/2"), (np.int64(1), np.int64(2)), (0, 2), (True, 2),
                  (1, 10**30), np.array([1, 2]), "1/" + "9" * 5000, "\u0661/\u0662", "auto"],
    # What else a run has a name from:
    "class name": TEXTS,
    "class names": CLASSES,
    "explainer name": TEXTS,
    "metric name": TEXTS,
}  # fmt: skip
BESIDE = ("class name", "class names", "explainer name", "metric name")


def known_options():
    """Every option of the runner, by the method that takes it."""
    runner = ImageClassificationRunner
    methods = {"": runner.__init__, "run.": runner.run, **{f"{name}.": getattr(runner, name) for name in REGISTERING}}
    return {f"{at}{name}" for at, method in methods.items() for name in signature(method).parameters if name != "self"}


def test_every_option_has_odd_values():
    assert set(ODD) - set(BESIDE) == known_options()
    assert set(SETTINGS) <= set(ODD)


@pytest.fixture
def attempt(linear, dataset, tmp_path, monkeypatch):
    """Runs a small plan with some options set; gives the folder, or the error that came before anything was written."""
    network, places = linear(WEIGHTS), iter(range(10_000))

    def plan(folder, given):
        monkeypatch.chdir(folder)
        of = {at: {k.rpartition(".")[2]: v for k, v in given.items() if k.startswith(f"{at}.")} for at in REGISTERING}
        own = {name: value for name, value in given.items() if "." not in name and name not in BESIDE}
        names = given.get("class names", [given.get("class name", "zero"), "one"])
        summary_dir = folder / "run" / ("{shard}" if given.get("run.shard") is not None else "")
        basic = {"summary_dir": summary_dir, "data": (dataset(ROWS), names), "network": network, "jit": "off"}
        runner = ImageClassificationRunner(**{**basic, "activation_fn": nn.Sigmoid(), **own})
        explainers = [Gradient(network, name=given.get("explainer name")), RandomMap(network)]
        metrics = [PointingGame(2, tolerance=1, name=given.get("metric name"))]
        runner.register_saliency(**{"explainers": explainers, "benchmarkers": metrics, **of["register_saliency"]})
        for method in REGISTERING[1:]:
            if of[method]:
                getattr(runner, method)(**of[method])
        return runner.run(**{k.removeprefix("run."): v for k, v in given.items() if k.startswith("run.")})

    def attempted(**given):
        folder = tmp_path / str(next(places)) / "in"
        folder.mkdir(parents=True)
        given = {name: value() if callable(value) and value.__name__ == "<lambda>" else value
                 for name, value in given.items()}  # fmt: skip
        try:
            return plan(folder, given).summary_dir.absolute()
        except (ExplainrunError, ValueError, TypeError) as error:
            refused = error
        problems = refused.problems if isinstance(refused, ExplainrunError) else [Problem.from_error(refused)]
        assert "other" not in {problem.code for problem in problems}, (given, refused)
        assert not list(folder.rglob("_explain_*")), (given, refused)
        return refused

    return attempted


def check_readable(folder):
    """Whether all that reads a run reads this one."""
    found = inspect_run(folder)
    assert (found.finished, found.faults) == (True, ())
    results = Results(folder)
    results.frame()
    if not results.metrics:
        return
    baseline = folder.parent / "baseline.json"
    for command in (["inspect", folder], ["scores", "--json", folder], ["baseline", folder, "-o", baseline]):
        ended = CliRunner().invoke(main, [*map(str, command)])
        assert ended.exit_code == 0, (command, ended.output)
    ended = CliRunner().invoke(main, ["compare", str(baseline), str(folder)])
    assert "at least 5 samples" in ended.output or ended.exit_code == 0, ended.output


@pytest.mark.long  # two minutes; what the one below does in a single run, value by value
@pytest.mark.parametrize("option", ODD)
def test_odd_values_are_refused_or_run_to_the_end(attempt, option):
    found = [attempt(**{option: value}) for value in ODD[option]]
    for folder in found:
        if isinstance(folder, Path):
            check_readable(folder)


NETWORK = """
import mindspore as ms
import numpy as np
from mindspore import nn, ops


class Weighed(nn.Cell):
    def __init__(self):
        super().__init__()
        self.weights = ms.Parameter(ms.Tensor(np.eye(2, 8, dtype=np.float32)))

    def construct(self, x):
        return ops.matmul(x.reshape(x.shape[0], -1), self.weights.T)
"""
CONFIG = {
    "summary_dir": "run", "network": {"factory": "weighed.py:Weighed"}, "activation": "sigmoid",
    "data": {"npz": "scenes.npz"}, "class_names": ["zero", "one"], "explainers": ["Gradient"],
    "metrics": [{"PointingGame": {"tolerance": 1}}], "jit": "off",
}  # fmt: skip
WRITTEN = [
    "null", "true", "no", "3", "-1", "-0.0", ".inf", ".nan", "9" * 40, "1e400", "plain", "'2'", "''", "' '", "[1, 2]",
    "[[a], [b]]", "[]", "{}", "{0: a, 1: b}", "{a: 1}", "2020-01-01", "12:30:45", "!!binary aGk=", "!!set {a, b}",
    "שלום", '"e\\u0301"', '"\\ud800"', '"a\\nb"', '"a\\0b"', "a/b", "x" * 300, "[a, 1, null]", "[{a: 1}]", "&a [*a]",
]  # fmt: skip
SECTIONS = {key: kind.model_fields for key, kind in schema._SECTIONS.items()}
KEYS = [
    *schema.RunConfig.model_fields,
    *(f"{at}.{key}" for at, keys in SECTIONS.items() for key in keys),
    "explainers.0",
]


@pytest.mark.long  # beside it
@pytest.mark.parametrize("key", KEYS)
def test_odd_values_of_configs(tmp_path, monkeypatch, key):
    (tmp_path / "weighed.py").write_text(NETWORK)
    images, labels, boxes = (np.stack([np.asarray(row[part]) for row in ROWS]) for part in range(3))
    np.savez(tmp_path / "scenes.npz", images=images, labels=labels, bboxes=boxes)
    monkeypatch.chdir(tmp_path)
    for place, value in enumerate(WRITTEN):
        content = yaml.safe_load(yaml.safe_dump(CONFIG))
        schema._set(content, key, "@@")
        text = yaml.safe_dump(content).replace("'@@'", value).replace("summary_dir: run", f"summary_dir: run{place}")
        (tmp_path / "config.yaml").write_text(text, "utf-8")
        before = set(tmp_path.rglob("_explain_*"))
        ended = CliRunner().invoke(main, ["run", "config.yaml"])
        made = set(tmp_path.rglob("_explain_*")) - before
        assert (ended.exit_code, len(made)) in ((0, 1), (2, 0)), (value, ended.output)
        for folder in made:
            assert inspect_run(folder.parent).faults == ()


def test_odd_values_together(attempt):
    """A few of those that are admitted, in one run."""
    odd = {
        "class name": Another("e\u0301 👩\u200d🚀\n\x1b[31m"), "explainer name": np.str_("שלום"),
        "metric name": Word.PLAIN, "seed": np.int64(3), "pass_size": Whole.TWO, "strict": np.bool_(True),
        "skip_broken": np.bool_(False), "jit": np.bool_(False), "labels": np.array([0, 1]), "mean": np.array([0.5]),
        "std": np.float16(0.5), "summary_dir": Word.PLAIN, "run.limit": np.uint8(2), "run.overwrite": np.bool_(True),
        "run.resume": np.bool_(True),
    }  # fmt: skip
    folder = attempt(**odd)
    assert folder.name == "plain"
    check_readable(folder)
    results = Results(folder)
    assert (results.class_names[0], results.explainers[0], results.metrics) == (odd["class name"], "שלום", ("plain",))


def test_numbers_of_numpy_are_the_same_run(attempt):
    """Finished under Python's numbers, recognised under NumPy's: the plan is the same."""
    first = attempt(seed=3, pass_size=2, strict=False, **{"run.limit": 2})
    os.chdir(first.parent)
    again = ["seed", "pass_size", "strict", "run.limit"], [np.int64(3), np.uint8(2), np.bool_(False), np.int32(2)]
    raw = [Results(folder).plan for folder in (first, attempt(**dict(zip_longest(*again))))]
    assert {**raw[0], "summary_dir": ""} == {**raw[1], "summary_dir": ""}
