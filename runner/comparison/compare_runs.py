"""Comparing the scores of two runs, question by question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...summary_format.errors import nearest
from ...summary_format.problem import Problem
from ..results.resampling import (
    RESAMPLES,
    bootstrap_intervals,
    by_sample,
    holm,
    least_p_value,
    resamples_for,
    sign_flip_p_values,
)
from .compatibility import NotComparableError, check_comparable, left_out, notes
from .formats.findings import Change, Flip, Verdict, fall_between
from .load import scored_run
from .map_similarity import similarities
from .pairs import Pairs
from .result import Comparison
from .scored_run import FloatArray, ScoredRun
from .tolerances import ALPHA, DEFAULTS, Tolerances, alpha_of
from .worst_questions import worst_questions

_DUST = 1e-12  # of a mean: what adding up in another order changes


def compare(
    baseline: str | Path | ScoredRun,
    candidate: str | Path | ScoredRun,
    tolerances: Tolerances | float | str | Mapping[str, float | str] = DEFAULTS,
    *,
    alpha: float = ALPHA,
    explainers: Sequence[str] | str | None = None,
    metrics: Sequence[str] | str | None = None,
    maps: bool = True,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare a candidate with a baseline, on the questions about true labels that both scored.

    A row, an explainer's scores in a metric, is a regression where its mean is worse by more than the tolerance and
    a one-sided sign flip test over samples, with Holm's correction over all rows, gives at most alpha. A score that
    the baseline has and the candidate has not is lost, which is never a pass.

    Args:
        baseline: a summary folder, data folder, ``results.h5`` or baseline file, or one opened.
        candidate: another such.
        tolerances: how much worse means may get: a number, in the metric's unit; per cent of the baseline's mean, such
            as "2%"; either by metric, the others at 0.01; or ``Tolerances``.
        alpha: chance of a false alarm anywhere in the table, at most.
        explainers: compare these alone; None for all of the baseline but those that are controls in both runs, of
            which no score says anything of explanations, unless there is nothing else.
        metrics: compare these alone; None for all of the baseline.
        maps: compare maps too, where both have them.
        resamples: draws of the bootstrap and of the tests; of these more where the table needs more.

    Raises:
        NotComparableError: if the two cannot be compared, or are so small that nothing could be found.
        RulesError: if a tolerance is for a metric that neither has.
        ValueError: if alpha or a tolerance is out of range, or one of the two cannot be read: see ``scored_run``.
        OSError: if one of the two cannot be read.
    """
    alpha, tolerances = alpha_of(alpha), Tolerances.of_given(tolerances)
    explainers, metrics = ([names] if isinstance(names, str) else names for names in (explainers, metrics))
    before, now = (run if isinstance(run, ScoredRun) else scored_run(run) for run in (baseline, candidate))
    tolerances.check([*before.metrics, *now.metrics])
    new = _new(before, now) if explainers is None and metrics is None else ()
    before, now = _selected(before, now, explainers, metrics)
    check_comparable(before, now)
    pairs = Pairs(before, now)
    changes = _changes(pairs, tolerances, alpha, resamples)
    return _findings(pairs, changes, before, now, alpha=alpha, maps=maps, new=new)


def _findings(
    pairs: Pairs,
    changes: tuple[Change, ...],
    before: ScoredRun,
    now: ScoredRun,
    *,
    alpha: float,
    maps: bool,
    new: tuple[str, ...],
) -> Comparison:
    return Comparison(
        baseline=before.name,
        candidate=now.name,
        alpha=alpha,
        class_names=before.class_names,
        changes=changes,
        similarities=similarities(before, now) if maps else (),
        flips=_flips(before, now),
        worst=worst_questions(pairs, changes),
        samples=len(before.samples),
        questions=int((pairs.asked_before & pairs.asked_now).sum()),
        only_baseline=_other_questions(before, now),
        only_candidate=_other_questions(now, before),
        notes=notes(before, now),
        new=new,
        left_out=left_out(before, now),
    )


def _changes(pairs: Pairs, tolerances: Tolerances, alpha: float, resamples: int) -> tuple[Change, ...]:
    """A row each."""
    samples = pairs.questions[:, 0]
    sums, counts = by_sample(samples, pairs.changes)
    low, high = bootstrap_intervals(sums, counts, resamples=resamples)
    falls = np.where(pairs.higher, -sums, sums)
    paired = (counts > 0).sum(axis=0)
    signs = resamples_for(int((paired > 0).sum()), alpha, resamples)
    tested = _tested(pairs, paired, alpha, signs)
    both = sign_flip_p_values(np.concatenate([falls, -falls], axis=1), resamples=signs)
    worse, better = (holm(np.where(tested, p_values, np.nan)) for p_values in np.split(both, 2))
    return tuple(
        _change(pairs, row, tolerances, alpha, (float(low[row]), float(high[row])), float(worse[row]),
                float(better[row]))
        for row in range(len(pairs.rows))
    )  # fmt: skip


