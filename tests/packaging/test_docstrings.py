"""What docstrings say is what the code does: the names that they list, and facts that were once wrong."""

import ast
import re
from types import SimpleNamespace

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.benchmarks import DeletionAUC, InsertionAUC
from explainrun.explainers import RISE, Gradient, InputXGradient, Occlusion, draw_layers
from explainrun.runner import ImageClassificationRunner, RunResult
from explainrun.runner.comparison import ScoredRun, scored_run
from explainrun.runner.comparison.scored_run import DESCRIBED
from explainrun.runner.data.pictures import Pixels
from explainrun.runner.plan.sharding import NotAWorker, shard_of
from explainrun.runner.results.ranking import Ranking
from explainrun.summary_format import Results, original_picture
from explainrun.summary_format.archive.costs import COSTS
from explainrun.summary_format.plan_diff import plan_differences
from explainrun.summary_format.plan_record import PlanRecord
from explainrun.summary_format.untrusted import array_schema

ROOMS = ("summary_format", "explainers", "benchmarks", "runner", "configs")


def listed(node, section):
    """The names that a section of a docstring explains, in its order."""
    found = re.search(rf"^{section}:\n((?: {{4}}.*\n|\n)*)", f"{ast.get_docstring(node) or ''}\n", re.M)
    names = re.findall(r"^ {4}(\**\w+(?:, \w+)*):", found[1], re.M) if found else []
    return [name.strip("* ") for several in names for name in several.split(",")]


def parameters(function):
    given = function.args
    several = [*given.posonlyargs, *given.args, *filter(None, [given.vararg]), *given.kwonlyargs]
    return [one.arg for one in [*several, *filter(None, [given.kwarg])] if one.arg not in ("self", "cls")]


def named(cls):
    """What objects of a class have: fields, properties and what its methods assign."""
    inside = [node for node in ast.walk(cls) if isinstance(node, (ast.Name, ast.Attribute))]
    assigned = {getattr(node, "attr", None) or node.id for node in inside if isinstance(node.ctx, ast.Store)}
    return assigned | {node.name for node in cls.body if isinstance(node, ast.FunctionDef)}


