"""``explainrun report``: what it writes, of which runs, and what it refuses."""

import base64
import re
import shutil

import numpy as np
import pytest

from explainrun.runner.report.page_html import ASSETS, SCRIPTS, STYLES
from explainrun.runner.report.write import ReportError, write_report
from explainrun.summary_format import Results, find_runs

HOSTILE = ["<script>alert(1)</script>", "قطة", "e\u0301\u2028", "</script><!--", '"quoted"', "a,b", "c", "d", "e", "f"]


def column(data, name):
    return values_of(data["columns"][name])


def values_of(found):
    return np.frombuffer(base64.b64decode(found["data"]), f"<{found['type']}").reshape(found["shape"])


def test_a_folder(make_run, report, tmp_path, data_of):
    code, output = report(make_run(), "-o", tmp_path / "page")
    assert (code, output) == (0, f"{tmp_path / 'page' / 'index.html'}\n")
    assert {path.name for path in (tmp_path / "page").iterdir()} == {"index.html", "assets", "data"}
    page = (tmp_path / "page" / "index.html").read_text()
    for name in (*SCRIPTS, *STYLES):
        assert f'"assets/{name}"' in page
        assert (tmp_path / "page" / "assets" / name).read_bytes() == (ASSETS / name).read_bytes()
    summary = data_of(tmp_path / "page", "run/summary")
    assert (summary["state"], summary["samples"], summary["questions"]) == ("finished", 10, 12)
    assert summary["signed"] == [2]
    assert summary["agreement"]["samples"] == 10
    assert data_of(tmp_path / "page", "contents") == {"runs": ["run"], "comparison": False}


def test_labels_and_flags(make_run, report, tmp_path, data_of):
    """Sample 4 is class 4 and was taken for class 5: one label of each flag, both asked about."""
    report(make_run(), "-o", tmp_path / "page")
    index = data_of(tmp_path / "page", "run/index")
    labels = [column(index, name) for name in ("label_sample", "label", "label_flags", "label_question")]
    rows = list(zip(*(of.tolist() for of in labels), strict=True))
    assert [row for row in rows if row[0] in (3, 4)] == [(3, 3, 3, 3), (4, 5, 2, 5), (4, 4, 1, 4)]
    assert column(index, "first_question").tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 12]
    assert column(index, "label_sd")[0] == pytest.approx(0.05)


def test_maps_are_those_of_the_run(made_up, make_run, report, tmp_path, data_of):
    report(make_run(), "-o", tmp_path / "page")
    maps = data_of(tmp_path / "page", "run/maps-2-0")
    codes = np.frombuffer(base64.b64decode(maps["codes"]), np.int8).reshape(12, 12, 16)
    row, column = made_up.hottest(3, 2, 12, 16)
    assert codes[3].argmax() in [16 * (row + i) + column + j for i in (-1, 0, 1) for j in (-1, 0, 1)]
    assert codes[3].min() == -127
    assert maps["scales"][3] == pytest.approx(1.0, abs=0.02)


def map_codes(page, data_of, explainer, group, size):
    maps = data_of(page, f"run/maps-{explainer}-{group}")
    return np.frombuffer(base64.b64decode(maps["codes"]), np.int8).reshape(-1, *size)


def largest(codes):
    """The middle of the 3 x 3 pixels that are largest."""
    rows, columns = np.nonzero(codes == 127)
    return int(np.median(rows)), int(np.median(columns))


def test_maps_of_later_groups(made_up, make_run, report, tmp_path, data_of):
    """32 samples are a group; of the eight in the second, 34 and 39 are mistaken and have two questions."""
    report(make_run(samples=40), "-o", tmp_path / "page")
    codes = map_codes(tmp_path / "page", data_of, 1, 1, (12, 16))
    asked = (32, 33, 34, 34, *range(35, 40), 39)
    assert [largest(of) for of in codes] == [made_up.hottest(of, 1, 12, 16) for of in asked]
    pictures = [base64.b64encode(made_up.picture(of, 12, 16)).decode() for of in range(32, 40)]
    assert data_of(tmp_path / "page", "run/pictures-1") == pictures


