"""Comparisons of made-up runs of which the truth is known, and how often the gate is wrong about them.

Loads no MindSpore. ``scripts/measure_gate.py --simulate 1000`` runs it in full; a test, in short.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from explainrun.runner.comparison import Change, Comparison, ScoredRun, Verdict, compare

Array = npt.NDArray[np.float64]

EXPLAINERS = ("First", "Second")
METRICS = ("Smooth", "Uneven", "Heavy", "Hit", "Rare")
ALPHA, POWER, SURE = 0.05, 0.8, 0.99
TOLERANCE, WIDE = 0.03, 0.06  # what falls, and what falls of runs that are as large as the gate asks for
DRAWS = 999  # of each bootstrap and test
_LABELS = 3
_REDRAWN = {"Hit": 0.3, "Rare": 0.04}  # share of hits that a second run draws again
_MOST_SAMPLES = 300  # of runs that are as large as the gate asks for: hits would take more, and are found with these


@dataclass(frozen=True)
class Scene:
    """What two runs share.

    Attributes:
        samples: (Q,) the sample of each question.
        labels: (Q,) its label.
        shared: (Q, explainers, metrics) what makes a question's score high or low in both runs.
        own: (samples,) the same of a whole sample.
    """

    samples: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    shared: Array
    own: Array

    @classmethod
    def drawn(cls, rng: np.random.Generator, samples: int) -> Scene:
        """One to three questions for each sample."""
        asked = [np.sort(rng.choice(_LABELS, rng.integers(1, _LABELS + 1), replace=False)) for _ in range(samples)]
        ids = np.repeat(np.arange(samples), [len(labels) for labels in asked])
        shape = (len(ids), len(EXPLAINERS), len(METRICS))
        return cls(ids, np.concatenate(asked), rng.normal(size=shape), rng.normal(size=samples))

    def runs(self, rng: np.random.Generator, falls: Array, *, evenly: bool = False) -> tuple[ScoredRun, ScoredRun]:
        """Two runs of which the second one is worse.

        Args:
            rng: of their noise.
            falls: (explainers, metrics) by how much true means differ.
            evenly: whether all questions of all metrics fall alike; else few of the uneven one's fall far.
        """
        before, now = (self._noisy(rng) for _ in range(2))
        taken = np.broadcast_to(falls, before.shape).copy()
        if not evenly:
            taken[:, :, METRICS.index("Uneven")] *= rng.exponential(size=taken.shape[:2])
        now = now - taken
        for metric, redrawn in _REDRAWN.items():
            place = METRICS.index(metric)
            before[:, :, place], now[:, :, place] = self._hits(rng, falls[:, place], redrawn)
        return self._run("baseline", before), self._run("candidate", now)

    def _noisy(self, rng: np.random.Generator) -> Array:
        """Scores with the noise of a run, shared in part by the questions of a sample."""
        shape = self.shared.shape
        noise = rng.normal(size=shape) + rng.normal(size=(len(self.own), 1, 1))[self.samples]
        noise[:, :, METRICS.index("Uneven")] += rng.exponential(size=shape[:2])
        noise[:, :, METRICS.index("Heavy")] += rng.standard_t(3, size=shape[:2])
        return 0.5 + 0.1 * self.shared + 0.05 * noise

    def _hits(self, rng: np.random.Generator, falls: Array, redrawn: float) -> tuple[Array, Array]:
        """Hits of two runs; most questions that one hits the other hits too."""
        chance = np.clip(0.7 + 0.1 * self.own, 0.5, 0.9)[self.samples][:, None]
        first, second = rng.random((2, len(self.samples), len(EXPLAINERS)))
        again = np.where(rng.random(first.shape) < redrawn, second, first)
        return (first < chance).astype(float), (again < chance - falls).astype(float)

    def _run(self, name: str, values: Array) -> ScoredRun:
        ids = np.unique(self.samples)
        own = [self.labels[self.samples == sample].tolist() for sample in ids]
        truth = np.array([[*labels, *[-1] * (_LABELS - len(labels))] for labels in own])
        return ScoredRun(
            name=name,
            class_names=tuple(f"class {label}" for label in range(_LABELS)),
            explainers={explainer: {} for explainer in EXPLAINERS},
            metrics={metric: {} for metric in METRICS},
            higher_is_better=dict.fromkeys(METRICS, True),
            described={},
            samples=ids,
            digests=ids,
            truth=truth,
            predicted=tuple(map(tuple, own)),
            questions=np.stack([self.samples, self.labels], axis=1),
            scores={
                (explainer, metric): values[:, i, j]
                for i, explainer in enumerate(EXPLAINERS)
                for j, metric in enumerate(METRICS)
            },
        )


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often something happened.

    Attributes:
        what: in words.
        times: how often.
        tries: of how many.
        most: what the share must not exceed; None where it must not fall short of something.
        least: what it must not fall short of; None where it must not exceed something.
    """

    what: str
    times: int
    tries: int
    most: float | None = None
    least: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the promise is not excluded by a one-sided binomial bound of 99 %."""
        if self.most is not None:
            return bool(self.times <= binom.ppf(SURE, self.tries, self.most))
        return self.least is None or bool(self.times >= binom.ppf(1 - SURE, self.tries, self.least))

    def __str__(self) -> str:
        promised = "" if self.most is None else f", at most {self.most:g}"
        promised += "" if self.least is None else f", at least {self.least:g}"
        share = f"{self.times} of {self.tries}, {self.times / max(self.tries, 1):.3f}"
        return f"{'kept  ' if self.kept else 'BROKEN'}  {self.what}: {share}{promised}"


def simulated(pairs: int, seed: int = 0, sizes: Sequence[int] = (24, 60)) -> Iterator[Rate]:
    """How often the gate was wrong in so many comparisons of each kind, as soon as each is known.

    Args:
        pairs: of runs, for each promise.
        seed: of all that is drawn.
        sizes: how many samples runs have.
    """
    for samples in sizes:
        rng = np.random.default_rng((seed, samples))
        for check in (_false_alarms, _false_alarms_everywhere, _falls_called_none, _powers, _floors):
            for rate in check(rng, pairs, samples):
                yield replace(rate, what=f"{samples} samples, {rate.what}")
    yield from _as_many_as_needed(np.random.default_rng((seed, 0)), pairs)


def _compared(
    rng: np.random.Generator, samples: int, falls: Array | float, *, evenly: bool = False, **options: Any
) -> Comparison:
    every = np.broadcast_to(np.asarray(falls, np.float64), (len(EXPLAINERS), len(METRICS)))
    usual = {"maps": False, "resamples": DRAWS, "tolerances": TOLERANCE}
    return compare(*Scene.drawn(rng, samples).runs(rng, every, evenly=evenly), **{**usual, **options})


def _false_alarms(rng: np.random.Generator, pairs: int, samples: int) -> list[Rate]:
    """Tables of alike runs that fail though nothing is tolerated."""
    failed = sum(not _compared(rng, samples, 0.0, tolerances=0.0).passed for _ in range(pairs))
    return [Rate(what="false alarms in a table", times=failed, tries=pairs, most=ALPHA)]


def _false_alarms_everywhere(rng: np.random.Generator, pairs: int, samples: int) -> list[Rate]:
    """The same with slices and with floors at the true means."""
    options: dict[str, Any] = {
        "tolerances": 0.0,
        "by": "label",
        "floors": {metric: _mean(metric) for metric in METRICS},
    }
    failed = sum(not _compared(rng, samples, 0.0, **options).passed for _ in range(pairs))
    return [Rate(what="false alarms in rows, slices and floors", times=failed, tries=pairs, most=ALPHA)]


def _mean(metric: str) -> float:
    """What scores come to; of hits a little less, as the chances that are cut off on both sides are alike."""
    return {"Uneven": 0.55, "Hit": 0.7, "Rare": 0.7}.get(metric, 0.5)


def _falls_called_none(rng: np.random.Generator, pairs: int, samples: int) -> list[Rate]:
    """Rows that fell by the tolerance and are called non-inferior, in a table and in slices."""
    rows, slices, tries = Counter[str](), Counter[str](), Counter[str]()
    for _ in range(pairs):
        found = _compared(rng, samples, TOLERANCE, by="label")
        for change in found.changes:
            rows[change.metric] += change.verdict.shown and change.explainer == EXPLAINERS[0]
        for one in found.slices:
            if one.change.explainer == EXPLAINERS[0] and one.label == 0:
                slices[one.change.metric] += one.change.verdict.shown
                tries[one.change.metric] += 1
    return [
        *(Rate(what=f"{one} called non-inferior", times=rows[one], tries=pairs, most=ALPHA) for one in METRICS),
        *(Rate(what=f"a slice of {metric} called non-inferior", times=slices[metric], tries=tries[metric], most=ALPHA)
          for metric in METRICS),
    ]  # fmt: skip


def _powers(rng: np.random.Generator, pairs: int, samples: int) -> list[Rate]:
    """Falls of the size that a comparison of alike runs called detectable, in other runs like these."""
    found, tries = Counter[str](), Counter[str]()
    for _ in range(pairs):
        stated = _compared(rng, samples, 0.0).changes
        for place, metric in enumerate(METRICS):  # a comparison each, in which all else stays as it was
            fall = stated[place].detectable_fall
            found[metric] += _fallen(rng, samples, place, min(fall, 0.5)).verdict is Verdict.REGRESSION
            tries[metric] += 1
    return [
        Rate(what=f"{metric} falls as far as is stated and is found", times=found[metric], tries=tries[metric],
             least=POWER)
        for metric in METRICS
    ]  # fmt: skip


def _fallen(rng: np.random.Generator, samples: int, place: int, fall: float) -> Change:
    """The first explainer's row in a metric in which it alone fell."""
    falls = np.zeros((len(EXPLAINERS), len(METRICS)))
    falls[0, place] = fall
    return _compared(rng, samples, falls, evenly=True).changes[place]


