"""The page of two runs: what it holds, what is refused, what ``compare --format html=FILE`` writes."""

import json
import re

import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main
from explainrun.runner.comparison import NotComparableError, compare, scored_run, write_baseline
from explainrun.runner.report.write import Choice, ReportError
from explainrun.runner.report.write_comparison import MAILED_SAMPLES, mailed, write_comparison, write_comparison_file

BLOCK = re.compile(r'<script type="application/json" data-name="([^"]+)">(.*)</script>')


def in_folder(page, name):
    text = (page.parent / "data" / f"{name}.js").read_text("utf-8")
    return json.loads(text.removeprefix(f'explainrunData("{name}",').removesuffix(");\n"))


def in_file(page):
    return {name: json.loads(text) for name, text in BLOCK.findall(page.read_text("utf-8"))}


@pytest.fixture
def pair(make_run):
    """A baseline, and a candidate whose GradCAM is worse by 0.2 everywhere."""
    return make_run("a").root, make_run("c", fall=0.2, seed=1).root


def test_both_runs_and_what_comparing_them_found(pair, tmp_path):
    page = write_comparison(*pair, tmp_path / "page")
    assert page == tmp_path / "page" / "index.html"
    assert "<title>c compared with a - Explainrun</title>" in page.read_text("utf-8")
    assert in_folder(page, "contents") == {"runs": ["candidate", "baseline"], "comparison": True}
    found = in_folder(page, "comparison")
    assert (found["exit_code"], found["without_maps"], found["problems"]) == (1, [], [])
    assert [row["metric"] for row in found["changes"] if row["failing"]] == ["InsertionAUC"]
    for name, folder in (("baseline", "a"), ("candidate", "c")):
        summary = in_folder(page, f"{name}/summary")
        assert (summary["samples"], summary["folder"]) == (12, folder)
        assert (page.parent / "data" / name / "maps-1-0.js").is_file()


def test_no_path_of_a_picture_is_in_the_page(pair, tmp_path):
    assert any(one.baseline_picture for one in compare(*pair).worst)
    page = write_comparison(*pair, tmp_path / "page")
    assert not any("picture" in key for one in in_folder(page, "comparison")["worst"] for key in one)


def test_a_limit_takes_what_changed_first(pair, tmp_path):
    page = tmp_path / "page.html"
    size = write_comparison_file(*pair, page, Choice(limit=2))
    assert size == page.stat().st_size
    data = in_file(page)
    worst = [one["sample"] for one in data["comparison"]["worst"]]
    assert sorted(worst[:2]) != [0, 1]
    for name in ("baseline", "candidate"):
        assert data[f"{name}/summary"]["samples"] == 2
    assert data["baseline/index"]["columns"]["sample_id"] == data["candidate/index"]["columns"]["sample_id"]


def test_one_explainers_maps(pair, tmp_path):
    page = write_comparison(*pair, tmp_path / "page", Choice(explainers=["RISE"]))
    assert in_folder(page, "baseline/summary")["pictured"] == in_folder(page, "candidate/summary")["pictured"] == [1]
    with pytest.raises(ReportError, match="GradCan"):
        write_comparison(*pair, tmp_path / "page", Choice(explainers=["GradCan"]))


@pytest.mark.parametrize("alone", ["baseline file", "archive"])
def test_a_baseline_without_a_folder(pair, tmp_path, alone):
    file = tmp_path / "alone" / "kept"
    file.parent.mkdir()
    if alone == "archive":
        file.write_bytes(scored_run(pair[0]).folder.archive.read_bytes())
    else:
        write_baseline(scored_run(pair[0]), file)
    page = write_comparison(file, pair[1], tmp_path / "page")
    assert in_folder(page, "contents")["runs"] == ["candidate"]
    found = in_folder(page, "comparison")
    assert (found["without_maps"], found["exit_code"]) == (["baseline"], 1)
    assert not (page.parent / "data" / "baseline").exists()


def test_two_files(pair, tmp_path):
    for place, name in enumerate("ac"):
        write_baseline(scored_run(pair[place]), tmp_path / f"{name}.json")
    page = write_comparison(tmp_path / "a.json", tmp_path / "c.json", tmp_path / "page")
    assert in_folder(page, "contents")["runs"] == []
    assert in_folder(page, "comparison")["without_maps"] == ["baseline", "candidate"]


def test_nothing_is_written_of_runs_that_cannot_be_compared(pair, make_run, tmp_path):
    other = make_run("other", class_names=["cat", "dog", "owl"]).root
    with pytest.raises(NotComparableError, match="other class names"):
        write_comparison(pair[0], other, tmp_path / "page")
    with pytest.raises(NotComparableError, match="other class names"):
        write_comparison_file(pair[0], other, tmp_path / "page.html")
    assert not list(tmp_path.glob("*page*"))


