"""Exit codes where a command is interrupted, or something happens that nobody foresaw: never Python's or click's 1."""

import threading

import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.summary_format import inspect_run

# Where each command works, and what it ends with if that fails.
WORK = {
    "run {gate} --summary-dir {out}": ("runner.image_classification_runner.execute", 3),
    "layers {gate}": ("explainers.Network.layers", 3),
    "list": ("runner.cli.list._options_table", 3),
    "merge {out} {shards}/1 {shards}/2": ("summary_format.merge", 3),
    "merge {merged} {shards}/1 {shards}/2": ("runner.execution.run_result.RunResult.of", 3),
    "inspect {run}": ("summary_format.inspect_run", 2),
    "scores {run}": ("runner.results.scores.Scores.of", 2),
    "compare {run} {worse}": ("runner.comparison.load.scored_run", 2),
    "baseline {run} -o {out}": ("runner.comparison.scored_run", 2),
    "explain {picture} --network {gate} --method Gradient": ("runner.figures.explanations.explain_pictures", 3),
}


@pytest.fixture(params=WORK, ids=[line.split()[0] for line in WORK])
def ended(request, places, monkeypatch):
    """Calls a command whose work raises an error; gives its exit code and what it says on standard error."""
    place, code = WORK[request.param]

    def end(error):
        def work(*arguments, **options):
            raise error

        monkeypatch.setattr(f"explainrun.{place}", work)
        done = CliRunner().invoke(main, [word.format(**places) for word in request.param.split()])
        assert isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stderr

    end.code = code
    return end


def test_an_interrupt(ended):
    code, errors = ended(KeyboardInterrupt())
    assert code == 3
    assert "explainrun: stopped" in errors
    assert "Aborted" not in errors


@pytest.mark.parametrize(
    ("error", "traceback"), [(KeyError("row 5"), ""), (EOFError("row 5"), ""), (MemoryError(), "1")]
)
def test_an_error_that_nobody_foresaw(ended, monkeypatch, error, traceback):
    monkeypatch.setenv("EXPLAINRUN_TRACEBACK", traceback)
    code, errors = ended(error)
    assert code == ended.code
    assert type(error).__name__ in errors
    assert str(error) in errors
    assert ("Traceback" in errors, "in work" in errors) == (bool(traceback), bool(traceback))


def test_a_broken_pipe_that_is_no_standard_stream(ended):
    """Click would end with 1."""
    code, errors = ended(BrokenPipeError(32, "Broken pipe"))
    assert code == ended.code
    assert "Broken pipe" in errors


@pytest.mark.parametrize("status", [0, "done"])
def test_the_users_code_ends_the_process(places, status):
    """Its exit code would be taken for the command's."""
    places["out"].mkdir()
    ending = places["out"] / "ending.py"
    ending.write_text(f"def network(): raise SystemExit({status!r})\n")
    text = places["gate"].read_text().replace("gated_network.py:looking", str(ending) + ":network")
    (places["gate"].parent / "ending.yaml").write_text(text)
    done = CliRunner().invoke(main, ["run", str(places["gate"].parent / "ending.yaml")])
    assert done.exit_code == 3
    assert f"explainrun: the run failed: your own code ended it, by exit({status!r})" in done.stderr


def test_in_another_thread(places):
    """Signals can be set in the main thread alone."""
    codes = []

    def run():
        try:
            main(["run", str(places["gate"]), "--summary-dir", str(places["out"])])
        except SystemExit as end:
            codes.append(end.code)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert codes == [0]
    assert inspect_run(places["out"]).state == "finished"