def test_maps_and_scores_of_samples_apart(made_up, make_run, report, tmp_path, data_of):
    """Of those alone that are mistaken, the fifth and the tenth: questions 4, 5, 10 and 11."""
    folder = make_run()
    report(folder, "-o", tmp_path / "page", "--only", "failures")
    codes = map_codes(tmp_path / "page", data_of, 0, 0, (12, 16))
    assert [largest(of) for of in codes] == [made_up.hottest(of, 0, 12, 16) for of in (4, 4, 9, 9)]
    packed = data_of(tmp_path / "page", "run/index")["scores"][2][1]
    scores = np.frombuffer(base64.b64decode(packed["data"]), "<f4")
    whole = Results(folder).scores("Signed", "PointingGame").astype(np.float32)
    assert scores.tolist() == whole[[4, 5, 10, 11]].tolist()


def test_larger_pictures_lie_in_files_of_their_own(make_run, report, tmp_path, data_of):
    report(make_run(samples=2, size=(20, 130)), "-o", tmp_path / "page")
    summary = data_of(tmp_path / "page", "run/summary")
    assert (summary["larger"], summary["map_size"]) == (True, [20, 130])
    assert data_of(tmp_path / "page", "run/maps-0-0")["size"] == [17, 112]
    full = data_of(tmp_path / "page", "run/full-1")
    assert [of["size"] for of in full["maps"]] == [[20, 130]] * 3
    assert base64.b64decode(full["picture"]).startswith(b"\xff\xd8")


def test_one_file(make_run, report, tmp_path, data_of):
    """Nothing in it may end its script or begin another."""
    folder = make_run(class_names=HOSTILE)
    code, _ = report(folder, "--single-file", tmp_path / "page.html")
    assert (code, not (tmp_path / "report").exists()) == (0, True)
    page = (tmp_path / "page.html").read_text()
    assert data_of(tmp_path / "page.html", "run/summary")["class_names"] == HOSTILE
    assert "alert(1)</script>" not in page
    assert (
        page.count("<script")
        == page.count("</script>")
        == len(SCRIPTS) + page.count('type="application/json" data-name="')
    )
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    assert "unsafe" not in policy
    assert policy.count("sha256-") == len(SCRIPTS) + len(STYLES)
    assert report(folder, "--single-file", tmp_path / "page.html")[0] == 0  # in its own place


def test_what_is_shown(make_run, report, tmp_path, data_of):
    """Of ten samples the fifth and the tenth are mistaken."""
    report(make_run(), "-o", tmp_path / "page", "--only", "failures", "--limit", 1, "--explainer", "Second")
    summary, index = (data_of(tmp_path / "page", f"run/{name}") for name in ("summary", "index"))
    assert (summary["samples"], summary["samples_total"], summary["pictured"]) == (1, 10, [1])
    assert column(index, "sample_id").tolist() == [4]
    assert len(index["scores"]) == len(summary["scores"]) == 3
    assert sorted(path.name for path in (tmp_path / "page/data/run").glob("maps-*")) == ["maps-1-0.js"]


def test_refusals(make_run, report, tmp_path):
    folder = make_run()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "page.html").write_text("<title>mine</title>")
    (tmp_path / "empty").mkdir()
    for arguments, words in [
        ((folder, "-o", tmp_path / "mine"), "something else than a report"),
        ((folder, "-o", tmp_path / "mine" / "thesis.txt"), "something else than a report"),
        ((folder, "-o", folder), "something else than a report"),
        ((folder, "--single-file", tmp_path / "page.html"), "something else than a report"),
        ((folder, "-o", tmp_path / "page", "--explainer", "Frist"), "'First'"),
        ((tmp_path / "empty", "-o", tmp_path / "page"), "no run"),
    ]:
        code, output = report(*arguments)
        assert (code, words in output) == (2, True), output
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert not (tmp_path / "page").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_folder_where_one_is(make_run, report, tmp_path, monkeypatch):
    folder = make_run()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert report(folder, "-o", ".") == (0, "index.html\n")
    assert (tmp_path / "here" / "index.html").is_file()


def test_a_report_is_replaced_and_mixed_ones_are_not(make_run, report, tmp_path):
    folder = make_run()
    assert report(folder, "-o", tmp_path / "page", "--limit", 2)[0] == 0
    assert report(folder, "-o", tmp_path / "page")[0] == 0
    assert len(list((tmp_path / "page/data/run").glob("pictures-*"))) == 1
    (tmp_path / "page" / "notes.txt").write_text("mine")
    assert report(folder, "-o", tmp_path / "page")[0] == 2