def _floors(rng: np.random.Generator, pairs: int, samples: int) -> list[Rate]:
    """Floors at the true mean that are called met."""
    met = Counter[str]()
    floors = {f"{EXPLAINERS[0]}/{metric}": _mean(metric) for metric in METRICS}
    for _ in range(pairs):
        for check in _compared(rng, samples, 0.0, floors=floors).floors:
            met[check.metric] += check.verdict is Verdict.FLOOR_MET
    what = "a floor at the mean of {} called met"
    return [Rate(what=what.format(one), times=met[one], tries=pairs, most=ALPHA) for one in METRICS]


def _as_many_as_needed(rng: np.random.Generator, pairs: int) -> list[Rate]:
    """Runs of as many samples as 24 were said to need: falls of the tolerance found, and runs alike shown to be so."""
    found, shown, tries = Counter[str](), Counter[str](), Counter[str]()
    wide: dict[str, Any] = {"tolerances": WIDE}
    for _ in range(pairs):
        for place, change in enumerate(_compared(rng, 24, 0.0, **wide).changes[: len(METRICS)]):
            number, metric = min(change.samples_needed or _MOST_SAMPLES, _MOST_SAMPLES), change.metric
            tries[metric] += 1
            found[metric] += _fallen(rng, number, place, WIDE).p_value <= ALPHA
            shown[metric] += _compared(rng, number, 0.0, **wide).changes[place].verdict.shown
    kinds: Mapping[str, Callable[[str], int]] = {
        "a fall of the tolerance is found": found.__getitem__, "no fall is shown to be none": shown.__getitem__,
    }  # fmt: skip
    return [
        Rate(what=f"as many samples as needed, {metric}: {what}", times=times(metric), tries=tries[metric], least=POWER)
        for what, times in kinds.items()
        for metric in METRICS
    ]
