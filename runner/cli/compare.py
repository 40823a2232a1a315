"""``explainrun compare``: did the explanations get worse?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...summary_format.errors import SeveralProblemsError
from ...summary_format.exit_codes import EXIT_BAD_INPUT, EXIT_RESUMABLE
from ..problems import Problems
from .process.errors import ended_by_signals, exit_with
from .process.standard_streams import echo, report

if TYPE_CHECKING:
    from ..comparison import Comparison, ScoredRun
    from ..comparison.formats.report_files import Output

# NumPy and HDF5 take a while to import, so the command imports what needs them: --help answers at once.


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command was asked; its arguments and options have the same names.

    Attributes:
        baseline: a run or a baseline file.
        candidate: a run or a baseline file.
        tolerances: as texts.
        rules: a YAML file.
        alpha: None for that of the rules.
        explainers: which alone to compare; empty for all.
        metrics: the same of metrics.
        maps: whether to compare maps too.
        floors: as texts.
        by: what to make slices by; None for what the rules say.
        require: what to require; None for what the rules say.
    """

    baseline: Path
    candidate: Path
    tolerances: tuple[str, ...]
    rules: Path | None
    alpha: float | None
    explainers: tuple[str, ...]
    metrics: tuple[str, ...]
    maps: bool
    floors: tuple[str, ...]
    by: str | None
    require: str | None

    @property
    def named(self) -> tuple[str, str]:
        """The baseline and the candidate."""
        return str(self.baseline), str(self.candidate)


@dataclass(frozen=True)
class Compared:
    """Two runs, and what comparing them found."""

    baseline: ScoredRun
    candidate: ScoredRun
    found: Comparison


