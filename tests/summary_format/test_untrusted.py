"""Files that somebody made to break a reader: told, before memory, other files or code come into it."""

import io
import json
import os
import pickle
import struct
import zipfile
from contextlib import suppress
from dataclasses import replace
from functools import partial

import h5py
import numpy as np
import pytest

from explainrun.summary_format import (
    BrokenRecordError,
    ExplanationBatch,
    FolderLock,
    InferenceBatch,
    Metadata,
    Results,
    Revealed,
    RevealedLayer,
    RunFolder,
    SampleRecord,
    Segments,
    find_runs,
    read_manifest,
    read_records,
    remove_runs,
)
from explainrun.summary_format.archive import results_file
from explainrun.summary_format.archive.neighbours import Neighbours
from explainrun.summary_format.archive.results_file import write_archive
from explainrun.summary_format.event_file.frames import framed
from explainrun.summary_format.event_file.records import encode
from explainrun.summary_format.plan_record import PlanRecord
from explainrun.summary_format.untrusted.numpy_json import array_of, arrays_of, json_of

PLAN = {"class_names": ["a", "b"], "explainers": {"First": {}}, "metrics": {"IoSR": {}}}


@pytest.fixture
def run(tmp_path):
    made = RunFolder.create(tmp_path / "run", "CPU", {"plan": PLAN})
    segments, rows = Segments(made, ("First",)), np.array([[0.25, 0.75]], np.float32)
    truth, spread = np.array([[1]]), np.zeros((0, 1, 2))
    segments.write_samples(
        0,
        InferenceBatch(
            ids=np.array([3]),
            digests=np.array([7], np.uint32),
            truth=truth,
            logits=rows,
            probabilities=rows,
            spread=spread,
            questions=np.array([[3, 1]]),
            labels_out_of_range=truth[0],
        ),
    )
    said = ExplanationBatch(scores=np.array([[0.5]]), computed=np.array([True]), errors=np.array([np.nan]))
    segments.write_explained(0, "First", said, np.array([[[1, 2, 3], [4, 5, 6]]], np.float32))
    return made


def npy(array):
    made = io.BytesIO()
    np.save(made, array, allow_pickle=True)
    return made.getvalue()


def zipped(members, **options):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", **options) as packed:
        for name, data in members:
            packed.writestr(name, data)
    return made.getvalue()


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("table", [np.arange(6).reshape(2, 3).T, np.zeros((0, 5), np.float32), np.array("ü"), np.True_])
def test_arrays_come_back(table):
    back = array_of(npy(table))
    assert (back.dtype, back.shape, back.tolist()) == (table.dtype, table.shape, table.tolist())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (npy(np.array([Bomb()], object)), "an array has no header of ours"),
        (npy(np.arange(3))[:-1], r"an array of int64 \(3,\) cannot fill 23 bytes"),
        (npy(np.arange(3)).replace(b"(3,)", b"(9,)"), "cannot fill 24 bytes"),
        (npy(np.arange(3)).replace(b"(3,), }" + b" " * 14, b"(4611686018427387904,"), "no header of ours"),
        (npy(np.arange(3)).replace(b"<i8", b"|O8"), "an array has no header of ours"),
        (b"", "an array has no header of ours"),
        (pickle.dumps(Bomb()), "an array has no header of ours"),
    ],
)
def test_arrays_that_are_not_ours(data, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words):
        array_of(data)
    with pytest.raises(ValueError, match=words):
        arrays_of(zipped([("a.npy", data)]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (zipped([("a.npy", npy(np.zeros(10**6)))], compression=zipfile.ZIP_DEFLATED), "it is compressed, and ours are"),
        (zipped([("a.npy", npy(np.arange(3)))])[:-30], "cannot be unpacked: File is not a zip file"),
        (zipped([("a.npy", b"x" * 500)]).replace(b"xx", b"xy", 1), "cannot be unpacked: Bad CRC-32"),
        (b"", "cannot be unpacked: File is not a zip file"),
    ],
)
def test_zips_that_are_not_ours(data, words):
    with pytest.raises(ValueError, match=words):
        arrays_of(data)


