"""Public names that documents had before they changed: they still work, with a warning that says the new one."""

import sys
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from mindspore import Tensor, nn

import explainrun.summary_format
from explainrun.benchmarks import Explanation, Metric, Robustness
from explainrun.benchmarks.core.family import MetricFamily
from explainrun.explainers import Estimate, Explainer, InputXGradient, Needs, Network, View
from explainrun.runner import ImageClassificationRunner, RunResult, Scores
from explainrun.summary_format import InferenceBatch, Results, inspect_run
from explainrun.summary_format.inspection.committed_work import NotComputed
from explainrun.summary_format.plan_record import PlanRecord

NAMES = {
    "explainrun.explainers.tensors": ("explainrun.explainers", ["Activation", "FloatArray", "checked_activation"]),
    "explainrun.explainers.images": ("explainrun.explainers", ["resized", "saliency_to_image", "stretched"]),
    "explainrun.benchmarks.metric": ("explainrun.benchmarks", ["Metric", "Scores"]),
}
WEIGHTS, IMAGES = (
    np.linspace(-1, 1, 32).reshape(2, 1, 4, 4),
    np.linspace(0, 1, 32, dtype=np.float32).reshape(2, 1, 4, 4),
)


def warns(old, new):
    return pytest.warns(DeprecationWarning, match=f"{old}.* is deprecated; use {new}$")


@pytest.mark.parametrize("old", NAMES)
def test_an_old_module_warns_and_has_the_same_names(old, monkeypatch):
    new, names = NAMES[old]
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(DeprecationWarning, match=f"{old} is deprecated; import from {new}"):
        module = import_module(old)
    for name in names:
        assert getattr(module, name) is getattr(import_module(new), name)


@pytest.mark.parametrize(
    ("old", "new"),
    [("SampleBatch", "InferenceBatch"), ("Explained", "ExplanationBatch"), ("Searched", "SearchBatch")],
)
def test_classes_of_the_summary_format(old, new):
    with warns(old, new) as caught:
        assert getattr(explainrun.summary_format, old) is getattr(explainrun.summary_format, new)
    assert caught[0].filename == __file__
    assert old not in dir(explainrun.summary_format)
    with pytest.raises(AttributeError, match="no attribute 'Sampled'"):
        _ = explainrun.summary_format.Sampled


@pytest.fixture
def view(linear):
    rows, labels = np.array([0, 1]), np.array([1, 0])
    return View(Network(linear(WEIGHTS), 2), IMAGES, rows, labels, needs=Needs.gradient(), seed=3)


def same_questions(first, second):
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in ("images", "rows", "labels"))


def test_views(view):
    copies = ([1], IMAGES[1:] / 2, [0], [1], None, Needs())
    with warns("View.some", "subset"):
        assert same_questions(view.some(slice(1, 2)), view.subset(slice(1, 2)))
    with warns("View.parts", "chunks") as caught:
        parts = list(view.parts(1))
    assert caught[0].filename == __file__
    assert all(map(same_questions, parts, view.chunks(1)))
    with warns("View.changed", "with_images"):
        assert same_questions(view.changed(*copies), view.with_images(*copies))


def test_explanations(view):
    counted, later = [], []
    maps = np.zeros((2, 4, 4), np.float32)
    with warns("the argument need of Explanation", "count_passes") as caught:
        explanation = Explanation(None, view, maps, need=lambda *given: counted.append(given))
    assert caught[0].filename == __file__
    with warns("Explanation.need", "count_passes"):
        explanation.need("noise", 2)
    assert counted == [("noise", 2)]
    with warns("Explanation.need", "count_passes"):
        explanation.need = lambda *given: later.append(given)
    explanation.count_passes("noise", 3)
    assert later == [("noise", 3)]
    with warns("Explanation.let_go", "release"):
        explanation.let_go()
    assert explanation.peers == ()
    with (
        warns("the argument need", "count_passes"),
        pytest.raises(TypeError, match=r"multiple values .* 'count_passes'"),
    ):
        Explanation(None, view, maps, need=print, count_passes=print)


def made(*bases, **named):
    """A class of another package; only its own body can warn."""
    return type(bases[0])("Theirs", bases, {"score": lambda self, _: np.zeros(1), **named})


def test_a_metric_of_another_package_that_sets_the_old_attributes():
    with warns("Theirs", "map_recomputations"), warns("Theirs", "control_sensitive") as caught:

        class Theirs(Metric):
            maps_again = 1
            controlled = False

            def score(self, explanation):
                return np.zeros(len(explanation.maps))

    assert {one.filename for one in caught} == {__file__}
    assert (Theirs.map_recomputations, Theirs.control_sensitive) == (1, False)
    assert (Theirs().map_recomputations, Theirs().control_sensitive) == (1, False)
    with warns("Theirs.maps_again", "map_recomputations"):
        assert Theirs().maps_again == 1
    assert type("Further", (Theirs,), {}).map_recomputations == 1  # without a warning, which would be an error here


def test_a_metric_that_sets_them_when_it_is_made():
    def init(self, samples):
        Metric.__init__(self)
        self.samples = self.maps_again = samples

    theirs = made(Metric, __init__=init)
    with warns("Metric.maps_again", "map_recomputations"):
        metric = theirs(4)
    assert (metric.map_recomputations, metric.control_sensitive) == (4, True)
    assert theirs.map_recomputations == 0


