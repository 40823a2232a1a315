"""What threads pack is what HDF5 unpacks."""

import zlib

import h5py
import numpy as np
import pytest

from explainrun.summary_format.archive.map_chunks import ChunkWriter, packed

MAPS = np.random.default_rng(0).standard_normal((5, 7, 3)).astype(np.float32)


BLOCKS = np.kron(MAPS[0], np.ones((16, 40), np.float32))  # as Occlusion's
DRAWN = np.random.default_rng(1).standard_normal((112, 120)).astype(np.float32)


def by_hdf5(folder, map_):
    """The chunk as HDF5 packs it."""
    with h5py.File(folder / "maps.h5", "w") as file:
        options = {"chunks": (1, *map_.shape), "compression": "gzip", "compression_opts": 1, "shuffle": True}
        return file.create_dataset("maps", data=map_[None], **options).id.read_direct_chunk((0, 0, 0))[1]


@pytest.mark.parametrize(("map_", "same"), [(BLOCKS, True), (DRAWN, False)], ids=["blocks", "noise"])
def test_chunks_hold_what_hdf5s_do_and_are_no_larger(map_, same, tmp_path):
    ours, theirs = packed(map_), by_hdf5(tmp_path, map_)
    assert zlib.decompress(ours) == zlib.decompress(theirs)
    assert (ours == theirs) == same
    assert len(ours) <= len(theirs)


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
