"""Segments and archive: what is written comes back, from unfinished runs too, and damage is told."""

import errno
import json
import re

import h5py
import numpy as np
import pytest

from explainrun.summary_format import BrokenRecordError, ExplanationBatch, InferenceBatch, Results, RunFolder, Segments
from explainrun.summary_format.archive import results_file
from explainrun.summary_format.archive.results_file import check_archive, write_archive
from explainrun.summary_format.plan_record import PlanRecord

PLAN = {
    "class_names": ["a/b", "ü <i>", "c d"],
    "explainers": {"First": {}, "Ünd so": {}},
    "metrics": {"InsertionAUC": {}, "IoSR": {}},
    "dropout_samples": 3,
    "seed": 5,
}


def batch(ids, truth, questions, seed):
    rng = np.random.default_rng(seed)
    samples = InferenceBatch(
        ids=np.array(ids),
        digests=np.array(ids, np.uint32) + 7,
        truth=np.array(truth),
        logits=rng.normal(size=(len(ids), 3)).astype(np.float32),
        probabilities=rng.random((len(ids), 3)).astype(np.float32),
        spread=rng.random((3, len(ids), 3)),
        questions=np.array(questions, np.int64).reshape(-1, 2),
        labels_out_of_range=np.arange(len(ids)),
        costs={"made": {"infer": 1}, "seconds": {"inference": 0.5}},
        pictures=np.array(ids, np.uint32) + 70,
    )
    count = len(samples.questions)
    explained = {}
    for name in PLAN["explainers"]:
        maps = rng.normal(size=(count, 2, 5)).astype(np.float32)
        costs = {"made": {"guided": 2}, "seconds": {"maps": 0.25}}
        explained[name] = (
            ExplanationBatch(
                scores=rng.random((2, count)),
                computed=np.isfinite(maps).all(axis=(1, 2)),
                errors=rng.random(count),
                costs=costs,
                pictures=np.arange(count, dtype=np.uint32) + 2**32 - 5,
            ),
            maps,
        )
    return samples, explained


BATCHES = [
    batch([0, 1, 2], [[0, 2], [1, -1], [-1, -1]], [[0, 0], [0, 2], [1, 1]], 1),
    batch([3, 4], [[-1], [-1]], [], 2),
    batch([5], [[2]], [[5, 1], [5, 2]], 3),
]


@pytest.fixture
def run(tmp_path):
    made = RunFolder.create(tmp_path / "run", "CPU", {"plan": PLAN})
    segments = Segments(made, tuple(PLAN["explainers"]))
    for index, (samples, explained) in enumerate(BATCHES):
        segments.write_samples(index, samples)
        for name, (said, maps) in explained.items():
            segments.write_explained(index, name, said, maps)
    return made


def finish(run):
    write_archive(Segments(run, tuple(PLAN["explainers"])), PlanRecord.of(PLAN))
    run.write_manifest(saliency_map=True, benchmark=True, uncertainty=True, hierarchical_occlusion=False)


def check(results):
    """All that was put in comes out."""
    assert results.plan == PLAN
    assert results.class_names == ("a/b", "ü <i>", "c d")
    assert (results.explainers, results.metrics) == (("First", "Ünd so"), ("InsertionAUC", "IoSR"))
    assert results.samples.tolist() == [0, 1, 2, 3, 4, 5]
    assert results.truth.tolist() == [[0, 2], [1, -1], [-1, -1], [-1, -1], [-1, -1], [2, -1]]
    assert results.sample_pictures.tolist() == [70, 71, 72, 73, 74, 75]
    assert results.labels_out_of_range.tolist() == [0, 1, 2, 0, 1, 0]
    assert results.computed.all()
    assert results.questions.tolist() == [[0, 0], [0, 2], [1, 1], [5, 1], [5, 2]]
    probabilities = np.concatenate([samples.probabilities for samples, _ in BATCHES])
    np.testing.assert_array_equal(results.logits, np.concatenate([samples.logits for samples, _ in BATCHES]))
    np.testing.assert_array_equal(results.probabilities, probabilities)
    spread = np.concatenate([samples.spread for samples, _ in BATCHES], axis=1)
    np.testing.assert_array_equal(results.uncertainty, spread)
    for name in PLAN["explainers"]:
        maps = np.concatenate([explained[name][1] for _, explained in BATCHES])
        scores = np.concatenate([explained[name][0].scores for _, explained in BATCHES], axis=1)
        np.testing.assert_array_equal(results.maps(name), maps)
        np.testing.assert_array_equal(results.maps(name, 1, 4), maps[1:4])
        np.testing.assert_array_equal(results.map(name, 5, 1), maps[3])
        np.testing.assert_array_equal(results.scores(name, "IoSR"), scores[1])
        assert results.computed_maps(name).all()
        assert results.map_pictures(name).tolist() == [2**32 - 5, 2**32 - 4, 2**32 - 3, 2**32 - 5, 2**32 - 4]
    known = {kind: of_kind for kind, of_kind in results.costs.items() if of_kind}
    assert known == {"made": {"infer": 3, "guided": 12}, "seconds": {"inference": 1.5, "maps": 1.5}}


@pytest.mark.parametrize("finished", [False, True])
def test_what_was_put_in_comes_out(run, finished):
    if finished:
        finish(run)
        run.sweep()
        assert not run.segments.exists()
    results = Results(run.root)
    assert results.finished is finished
    check(results)
    if finished:
        check(Results(run.archive))
    check(Results(run.data))