def test_members_that_overlap_are_no_more_than_the_zip_holds():
    whole = zipped([("a.npy", npy(np.zeros(200))), ("b.npy", npy(np.zeros(200)))])
    first, second = (place for place in range(len(whole)) if whole[place : place + 4] == b"PK\x01\x02")
    overlapping = bytearray(whole)
    overlapping[second + 42 : second + 46] = whole[first + 42 : first + 46]  # both lie where the first does
    entries = whole[first:second] * 4
    end = bytearray(whole[-22:])
    end[8:16] = struct.pack("<HHI", 4, 4, len(entries))
    with pytest.raises(ValueError, match="its members are larger than it is"):
        arrays_of(whole[:first] + entries + bytes(end))


def test_json_without_end():
    for text in (b"[" * 10**5, b'{"a":' * 10**5, b"\xff", b"9" * 5000):
        with pytest.raises(ValueError, match="it is not JSON that can be read: "):
            json_of(text)


def test_json_without_end_where_runs_lie(run):
    for path in (run.data / "plan.json", run.manifest, run.root / ".explainrun.lock"):
        path.unlink(missing_ok=True)
        path.write_bytes(b"[" * 10**5)
    with FolderLock(run.root):
        pass
    assert find_runs(run.root) == []
    with pytest.raises(BrokenRecordError, match=r"manifest.json: .*it is not JSON that can be read"):
        read_manifest(run)
    run.manifest.write_text("[]")
    with pytest.raises(BrokenRecordError, match=r"manifest.json: .*it must be a mapping"):
        read_manifest(run)


def test_a_text_of_an_event_file_that_is_no_utf8(tmp_path):
    path = tmp_path / "events"
    found = SampleRecord(1, "a.jpg", revealed=(Revealed(0, 4, (RevealedLayer(0.75, ((1, 2, 3, 4),)),)),))
    for record, text in ((Metadata(("abc",)), b"abc"), (SampleRecord(1, "abc"), b"abc"), (found, b"gaussian:4")):
        path.write_bytes(framed(encode(record, 1.0).replace(text, b"\xff" * len(text))))
        with pytest.raises(BrokenRecordError, match=r"record 0 at byte 0: .*(utf-8|UTF-8)"):
            list(read_records(path))


@pytest.mark.parametrize("name", ["1.x/../../../mine_explain", "1.\0_explain", "1.\ud800_explain", "1./_explain"])
def test_a_plan_file_cannot_name_an_event_file_elsewhere(run, tmp_path, name):
    (tmp_path / "mine_explain").write_text("mine")
    path = run.data / "plan.json"
    path.unlink()
    path.write_text(json.dumps({"event_file": f"events.summary.{name}", "state": {"plan": PLAN}}))
    assert find_runs(run.root) == []
    remove_runs(run.root)
    assert (tmp_path / "mine_explain").exists()


