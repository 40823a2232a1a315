"""Files of maps that strangers wrote: what they may hold, and what is refused, each thing with its code."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from explainrun.summary_format.imported_maps import checked_index as checking
from explainrun.summary_format.imported_maps import reading_process
from explainrun.summary_format.imported_maps.checked_index import checked_index
from explainrun.summary_format.imported_maps.map_store import MapsFileError
from explainrun.summary_format.imported_maps.maps_file import MapsFile

MAPS = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
SAMPLE, LABEL = [5, 0, 5, 2], [1, 3, 0, 1]


@pytest.fixture
def write(tmp_path):
    """Writes a file of four maps, with other datasets in place of some; None leaves one out."""

    def written(name="maps.h5", how=None, **other):
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            content = {"maps": MAPS, "sample": SAMPLE, "label": LABEL, "source": "a person"} | other
            for key, values in content.items():
                if values is not None:
                    file.create_dataset(key, data=values, **(how or {} if key == "maps" else {}))
        return path

    return written


@pytest.fixture
def in_this_process(monkeypatch):
    """Reads files here, where that is not what a test is about: a process takes half a second to start."""
    monkeypatch.setattr("explainrun.summary_format.imported_maps.maps_file.index_read_apart", checked_index)


def test_the_lines_of_the_manual(tmp_path, repository):
    """The manual's example is run as it stands there, and its file is read in a process of its own."""
    text = (repository / "docs" / "how-to" / "later.md").read_text("utf-8")
    [lines] = [block for block in text.split("```python\n") if 'h5py.File("maps.h5", "w")' in block]
    made = {"maps": MAPS, "samples": SAMPLE, "labels": LABEL, "h5py": h5py}
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(lines.partition("```")[0], made)
    finally:
        os.chdir(before)
    found = MapsFile(tmp_path / "maps.h5")
    assert found.questions.tolist() == [[5, 1], [0, 3], [5, 0], [2, 1]]
    assert found.size == (2, 3)
    assert "captum" in found.source
    np.testing.assert_array_equal(found.read(np.array([2, 0])), MAPS[[2, 0]])


def test_places(write, in_this_process):
    found = MapsFile(write())
    asked = np.array([[5, 0], [5, 1], [5, 2], [0, 3], [3, 0], [9, 9], [2, 1]])
    assert found.places(*asked.T).tolist() == [2, 0, -1, 1, -1, -1, 3]
    assert found.places(*np.zeros((2, 0), np.int64)).tolist() == []
    assert found.read(np.zeros(0, np.int64)).shape == (0, 2, 3)
    for order in ([0, 1, 2, 3], [3, 1, 0], [2, 0], [1]):
        np.testing.assert_array_equal(found.read(np.array(order)), MAPS[order])


def test_the_digest_is_of_the_content_alone(write):
    digest, turned = checked_index(write()).digest, [3, 1, 0, 2]
    same = [
        {"maps": MAPS[turned], "sample": np.array(SAMPLE)[turned], "label": np.array(LABEL, np.uint8)[turned]},
        {"maps": MAPS.astype(np.float64), "source": None},
        {"maps": MAPS.astype(np.int16)},
        {"how": {"chunks": (1, 2, 3), "compression": "gzip", "shuffle": True, "fletcher32": True}},
        {"how": {"chunks": (3, 2, 1), "compression": "gzip"}},
    ]
    for number, other in enumerate(same):
        assert checked_index(write(f"{number}.h5", **other)).digest == digest
    differing = [
        {"maps": np.where(MAPS == 7, 8, MAPS)},
        {"sample": [5, 0, 5, 3]},
        {"label": [0, 3, 1, 1]},
        {"maps": MAPS.reshape(4, 3, 2)},
        {"maps": MAPS[:3], "sample": SAMPLE[:3], "label": LABEL[:3]},
    ]
    digests = [checked_index(write(f"other {number}.h5", **other)).digest for number, other in enumerate(differing)]
    assert len({digest, *digests}) == 6


def test_many_blocks_are_read_as_one_is(write, monkeypatch):
    path, alive = write(), []
    whole = checked_index(path)
    monkeypatch.setattr(checking, "_BLOCK_BYTES", 30)  # one map of 24 bytes
    cut = checked_index(path, lambda: alive.append(1))
    assert len(alive) == 4
    np.testing.assert_array_equal(cut.digests, whole.digests)


def test_what_float32_cannot_hold_is_infinite(write, in_this_process):
    maps = MAPS.astype(np.float64)
    maps[1, 0, 0], maps[2, 1, 1] = 1e300, np.nan
    read = MapsFile(write(maps=maps)).read(np.arange(4))
    assert np.isinf(read[1, 0, 0])
    assert np.isnan(read[2, 1, 1])


