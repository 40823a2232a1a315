"""Curves of metrics as tables: padded to the longest, written, read and refused."""

import numpy as np
import pytest

from explainrun.summary_format import BrokenRecordError, ExplanationBatch, InferenceBatch, Results, RunFolder, Segments
from explainrun.summary_format.archive.curves import curve_table, joined_curves, unpadded
from explainrun.summary_format.archive.parts import Part, PartName
from explainrun.summary_format.archive.results_file import write_archive
from explainrun.summary_format.plan_record import PlanRecord

PLAN = {
    "class_names": ["a", "b"],
    "explainers": {"First": {}},
    "metrics": {"IoSR": {}, "SRG": {}, "Ünd so": {}},
    "curves": {"SRG": ["lerf", "morf"], "Ünd so": ["information"]},
}
SHORT, LONG = ([0.0, 1.0], [0.5, np.nan]), ([0.0, 0.25, 1.0], [1.0, 0.5, 0.0])


def table(*found, curves=1):
    return curve_table([one and [tuple(map(np.array, points)) for points in one] for one in found], curves)


def test_shorter_curves_are_padded():
    found = table([SHORT, LONG], None, [LONG, LONG], curves=2)
    assert (found.shape, found.dtype) == ((3, 2, 2, 3), np.float64)
    np.testing.assert_array_equal(found[0, 0], [[0, 1, np.nan], [0.5, np.nan, np.nan]])
    np.testing.assert_array_equal(found[0, 1], LONG)
    assert np.isnan(found[1]).all()
    assert table(None, curves=2).shape == (1, 2, 2, 0)
    assert curve_table([], 3).shape == (0, 3, 2, 0)


def test_padding_goes_with_the_longest_curve_and_heights_without_number_stay():
    found = table([SHORT], [LONG], None)
    assert unpadded(found[[0, 2]]).shape == (2, 1, 2, 2)
    np.testing.assert_array_equal(unpadded(found[[0, 2]])[0, 0], SHORT)
    assert unpadded(found[[2]]).shape == (1, 1, 2, 0)
    assert unpadded(found[:0]).shape == (0, 1, 2, 0)
    np.testing.assert_array_equal(unpadded(found), found)


def test_parts_are_padded_alike():
    joined = joined_curves([{"SRG": table([SHORT])}, {"SRG": table(None)}, {"SRG": table([LONG])}])
    np.testing.assert_array_equal(joined["SRG"], table([SHORT], None, [LONG]))
    assert joined_curves([]) == {}


def batch(ids, questions, curves):
    count = len(questions)
    rows = np.full((len(ids), 2), 0.5, np.float32)
    samples = InferenceBatch(
        ids=np.array(ids), digests=np.array(ids, np.uint32), truth=np.zeros((len(ids), 1), int), logits=rows,
        probabilities=rows, spread=np.zeros((0, *rows.shape)), questions=np.array(questions, int).reshape(-1, 2),
        labels_out_of_range=np.zeros(len(ids), int), pictures=np.zeros(len(ids), np.uint32),
    )  # fmt: skip
    explained = ExplanationBatch(
        scores=np.zeros((3, count)), computed=np.ones(count, bool), errors=np.full(count, np.nan),
        pictures=np.zeros(count, np.uint32), curves=curves,
    )  # fmt: skip
    return samples, explained


BATCHES = [
    batch([0, 1], [[0, 0], [1, 1]], {"SRG": table([SHORT, SHORT], None, curves=2), "Ünd so": table(None, [SHORT])}),
    batch([2], [], {"SRG": table(curves=2), "Ünd so": table()}),
    batch([3], [[3, 0]], {"SRG": table([LONG, LONG], curves=2), "Ünd so": table([SHORT])}),
]


def written(folder, batches=BATCHES, plan=PLAN):
    run = RunFolder.create(folder, "CPU", {"plan": plan})
    segments = Segments.of(run, PlanRecord.of(plan))
    for index, (samples, explained) in enumerate(batches):
        segments.write_samples(index, samples)
        segments.write_explained(index, "First", explained, np.zeros((len(explained.computed), 2, 3), np.float32))
    return run, segments


