"""What merging holds in memory does not grow with the number of shards."""

import sys
import tracemalloc
from importlib.util import module_from_spec, spec_from_file_location

import pytest

from explainrun.summary_format import merge


@pytest.fixture
def write_shard(repository, monkeypatch):
    """scripts/measure_memory.py, which writes shards of random numbers; its ``merge`` measures 200 of 50 samples."""
    place = spec_from_file_location("measure_memory", repository / "scripts" / "measure_memory.py")
    module = module_from_spec(place)
    monkeypatch.setitem(sys.modules, "measure_memory", module)  # where its dataclasses look their types up
    place.loader.exec_module(module)
    return module.write_shard


@pytest.mark.long
def test_many_shards(write_shard, tmp_path):
    """64 samples are merged at a time, and the next ones read beside them; maps are most of what is held."""
    peaks = {}
    for count in (16, 40):
        folder = tmp_path / str(count)
        for number in range(1, count + 1):
            write_shard(folder / f"shard-{number:02}-of-{count}", number, count, samples=4)
        tracemalloc.start()
        results = merge(folder)
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(results.samples) == 4 * count
        del results
    maps = 64 * 2 * 56 * 64 * 4  # bytes of an explainer's in a batch
    assert peaks[16] > maps
    assert peaks[40] < peaks[16] + 2 * maps, peaks
