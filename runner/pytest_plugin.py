"""The pytest plugin: runs a config once per session and fails where explanations got worse than a baseline says.

    def test_explanations_are_as_good_as_before(explanation_scores):
        explanation_scores.assert_no_regression("tests/baseline.json", tolerance=0.01)

Options of pytest.ini and their like, paths being relative to pytest's rootdir:

- ``explainrun_config``: the config to run. ``--explainrun-config`` goes before it, and before both goes
  ``@pytest.mark.parametrize("explanation_scores", ["a.yaml", "b.yaml"], indirect=True)``.
- ``explainrun_summary_dir`` (``--explainrun-summary-dir``): where summaries are kept, each in a folder named after its
  config; without it in a temporary folder. What is there counts only where it is the run of now: an unfinished run of
  the same plan is resumed, a finished one of the same plan, versions and samples is taken, all else is replaced.

``--explainrun-set KEY=VALUE`` and ``--explainrun-limit N`` change configs as they do for ``explainrun run``.
``--explainrun-update-baselines`` writes baselines instead of judging by them, and shows what changed.

Paths on pytest's command line are relative to where it is started. Under pytest-xdist each worker runs configs of its
own accord, since sessions are theirs: keep these tests together by ``@pytest.mark.xdist_group`` and
``--dist loadgroup``, and update baselines without ``-n``, since workers do not print. ``-p no:explainrun`` leaves the
plugin out. It needs pytest 7 or newer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .comparison import Comparison
    from .execution.run_result import RunResult
    from .results.scores import Scores
    from .up_to_date_run import RunFailedError

# Every start of pytest imports this module, so what is heavier than pytest is imported once there is something to run.

_MOST_NOTES = 20  # of what a comparison could not judge
_NO_CONFIG = (
    "explanation_scores has no config to run; name one: explainrun_config = CONFIG in pytest.ini (or the like), "
    '--explainrun-config CONFIG, or @pytest.mark.parametrize("explanation_scores", [CONFIG], indirect=True)'
)


@dataclass
class _Session:
    """What a pytest session has run, and what its end reports.

    Attributes:
        rootdir: what relative paths of tests are relative to.
        summary_dir: below which summaries are kept; None for temporary folders.
        overrides: of every config.
        updating: whether baselines are written.
        runs: by config, its scores or why there are none.
        written: baselines that were written, and the config whose scores they hold.
        notes: for the end.
    """

    rootdir: Path
    summary_dir: Path | None
    overrides: Mapping[str, Any]
    updating: bool
    runs: dict[Path, ExplanationScores | RunFailedError] = field(default_factory=dict)
    written: dict[Path, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def folder(self, config: Path, temporary: pytest.TempPathFactory) -> Path:
        """Where a config's summary goes; another one for each config."""
        if self.summary_dir is None:
            return temporary.mktemp("explainrun", numbered=True)
        taken = next((other for other in self.runs if other.stem == config.stem), None)
        if taken is not None:
            pytest.fail(f"{taken} and {config} would share a folder in {self.summary_dir}; rename one", pytrace=False)
        return self.summary_dir / config.stem

    def note_undecided(self, baseline: Path, comparison: Comparison) -> None:
        """Keep for the end what a test that passes does not show: scores that the samples could not judge."""
        from .comparison.formats import wording  # noqa: PLC0415

        undecided = [
            *((change, f"{change.explainer}, {change.metric}") for change in comparison.changes),
            *((one.change, f"{one.change.explainer}, {one.change.metric}, label "
               f"{wording.class_name(comparison, one.label)}") for one in comparison.slices),
        ]  # fmt: skip
        notes = [
            f"{row}: not judged by {baseline}: {wording.reason(change)}"
            for change, row in undecided
            if change.verdict in wording.UNDECIDED
        ]
        notes += [
            f"{check.explainer}, {check.metric}: floor not shown to be met: {wording.floor_reason(check)}"
            for check in comparison.floors
            if check.verdict in wording.UNDECIDED
        ]
        self.notes += notes[:_MOST_NOTES]
        if len(notes) > _MOST_NOTES:
            self.notes.append(f"and {len(notes) - _MOST_NOTES} more that {baseline} could not judge")


_SESSION = pytest.StashKey[_Session]()