BOOLEAN = MAPS > 10


def test_a_person_s_masks_are_maps(write, in_this_process):
    np.testing.assert_array_equal(MapsFile(write(maps=BOOLEAN)).read(np.arange(4)), BOOLEAN.astype(np.float32))


FAULTS = [
    ({"maps": None}, "maps-file-lacks", {"name": "maps"}),
    ({"sample": None}, "maps-file-lacks", {"name": "sample"}),
    ({"label": None}, "maps-file-lacks", {"name": "label"}),
    ({"maps": MAPS[:, None]}, "maps-file-shapes", {"name": "maps"}),
    ({"maps": MAPS[0]}, "maps-file-shapes", {"name": "maps"}),
    ({"sample": SAMPLE[:3]}, "maps-file-shapes", {"name": "sample"}),
    ({"label": np.array(LABEL)[:, None]}, "maps-file-shapes", {"name": "label"}),
    ({"label": 3}, "maps-file-shapes", {"name": "label"}),
    ({"maps": MAPS.astype("S4")}, "maps-file-no-numbers", {"name": "maps"}),
    ({"maps": MAPS.astype(np.complex64)}, "maps-file-no-numbers", {"name": "maps"}),
    ({"maps": np.zeros((4, 2, 3), [("a", "f4")])}, "maps-file-no-numbers", {"name": "maps"}),
    ({"sample": np.array(SAMPLE, np.float32)}, "maps-file-no-numbers", {"name": "sample"}),
    ({"label": np.array(["1"] * 4, "S1")}, "maps-file-no-numbers", {"name": "label"}),
    ({"sample": [5, 0, 5, -2]}, "maps-file-negative", {"name": "sample", "value": -2, "place": 3}),
    ({"label": [1, 3, 2**20, 1]}, "maps-file-negative", {"name": "label", "place": 2}),
    ({"sample": np.array([5, 0, 5, 2**63], np.uint64)}, "maps-file-negative", {"name": "sample", "place": 3}),
    ({"label": [1, 3, 1, 1]}, "maps-file-repeated", {"sample": 5, "label": 1, "count": 1}),
    ({"source": "two\nlines"}, "maps-file-source", {}),
    ({"source": "x" * 201}, "maps-file-source", {}),
    ({"source": 7}, "maps-file-source", {}),
]


@pytest.mark.parametrize(("other", "code", "values"), FAULTS, ids=str)
def test_faults(write, raising, other, code, values):
    path = write(**other)
    with raising(MapsFileError, code, file=str(path), **values):
        checked_index(path)


def test_no_maps_at_all(write, raising):
    path = write(maps=np.zeros((0, 2, 3)), sample=np.zeros(0, int), label=np.zeros(0, int))
    with pytest.raises(MapsFileError):  # nothing is stored, whatever its shape is
        checked_index(path)


def test_maps_without_pixels(tmp_path, raising):
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        file.create_dataset("maps", (4, 0, 3), "f4", chunks=(1, 1, 3), maxshape=(4, None, 3))
        file["sample"], file["label"] = SAMPLE, LABEL
    with raising(MapsFileError, "maps-file-empty"):
        checked_index(tmp_path / "maps.h5")


@pytest.mark.parametrize("content", [b"", b"PK\3\4 an npz", b"\x89HDF\r\n\x1a", bytes(5000)], ids=repr)
def test_what_is_no_hdf5_never_reaches_it(tmp_path, raising, monkeypatch, content):
    monkeypatch.setattr(h5py, "File", None)
    (tmp_path / "maps.h5").write_bytes(content)
    with raising(MapsFileError, "maps-file-not-hdf5"):
        checked_index(tmp_path / "maps.h5")


def test_a_user_block_is_allowed(tmp_path):
    with h5py.File(tmp_path / "maps.h5", "w", userblock_size=1024) as file:
        file["maps"], file["sample"], file["label"] = MAPS, SAMPLE, LABEL
    assert checked_index(tmp_path / "maps.h5").source == ""


@pytest.mark.parametrize("read", [checked_index, MapsFile])
def test_a_pipe_and_a_missing_file(tmp_path, raising, read):
    os.mkfifo(tmp_path / "pipe")
    with raising(ValueError, "not-a-regular-file", path=str(tmp_path / "pipe")):
        read(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError, match="nothing"):
        read(tmp_path / "nothing")