def test_a_metric_that_computes_them_or_inherits_them_from_a_class_beside():
    with warns("Theirs.controlled", "control_sensitive"):
        theirs = made(Metric, controlled=property(lambda self: self.name == "yes"))
    assert (theirs(name="yes").control_sensitive, theirs(name="no").control_sensitive) == (True, False)
    with warns("Theirs.maps_again", "map_recomputations"):
        mixed = type(Metric)("Theirs", (type("Twice", (), {"maps_again": 2}), theirs), {})
    assert mixed.map_recomputations == 2


def test_a_metric_that_suits_several_versions_is_left_alone(recwarn):
    theirs = made(Metric, controlled=False, control_sensitive=False, maps_again=1, map_recomputations=2)
    assert not recwarn
    assert (theirs().control_sensitive, theirs().map_recomputations) == (False, 2)
    with warns("Theirs.maps_again", "map_recomputations"):
        assert theirs().maps_again == 2


def test_metrics_of_ours_and_families_have_them_too():
    metric = Robustness(2, nn.Sigmoid(), samples=3)
    with warns("Metric.maps_again", "map_recomputations"):
        assert metric.maps_again == 3
    with warns("Metric.controlled", "control_sensitive"):
        assert Robustness.controlled is False
    with warns("Theirs.controlled", "control_sensitive"):
        member = made(Metric, controlled=False)
    family = made(MetricFamily, members={"Theirs": lambda num_labels: member()})
    assert family(None, "Theirs").control_sensitive is False


FORMAT = "{name} is off by {error:.1f}"


@pytest.fixture
def explainer_of_another_package():
    with warns("Theirs.error_told", "error_format"):

        class Theirs(InputXGradient):
            error_told = FORMAT

            def estimate(self, view):
                return Estimate(self.attribute(view), np.full(len(view.rows), 0.5))

    return Theirs


def test_an_explainer_of_another_package_that_sets_the_old_attribute(explainer_of_another_package):
    assert explainer_of_another_package.error_format == FORMAT
    with warns("Theirs.error_told", "error_format"):
        assert explainer_of_another_package.error_told == FORMAT
    with warns("Explainer.error_told", "error_format"):
        assert Explainer.error_told == Explainer.error_format != FORMAT


@pytest.fixture
def run(linear, dataset, tmp_path, explainer_of_another_package):
    """A run of what another package wrote for an earlier version, with a label that is out of range."""
    with warns("Theirs.controlled", "control_sensitive"):
        metric = made(Metric, controlled=False)(name="Theirs")
    metric.score = lambda explanation: np.ones(len(explanation.maps))
    network = linear(WEIGHTS)
    rows = [(image, np.array([0, 5], np.int32)) for image in IMAGES]
    runner = ImageClassificationRunner(tmp_path, (dataset(rows), ["a", "b"]), network, nn.Softmax(), jit="off")
    runner.register_saliency([explainer_of_another_package(network, name="E")], [metric])
    return SimpleNamespace(result=runner.run(), folder=tmp_path)


def test_a_run_of_them_is_what_it_was(run):
    assert "E is off by 0.5" in run.result.summary_line()
    assert run.result.plan["errors"] == {"E": FORMAT}
    assert run.result.plan["uncontrolled"] == ["Theirs"]
    assert run.result.scores.control_insensitive == ("Theirs",)


def test_results_of_a_run(run):
    result, results, inspection = run.result, Results(run.folder), inspect_run(run.folder)
    assert result.labels_out_of_range == 2
    with warns("RunResult.beyond", "labels_out_of_range"):
        assert result.beyond == 2
    with warns("RunScores.uncontrolled", "control_insensitive"):
        assert result.scores.uncontrolled == ("Theirs",)
    with warns("Results.beyond", "labels_out_of_range"):
        assert results.beyond.tolist() == results.labels_out_of_range.tolist() == [1, 1]
    with warns("NotComputed.beyond", "labels_out_of_range"):
        assert inspection.not_computed.beyond == 2


def test_results_that_are_made_by_hand(run):
    with warns("the argument beyond of NotComputed", "labels_out_of_range"):
        assert NotComputed(beyond=3) == NotComputed(labels_out_of_range=3)
    with warns("the argument uncontrolled of RunScores", "control_insensitive"):
        assert Scores(class_names=(), explainers=(), metrics=("M",), uncontrolled=("M",)).control_insensitive == ("M",)
    fields = {name: getattr(run.result, name) for name in RunResult.__dataclass_fields__}
    with warns("the argument beyond of RunResult", "labels_out_of_range"):
        again = RunResult(beyond=fields.pop("labels_out_of_range"), **fields)
    assert again.labels_out_of_range == 2
    none = np.zeros((0, 2))
    given = dict.fromkeys(("ids", "digests", "truth", "logits", "probabilities", "spread", "questions"), none)
    with warns("the argument beyond of InferenceBatch", "labels_out_of_range"):
        batch = InferenceBatch(**given, beyond=none)
    with warns("InferenceBatch.beyond", "labels_out_of_range"):
        assert batch.beyond is batch.labels_out_of_range is none


def test_a_plan_may_hold_keys_called_as_the_new_names():
    plan = {"class_names": [], "explainers": {}, "metrics": {}, "uncontrolled": ["M"], "control_insensitive": 3}
    record = PlanRecord.of(plan)
    assert (record.control_insensitive, record.raw) == (("M",), plan)


def test_explaining_warns_of_nothing(linear, recwarn):
    metric = Robustness(2, nn.Softmax(), samples=2)
    assert np.isfinite(metric.evaluate(InputXGradient(linear(WEIGHTS)), Tensor(IMAGES), 1)).all()
    assert not [one for one in recwarn if issubclass(one.category, DeprecationWarning)]