def wrong_names(tree):
    """Functions whose Args are not their parameters, and classes whose Attributes they do not have."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}: {name}" for name in listed(node, "Attributes") if name not in named(node))
            made = next((one for one in node.body if getattr(one, "name", "") == "__init__"), None)
        else:
            made = node if isinstance(node, ast.FunctionDef) else None
        arguments = listed(node, "Args") if isinstance(node, (ast.ClassDef, ast.FunctionDef)) else []
        if made is not None and arguments and arguments != parameters(made):
            yield f"{node.name}: {arguments}"


@pytest.mark.parametrize("room", ROOMS)
def test_arguments_and_attributes_are_those_that_there_are(repository, room):
    paths = [path for path in (repository / room).rglob("*.py") if path.parent.name != "_gen"]
    assert [(str(path), name) for path in paths for name in wrong_names(ast.parse(path.read_text("utf-8")))] == []


def test_names_that_are_wrong_are_found():
    module = '''
class Thing:
    """One.

    Attributes:
        here: an attribute.
        gone: another.
    """

    here: int

def work(one, *, two):
    """Do it.

    Args:
        two: the second.
        one: the first.
    """
'''
    assert list(wrong_names(ast.parse(module))) == ["Thing: gone", "work: ['two', 'one']"]


@pytest.fixture
def run(linear, dataset, tmp_path):
    """A finished run of two samples, and how to run it again."""
    network = linear(np.linspace(-1, 1, 32).reshape(2, 1, 4, 4))
    rows = [(np.full((1, 4, 4), value, np.float32), np.int32(0)) for value in (0.25, 0.5)]
    runner = ImageClassificationRunner(tmp_path, (dataset(rows), ["a", "b"]), network, nn.Softmax(), jit="off")
    runner.register_saliency([Gradient(network)], [InsertionAUC(2, nn.Softmax(), steps=2)])
    return SimpleNamespace(again=runner.run, result=runner.run(), folder=tmp_path)


@pytest.mark.parametrize("kind", [Results, RunResult])
def test_costs_are_those_that_are_listed(run, kind):
    costs = run.result.costs if kind is RunResult else Results(run.folder).costs
    text = re.search(r"^ +costs: (.*?)\.$", kind.__doc__, re.M | re.S)[1]
    assert set(costs) == set(re.findall(r'"(\w+)"', text)) == set(COSTS)


def test_seconds_of_a_run_that_was_finished_before_are_those_of_its_work(run):
    again = run.again()
    assert again.finished_before
    assert again.seconds == sum(again.costs["seconds"].values())


@pytest.mark.parametrize(
    ("mean", "std", "restored", "level"),
    [
        (0.5, 1.5, 0.8, 204),  # a statistic above 1 says nothing
        (10.0, 10.0, 1.0, 255),
        (10.5, 5.0, 1.0, 1),  # one above 10 does
        (5.0, 10.5, 1.0, 1),
        (0.5, 0.5, 2.0, 255),
        (0.5, 0.5, 3.0, 3),  # as does a pixel above 2
    ],
)
def test_pixels_ran_to_255_where_a_statistic_exceeds_10_or_a_pixel_2(mean, std, restored, level):
    image = np.full((1, 2, 3), (restored - mean) / std, np.float32)
    assert np.asarray(original_picture(image, mean, std))[0, 0].tolist() == [level] * 3
    for told in (original_picture.__doc__, ImageClassificationRunner.__doc__):
        assert re.search(r"0 to 255.*exceeds\s+10 or a\s+restored pixel\s+2, else from 0 to 1", told, re.S)


def test_a_plans_samples_are_the_limit_where_nothing_else_is_known():
    plan = {"class_names": [], "explainers": {}, "metrics": {}}
    known = [{"samples": 7, "limit": 10}, {"limit": 10}, {"limit": 10, "shard": [4, 4]}, {}]
    assert [PlanRecord.of({**plan, **of}).own_samples for of in known] == [7, 10, 2, None]


def test_plans_do_not_differ_by_their_place_and_strictness():
    plan = {"class_names": [], "explainers": {}, "metrics": {}, "samples": 1, "uncompared": ["strict"]}

    def record(**options):
        return PlanRecord.of({**plan, **options})

    before = record(summary_dir="a", strict=True, seed=0)
    assert plan_differences(before, record(summary_dir="b", strict=False, seed=0)) == []
    assert plan_differences(before, record(summary_dir="b", strict=False, seed=1)) == ["seed was 0, is 1"]


def test_every_letter_of_a_form_is_explained():
    plan = PlanRecord.of(
        {
            "class_names": [],
            "explainers": {"E": {}},
            "metrics": {"M": {}},
            "dropout_samples": 2,
            "hierarchical_occlusion": {"blur": 2},
            "nearest_samples": {"count": 2},
        }
    )
    kinds = [*array_schema.SEGMENTS.values(), array_schema.NEAREST, array_schema.archive_specs(plan, pictured=True)]
    letters = {size for kind in kinds for _, shape in kind.values() for size in shape if isinstance(size, str)}
    assert letters <= set(re.findall(r"\b[B-Z]\b", array_schema.__doc__))


def test_explainers_without_scores_are_in_no_difference():
    scores = np.array([[1.0, 0.0, np.nan], [1.0, 0.5, np.nan]])
    ranking = Ranking.of("M", ("a", "b", "without"), (), np.arange(2), scores)
    assert [(pair.first, pair.second) for pair in ranking.differences] == [("a", "b")]


def test_what_a_run_was_made_by(run):
    described = scored_run(run.folder).described
    assert set(described) == {*DESCRIBED, "config"}
    assert described["config"] is None
    assert "DESCRIBED" in ScoredRun.__doc__


@pytest.mark.parametrize("probability", [0, 1, -0.1])
def test_rise_takes_no_probability_at_the_ends(linear, probability):
    with pytest.raises(ValueError, match="probability must lie between 0 and 1"):
        RISE(linear(np.ones((2, 1, 4, 4))), nn.Softmax(), probability=probability)


def test_a_stride_beyond_its_window_is_refused_when_images_come(linear):
    occlusion = Occlusion(linear(np.ones((2, 1, 4, 6))), nn.Softmax(), window=2, stride=3)
    with pytest.raises(ValueError, match="leaves out pixels between windows of 2"):
        occlusion(Tensor(np.zeros((1, 1, 4, 6), np.float32)), 0, show=False)


def test_areas_leave_0_to_1_where_they_are_normalized(linear):
    """Of an image whose negative half speaks against the label: parts of it are surer than the whole."""
    network = linear(np.stack([np.ones((1, 4, 4)), np.zeros((1, 4, 4))]))
    image = np.ones((1, 1, 4, 4), np.float32)
    image[..., 2:] = -2
    scores = [
        metric(2, nn.Softmax(), steps=4, normalized=True).evaluate(InputXGradient(network), Tensor(image), 0)[0]
        for metric in (InsertionAUC, DeletionAUC)
    ]
    assert scores[0] > 1
    assert InsertionAUC(2, nn.Softmax(), steps=4).evaluate(InputXGradient(network), Tensor(image), 0)[0] < 1


def test_other_errors_than_those_that_were_named():
    with pytest.raises(TypeError, match="must be a Tensor or an array"):
        draw_layers("scene.png", None)
    with pytest.raises(NotAWorker):
        shard_of("auto", {"MS_ROLE": "MS_SCHED"})
    with pytest.raises(ValueError, match="or auto, got '2 of 3'"):
        shard_of("2 of 3")
    with pytest.raises(ValueError, match="mean and std go together"):
        Pixels(mean=0.5)
