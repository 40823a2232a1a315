"""Scores of runs that were never run, made up in memory or written with literal numbers; what comparisons find."""

import json

import numpy as np
import pytest

from explainrun.runner.comparison import Change, Comparison, Flip, ScoredRun, Similarity, WorstQuestion
from explainrun.runner.comparison.formats.findings import Verdict
from explainrun.summary_format import ExplanationBatch, InferenceBatch, RunFolder, Segments
from explainrun.summary_format.archive.results_file import write_archive
from explainrun.summary_format.plan_record import PlanRecord

PLAN = {
    "network": {"class": "Net", "weights and layers": "abc123"},
    "activation_fn": "Sigmoid",
    "class_names": ["cat", "dög", "owl"],
    "explainers": {"GradCAM": {"class": "GradCAM", "layer": "conv"}, "RISE": {"class": "RISE", "masks": 8}},
    "metrics": {"InsertionAUC": {"class": "InsertionAUC", "steps": 16}, "Leak": {"class": "Leak"}},
    "higher_is_better": {"InsertionAUC": True, "Leak": False},
    "controls": [],
    "samples": 12,
    "limit": None,
    "seed": 7,
    "pass_size": 4,
    "mean": [0.5],
    "std": [0.25],
    "device": "CPU",
    "versions": {"explainrun": "0.1.0", "mindspore": "2.9"},
    "config": {"network": {"checkpoint": "/home/somebody/net.ckpt"}, "data": {"hdf5": "/data/digits.h5"}},
}


def scored(values, explainers=("E",), metrics=("M",), *, higher=None, samples=None, labels=None, name="run", **changes):
    """A ``ScoredRun`` of scores (questions, explainers, metrics), a sample and label each unless said otherwise."""
    values = np.asarray(values, float).reshape(-1, len(explainers), len(metrics))
    samples = np.arange(len(values)) if samples is None else np.asarray(samples)
    labels = np.zeros(len(values), int) if labels is None else np.asarray(labels)
    ids = np.unique(samples)
    own = [sorted(labels[samples == sample].tolist()) for sample in ids]
    truth = np.array([row + [-1] * (max(map(len, own)) - len(row)) for row in own])
    return ScoredRun(
        **{
            "name": name,
            "class_names": ("a", "b", "c"),
            "explainers": {explainer: {} for explainer in explainers},
            "metrics": {metric: {} for metric in metrics},
            "higher_is_better": {metric: metric not in (higher or ()) for metric in metrics}
            if not isinstance(higher, dict)
            else higher,
            "described": {"seed": 0},
            "samples": ids,
            "digests": ids + 100,
            "truth": truth,
            "predicted": tuple(tuple(row) for row in own),
            "questions": np.stack([samples, labels], axis=1),
            "scores": {
                (explainer, metric): values[:, i, j]
                for i, explainer in enumerate(explainers)
                for j, metric in enumerate(metrics)
            },
            **changes,
        }
    )


@pytest.fixture
def make_scored():
    return scored


