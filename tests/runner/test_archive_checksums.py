"""An archive may have many gigabytes, so its checksum is taken as seldom as can be."""

import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.summary_format import Results
from explainrun.summary_format.archive import results_file


@pytest.fixture
def taken(monkeypatch):
    """What checksums of archives were taken."""
    header, made = results_file._header, []
    monkeypatch.setattr(results_file, "_header", lambda handle: made.append(header(handle)) or made[-1])
    return made


def test_a_run_takes_the_checksum_of_its_archive_once(make_runner, taken):
    make_runner().run()
    assert len(taken) == 1
    assert make_runner().run().finished_before
    assert len(taken) == 2  # what lies there may have been damaged since


def test_a_merge_takes_each_checksum_once(make_runner, taken, tmp_path):
    for number in (1, 2, 3):
        make_runner("parts/{shard}").run(shard=(number, 3))
    taken.clear()
    done = CliRunner().invoke(main, ["merge", str(tmp_path / "parts")])
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "merged")
    assert len(taken) == len(set(taken)) == 3 + 1
    assert len(Results(tmp_path / "parts").samples) == 6