class ExplanationScores:
    """What running a config gave; the fixture ``explanation_scores`` gives one.

    Attributes:
        config: path of the config.
        result: what the run returned.
    """

    def __init__(self, config: Path, result: RunResult, session: _Session) -> None:
        self.config, self.result, self._session = config, result, session

    @property
    def scores(self) -> Scores:
        """Of all explainers in all metrics: ``scores.aggregate("GradCAM", "InsertionAUC").mean`` is a number."""
        return self.result.scores

    @property
    def summary_dir(self) -> Path:
        """Where the run wrote, absolute."""
        return self.result.summary_dir

    def assert_no_regression(
        self,
        baseline: str | Path,
        tolerance: float | str | Mapping[str, float | str] | None = None,
        *,
        rules: str | Path | None = None,
        alpha: float | None = None,
        floors: Mapping[str, float] | None = None,
        by: str | None = None,
        require: str | None = None,
        explainers: Sequence[str] | None = None,
        metrics: Sequence[str] | None = None,
    ) -> None:
        """Fail where explanations got worse: by more than the tolerance, and beyond noise.

        The failure shows the comparison's table. What cannot be compared fails too, and so do tolerances that can
        be none. With ``--explainrun-update-baselines`` the baseline is written instead.

        Args:
            baseline: a file that ``explainrun baseline`` wrote, or a summary folder.
            tolerance: how much worse a mean score may get: a number, in the metric's unit; per cent of the baseline's
                mean, such as "2%"; or either by metric. 0.01 where neither this nor the rules say otherwise.
            rules: a YAML file, as ``explainrun compare --rules`` takes it.
            alpha: chance of a false alarm anywhere in the table, at most; 0.05 where neither this nor the
                rules say otherwise.
            floors: the worst means that there may be, by "METRIC" or "EXPLAINER/METRIC"; those of the rules hold too.
            by: "label" to judge the questions about each true label too.
            require: "shown" to fail also where the samples do not show that all is well.
            explainers: the only ones to judge.
            metrics: the only ones to judge by.
        """
        __tracebackhide__ = True
        path = (self._session.rootdir / baseline).resolve()
        if self._session.updating:
            self._write(path)
            return
        from .comparison.formats.table import as_table  # noqa: PLC0415

        given = {"tolerance": tolerance, "alpha": alpha, "floors": floors, "by": by, "require": require}
        comparison = self._compared(path, given, rules, explainers=explainers, metrics=metrics)
        self._session.note_undecided(path, comparison)
        if not comparison.passed:
            pytest.fail(f"{_failure(comparison)}\n\n{as_table(comparison)}", pytrace=False)

    def _compared(self, path: Path, given: Mapping[str, Any], rules: str | Path | None, **chosen: Any) -> Comparison:
        from .comparison.compare_runs import compare  # noqa: PLC0415
        from .comparison.rules.rules_file import Rules, rules_of  # noqa: PLC0415

        __tracebackhide__ = True
        if not path.exists():
            pytest.fail(_no_baseline(path, self.summary_dir), pytrace=False)
        try:
            of_file = Rules() if rules is None else rules_of(self._session.rootdir / rules)
            held = of_file.with_given(**given)
            return compare(
                path,
                self.summary_dir,
                held.tolerances,
                alpha=held.alpha,
                floors=held.floors,
                by=held.by,
                require=held.require,
                **chosen,
            )
        except (ValueError, OSError) as error:
            raise pytest.fail.Exception(f"not compared with {path}: {error}", pytrace=False) from None

    def _write(self, path: Path) -> None:
        """Make or renew a baseline, once per session, and note what changed."""
        from .comparison.baseline_diff import baseline_difference  # noqa: PLC0415
        from .comparison.baseline_file import read_baseline, write_baseline  # noqa: PLC0415
        from .comparison.load import scored_run  # noqa: PLC0415

        __tracebackhide__ = True
        session = self._session
        if path in session.written:
            if session.written[path] != self.config:
                other = session.written[path]
                pytest.fail(f"{path} now holds the scores of {other}; each config needs its own", pytrace=False)
            return
        try:
            now, before = scored_run(self.summary_dir), read_baseline(path) if path.exists() else None
            changed = "" if before is None else baseline_difference(before, now)
            if before is None or changed:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_baseline(now, path)
        except (ValueError, OSError) as error:
            raise pytest.fail.Exception(f"the baseline is not updated: {error}", pytrace=False) from None
        session.written[path] = self.config
        outcome = "is new" if before is None else f"is updated:\n{changed}" if changed else "is as it was"
        session.notes.append(f"{path} {outcome}")