@click.command(short_help="Check whether explanations got worse.")
@click.argument("baseline", type=click.Path(path_type=Path))
@click.argument("candidate", type=click.Path(path_type=Path))
@click.option(
    "--tolerance", "tolerances", multiple=True, metavar="[METRIC=]T",
    help="Tolerate means worse by this: 0.01, or 2% of the baseline's; of one metric or all. [default: 0.01]",
)  # fmt: skip
@click.option(
    "--rules", type=click.Path(path_type=Path), metavar="FILE",
    help="Read tolerances, floors, alpha, by and require from a YAML file.",
)  # fmt: skip
@click.option(
    "--floor", "floors", multiple=True, metavar="[EXPLAINER/]METRIC=F",
    help="Fail where the candidate's own mean is worse than this, beyond noise; repeatable.",
)  # fmt: skip
@click.option("--by", type=click.Choice(["label"]), help="Judge the questions about each true label too.")
@click.option(
    "--require", type=click.Choice(["shown"]),
    help="Fail also where the samples do not show that all is well.",
)  # fmt: skip
@click.option(
    "--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="A",
    help="Allow this chance of a false alarm anywhere in the table, at most. [default: 0.05]",
)  # fmt: skip
@click.option("--explainer", "explainers", multiple=True, metavar="NAME", help="Compare only this one; repeatable.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Compare only this one; repeatable.")
@click.option("--no-maps", is_flag=True, help="Compare only scores, not maps.")
@click.option(
    "--format", "formats", multiple=True, metavar="F[=FILE]",
    help="Write table, json, markdown or junit, to standard output or a file, or html to a file; repeatable. "
    "[default: table]",
)  # fmt: skip
def compare(*, no_maps: bool, formats: tuple[str, ...], **given: Any) -> None:
    """Check whether the explanations of CANDIDATE are worse than those of BASELINE.

    Each is a finished run (a summary folder, a data folder in it or its results.h5) or a file that `explainrun
    baseline` kept. Questions are paired by sample and true label, and each explainer's mean score in a metric gets a
    verdict:

    \b
      regression      worse by more than the tolerance, and beyond noise
      non-inferior    shown not to be worse by more than the tolerance
      better          better by more than the tolerance, and beyond noise
      inconclusive    the samples show neither; the table has the smallest fall
                      that they find 4 times of 5, and how many samples find a
                      fall of the tolerance as often
      too few samples not even a fall of every sample could be found
      scores lost     questions that the baseline scored have no score now

    Exit codes: 0 no regression, lost score or missed floor; 1 one of these or, with --require shown, anything that is
    inconclusive or of too few samples; 2 the runs cannot be compared, or a report cannot be written, to standard output
    either; 3 it was stopped. Where nothing could be compared, every format that was asked for says why.

    \b
    Examples:
      explainrun compare baseline.json runs/new --tolerance 0.02
      explainrun compare baseline.json runs/new --require shown
      explainrun compare baseline.json runs/new --by label --metric IoSR
      explainrun compare baseline.json runs/new --floor InsertionAUC=0.6 \\
          --floor GradCAM/IoSR=0.5 --format junit=report.xml

    A floor is judged on the candidate alone, also of explainers and metrics that the baseline lacks; where a metric is
    better the lower it is, its mean must not exceed the floor. Controls that --explainer does not name are judged only
    by floors that name them.

    A table goes to standard output beside files: --format junit=report.xml --format markdown=comment.md

    --format html=report.html is a page for browsers, one file to mail or keep: the verdict, the changes, and the maps
    of both runs for the samples that changed.

    \b
    --format json writes one object. Its keys:
      format, version             "explainrun comparison", 2
      passed, exit_code, headline
                                  the verdict: true or false, 0 to 2, a sentence
      problems                    why nothing was compared; then baseline and
                                  candidate are all that follows
      baseline, candidate         as they were named
      alpha                       chance of a false alarm, at most
      samples, questions          compared; questions about true labels
      only_baseline, only_candidate
                                  questions about other labels that only one of
                                  both asked
      class_names                 by label
      changes                     explainer, metric, higher_is_better; baseline,
                                  candidate (means over the questions that both
                                  scored), change, low, high (95 % interval), fall
                                  (how much worse), tolerance, p_value,
                                  fall_at_most (not ruled out by the samples),
                                  detectable_fall and samples_needed (with 80 %
                                  power); samples, questions, lost, gained,
                                  unscored; verdict (above), failing, shown
      by, slices                  "label"; of each true label, worst first: label,
                                  class_name, and the keys of changes
      floors                      explainer, metric, higher_is_better, floor,
                                  candidate (its mean), low, high, samples,
                                  questions; verdict ("floor missed", "floor met",
                                  "inconclusive", "too few samples"), failing,
                                  shown
      require                     "shown" or null
      similarities                of maps: explainer, spearman, top_intersection,
                                  compared, not_compared
      flips                       sample; labels predicted by baseline and
                                  candidate
      worst                       sample, label, class_name, explainer, metric,
                                  baseline and candidate (scores),
                                  baseline_picture and candidate_picture (paths)
      notes, new, left_out        what else differs; what only the candidate has;
                                  what is not judged
      (what is not known is null)
    """  # noqa: D301 - \b keeps click from wrapping
    asked = Asked(**given, maps=not no_maps)
    outputs = _outputs(formats, asked)
    try:
        code = _report(asked, outputs)
    except KeyboardInterrupt:
        report("stopped")
        code = EXIT_RESUMABLE
    click.get_current_context().exit(code)


def _outputs(formats: Sequence[str], asked: Asked) -> Sequence[Output]:
    """What is to be written where; ends the process if that cannot be loaded.

    Raises:
        click.BadParameter: if a format is unknown, or a file is one of those that are read.
    """
    try:
        with ended_by_signals():
            from ..comparison.formats.report_files import outputs_of  # noqa: PLC0415
        return outputs_of(formats, inputs=[asked.baseline, asked.candidate, *filter(None, [asked.rules])])
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--format") from None
    except Exception as error:  # a broken installation is not a regression
        exit_with(f"{type(error).__name__}: {error}")


