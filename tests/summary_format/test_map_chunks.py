"""What threads pack is what HDF5 unpacks."""

import zlib

import h5py
import numpy as np
import pytest
from scipy.ndimage import zoom

from explainrun.summary_format.archive import map_chunks
from explainrun.summary_format.archive.map_chunks import ChunkWriter, packed

MAPS = np.random.default_rng(0).standard_normal((5, 7, 3)).astype(np.float32)


RNG = np.random.default_rng(1)
KINDS = {
    "noise": RNG.standard_normal((112, 120)),
    "much noise": RNG.standard_normal((300, 301)),
    "sparse": np.where(RNG.random((112, 120)) < 0.1, RNG.standard_normal((112, 120)), 0),
    "windows": np.kron(RNG.standard_normal((7, 12)), np.ones((16, 10))),
    "narrow windows": np.kron(RNG.standard_normal((56, 60)), np.ones((2, 2))),
    "runs along rows": np.kron(RNG.standard_normal((112, 15)), np.ones((1, 8))),
    "rows of one value": np.kron(RNG.standard_normal((600, 1)), np.ones((1, 200))),
    "noise between": np.pad(RNG.standard_normal((56, 112)), ((28, 28), (0, 0))),
    "equal rows": np.broadcast_to(RNG.standard_normal(120), (112, 120)),
    "resized": zoom(RNG.standard_normal((7, 8)), (16, 15), order=1),
    "constant": np.full((112, 120), 0.5),
    "not computed": np.full((112, 120), np.nan),
    "one pixel": np.ones((1, 1)),
    "one row": RNG.standard_normal((1, 50)),
}
SUITING_RUNS = {"noise", "much noise", "sparse", "noise between", "runs along rows", "rows of one value", "constant",
                "not computed"}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_are_read_by_hdf5_and_no_larger_than_its_own(kind, tmp_path):
    map_ = KINDS[kind].astype(np.float32)
    options = {"chunks": (1, *map_.shape), "compression": "gzip", "compression_opts": 1, "shuffle": True}
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        theirs = file.create_dataset("maps", data=map_[None], **options)
        size = len(theirs.id.read_direct_chunk((0, 0, 0))[1])
        theirs.id.write_direct_chunk((0, 0, 0), packed(map_))
        np.testing.assert_array_equal(theirs[0], map_)
    assert len(packed(map_)) <= 1.03 * size + 8


@pytest.mark.parametrize("kind", KINDS)
def test_what_suits_runs_is_smaller_than_hdf5s_and_all_else_the_same(kind):
    map_ = np.ascontiguousarray(KINDS[kind], np.float32)
    planes = np.moveaxis(map_.view(np.uint8).reshape(*map_.shape, 4), 2, 0)
    theirs = zlib.compress(planes.tobytes(), 1)
    if kind in SUITING_RUNS:
        assert len(packed(map_)) < 0.97 * len(theirs)
    else:
        assert packed(map_) == theirs


@pytest.mark.parametrize(("kind", "levels"), [("noise", [0, 0, 0, 1]), ("sparse", [1] * 4), ("noise between", [1] * 4)])
def test_bytes_that_no_code_makes_smaller_are_not_packed(kind, levels, monkeypatch):
    found, map_, deflated = [], KINDS[kind].astype(np.float32), map_chunks._deflated

    def spied(values, strategy, level=1):
        if values.size == map_.size:  # not of some rows alone, to see what suits them
            found.append(level)
        return deflated(values, strategy, level)

    monkeypatch.setattr(map_chunks, "_deflated", spied)
    packed(map_)
    assert found == levels  # of the lowest bytes first; the last ones are exponents


def test_maps_come_back_in_order_from_parts_of_any_size(tmp_path):
    checks = []
    with h5py.File(tmp_path / "maps.h5", "w") as file, ChunkWriter() as writer:
        writer.write(file, "a/maps", 5, iter([MAPS[:3], MAPS[3:3], MAPS[3:]]), lambda: checks.append(1))
        writer.write(file, "none", 0, iter([]), lambda: checks.append(1))
        assert np.array_equal(file["a/maps"][:], MAPS)
        assert (file["a/maps"].chunks, file["none"].shape, len(checks)) == ((1, 7, 3), (0, 0, 0), 3)


def test_parts_may_be_strided_and_of_another_type(tmp_path):
    with h5py.File(tmp_path / "maps.h5", "w") as file, ChunkWriter() as writer:
        writer.write(file, "maps", 3, iter([MAPS.astype(">f8")[::2, :, ::-1]]), lambda: None)
        assert np.array_equal(file["maps"][:], MAPS[::2, :, ::-1])