def test_what_lies_behind_links_is_not_removed(run, tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    (away / "mine").write_text("mine")
    (run.data / "heatmap").symlink_to(away)
    assert run.link() == run.data / "heatmap"
    moved = run.data.rename(tmp_path / "moved")
    run.data.symlink_to(moved)
    assert run.link() == run.data
    remove_runs(run.root)
    assert (moved / "plan.json").exists()
    run.data.unlink()
    moved.rename(run.data)
    remove_runs(run.root)
    assert list(run.root.iterdir()) == []
    assert [path.name for path in away.iterdir()] == ["mine"]


def test_a_lock_behind_a_link_is_not_taken(run, tmp_path):
    (tmp_path / "mine").write_text("mine, and long enough that a lock would blank it out" * 3)
    before = (tmp_path / "mine").read_text()
    (run.root / ".explainrun.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match=r"symbolic links: .*\.explainrun\.lock"), FolderLock(run.root):
        pass
    assert (tmp_path / "mine").read_text() == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"explainers": {"../../x": {}}},
            "the plan's explainers must not hold '../../x', which cannot be part of a path",
        ),
        ({"explainers": ["First"]}, "the plan's explainers must be a mapping of names to options"),
        ({"class_names": [1, 2]}, "the plan's class_names must be a list of strings"),
        ({"class_names": ["a", "\ud800"]}, "the plan's class_names must be a list of strings"),
        ({"class_names": ["a"]}, r"logits is float32 \(1, 2\), where kind f \(1, 1\) belongs"),
        ({"metrics": {}}, r"scores is float64 \(1, 1\), where kind f \(0, 1\) belongs"),
        ({"dropout_samples": 3}, r"spread is float64 \(0, 1, 2\), where kind f \(3, 1, 2\) belongs"),
        ({"dropout_samples": "3"}, "the plan's dropout_samples should be a valid integer"),
        ({"hierarchical_occlusion": [1]}, "the plan's hierarchical_occlusion must be a mapping"),
        ({"nearest_samples": {"count": 2}}, "nearest_id is missing"),
        ({"nearest_samples": {"count": 2.0}}, "the plan's nearest_samples must say a whole number from 1 to 1048576"),
        ({"nearest_samples": {}}, "the plan's nearest_samples must say a whole number from 1 to 1048576"),
    ],
)
def test_plans_that_do_not_fit(run, changes, words):
    path = run.data / "plan.json"
    path.unlink()
    run.write_state({"plan": {**PLAN, **changes}})
    with pytest.raises(BrokenRecordError, match=words):
        Results(run.root)


@pytest.mark.parametrize(
    ("segment", "name", "value", "words"),
    [
        ("samples", "questions", np.array([[3, 2]]), "a question is about a label out of range"),
        ("samples", "questions", np.array([[4, 1]]), "a question is about a sample that is not there"),
        ("samples", "questions", np.zeros((0, 2), np.int64), "it has 1 answer to 0 questions"),
        ("samples", "truth", np.array([1]), r"truth is int64 \(1,\), where kind i \(1, 'K'\) belongs"),
        ("samples", "ids", np.array([3.0]), r"ids is float64 \(1,\), where kind i \(1,\) belongs"),
        ("samples", "costs", np.array('{"made": {"infer": "x"}}'), "the costs must map kinds to numbers"),
        ("samples", "costs", np.array("[" * 5000), "it is not JSON"),
        ("First.maps", "computed", np.array([1]), r"computed is int64 \(1,\), where kind b \(1,\) belongs"),
        ("First.maps", "errors", None, "errors is missing"),
    ],
)
def test_segments_that_do_not_fit(run, segment, name, value, words):
    path = run.segments / f"000000.{segment}"
    packed, *rest = (data for data in payloads(path.read_bytes()))
    arrays = {name: array for name, array in arrays_of(packed).items() if name != "costs"}
    arrays |= {"costs": np.array("{}"), name: value}
    made = zipped([(f"{name}.npy", npy(array)) for name, array in arrays.items() if array is not None])
    path.unlink()
    path.write_bytes(b"".join(map(framed, (made, *rest))))
    with pytest.raises(BrokenRecordError, match=words) as caught:
        Results(run.root)
    assert str(run.segments) in str(caught.value)


