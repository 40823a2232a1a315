"""What a run will take: its passes counted, their time and the disk measured on a few samples."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ...explainers.nearest_samples import OF_POOL, OF_SAMPLES
from ...explainers.network import Network
from ...summary_format.archive.costs import Costs
from ...summary_format.problem import Problem
from ..batches.batch import Batch, inferred
from ..batches.pass_counts import Profile
from ..data.samples import Sample
from ..execution.engine import examined
from ..execution.preflight import PreflightResult
from ..execution.signals import Stopping
from ..plan.checks import existing
from ..plan.plan import Plan
from ..problems import PlanError
from .batch_passes import BatchPasses, Passes, differences
from .trial import Trial, tried

FEW, MORE, SHORT = 2, 16, 10.0  # questions of the first trial; of a second, where that took fewer seconds
LOOKED_AT = 16  # batches whose questions are counted; later ones are taken to be like these
# Made once in a run, while its plan is examined or when a kind of pass first runs.
ONCE = (
    "network probe", "compile", "graph trial", "size trial", "layer choice", "layer check", "place trial",
    "repeat trial", "dropout trial", "attention search", "weight order", "shift trial", "uniform", OF_POOL,
)  # fmt: skip
_OF_INFERENCE = ("infer", "dropout", OF_SAMPLES)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run of a plan will take, all of it, whatever its folder holds already.

    Attributes:
        samples: how many there are.
        questions: how many (image, label) pairs are explained; estimated where not all samples were looked at.
        passes: by kind.
        pass_size: images per pass.
        estimated: kinds of passes whose number is not exact: what metrics run by themselves, maps without an order,
            hierarchical occlusion, or samples that were not looked at.
        pass_seconds: of a pass, by kind.
        seconds: of the run, from its first look at the folder to its end.
        written: bytes that the finished run takes.
        most_written: bytes that it takes while its end is written.
        free: bytes that its disk has left; None where that is unknown.
    """

    samples: int
    questions: int
    passes: Mapping[str, int]
    pass_size: int
    estimated: Sequence[str]
    pass_seconds: Mapping[str, float]
    seconds: float
    written: int
    most_written: int
    free: int | None


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What was measured.

    Attributes:
        network: where passes ran.
        seconds: that the examination of the plan took.
        before: what it counted.
        trials: runs of a few samples, and of some more where that did not take long.
        after: what was counted after that run's last commit.
    """

    network: Network
    seconds: float
    before: Costs
    trials: Sequence[Trial]
    after: Costs

    @property
    def trial(self) -> Trial:
        """The last one."""
        return self.trials[-1]

    @property
    def rates(self) -> dict[str, float]:
        """Seconds of a pass by kind, of the part where they were fewest: elsewhere something began."""
        found: dict[str, float] = {}
        for costs in (self.before, *(trial.costs for trial in self.trials), self.after):
            for kind, made in costs["made"].items():
                rate = costs["pass_seconds"][kind] / made
                found[kind] = min(rate, found.get(kind, rate))
        return found

    @property
    def once(self) -> Passes:
        """The passes that a run makes once; by the last trial none is left to make."""
        made = Passes(self.before["made"])
        for trial in self.trials:
            made.update(trial.costs["made"])
        return Passes({kind: made[kind] for kind in ONCE if made[kind]})

    def beside_passes(self, questions: int) -> float:
        """Seconds in which no pass runs, of so many questions."""
        first, last = self.trials[0], self.trials[-1]
        asked, more = len(first.batch.rows), len(last.batch.rows) - len(first.batch.rows)
        each = (_beside(last) - _beside(first)) / more if more else _beside(first) / asked
        return max(0.0, _beside(first) + max(0.0, each) * (questions - asked))

    def more_than_counted(self, plan: Plan) -> dict[str, float]:
        """Images of a question, by kind, that counting passes misses: what metrics run by themselves, and so on.

        Of the first trial: later ones need not ask about images of one value, which the network remembers.
        """
        trial = self.trials[0]
        own = BatchPasses(plan, self.network, trial.own_ordered).of(trial.batch)
        made, images, asked = trial.costs["made"], trial.costs["images"], len(trial.batch.rows)
        known = {*ONCE, *_OF_INFERENCE}  # which the trial takes from the examination
        known |= {"perturb"} if _mixed(trial.own_ordered) else set()
        more = differences(_but(made, known), _but(own, known))
        each = {kind: images[kind] / made[kind] if kind in made else plan.pass_size for kind in more}
        return {kind: count * each[kind] / asked for kind, count in more.items()}


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """What the samples of a plan come to.

    Attributes:
        samples: how many there are.
        questions: how many are asked about them.
        passes: by kind, without those that are made once.
        estimated: whether there are samples that were not looked at.
    """

    samples: int
    questions: int
    passes: Passes
    estimated: bool


def forecast(plan: Plan) -> Forecast:
    """Examine a plan as a run does, run a few samples of it in a temporary folder, and count the rest.

    Raises:
        PlanError: with all that is wrong with the plan, or if there is nothing to explain.
        RunStopped: after a signal.
        OSError: if there is no temporary folder to write to.
    """
    with Stopping() as stopping:
        network, began = plan.opened(), time.monotonic()
        profile = Profile(network, {})
        preflight = examined(plan, network, profile, stopping)
        seconds, before = time.monotonic() - began, profile.drained()
        trials = _trials(preflight, network, profile, stopping)
        counted = _counted(preflight, network, trials[-1].ordered, stopping)
    measured = _Measured(network=network, seconds=seconds, before=before, trials=trials, after=profile.drained())
    return _scaled(preflight.plan, measured, counted)


def _trials(preflight: PreflightResult, network: Network, profile: Profile, stopping: Stopping) -> Sequence[Trial]:
    """A trial of few questions and, if that is soon done, one of more, by which the time of beginning cancels out.

    Raises:
        PlanError: if there is nothing to explain; else as ``forecast``.
    """
    began = time.monotonic()
    first = tried(preflight, network, profile, stopping, FEW)
    if first is None:
        words = "the first {samples:plural sample} ask nothing: none has a label to explain"
        samples = 0 if preflight.first is None else len(preflight.first.samples)
        raise PlanError([Problem.of("first-samples-unasked", words, samples=samples)])
    second = tried(preflight, network, profile, stopping, MORE) if time.monotonic() - began < SHORT else None
    return [first] if second is None or len(second.batch.rows) == len(first.batch.rows) else [first, second]


def _counted(
    preflight: PreflightResult, network: Network, ordered: Mapping[str, float], stopping: Stopping
) -> _Counted:
    """Count the passes of the first batches, which takes their inference, and take the rest to be like them."""
    plan, groups = preflight.plan, preflight.groups
    counting, passes, looked_at, questions = BatchPasses(plan, network, ordered), Passes(), 0, 0
    for batch in _batches(preflight, network, groups):
        passes += counting.of(batch)
        looked_at, questions = looked_at + len(batch.samples), questions + len(batch.rows)
        stopping.check()
    total = plan.sample_count
    left = sum(map(len, groups)) if total is None else total - looked_at
    share = left / looked_at
    passes += Passes({kind: round(count * share) for kind, count in passes.items()})
    return _Counted(
        samples=looked_at + left,
        questions=questions + round(questions * share),
        passes=+passes,
        estimated=left > 0,
    )


def _batches(preflight: PreflightResult, network: Network, groups: Iterator[list[Sample]]) -> Iterator[Batch]:
    """The first batches of a plan, of which the very first is known from its examination."""
    plan = replace(preflight.plan, dropout_samples=0, nearest=None)  # which ask nothing of the labels
    for number, samples in enumerate(islice(groups, LOOKED_AT)):
        known = preflight.first if number == 0 else None
        yield known or Batch(samples, inferred(plan, network, samples))


def _scaled(plan: Plan, measured: _Measured, counted: _Counted) -> Forecast:
    """What the whole run takes, by what its trial took."""
    trial, times = measured.trial, counted.questions / len(measured.trial.batch.rows)
    more = measured.more_than_counted(plan)
    scaled = Passes({kind: math.ceil(each * counted.questions / plan.pass_size) for kind, each in more.items()})
    passes = Passes(counted.passes)
    passes.update(scaled)
    passes += measured.once
    rates, done = measured.rates, measured.before["made"]
    left = {kind: count - done.get(kind, 0) for kind, count in passes.items()}
    of_passes = sum(max(0, count) * rates.get(kind, 0.0) for kind, count in left.items())
    files = trial.sizes
    written = (files.event_file + files.pictures + files.archive) * times + files.other
    return Forecast(
        samples=counted.samples,
        questions=counted.questions,
        passes=dict(passes),
        pass_size=plan.pass_size,
        estimated=_estimated(passes, more, trial.ordered, counted),
        pass_seconds=rates,
        seconds=measured.seconds + of_passes + measured.beside_passes(counted.questions),
        written=round(written),
        most_written=round(written + files.segments * times),
        free=shutil.disk_usage(existing(plan.summary_dir)).free,
    )


def _estimated(
    passes: Passes, more: Mapping[str, float], ordered: Mapping[str, float], counted: _Counted
) -> Sequence[str]:
    """The kinds of passes of which the number is not exact."""
    if counted.estimated:
        return [*passes]
    of_maps = {"perturb"} if _mixed(ordered) else set()
    return [kind for kind in passes if kind in more or kind in of_maps]


def _mixed(ordered: Mapping[str, float]) -> bool:
    """Whether an explainer has maps with an order and others without, so that it matters which."""
    return any(0 < share < 1 for share in ordered.values())


def _beside(trial: Trial) -> float:
    """Seconds of a trial in which no pass ran."""
    return float(sum(trial.costs["seconds"].values()) - sum(trial.costs["pass_seconds"].values()))


def _but(passes: Mapping[str, float], left_out: Collection[str]) -> dict[str, int]:
    """Passes by kind, without some kinds."""
    return {kind: int(count) for kind, count in passes.items() if kind not in left_out}