def test_shards_are_refused_with_the_command_that_merges(make_run, tmp_path):
    shards = [make_run(name, shard=[1, 2]).root for name in "st"]
    with pytest.raises(ReportError, match=f"t holds shard 1 of 2; merge them first: explainrun merge {tmp_path}$"):
        write_comparison(*shards, tmp_path / "page")


def test_what_is_there_is_kept_unless_it_is_a_report(pair, tmp_path, raising):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with raising(ReportError, "report-output-taken"):
        write_comparison(*pair, tmp_path / "mine")
    with raising(ReportError, "report-file-taken"):
        write_comparison_file(*pair, tmp_path / "mine" / "notes.txt")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    for _ in range(2):
        write_comparison(*pair, tmp_path / "page", Choice(limit=1))


def test_a_page_to_mail_stays_small(pair, monkeypatch):
    runs = [scored_run(path) for path in pair]
    found = compare(*runs, explainers=["RISE"])
    assert mailed(*runs, found) == Choice(explainers=("RISE",), limit=MAILED_SAMPLES[1])
    # RISE's maps of 3 x 5 pixels take 20 bytes; 16 of them in each run of 12 samples.
    monkeypatch.setattr("explainrun.runner.report.write_comparison.MAILED_BYTES", 11 * 2 * 16 * 20 / 12)
    assert mailed(*runs, found).limit == 11
    monkeypatch.setattr("explainrun.runner.report.write_comparison.MAILED_BYTES", 1)
    assert mailed(*runs, found).limit == MAILED_SAMPLES[0]
    assert mailed(*runs, found, maps=False) == Choice(explainers=())


def command(*arguments):
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_the_command_writes_the_page_and_exits_as_before(pair, make_run, tmp_path):
    page = tmp_path / "made" / "page.html"
    done = command(*pair, f"--format=html={page}")
    assert (done.exit_code, done.stderr) == (1, "")
    headline = "FAILED: 1 regression, of 4 rows; 3 shown not worse than tolerated"
    assert done.stdout.endswith(f"{headline}\n")
    assert in_file(page)["comparison"]["headline"] == headline
    done = command(pair[0], make_run("b", seed=1).root, f"--format=html={page}", "--metric=Leak", "--no-maps")
    assert (done.exit_code, done.stderr) == (0, "")
    data = in_file(page)
    assert [row["metric"] for row in data["comparison"]["changes"]] == ["Leak", "Leak"]
    assert data["candidate/summary"]["pictured"] == []


def test_the_page_of_runs_that_cannot_be_compared_says_why(pair, make_run, tmp_path):
    other = make_run("<other>", class_names=["cat", "dog", "owl"], ids=range(11)).root
    page = tmp_path / "page.html"
    done = command(pair[0], other, f"--format=html={page}")
    assert (done.exit_code, done.stdout) == (2, "")
    data = in_file(page)
    assert data["contents"] == {"runs": [], "comparison": True}
    assert data["comparison"]["headline"] == "NOT COMPARED"
    assert ["class names" in problem for problem in data["comparison"]["problems"]] == [True, False]
    assert "<other>" not in page.read_text("utf-8")


def test_an_empty_file_may_become_the_page(pair, tmp_path):
    page = tmp_path / "made by mktemp"
    page.touch()
    assert write_comparison_file(*pair, page, Choice(limit=1)) == page.stat().st_size


def test_a_page_that_cannot_be_written_fails_alone(pair, tmp_path):
    taken = tmp_path / "taken.html"
    taken.write_text("mine")
    done = command(*pair, f"--format=html={taken}", f"--format=json={tmp_path / 'json'}")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"explainrun: html was not written to {taken}: {taken} is something else")
    assert taken.read_text() == "mine"
    assert json.loads((tmp_path / "json").read_text())["exit_code"] == 1


@pytest.mark.parametrize("given", ["html", "html=-"])
def test_no_page_on_standard_output(pair, given):
    done = command(*pair, "--format", given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "name a file, as in html=report.html" in " ".join(done.stderr.split())


def test_report_of_two_runs(pair, make_run, tmp_path):
    page, file = tmp_path / "page", tmp_path / "page.html"
    both = ["report", *map(str, pair), "--limit", "3"]
    done = CliRunner().invoke(main, [*both, "-o", str(page), "--single-file", str(file)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert in_folder(page / "index.html", "comparison") == in_file(file)["comparison"]
    assert in_file(file)["baseline/summary"]["samples"] == 3
    other = make_run("other", class_names=["cat", "dog", "owl"]).root
    done = CliRunner().invoke(main, ["report", str(pair[0]), str(other), "-o", str(tmp_path / "none")])
    assert done.exit_code == 2
    assert "other class names" in done.stderr
    assert not (tmp_path / "none").exists()