def test_an_earlier_report_stays_where_the_new_one_fails(make_run, report, tmp_path, monkeypatch):
    folder = make_run()
    report(folder, "-o", tmp_path / "page")
    before = (tmp_path / "page" / "index.html").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("explainrun.runner.report.files.FolderFiles.put", full)
    assert report(folder, "-o", tmp_path / "page")[0] == 2
    assert (tmp_path / "page" / "index.html").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_damaged_runs(make_run, report, tmp_path, data_of):
    """A picture that is another, one that is missing: shown without them. An archive that is another: named."""
    folder = make_run()
    run = find_runs(folder)[0]
    (folder / run.image_path(2)).unlink()
    (folder / run.image_path(3)).write_bytes(b"no picture")
    assert report(folder, "-o", tmp_path / "page")[0] == 0
    faults = data_of(tmp_path / "page", "run/summary")["faults"]
    assert {run.image_path(2), run.image_path(3)} <= {fault["file"] for fault in faults}
    pictures = data_of(tmp_path / "page", "run/pictures-0")
    assert [place for place, picture in enumerate(pictures) if picture is None] == [2, 3]
    content = bytearray(run.archive.read_bytes())
    content[-100] ^= 1
    run.archive.chmod(0o600)
    run.archive.write_bytes(content)
    assert report(folder, "-o", tmp_path / "page")[0] == 0
    summary = data_of(tmp_path / "page", "run/summary")
    assert "checksum" in summary["unreadable"]
    assert summary["state"] == "damaged"


def test_an_unfinished_run(make_runner, kill, report, tmp_path, data_of):
    """Of two batches, of four samples and of two, the first is complete."""
    runner = make_runner()
    kill(runner.run, batch=1, commits=1)
    assert report(tmp_path / "run", "-o", tmp_path / "page")[0] == 0
    summary = data_of(tmp_path / "page", "run/summary")
    assert (summary["state"], summary["progress"], summary["samples"]) == ("unfinished", [4, 6], 4)


def test_shards_are_refused_with_the_command_that_merges(make_runner, report, tmp_path):
    make_runner("all/{shard}").run(shard=(1, 2))
    for folder in (tmp_path / "all", tmp_path / "all" / "shard-1-of-2"):
        code, output = report(folder, "-o", tmp_path / "page")
        assert (code, f"explainrun merge {tmp_path / 'all'}" in output) == (2, True), output


THOUSAND = [f"class {number}" for number in range(1000)]


@pytest.mark.parametrize("options", [{"samples": 1}, {"metrics": ()}, {"class_names": THOUSAND}, {"searching": True}])
def test_runs_of_all_kinds(make_run, report, tmp_path, options, data_of):
    assert report(make_run(**options), "-o", tmp_path / "page")[0] == 0
    occlusion = (tmp_path / "page/data/run/occlusion.js").exists()
    assert occlusion == options.get("searching", False)
    if occlusion:
        found = data_of(tmp_path / "page", "run/occlusion")
        assert found["outcomes"] == ["found"]
        first = {key: values_of(found[key])[:2].tolist() for key in ("outcome", "sigma", "first_layer", "first_box")}
        assert first == {"outcome": [0, 0], "sigma": [3, 3], "first_layer": [0, 2], "first_box": [0, 1]}
        assert values_of(found["probability"])[1] == 0.75
        assert values_of(found["boxes"])[1].tolist() == [2, 1, 4, 3]


def test_results_write_and_show_pages(make_runner, tmp_path):
    result = make_runner().run()
    assert result.report(tmp_path / "page") == tmp_path / "page" / "index.html"
    assert result.report(tmp_path / "page.html", limit=2) == tmp_path / "page.html"
    figure = result.show(0)
    assert len(figure.axes) == 6  # a picture and two explainers, for each of the two labels of that sample
    assert len(result.show(0, "one").axes) == 3
    assert "data:image/png;base64," in result._repr_html_()
    with pytest.raises(ReportError) as caught:
        result.show(99)
    assert caught.value.args[0].code == "sample-not-asked"
    shutil.rmtree(tmp_path / "run")
    assert "no samples shown" in result._repr_html_()


def test_a_report_needs_no_mindspore(make_run, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mindspore", None)
    assert write_report(make_run(), tmp_path / "page").is_file()