def _change(
    pairs: Pairs,
    row: int,
    tolerances: Tolerances,
    alpha: float,
    interval: tuple[float, float],
    worse: float,
    better: float,
) -> Change:
    explainer, metric = pairs.rows[row]
    before, now = pairs.before[:, row], pairs.now[:, row]
    had, has = np.isfinite(before), np.isfinite(now)
    means = [_mean(values[had & has]) for values in (before, now)]
    higher = bool(pairs.higher[row])
    tolerance, lost = tolerances.of(metric).absolute(means[0]), int((had & ~has).sum())
    fall, slack = fall_between(means[0], means[1], higher), _DUST * max(*map(abs, means), tolerance)
    return Change(
        explainer=explainer,
        metric=metric,
        higher_is_better=higher,
        baseline=means[0],
        candidate=means[1],
        low=interval[0],
        high=interval[1],
        tolerance=tolerance,
        p_value=worse,
        questions=int((had & has).sum()),
        lost=lost,
        gained=int((~had & has).sum()),
        unscored=int((~had & ~has).sum()),
        verdict=_verdict(fall, tolerance + slack, lost=lost, worse=worse, better=better, alpha=alpha),
    )


def _verdict(fall: float, allowed: float, *, lost: int, worse: float, better: float, alpha: float) -> Verdict:
    """What follows from how much worse a mean is than it was, and from how likely that, or the opposite, is chance."""
    if fall > allowed and worse <= alpha:
        return Verdict.REGRESSION
    if lost:
        return Verdict.SCORES_LOST
    if math.isnan(worse):
        return Verdict.NOT_TESTED
    if -fall > allowed and better <= alpha:
        return Verdict.BETTER
    return Verdict.SAME


def _tested(pairs: Pairs, paired: npt.NDArray[np.int64], alpha: float, resamples: int) -> npt.NDArray[np.bool_]:
    """(rows,) in which rows a fall of all samples would be found.

    Raises:
        NotComparableError: if there is none, and no score is lost either: such a gate could never close.
    """
    rows = int((paired > 0).sum())
    least = np.array([least_p_value(int(samples), resamples) for samples in paired])
    tested: npt.NDArray[np.bool_] = (paired > 0) & (least <= alpha / max(rows, 1))
    lost = (np.isfinite(pairs.before) & ~np.isfinite(pairs.now)).any()
    if tested.any() or lost:
        return tested
    if not rows:
        words = "no question about a true label has a score in both runs"
        raise NotComparableError([Problem.of("no-common-scores", words)])
    needed = math.ceil(math.log2(rows / alpha))
    most = int(paired.max())
    if most >= needed:
        words = (
            "an alpha of {alpha} over {rows:plural row} is below what {resamples} permutations can show; raise it, or "
            "compare fewer explainers and metrics"
        )
        raise NotComparableError([Problem.of("alpha-too-small", words, alpha=alpha, rows=rows, resamples=resamples)])
    words = (
        "{samples:plural sample} cannot show a fall beyond noise in {rows:plural row} at alpha {alpha}: at least "
        "{needed} samples with scores are needed"
    )
    values = {"samples": most, "rows": rows, "alpha": alpha, "needed": needed}
    raise NotComparableError([Problem.of("too-few-samples", words, **values)])


def _selected(
    before: ScoredRun, now: ScoredRun, explainers: Sequence[str] | None, metrics: Sequence[str] | None
) -> tuple[ScoredRun, ScoredRun]:
    """With the explainers and metrics that shall be compared."""
    problems = []
    for kind, wanted, known in (("explainer", explainers, before.explainers), ("metric", metrics, before.metrics)):
        if wanted is not None and not wanted:
            problems.append(Problem.of("nothing-to-compare", "name at least one {kind} to compare", kind=kind))
        problems += [
            Problem.of(
                "run-has-no-such",
                "{run} has no {kind} {name!r}; {nearest}",
                run=before.name,
                kind=kind,
                name=name,
                nearest=nearest(name, known),
            )
            for name in dict.fromkeys(wanted or ())
            if name not in known
        ]
    if problems:
        raise NotComparableError(problems)
    judged = explainers or [name for name in before.explainers if not _control(name, before, now)] or before.explainers
    chosen = (judged, metrics or before.metrics)
    return before.only(*chosen), now.only(*chosen)


def _control(name: str, before: ScoredRun, now: ScoredRun) -> bool:
    """Whether an explainer of the baseline is none to judge: what the candidate has as a method is judged anyway."""
    return name in before.controls and (name in now.controls or name not in now.explainers)


def _new(before: ScoredRun, now: ScoredRun) -> tuple[str, ...]:
    added = (name for name in now.explainers if name not in before.explainers and name not in now.controls)
    explainers = (f"explainer {name}" for name in added)
    return (*explainers, *(f"metric {name}" for name in now.metrics if name not in before.metrics))


def _flips(before: ScoredRun, now: ScoredRun) -> tuple[Flip, ...]:
    predicted = dict(zip(now.samples.tolist(), now.predicted, strict=True))
    return tuple(
        Flip(sample, was, predicted[sample])
        for sample, was in sorted(zip(before.samples.tolist(), before.predicted, strict=True))
        if was != predicted[sample]
    )


def _other_questions(run: ScoredRun, other: ScoredRun) -> int:
    """How many questions about labels that are not true a run alone asked."""
    true = {tuple(pair) for pair in run.true_questions.tolist()}
    theirs = {tuple(pair) for pair in other.questions.tolist()}
    return sum(tuple(pair) not in true and tuple(pair) not in theirs for pair in run.questions.tolist())


def _mean(values: FloatArray) -> float:
    return math.fsum(values.tolist()) / len(values) if len(values) else math.nan