class TestElsewhere:
    """What would have HDF5 read other files, load code or allot more than there is."""

    def refused(self, path, raising):
        with raising(MapsFileError, "maps-file-stored-otherwise", file=str(path)):
            checked_index(path)

    def test_links(self, write, tmp_path, raising):
        write("secret.h5")
        path = write("maps.h5", maps=None)
        with h5py.File(path, "a") as file:
            file["maps"] = h5py.ExternalLink("secret.h5", "maps")
        self.refused(path, raising)

    def test_external_storage(self, write, tmp_path, raising):
        (tmp_path / "raw").write_bytes(MAPS.tobytes())
        path = write(maps=None)
        with h5py.File(path, "a") as file:
            file.create_dataset("maps", MAPS.shape, "f4", external=[(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)])
        self.refused(path, raising)

    def test_a_virtual_dataset(self, write, raising):
        path = write(maps=None)
        layout = h5py.VirtualLayout(MAPS.shape, "f4")
        layout[:] = h5py.VirtualSource("secret.h5", "maps", MAPS.shape)
        with h5py.File(path, "a") as file:
            file.create_virtual_dataset("maps", layout)
        self.refused(path, raising)

    def test_other_filters(self, write, raising):
        self.refused(write(how={"compression": "lzf"}), raising)

    def test_sizes_that_nothing_is_stored_of(self, write, raising):
        path = write(maps=None)
        with h5py.File(path, "a") as file:
            file.create_dataset("maps", (4, 1 << 20, 1 << 20), "f4", chunks=(1, 1, 1 << 10), compression="gzip")
        self.refused(path, raising)

    def test_chunks_that_do_not_let_one_map_be_read(self, tmp_path, raising):
        with h5py.File(tmp_path / "maps.h5", "w") as file:
            maps = np.zeros((150, 300, 200))
            file.create_dataset("maps", data=maps, chunks=(150, 10, 10), compression="gzip")
            file["sample"], file["label"] = np.arange(150), np.zeros(150, int)
        with raising(MapsFileError, "maps-file-chunks", chunks=(150, 10, 10)):
            checked_index(tmp_path / "maps.h5")

    def test_more_maps_than_such_a_file_can_mean(self, tmp_path, raising, monkeypatch):
        monkeypatch.setattr(checking, "_FREE_ROWS", 1000)
        with h5py.File(tmp_path / "maps.h5", "w") as file:
            for name, shape in (("maps", (50_000, 1, 1)), ("sample", 50_000), ("label", 50_000)):
                file.create_dataset(name, data=np.zeros(shape, np.int8), compression="gzip")
        with raising(MapsFileError, "maps-file-too-many", count=50_000):
            checked_index(tmp_path / "maps.h5")


class TestWhileInUse:
    def test_a_file_that_was_replaced(self, write, in_this_process, raising):
        found = MapsFile(write())
        write(maps=MAPS + 1)
        with raising(MapsFileError, "maps-file-changed"):
            found.read(np.array([0]))

    def test_maps_that_were_changed_in_secret(self, write, in_this_process, raising, monkeypatch):
        found = MapsFile(write())
        with h5py.File(found._path, "a") as file:
            file["maps"][1] = 9
        monkeypatch.setattr(found, "_stamp", found._found())
        np.testing.assert_array_equal(found.read(np.array([0, 2])), MAPS[[0, 2]])
        with raising(MapsFileError, "maps-file-changed"):
            found.read(np.array([1]))


class TestInAProcessOfItsOwn:
    def test_gives_what_is_read_here(self, write):
        path = write()
        apart, here = reading_process.index_read_apart(path), checked_index(path)
        np.testing.assert_array_equal(apart.questions, here.questions)
        np.testing.assert_array_equal(apart.digests, here.digests)
        assert (apart.size, apart.source, apart.digest) == (here.size, here.source, here.digest)

    def test_gives_problems_with_code_and_values(self, write, raising):
        path = write(label=np.array(LABEL)[:, None])
        with raising(MapsFileError, "maps-file-shapes", file=str(path), name="label", shape=[4, 1]):
            reading_process.index_read_apart(path)

    @pytest.mark.parametrize(
        "does",
        ["import time; print(); time.sleep(60)", "import os; os.abort()", "print('[]')", "print('{}')", "exit()"],
    )
    def test_may_hang_or_die_or_talk_nonsense(self, write, raising, monkeypatch, does):
        monkeypatch.setattr(reading_process, "_START", does)
        monkeypatch.setattr(reading_process, "PATIENCE", 0.5 if "sleep" in does else 60.0)
        path = write()
        with raising(MapsFileError, "maps-file-breaks-reader", file=str(path)):
            MapsFile(path)

    def test_is_held_to_its_memory(self, tmp_path):
        code = (
            "from explainrun.summary_format.imported_maps.reading_process import limit_memory\n"
            "limit_memory(2**24)\ntry:\n    bytearray(2**28)\nexcept MemoryError:\n    print('held')"
        )
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert said.stdout.strip() == "held"