def test_of_an_unfinished_run_the_first_complete_batches_are_read(run):
    segments = Segments(run, tuple(PLAN["explainers"]))
    assert (segments.complete(), segments.missing(2)) == (3, ())
    (run.segments / "000001.Ünd so.maps").unlink()
    assert (segments.complete(), segments.missing(1)) == (1, ("Ünd so",))
    results = Results(run.root)
    assert results.samples.tolist() == [0, 1, 2]
    assert results.questions.tolist() == [[0, 0], [0, 2], [1, 1]]
    assert results.maps("First").shape == (3, 2, 5)
    (run.segments / "000000.samples").unlink()
    nothing = Results(run.root)
    assert (len(nothing.samples), len(nothing.questions), len(nothing.maps("First"))) == (0, 0, 0)
    assert nothing.scores("First", "IoSR").shape == (0,)


def test_plain_h5py_reads_it(run):
    finish(run)
    with h5py.File(run.archive) as file:
        assert file["class_names"].asstr()[:].tolist() == ["a/b", "ü <i>", "c d"]
        assert file["explainers/Ünd so/maps"].dtype == np.float32
        assert file["explainers/Ünd so/maps"].chunks == (1, 2, 5)
        assert file["explainers/First/scores/InsertionAUC"].shape == file["questions/label"].shape == (5,)
        assert file["samples/sd"].shape == (6, 3)


def test_a_data_frame_has_a_row_for_each_question_explainer_and_metric(run):
    pandas = pytest.importorskip("pandas")
    finish(run)
    frame = Results(run.root).frame()
    assert len(frame) == 5 * 2 * 2
    one = frame[
        (frame["sample"] == 5) & (frame["label"] == 2) & (frame.explainer == "First") & (frame.metric == "IoSR")
    ]
    assert one.iloc[0].class_name == "c d"
    assert bool(one.iloc[0].true)
    assert one.iloc[0].probability == BATCHES[2][0].probabilities[0, 2]
    assert one.iloc[0].score == BATCHES[2][1]["First"][0].scores[1, 1]
    assert not frame[(frame["sample"] == 5) & (frame["label"] == 1)].true.any()
    assert isinstance(frame, pandas.DataFrame)


def test_wrong_names_are_told(run):
    results = Results(run.root)
    for call, words in (
        (lambda: results.maps("Frist"), "no explainer 'Frist'; it has First, Ünd so"),
        (lambda: results.scores("First", "AUC"), "no metric 'AUC'; it has InsertionAUC, IoSR"),
        (lambda: results.map("First", 1, 2), "did not ask label 2 of sample 1; it asked 1$"),
        (lambda: results.map("First", 2, 0), "did not ask label 0 of sample 2; it asked none"),
        (lambda: results.map("Frist", 9, 9), "no explainer 'Frist'"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(FileNotFoundError, match="no run in"):
        Results(run.data / "segments")


def test_every_flipped_byte_of_an_archive_is_told_before_hdf5_sees_it(run, monkeypatch, raising):
    finish(run)
    data = run.archive.read_bytes()
    monkeypatch.setattr(h5py, "File", None)
    for place in [*range(600), *range(600, len(data), 37)]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        run.archive.unlink()
        run.archive.write_bytes(damaged)
        with raising(BrokenRecordError, "record-broken", path=str(run.archive), reason=re.compile("checksum")):
            Results(run.root)
    for end in (0, 100, 512, len(data) // 2, len(data) - 1):
        run.archive.write_bytes(data[:end])
        with pytest.raises(BrokenRecordError):
            check_archive(run.archive)


def test_an_archive_holds_no_text_of_variable_length(run):
    finish(run)
    found = {}
    with h5py.File(run.archive) as file:
        file.visititems(lambda name, item: found.update({name: item.dtype}) if isinstance(item, h5py.Dataset) else None)
        assert list(file.attrs) == ["schema_version"]
        assert file["class_names"].asstr()[:].tolist() == PLAN["class_names"]
        assert json.loads(file["plan"].asstr()[()]) == PLAN
    texts = {name: h5py.check_string_dtype(kind) for name, kind in found.items() if h5py.check_string_dtype(kind)}
    assert sorted(texts) == ["class_names", "costs", "plan"]
    assert (texts["class_names"].encoding, texts["class_names"].length) == ("utf-8", len("ü <i>".encode()))
    assert texts["plan"].length == len(json.dumps(PLAN))
    assert not [name for name, kind in found.items() if kind.hasobject]
    assert b"GCOL" not in run.archive.read_bytes()  # HDF5's heap of what has no fixed length


def test_a_long_plan_comes_back(run):
    plan = {**PLAN, "note": "ü" * 200_000}
    write_archive(Segments(run, tuple(PLAN["explainers"])), PlanRecord.of(plan))
    assert Results(run.archive).plan == plan


def test_a_newer_archive_is_refused(run, monkeypatch):
    monkeypatch.setattr(results_file, "SCHEMA_VERSION", 4)
    finish(run)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="is of version 4, this Explainrun reads up to 3"):
        Results(run.root)


def test_a_damaged_segment_is_told(run, raising):
    for path in sorted(run.segments.iterdir()):
        data = bytearray(path.read_bytes())
        data[-7] ^= 1
        path.unlink()
        path.write_bytes(data)
        with raising(BrokenRecordError, "record-broken", reason=re.compile("CRC of its payload")):
            finish(run)
        data[-7] ^= 1
        path.write_bytes(data)
    finish(run)


def test_a_fault_while_hdf5_writes_is_the_one_that_is_told(run, monkeypatch):
    calls = 0

    def full(*_):
        nonlocal calls
        calls += 1
        if calls > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return results_file.os.pwrite(*_)

    monkeypatch.setattr(results_file, "write_at", lambda handle, data, offset, path: full(handle, data, offset))
    with pytest.raises(OSError, match="No space left"):
        finish(run)
    assert not run.archive.exists()
