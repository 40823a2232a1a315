"""What threads pack is what HDF5 packs."""

import h5py
import numpy as np

from explainrun.summary_format.archive.map_chunks import ChunkWriter, packed

MAPS = np.random.default_rng(0).standard_normal((5, 7, 3)).astype(np.float32)


def test_chunks_are_hdf5s_own(tmp_path):
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        kept = file.create_dataset(
            "maps", data=MAPS, chunks=(1, 7, 3), compression="gzip", compression_opts=1, shuffle=True
        )
        assert [kept.id.read_direct_chunk((at, 0, 0)) for at in range(5)] == [(0, packed(one)) for one in MAPS]


def test_maps_come_back_in_order_from_parts_of_any_size(tmp_path):
    checks = []
    with h5py.File(tmp_path / "maps.h5", "w") as file, ChunkWriter() as writer:
        writer.write(file, "a/maps", 5, iter([MAPS[:2], MAPS[2:2], MAPS[2:]]), lambda: checks.append(1))
        writer.write(file, "none", 0, iter([]), lambda: checks.append(1))
        assert np.array_equal(file["a/maps"][:], MAPS)
        assert (file["a/maps"].chunks, file["none"].shape, len(checks)) == ((1, 7, 3), (0, 0, 0), 3)


def test_parts_may_be_strided_and_of_another_type(tmp_path):
    with h5py.File(tmp_path / "maps.h5", "w") as file, ChunkWriter() as writer:
        writer.write(file, "maps", 3, iter([MAPS.astype(">f8")[::2, :, ::-1]]), lambda: None)
        assert np.array_equal(file["maps"][:], MAPS[::2, :, ::-1])
