"""Comparing the scores of two runs, question by question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...summary_format.errors import nearest
from ...summary_format.problem import Problem
from ..results.resampling import RESAMPLES
from .changes import Family
from .compatibility import NotComparableError, check_comparable, left_out, notes
from .floor_checks import checked_floors, floors_left_out
from .formats.findings import Flip
from .load import scored_run
from .map_similarity import similarities
from .pairs import Pairs
from .result import Comparison
from .rules.floors import Floors
from .rules.rules_file import ALPHA, BY, REQUIRE, alpha_of, checked_choice
from .rules.tolerances import DEFAULTS, Tolerances
from .scored_run import ScoredRun
from .slices import slices_of
from .worst_questions import worst_questions


def compare(  # noqa: PLR0913 - all but three are options with defaults, to be given by name
    baseline: str | Path | ScoredRun,
    candidate: str | Path | ScoredRun,
    tolerances: Tolerances | float | str | Mapping[str, float | str] = DEFAULTS,
    *,
    alpha: float = ALPHA,
    floors: Floors | Mapping[str, float] | None = None,
    by: str | None = None,
    require: str | None = None,
    explainers: Sequence[str] | str | None = None,
    metrics: Sequence[str] | str | None = None,
    maps: bool = True,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare a candidate with a baseline, on the questions about true labels that both scored.

    A row, an explainer's scores in a metric, is a regression where its mean is worse by more than the tolerance and
    a one-sided sign flip test over samples, with Holm's correction over all rows, gives at most alpha. It is
    non-inferior where the samples rule out that it is worse by more than the tolerance, and inconclusive where they
    show neither. A score that the baseline has and the candidate has not is lost, which is never a pass.

    Args:
        baseline: a summary folder, data folder, ``results.h5`` or baseline file, or one opened.
        candidate: another such.
        tolerances: how much worse means may get: a number, in the metric's unit; per cent of the baseline's mean, such
            as "2%"; either by metric, the others at 0.01; or ``Tolerances``.
        alpha: chance of a false alarm anywhere, at most; rows, floors and slices get equal parts of it.
        floors: the worst means that the candidate may have, by "METRIC" or "EXPLAINER/METRIC"; or ``Floors``. Those by
            "METRIC" are for all explainers that are compared or new; a control is judged only where one names it.
        by: "label" to judge the questions about each true label too.
        require: "shown" to let nothing pass that is inconclusive.
        explainers: compare these alone; None for all of the baseline but those that are controls in both runs, of
            which no score says anything of explanations, unless there is nothing else.
        metrics: compare these alone; None for all of the baseline.
        maps: compare maps too, where both have them.
        resamples: draws of the bootstrap and of the tests; of these more where the table needs more.

    Raises:
        NotComparableError: if the two cannot be compared, or are so small that nothing could be found.
        RulesError: if a tolerance or a floor is for a metric or an explainer that is not there.
        ValueError: if alpha, a tolerance, a floor, ``by`` or ``require`` is out of range, or one of the two cannot be
            read: see ``scored_run``.
        OSError: if one of the two cannot be read.
    """
    alpha, tolerances, floors = alpha_of(alpha), Tolerances.of_given(tolerances), Floors.of_given(floors)
    by, require = checked_choice("by", by, BY), checked_choice("require", require, REQUIRE)
    explainers, metrics = ([names] if isinstance(names, str) else names for names in (explainers, metrics))
    before, now = (run if isinstance(run, ScoredRun) else scored_run(run) for run in (baseline, candidate))
    tolerances.check([*before.metrics, *now.metrics])
    floors.check(now.explainers, now.metrics)
    new = _new(before, now) if explainers is None and metrics is None else ()
    chosen = now.only(explainers or now.explainers, metrics or now.metrics)  # not cut to what the baseline has
    added = [name for name in chosen.explainers if name not in before.explainers and name not in now.controls]
    before, now = _selected(before, now, explainers, metrics)
    check_comparable(before, now)
    part = alpha / (1 + bool(floors) + (by is not None))
    family = Family(parts=[Pairs(before, now)], tolerances=tolerances, alpha=part, error=alpha / 2, resamples=resamples)
    _check_testable(family)
    found = _findings(family, before, now, alpha=alpha, maps=maps, new=new)
    return replace(
        found,
        slices=() if by is None else slices_of(family),
        floors=checked_floors(
            floors, chosen, [*now.explainers, *added], alpha=part, error=alpha / 2, resamples=resamples
        ),
        left_out=(*found.left_out, *floors_left_out(floors, chosen)),
        by=by,
        require=require,
    )


def _findings(
    family: Family, before: ScoredRun, now: ScoredRun, *, alpha: float, maps: bool, new: tuple[str, ...]
) -> Comparison:
    (pairs,), (changes,) = family.parts, family.changes()
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


def _check_testable(family: Family) -> None:
    """Refuse rows of which none could ever show a fall, unless a score is lost: such a gate could never close.

    Raises:
        NotComparableError: if they are such.
    """
    (pairs,), alpha = family.parts, family.alpha
    rows, most = int((family.paired > 0).sum()), int(family.paired.max(initial=0))
    lost = (np.isfinite(pairs.before) & ~np.isfinite(pairs.now)).any()
    if family.tested.any() or lost:
        return
    if not rows:
        words = "no question about a true label has a score in both runs"
        raise NotComparableError([Problem.of("no-common-scores", words)])
    needed = math.ceil(math.log2(rows / alpha))
    if most >= needed:
        words = (
            "an alpha of {alpha} over {rows:plural row} is below what {resamples} permutations can show; raise it, or "
            "compare fewer explainers and metrics"
        )
        values = {"alpha": alpha, "rows": rows, "resamples": family.signs}
        raise NotComparableError([Problem.of("alpha-too-small", words, **values)])
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
