"""Reading ahead of the passes, no more than a batch, and no longer than anybody waits."""

import time

import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import Robustness
from explainrun.explainers import RISE, Gradient
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.batches.batch import read
from explainrun.runner.data.samples import read_samples


class Source:
    """Rows that are noted when they are drawn."""

    def __init__(self, count):
        self.count, self.drawn = count, []

    def rows(self):
        for i in range(self.count):
            self.drawn.append(i)
            yield np.zeros((1, 2, 3), np.float32), np.int32(0)

    def dataset(self):
        return ds.GeneratorDataset(self.rows, ["image", "label"], shuffle=False, num_parallel_workers=1)

    def settled(self, least=0):
        """How many rows are drawn when no more are, though at least so many, however long it takes."""
        while len(self.drawn) < least:
            time.sleep(0.01)
        before = -1
        while before != len(self.drawn):
            before = len(self.drawn)
            time.sleep(0.2)
        return before


def test_so_many_samples_are_read_ahead_and_no_more():
    source = Source(400)
    before = ds.config.get_prefetch_size()
    samples = read_samples(source.dataset(), 2, ahead=64)
    next(samples)
    assert ds.config.get_prefetch_size() == before
    assert source.settled(64) <= 70
    for _ in range(64):
        next(samples)
    assert source.settled(128) <= 134
    batched = Source(400)
    next(read_samples(batched.dataset().batch(2), 2, ahead=64))
    assert batched.settled() <= 4 * (before + 2)  # batches of any size are not multiplied


def test_a_run_reads_the_next_batch_while_it_works(linear, tmp_path):
    source, seen = Source(100), []

    class Looks(Gradient):
        def attribute(self, view):
            if not seen:
                seen.append(source.settled(40))
            return super().attribute(view)

    network = linear(np.ones((2, 1, 2, 3)))
    runner = ImageClassificationRunner(tmp_path, (source.dataset(), ["a", "b"]), network, nn.Sigmoid(), pass_size=5)
    runner.register_saliency([Looks(network)])
    runner.run()
    assert seen[0] <= 46  # at work on the first batch of 20
    assert source.drawn == list(range(100))


def test_waiting_can_be_ended_at_every_sample(linear, tmp_path):
    source, network = Source(100), linear(np.ones((2, 1, 2, 3)))
    runner = ImageClassificationRunner(tmp_path, (source.dataset(), ["a", "b"]), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network)])
    asked = []

    def check():
        asked.append(1)
        if len(asked) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(read(runner.plan(), check).batches)


def test_batches_are_as_large_whatever_is_done_with_them(linear, tmp_path):
    network = linear(np.ones((2, 1, 2, 3)))
    runner = ImageClassificationRunner(tmp_path, (Source(70).dataset(), ["a", "b"]), network, nn.Sigmoid())
    metrics = [Robustness(2, nn.Sigmoid(), samples=9)]
    runner.register_saliency([Gradient(network), RISE(network, nn.Sigmoid(), num_masks=8000, grid=2)], metrics)
    assert [len(batch) for batch in read(runner.plan()).batches] == [64, 6]