@pytest.fixture
def make_run(tmp_path):
    """Writes a finished run of twelve samples, a true label each and for every third a predicted one beside it.

    ``fall`` is taken from GradCAM's InsertionAUC; ``nan`` are samples for which the network gives no numbers.
    """

    def made(name, *, fall=0.0, seed=0, nan=(), ids=range(12), finished=True, pictures=True, **changes):
        plan = json.loads(json.dumps({**PLAN, **changes}))
        run = RunFolder.create(tmp_path / name, "CPU", {"plan": plan})
        segments, classes = Segments(run, tuple(plan["explainers"])), len(plan["class_names"])
        for batch in range(2):
            own = [sample for sample in ids if sample // 6 == batch]
            write_batch(segments, batch, own, plan, (fall, seed, nan, classes))
            if not finished:
                return run
        write_archive(segments, PlanRecord.of(plan))
        if pictures:
            run.write_file(run.root / run.heatmap_path("GradCAM", 3, 0), b"picture")
        run.write_manifest(saliency_map=True, benchmark=True, uncertainty=False, hierarchical_occlusion=False)
        run.sweep()
        return run

    return made


def write_batch(segments, batch, ids, plan, how):
    fall, seed, nan, classes = how
    rng = np.random.default_rng([0, batch])
    other = np.random.default_rng([1, batch, seed])
    truth = np.array([[sample % 3] for sample in ids], np.int64).reshape(-1, 1)
    probabilities = np.full((len(ids), classes), 0.125, np.float32)
    questions = []
    for row, sample in enumerate(ids):
        probabilities[row, sample % 3] = 0.75
        asked = {sample % 3}
        if sample % 3 == 1:
            probabilities[row, 2] = 0.625
            asked.add(2)
        if sample in nan:
            probabilities[row] = np.nan
            asked = ()
        questions += [(sample, label) for label in sorted(asked)]
    questions = np.array(questions, np.int64).reshape(-1, 2)
    samples, spread = np.array(ids, np.int64), np.zeros((0, len(ids), classes))
    numbers = np.where(np.isnan(probabilities), np.nan, 0).astype(np.float32)
    said = InferenceBatch(
        ids=samples,
        digests=samples.astype(np.uint32) + 9,
        truth=truth,
        logits=numbers,
        probabilities=probabilities,
        spread=spread,
        questions=questions,
        labels_out_of_range=0 * samples,
        costs={},
    )
    segments.write_samples(batch, said)
    for place, explainer in enumerate(plan["explainers"]):
        maps = rng.normal(size=(12, 3, 5)).astype(np.float32)[questions[:, 0] % 6 + 0]
        maps = maps + 0.1 * seed * other.normal(size=maps.shape).astype(np.float32)
        base = rng.random((len(plan["metrics"]), 18))[:, questions[:, 0] % 6 * 3 + questions[:, 1]]
        base[0] -= fall * (place == 0)
        scores = ExplanationBatch(
            scores=base, computed=np.ones(len(questions), bool), errors=np.full(len(questions), np.nan), costs={}
        )
        segments.write_explained(batch, explainer, scores, maps.astype(np.float32))


NAN = float("nan")
NASTY = "a|b `<i>`\n\x1b[31m *x*"  # breaks tables, code spans, HTML, lines, terminals, emphasis


def row(explainer, metric, **given):
    """A row whose mean score did not change."""
    usual = {
        "higher_is_better": True, "baseline": 0.9, "candidate": 0.9, "low": -0.01, "high": 0.01, "tolerance": 0.02,
        "p_value": 1.0, "questions": 52, "lost": 0, "gained": 0, "unscored": 0, "verdict": Verdict.NON_INFERIOR,
    }  # fmt: skip
    return Change(explainer=explainer, metric=metric, **{**usual, **given})


@pytest.fixture
def change():
    return row


@pytest.fixture
def passed():
    """Nothing but two rows, as beside a baseline file."""
    rows = (row("Gradient", "IoSR"), row("GradCAM", "IoSR"))
    return Comparison(
        baseline="baseline.json",
        candidate="runs/b",
        alpha=0.05,
        class_names=("cat", "dog"),
        changes=rows,
        samples=20,
        questions=52,
    )


@pytest.fixture
def failed():
    """Of everything something: a regression of each direction, lost scores, too few samples, an improvement."""
    rows = (
        row("Gradient", "InsertionAUC", baseline=0.9477, candidate=0.947, p_value=0.81),
        row("GradCAM", "InsertionAUC", baseline=0.9477, candidate=0.8971, low=-0.0711, high=-0.03, p_value=0.0004,
            verdict=Verdict.REGRESSION),
        row("Gradient", "Infidelity", higher_is_better=False, baseline=0.01, candidate=0.005, low=-0.006, high=-0.004,
            tolerance=0.001, unscored=4, verdict=Verdict.BETTER),
        row("GradCAM", "Infidelity", higher_is_better=False, baseline=0.01, candidate=0.03, low=0.015, high=0.025,
            tolerance=0.001, p_value=0.00004, verdict=Verdict.REGRESSION),
        row(NASTY, "IoSR", questions=40, lost=12, gained=3, verdict=Verdict.SCORES_LOST),
        row("GradCAM", "IoSR", baseline=NAN, candidate=NAN, low=NAN, high=NAN, tolerance=NAN, p_value=NAN,
            questions=0, verdict=Verdict.NOT_TESTED),
    )  # fmt: skip
    return Comparison(
        baseline="runs/a",
        candidate="runs/b",
        alpha=0.05,
        class_names=("cat", "dog"),
        changes=rows,
        similarities=(
            Similarity(explainer="Gradient", spearman=0.98765, top_intersection=0.8, compared=52, not_compared=0),
            Similarity(explainer=NASTY, spearman=NAN, top_intersection=NAN, compared=0, not_compared=3),
        ),
        flips=tuple(Flip(sample, (0,), (0, 1)) for sample in range(12)),
        worst=(
            WorstQuestion(
                sample=3,
                label=1,
                explainer="GradCAM",
                metric="InsertionAUC",
                baseline=0.95,
                candidate=0.1,
                baseline_picture="a/x/3_1.jpg",
                candidate_picture="b/x/3_1.jpg",
            ),
            WorstQuestion(
                sample=4,
                label=7,
                explainer=NASTY,
                metric="IoSR",
                baseline=0.8,
                candidate=NAN,
                baseline_picture=None,
                candidate_picture="b/`|.jpg",
            ),
        ),
        samples=20,
        questions=52,
        only_baseline=5,
        only_candidate=1,
        notes=("seed was 0, is 1", "network.weights was 'ab|', is 'cd'"),
        new=("explainer RISE",),
    )