NEAR = {
    "nearest_id": np.array([[1, -1]]),
    "nearest_distance": np.array([[0.5, np.nan]]),
    "nearest_predicted": np.array([[1, -1]]),
    "nearest_truth": np.array([[[0], [-1]]]),
}


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"nearest_id": np.array([[1]])}, r"nearest_(id|distance) is .*, where kind . \(1, \d\) belongs"),
        ({"nearest_distance": None}, "nearest_distance is missing"),
        ({"nearest_predicted": np.array([[2, -1]])}, "a label of a nearest sample is out of range"),
        ({"nearest_truth": np.array([[[0], [-2]]])}, "a label of a nearest sample is out of range"),
        (dict.fromkeys(NEAR), "nearest_id is missing"),
        (
            {name: table[:, :1] for name, table in NEAR.items()},
            r"nearest_id is int64 \(1, 1\), where .* \(1, 2\) belongs",
        ),
    ],
)
def test_nearest_samples_that_do_not_fit(run, changes, words, finished):
    plan = {**PLAN, "nearest_samples": {"count": 2}}
    (run.data / "plan.json").unlink()
    run.write_state({"plan": plan})
    segments = Segments(run, ("First",))
    samples = replace(segments.samples(0), neighbours=Neighbours.among(NEAR))
    segments.samples_path(0).unlink()
    segments.write_samples(0, samples)
    path = segments.samples_path(0)
    if finished:
        write_archive(segments, PlanRecord.of(plan))
        run.write_manifest(saliency_map=True, benchmark=True, uncertainty=False, hierarchical_occlusion=False)
        with h5py.File(run.archive, "r+") as file:
            for name, table in changes.items():
                del file[f"samples/{name}"]
                if table is not None:
                    file[f"samples/{name}"] = table
        read = partial(Results, run.archive, check=False)
    else:
        arrays = {**arrays_of(next(payloads(path.read_bytes()))), **changes}
        path.write_bytes(framed(zipped([(f"{name}.npy", npy(one)) for name, one in arrays.items() if one is not None])))
        read = partial(Results, run.root)
    if words is None:
        found = read().nearest_samples
        assert found.ids.tolist() == [[1, -1]]
        return
    with pytest.raises(ValueError, match=words):
        read()


def payloads(data):
    while data:
        length = struct.unpack("<Q", data[:8])[0]
        yield data[12 : 12 + length]
        data = data[16 + length :]


def rebuilt(run, change):
    """The run's archive after a change, under a checksum that is right."""
    write_archive(Segments(run, ("First",)), PlanRecord.of(PLAN))
    data = run.archive.read_bytes()
    run.archive.unlink()
    run.archive.write_bytes(data)
    with h5py.File(run.archive, "r+", libver=("v110", "v110")) as file:
        change(file)
    with run.archive.open("r+b") as file:
        file.write(results_file._header(file.fileno()))
    return run.archive


def instead(name, make):
    def change(file):
        if name in file:
            del file[name]
        make(file)

    return change


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.array([41])
    (tmp_path / "raw").write_bytes(struct.pack("<q", 42))
    return tmp_path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f, d: f.__setitem__("samples/id", h5py.ExternalLink(str(d / "secret.h5"), "/x")), "reached by a link"),
        (lambda f, d: f.__setitem__("samples/id", h5py.SoftLink("/samples/id")), "reached by a link"),
        (
            lambda f, d: f.create_dataset("samples/id", (1,), "i8", external=[(str(d / "raw"), 0, 8)]),
            "takes its values from other files",
        ),
        (lambda f, d: f.create_virtual_dataset("samples/id", virtual(d)), "takes its values from other files"),
        (lambda f, _: f.create_dataset("samples/id", (2**40,), "i8", chunks=(2,)), "of which 0 bytes are stored"),
        (lambda f, _: f.create_dataset("samples/id", (2**40,), "i8"), "of which 0 bytes are stored"),
        (lambda f, _: bomb(f), "of which .* bytes are stored"),
        (lambda f, _: f.create_dataset("samples/id", data=[f.ref], dtype=h5py.ref_dtype), "is object"),
        (lambda f, _: of_lists(f), "is object"),
        (lambda f, _: f.create_dataset("samples/id", data=h5py.Empty("i8")), "holds nothing"),
        (lambda f, _: f.create_dataset("samples/id", data=[3], chunks=(1,), compression="lzf"), "through filters"),
        (lambda f, _: f.create_group("samples/id"), "is not a dataset"),
        (lambda _f, _: None, "samples/id is missing"),
        (lambda f, _: f.create_dataset("samples/id", data=[[3]]), r"is int64 \(1, 1\), where kind i \('N',\) belongs"),
        (lambda f, _: f.create_dataset("samples/id", data=[4]), "a question is about a sample that is not there"),
        (lambda f, _: f.create_dataset("samples/id", data=[3], maxshape=(9,)), r"could grow to \(9,\)"),
        (
            lambda f, _: f.create_dataset("samples/id", data=[3, 4]),
            r"where kind u \(2,\) belongs",
        ),
    ],
)
def test_archives_that_lead_elsewhere_or_hold_what_they_do_not(run, secret, make, words):
    path = rebuilt(run, instead("samples/id", lambda file: make(file, secret)))
    with pytest.raises(BrokenRecordError, match=words) as caught:
        Results(path)
    assert str(path) in str(caught.value)