def _failure(comparison: Comparison) -> str:
    """What a failing test says first; what is only not shown is not counted as worse."""
    from ..summary_format.plural import plural  # noqa: PLC0415

    rows = sum(change.verdict.failing for change in comparison.changes)
    slices = sum(one.change.verdict.failing for one in comparison.slices)
    floors = sum(check.verdict.failing for check in comparison.floors)
    if rows:
        return f"explanations got worse: {rows} of {len(comparison.changes)} scores"
    if slices:
        return f"explanations got worse of some labels: {plural(slices, 'slice')}"
    if floors:
        return f"explanations are worse than floors allow: {plural(floors, 'score')}"
    return "explanations are not shown to be as good as before"


def _no_baseline(path: Path, summary_dir: Path) -> str:
    return (
        f"there is no baseline {path}; make it by running pytest again with --explainrun-update-baselines, or by\n"
        f"  explainrun baseline {summary_dir} -o {path}\nthen look at it and commit it"
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that the module's docstring lists."""
    parser.addini("explainrun_config", "config that the fixture explanation_scores runs; relative to rootdir")
    parser.addini("explainrun_summary_dir", "where its summaries are kept; relative to rootdir")
    group = parser.getgroup("explainrun", "scores of explanations (explainrun)")
    add = group.addoption
    add("--explainrun-config", metavar="PATH", help="Config that the fixture explanation_scores runs.")
    add("--explainrun-summary-dir", metavar="DIR", help="Keep summaries here, in a folder for each config.")
    add("--explainrun-set", metavar="KEY=VALUE", action="append", default=[], help="Replace a value of configs.")
    add("--explainrun-limit", metavar="N", type=int, help="Run the first N samples only.")
    add("--explainrun-update-baselines", action="store_true", help="Write baselines instead of judging by them.")


def pytest_configure(config: pytest.Config) -> None:
    """Read the options, so that bad ones are reported before anything runs."""
    config.stash[_SESSION] = _Session(
        config.rootpath,
        _path_option(config, "explainrun_summary_dir"),
        _overrides(config),
        config.getoption("explainrun_update_baselines"),
    )


def _path_option(config: pytest.Config, name: str) -> Path | None:
    """A path from the command line, or else from the ini file."""
    given, kept = config.getoption(name), config.getini(name)
    if given:
        return Path(config.invocation_params.dir / given)
    return config.rootpath / kept if kept else None


def _overrides(config: pytest.Config) -> dict[str, Any]:
    """What the options put in place of configs' values."""
    settings, limit = config.getoption("explainrun_set"), config.getoption("explainrun_limit")
    if limit is not None and limit < 1:
        raise pytest.UsageError(f"--explainrun-limit must be at least 1, got {limit}")
    overrides = {} if limit is None else {"limit": limit}
    if not settings:
        return overrides
    from click import BadParameter  # noqa: PLC0415

    from .cli.process.errors import setting  # noqa: PLC0415

    try:
        return dict(map(setting, settings)) | overrides
    except BadParameter as error:
        raise pytest.UsageError(f"--explainrun-set: {error.message}") from None


@pytest.fixture(scope="session")
def explanation_scores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ExplanationScores:
    """Scores of a config's explanations, run once per session; ``assert_no_regression(baseline)`` judges them."""
    session = request.config.stash[_SESSION]
    named = getattr(request, "param", None)
    given = _path_option(request.config, "explainrun_config") if named is None else session.rootdir / named
    if given is None:
        pytest.fail(_NO_CONFIG, pytrace=False)
    config = given.resolve()
    if config not in session.runs:
        session.runs[config] = _run(config, session, tmp_path_factory)
    found = session.runs[config]
    if isinstance(found, ExplanationScores):
        return found
    return pytest.fail(str(found), pytrace=False)


def _run(config: Path, session: _Session, temporary: pytest.TempPathFactory) -> ExplanationScores | RunFailedError:
    from .execution.signals import RunStopped  # noqa: PLC0415
    from .up_to_date_run import RunFailedError, current_run  # noqa: PLC0415

    folder = session.folder(config, temporary)
    try:
        result = current_run(config, {**session.overrides, "summary_dir": str(folder)})
    except RunFailedError as error:
        return error
    except RunStopped:  # by a signal, which the run kept from pytest
        keep = "" if session.summary_dir else "; with --explainrun-summary-dir it could be resumed"
        pytest.exit(f"the run of {config} was stopped by a signal{keep}", pytest.ExitCode.INTERRUPTED)
    return ExplanationScores(config, result, session)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Report baselines that were written, and scores that could not be judged."""
    notes = config.stash[_SESSION].notes
    if notes:
        terminalreporter.section("explainrun")
    for note in notes:
        terminalreporter.write_line(note)
