"""What comparisons found, by hand."""

import pytest

from explainrun.runner.comparison import Change, Comparison, Flip, Similarity, WorstQuestion
from explainrun.runner.comparison.comparison import Verdict

NAN = float("nan")
NASTY = "a|b `<i>`\n\x1b[31m *x*"  # breaks tables, code spans, HTML, lines, terminals, emphasis


def row(explainer, metric, **given):
    """A row whose mean score did not change."""
    usual = {
        "higher_is_better": True, "baseline": 0.9, "candidate": 0.9, "low": -0.01, "high": 0.01, "tolerance": 0.02,
        "p_value": 1.0, "questions": 52, "lost": 0, "gained": 0, "unscored": 0, "verdict": Verdict.SAME,
    }  # fmt: skip
    return Change(explainer=explainer, metric=metric, **{**usual, **given})


@pytest.fixture
def change():
    return row


@pytest.fixture
def passed():
    """Nothing but two rows, as beside a baseline file."""
    rows = (row("Gradient", "IoSR"), row("GradCAM", "IoSR"))
    return Comparison("baseline.json", "runs/b", 0.05, ("cat", "dog"), rows, samples=20, questions=52)


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
        "runs/a", "runs/b", 0.05, ("cat", "dog"), rows,
        similarities=(Similarity("Gradient", 0.98765, 0.8, 52, 0), Similarity(NASTY, NAN, NAN, 0, 3)),
        flips=tuple(Flip(sample, (0,), (0, 1)) for sample in range(12)),
        worst=(
            WorstQuestion(3, 1, "GradCAM", "InsertionAUC", 0.95, 0.1, "a/x/3_1.jpg", "b/x/3_1.jpg"),
            WorstQuestion(4, 7, NASTY, "IoSR", 0.8, NAN, None, "b/`|.jpg"),
        ),
        samples=20, questions=52, only_baseline=5, only_candidate=1,
        notes=("seed was 0, is 1", "network.weights was 'ab|', is 'cd'"), new=("explainer RISE",),
    )  # fmt: skip