@pytest.mark.parametrize("finished", [False, True])
def test_written_and_read(tmp_path, finished):
    run, segments = written(tmp_path)
    if finished:
        write_archive(segments, PlanRecord.of(PLAN))
        run.write_manifest(saliency_map=True, benchmark=True, uncertainty=False, hierarchical_occlusion=False)
    results = Results(tmp_path)
    assert results.finished == finished
    found = results.curves("First", "SRG")
    assert list(found) == ["lerf", "morf"]
    expected = table([SHORT, SHORT], None, [LONG, LONG], curves=2)
    np.testing.assert_array_equal(np.stack(list(found.values()), axis=1), expected)
    np.testing.assert_array_equal(results.curves("First", "Ünd so")["information"], table(None, [SHORT], [SHORT])[:, 0])
    assert results.curve_bytes == (3 * 2 * 2 * 3 + 3 * 2 * 2) * 8


def test_others_are_not_there(tmp_path):
    written(tmp_path)
    results = Results(tmp_path)
    for explainer, metric, said in (("First", "IoSR", "no curves of 'IoSR'"), ("Other", "SRG", "no explainer"),
                                    ("First", "Other", "no metric")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            results.curves(explainer, metric)


@pytest.mark.parametrize(
    "curves",
    [
        {"SRG": table([LONG, LONG], curves=2)},
        {"SRG": table([LONG]), "Ünd so": table([SHORT])},
        {"SRG": table([LONG, LONG], curves=2), "Ünd so": table([SHORT], None)},
        {"SRG": table([LONG, LONG], curves=2), "Ünd so": np.zeros((1, 1, 3, 2))},
        {"SRG": table([LONG, LONG], curves=2), "Ünd so": np.zeros((1, 1, 2, 2), int)},
    ],
)
def test_curves_other_than_those_of_the_plan_are_refused(tmp_path, curves):
    _, segments = written(tmp_path, [batch([0], [[0, 0]], curves)])
    with pytest.raises(BrokenRecordError):
        segments.explained(0, "First")
    with pytest.raises(BrokenRecordError):
        Results(tmp_path)


def test_an_archive_that_lacks_them_is_refused(tmp_path):
    without = {key: value for key, value in PLAN.items() if key != "curves"}
    run, segments = written(tmp_path, [batch([0], [[0, 0]], {})], without)
    write_archive(segments, PlanRecord.of(without))
    run.write_manifest(saliency_map=True, benchmark=True, uncertainty=False, hierarchical_occlusion=False)
    assert Results(tmp_path).curve_bytes == 0
    lying = RunFolder.create(tmp_path / "lying", "CPU", {"plan": PLAN})
    write_archive(_Of(segments, lying), PlanRecord.of(PLAN))
    lying.write_manifest(saliency_map=True, benchmark=True, uncertainty=False, hierarchical_occlusion=False)
    with pytest.raises(BrokenRecordError):
        Results(tmp_path / "lying")


class _Of:
    """The batches of one run as those of another."""

    def __init__(self, segments, run):
        self._segments, self.run, self.explainers = segments, run, segments.explainers

    def __getattr__(self, name):
        return getattr(self._segments, name)


def test_parts_keep_them(tmp_path):
    _, segments = written(tmp_path)
    name = PartName("000003.First.maps", "scores", 0, 1)
    found = {"questions": np.array([[4, 0]]), "scores": np.zeros((3, 1)), "curves/SRG": table([LONG, SHORT], curves=2)}
    segments.parts.write(name, Part(found, {}))
    arrays = segments.parts.read(name).arrays
    np.testing.assert_array_equal(arrays["curves/SRG"], found["curves/SRG"])
    segments.parts.write(name, Part({**found, "curves/SRG": table([LONG], None)}, {}))
    with pytest.raises(BrokenRecordError):
        segments.parts.read(name)


@pytest.mark.parametrize("curves", [["SRG"], {"SRG": "lerf"}, {"SRG": [1]}, {"../SRG": ["lerf"]}, {1: ["lerf"]}])
def test_plans_that_say_something_else_are_refused(curves):
    with pytest.raises(ValueError, match="curves"):
        PlanRecord.of({**PLAN, "curves": curves})