def _report(asked: Asked, outputs: Sequence[Output]) -> int:
    """Compare, write, and say how to exit.

    Whatever goes wrong is an error, and never 1: that is what Python and click end with if they are left to.
    """
    problems = Problems()
    compared = problems.attempt("", partial(_compared, asked))
    if compared is None:
        report(f"nothing was compared: {SeveralProblemsError(problems)}")
        shown = [output for output in outputs if output.file or output.format != "table"]
        page = partial(_write_refusal_page, asked, problems)
        unwritten = _write(shown, lambda output: output.refusal(*asked.named, problems), page)
    else:
        page = partial(_write_page, asked, compared)
        unwritten = _write(outputs, lambda output: output.report(compared.found), page)
    for problem in unwritten:
        report(problem)
    return EXIT_BAD_INPUT if unwritten or compared is None else int(compared.found.exit_code)


def _compared(asked: Asked) -> Compared:
    """The comparison that was asked for, with both runs.

    Raises:
        SeveralProblemsError: with all that is wrong with what was named, or with all that hinders comparing.
        Exception: whatever files may do that are not what they seem.
    """
    with ended_by_signals():
        from ..comparison.compare_runs import compare as compare_runs  # noqa: PLC0415
        from ..comparison.load import scored_run  # noqa: PLC0415
        from ..comparison.rules.floors import floors_of  # noqa: PLC0415
        from ..comparison.rules.rules_file import Rules, rules_of  # noqa: PLC0415
        from ..comparison.rules.tolerances import tolerances_of  # noqa: PLC0415

    problems = Problems()
    rules = problems.attempt("", lambda: rules_of(asked.rules) if asked.rules else None) or Rules()
    tolerances = problems.attempt("", lambda: tolerances_of(asked.tolerances, rules.tolerances))
    floors = problems.attempt("", lambda: floors_of(asked.floors, rules.floors))
    before = problems.attempt("", lambda: scored_run(asked.baseline))
    now = problems.attempt("", lambda: scored_run(asked.candidate))
    problems.raise_if_any()
    held = rules.with_given(tolerance=tolerances, alpha=asked.alpha, floors=floors, by=asked.by, require=asked.require)
    found = compare_runs(
        before,
        now,
        held.tolerances,
        alpha=held.alpha,
        floors=held.floors,
        by=held.by,
        require=held.require,
        explainers=asked.explainers or None,
        metrics=asked.metrics or None,
        maps=asked.maps,
    )
    return Compared(before, now, found)


def _write_page(asked: Asked, compared: Compared, file: Path) -> None:
    with ended_by_signals():
        from ..report.write_comparison import mailed, write_comparison_file  # noqa: PLC0415
    runs = (compared.baseline, compared.candidate)
    choice = mailed(*runs, compared.found, maps=asked.maps)
    write_comparison_file(*runs, file, choice, comparison=compared.found)


def _write_refusal_page(asked: Asked, problems: Problems, file: Path) -> None:
    with ended_by_signals():
        from ..report.write_comparison import write_refusal_file  # noqa: PLC0415
    write_refusal_file(*asked.named, list(map(str, problems)), file)


def _write(outputs: Sequence[Output], text: Callable[[Output], str], page: Callable[[Path], None]) -> Problems:
    """Write each format where it goes, standard output first; gives what could not be written, and why."""
    unwritten = Problems()
    for output in sorted(outputs, key=lambda output: output.file is not None):
        where = f"{output.format} was not written to {output.file or 'standard output'}"
        write = partial(_write_one, output, text, page)
        unwritten.attempt(where, write)  # one format does not take the others with it
    return unwritten


def _write_one(output: Output, text: Callable[[Output], str], page: Callable[[Path], None]) -> None:
    if output.file is None:
        echo(text(output).rstrip())
    elif output.format == "html":
        page(output.file)
    else:
        output.write(text(output))
