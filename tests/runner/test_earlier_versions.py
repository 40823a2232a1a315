"""What commands do with the folders of an earlier version."""

import pytest
from click.testing import CliRunner

from explainrun.runner import PlanError, compare
from explainrun.runner.cli.main import main
from explainrun.summary_format import Results, find_runs

REFUSED = "an earlier version of Explainrun began this run, and this one cannot resume it; finish it with that version"


def invoked(*arguments):
    done = CliRunner().invoke(main, [*map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, " ".join((done.stdout + done.stderr).split())


def test_finished_runs_are_merged_and_compared(earlier, tmp_path):
    code, told = invoked("merge", tmp_path / "merged", *sorted((earlier / "parts").iterdir()))
    assert (code, told.split()[-1]) == (0, "merged")
    found = compare(earlier / "whole", tmp_path / "merged")
    assert found.passed
    assert all(change.baseline == change.candidate for change in found.changes)
    assert invoked("scores", earlier / "whole")[0] == 0
    assert invoked("compare", earlier / "whole", tmp_path / "merged")[0] == 0


def test_pictures_of_a_finished_run_are_not_verified(earlier):
    code, told = invoked("inspect", earlier / "whole")
    assert code == 0
    assert "pictures (34) are there, but were not verified: the version of Explainrun that wrote them kept no" in told


@pytest.mark.parametrize("options", [{}, {"resume": False}])
def test_an_unfinished_run_is_refused_in_one_line(earlier, make_runner, tmp_path, options):
    (earlier / "unfinished").rename(tmp_path / "run")
    before = sorted((tmp_path / "run").rglob("*"))
    with pytest.raises(PlanError) as refused:
        make_runner().run(**options)
    [problem] = refused.value.problems
    assert (problem.code, problem.values["folder"]) == ("folder-not-resumed", str(tmp_path / "run"))
    assert problem.values["why"].startswith(REFUSED)
    assert sorted((tmp_path / "run").rglob("*")) == before


def test_an_unfinished_run_is_replaced(earlier, make_runner, tmp_path):
    (earlier / "unfinished").rename(tmp_path / "run")
    make_runner().run(overwrite=True)
    [run] = find_runs(tmp_path / "run")
    assert Results(run.root).finished
    assert [path.name for path in (tmp_path / "run").glob("_explain_*")] == [run.data.name]


def test_commands_refuse_an_unfinished_run_in_one_line(earlier, tmp_path):
    unfinished = earlier / "unfinished"
    code, told = invoked("inspect", unfinished)
    assert code == 2
    assert told.startswith(f"{unfinished}: unfinished")
    assert REFUSED in told
    assert "damaged" not in told
    assert invoked("inspect", earlier)[1].count(REFUSED) == 1  # beside the others
    for command in (["scores", unfinished], ["compare", earlier / "whole", unfinished]):
        code, told = invoked(*command)
        assert (code, told.count(REFUSED)) == (2, 1)
    code, told = invoked("merge", tmp_path / "merged", unfinished)
    assert (code, told.count(REFUSED)) == (2, 1)