def virtual(folder):
    layout = h5py.VirtualLayout((1,), "i8")
    layout[...] = h5py.VirtualSource(str(folder / "secret.h5"), "x", (1,))
    return layout


def of_lists(file):
    file.create_dataset("samples/id", (1,), h5py.vlen_dtype("i8"))[0] = [3]


def bomb(file):
    made = file.create_dataset("samples/id", (2**30,), "i8", chunks=(2**20,), compression="gzip")
    made[: 2**20] = 0


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("plan", lambda f: f.create_dataset("plan", data="[" * 10**5), "it is not JSON that can be read"),
        ("plan", lambda f: f.create_dataset("plan", data=3), "plan must be a text"),
        ("plan", lambda f: f.create_dataset("plan", data="[]"), "the plan is not a mapping"),
        (
            "plan",
            lambda f: f.create_dataset("plan", data="{}"),
            "the plan does not say class_names, explainers, metrics",
        ),
        ("costs", lambda f: f.create_dataset("costs", data='{"seconds": 3}'), "the costs must map kinds to numbers"),
        ("x", lambda f: f.attrs.__setitem__("schema_version", "1"), "schema_version must be a whole number"),
        ("x", lambda f: f.attrs.__delitem__("schema_version"), "schema_version is missing"),
    ],
)
def test_archives_that_say_something_else(run, name, make, words):
    with pytest.raises(BrokenRecordError, match=words):
        Results(rebuilt(run, instead(name, make)))


def of_variable_length(file):
    for name in ("plan", "costs"):
        text = file[name].asstr()[()]
        del file[name]
        file[name] = text


def test_texts_of_variable_length_are_of_earlier_versions_alone(run):
    assert Results(rebuilt(run, of_variable_length)).plan == PLAN

    def claiming(file):
        of_variable_length(file)
        file.attrs["schema_version"] = 3

    with pytest.raises(BrokenRecordError, match="plan is a text of variable length, which archives of this version"):
        Results(rebuilt(run, claiming))


def test_a_heap_of_texts_is_not_left_to_hdf5(run):
    """Where its first object is said to be of no use, HDF5 2.0 looks for the next one forever."""
    path = rebuilt(run, of_variable_length)
    whole = path.read_bytes()
    heap = whole.index(b"GCOL")
    for place in range(heap, heap + 48):
        for value in (0, 1, 0x80, 0xFF):
            data = bytearray(whole)
            data[place] = value
            with path.open("r+b") as file:
                file.write(data)
                file.flush()
                header = results_file._header(file.fileno())
                file.seek(0)
                file.write(header)
            with suppress(BrokenRecordError):
                assert Results(path).plan == PLAN


def test_a_text_of_fixed_length_is_read_too(run):
    def fixed(file):
        del file["plan"]
        file["plan"] = np.bytes_(json.dumps(PLAN))

    assert Results(rebuilt(run, fixed)).plan == PLAN


def test_keys_that_stand_twice_are_told_where_asked_for():
    assert json_of('{"a": {"b": 1, "b": 2}}') == {"a": {"b": 2}}
    assert json_of('{"a": {"b": 1}, "b": 2}', unique_keys=True) == {"a": {"b": 1}, "b": 2}
    with pytest.raises(ValueError, match="the key 'b' stands twice"):
        json_of('{"a": {"b": 1, "b": 2}}', unique_keys=True)
