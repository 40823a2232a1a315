"""What a page knows of nearest samples."""

import base64

import numpy as np

from explainrun.runner.report.write import Choice, write_report


def values(packed):
    return np.frombuffer(base64.b64decode(packed["data"]), f"<{packed['type']}").reshape(packed["shape"])


def test_those_of_the_samples_shown(make_run, data_of, tmp_path):
    """Near to sample 0 are 1 and 2, which the list does not show."""
    write_report(make_run(nearest=3), tmp_path / "page", Choice(limit=1))
    found = data_of(tmp_path / "page", "run/nearest")
    assert [{**one, "picture": None} for one in found["samples"]] == [
        {"id": place, "predicted": place, "truth": [place], "picture": None} for place in (1, 2)
    ]
    assert all(base64.b64decode(one["picture"]).startswith(b"\xff\xd8") for one in found["samples"])  # JPEG
    assert values(found["place"]).tolist() == [[0, 1, -1]]
    np.testing.assert_array_equal(values(found["distance"]), [[0.25, 0.5, np.nan]])
    summary = data_of(tmp_path / "page", "run/summary")
    assert (summary["nearest_samples"]["layer"], summary["nearest_samples"]["pool"]) == ("conv", 5)


def test_the_nearest_come_first_whatever_their_ids(make_run, data_of, tmp_path):
    """Near to each sample are the next ones, round about 5; the last place is empty."""
    write_report(make_run(nearest=3), tmp_path / "page", Choice(limit=5))
    found = data_of(tmp_path / "page", "run/nearest")
    ids = np.array([one["id"] for one in found["samples"]])
    assert ids[values(found["place"])[:, :2]].tolist() == [[1, 2], [2, 3], [3, 4], [4, 0], [0, 1]]
    assert (values(found["place"])[:, 2] == -1).all()


def test_a_picture_that_is_gone_is_named_once(make_run, data_of, tmp_path):
    folder = make_run(nearest=2)
    next(folder.rglob("origin_images/*/1.jpg")).unlink()
    write_report(folder, tmp_path / "page")
    one = data_of(tmp_path / "page", "run/nearest")["samples"][1]
    assert (one["id"], one["picture"]) == (1, None)
    faults = data_of(tmp_path / "page", "run/summary")["faults"]
    assert [fault["file"].rpartition("/")[2] for fault in faults] == ["1.jpg"]


def test_a_run_without_has_no_such_file(make_run, data_of, tmp_path):
    write_report(make_run(), tmp_path / "page")
    assert not (tmp_path / "page" / "data" / "run" / "nearest.js").exists()
    assert data_of(tmp_path / "page", "run/summary")["nearest_samples"] is None
