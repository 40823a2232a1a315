"""The pass size that a measurement chooses: from tables of times, then from passes of networks with their own clock."""

import gc
import math
from itertools import count

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.benchmarks import ClassSensitivity, InsertionAUC
from explainrun.explainers import GradCAM, Gradient
from explainrun.explainers.core import measured_size
from explainrun.explainers.core.call_options import CallOptions
from explainrun.explainers.core.measured_size import AUTO, SIZE_TRIAL, Measurement, SizeSearch, Trial
from explainrun.explainers.network import Network

MB = 1e6


def search(seconds, room=math.inf, memory=lambda size: size * MB, refused=()):
    """What is found where an image takes so many seconds, by size; and what was tried."""
    known = SizeSearch(
        lambda size: Trial(size, seconds[size], memory(size), "its place" if size in refused else ""), room
    )
    chosen = known.best()
    return chosen, [one.size for one in known.trials], known.summary(chosen)


@pytest.mark.parametrize(
    ("seconds", "refused", "chosen", "tried"),
    [
        ({16: 0.010, 8: 0.012, 32: 0.0096}, (), 16, [16, 8, 32]),  # by 4 % only
        ({16: 0.010, 8: 0.0094, 32: 0.0099}, (), 8, [16, 8, 32]),
        ({16: 0.010, 8: 0.012, 32: 0.0095, 64: 0.0085, 128: 0.0084}, (), 64, [16, 8, 32, 64, 128]),
        ({16: 0.010, 8: 0.012, 32: 0.009, 64: 0.008, 128: 0.008}, (32,), 64, [16, 8, 32, 64, 128]),
        ({16: 0.010, 8: 0.012, 32: 0.009, 64: 0.0089}, (32,), 64, [16, 8, 32, 64]),
        ({16: 0.010, 8: 0.012, 32: 0.0099}, (16,), 32, [16, 8, 32]),
        ({16: 0.010, 8: 0.012, 32: 0.0099}, (16, 32), 8, [16, 8, 32]),
        ({16: 0.010, 8: 0.012, 32: 0.0099}, (8, 16, 32), 16, [16, 8, 32]),
        ({16: 0.130, 8: 0.140}, (), 16, [16, 8]),  # 32 would take 4 seconds
        ({size: 1 / size**2 for size in (8, 16, 32, 64, 128, 256)}, (), 256, [16, 8, 32, 64, 128, 256]),
    ],
)
def test_sizes_are_doubled_while_an_image_takes_less_time(seconds, refused, chosen, tried):
    assert search(seconds, refused=refused)[:2] == (chosen, tried)


def test_memory_bounds_what_is_tried_and_chosen():
    faster = {1: 0.05, 2: 0.04, 4: 0.03, 8: 0.02, 16: 0.01, 32: 0.001, 64: 0.0001}
    assert search(faster, room=16 * MB)[:2] == (16, [16, 8])  # 32 would need 32 MB
    assert search(faster, room=33 * MB)[:2] == (32, [16, 8, 32])
    assert search(faster, room=5 * MB)[:2] == (4, [16, 4])
    assert search(faster, room=0.5 * MB)[:2] == (1, [16, 1])  # there is no smaller one
    assert search(faster, room=math.nan)[:2] == (16, [16, 8])  # unknown
    # Of 33 MB seen with 32 images, 16 need half, though the pool has grown since they ran.
    grown = {8: 16 * MB, 16: 16 * MB, 32: 33 * MB}
    assert search(faster, room=32.5 * MB, memory=grown.get)[:2] == (16, [16, 8, 32])


def test_a_device_without_memory_for_16_gets_less():
    seconds = {16: math.inf, 8: math.inf, 4: 0.02}
    full = {16: math.inf, 8: math.inf, 4: 4 * MB}
    assert search(seconds, memory=full.get)[:2] == (4, [16, 8, 4])


def test_the_line_has_the_figures():
    said = search({16: 0.010, 8: 0.0125, 32: 0.009, 64: 0.0086}, refused=(32,), room=100 * MB)[2]
    for figure in ("pass_size 64", "10 ms in passes of 16", "8.6 ms in passes of 64", "not 32: its", "64 MB", "100 MB"):
        assert figure in said
    assert "no size that was tried will do" not in said
    assert "no size that was tried will do" in search({16: 1, 8: 1}, refused=(8, 16))[2]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Memory:
    """So many bytes of an image are taken by each pass, and kept."""

    def __init__(self, each=1 * MB, available=1e12):
        self.each, self.free, self.most = each, available, 0

    def used(self):
        return 7e9 + self.each * self.most

    def available(self):
        return self.free


class Timed(nn.Cell):
    """Two logits of images (N, 1, 2, 3); N of them take ``seconds(N)``, and at some sizes an image's place counts."""

    def __init__(self, seconds, placed=(), fails=()):
        super().__init__()
        self.seconds, self.placed, self.fails = seconds, placed, fails
        self.clock, self.memory, self.asked = Clock(), Memory(), []

    def construct(self, x):
        many = x.shape[0]
        if many in self.fails:
            raise ValueError(f"no passes of {many}")
        self.asked.append(x.asnumpy())
        self.clock.now += self.seconds(many)
        self.memory.most = max(self.memory.most, many)
        logits = ops.stack([x.sum((1, 2, 3)), x[:, 0, 0, 1]], 1)
        return logits + Tensor(np.arange(many, dtype=np.float32)[:, None] * 1e-3) if many in self.placed else logits


IMAGES = np.random.default_rng(5).normal(size=(3, 1, 2, 3)).astype(np.float32)


def opened(cell):
    return lambda size: Network(cell, size, fill=True, own_graphs=True)


def measurement(cell, **options):
    given = {"compiles": False, "memory": cell.memory, "clock": cell.clock, **options}
    return Measurement(images=IMAGES, opened=opened(cell), **given)


def test_real_images_are_timed_and_one_image_shows_whether_its_place_counts(state):
    cell = Timed(lambda many: 0.1 + 0.01 * many, placed=(32,))  # ms an image: 16 (at 16), 22, 13, 11.6, ...
    before = state(cell)
    measured = measurement(cell)
    assert measured.best_size() == 128
    sizes = [16, 8, 32, 64, 128]  # a pass of 256 would take 2.8 seconds
    turns = [size for other in sizes[1:] for size in (other, *[16, other] * 3)]
    assert [len(images) for images in cell.asked] == [1, *[16] * 4, *turns]
    repeated, timed = cell.asked[1], cell.asked[2]
    assert (repeated == IMAGES[0]).all()
    np.testing.assert_array_equal(timed[:6], np.concatenate([IMAGES, IMAGES]))
    assert measured.passes.made == {SIZE_TRIAL: len(cell.asked)}
    assert measured.passes.images == {SIZE_TRIAL: sum(map(len, cell.asked))}
    assert state(cell) == before


def test_a_machine_that_becomes_busy_does_not_make_other_sizes_slower():
    cell = Timed(lambda many: many * (0.01 if len(cell.asked) <= 5 else 0.05))  # from the pass after those of 16 on
    measured = measurement(cell)
    measured._begin()
    assert [measured._tried(size).seconds for size in (16, 8, 32)] == pytest.approx([0.01] * 3)


def test_a_size_at_which_places_count_is_left_out(caplog):
    caplog.set_level("INFO", "explainrun")
    for placed, best in (((256,), 128), ((32, 64, 128, 256), 16), ((8, 16, 32, 64, 128, 256), 16)):
        assert measurement(Timed(lambda many: 1.0, placed)).best_size() == best
    assert ["no size that was tried" in record.message for record in caplog.records] == [False, False, True]


def test_gradients_may_need_half_of_the_memory_and_are_taken_for_three_forwards():
    cell = Timed(lambda many: 1.0)
    cell.memory = Memory(each=1 * MB, available=2 * 3 * 63 * MB)  # after one image: the first is in use before
    assert measurement(cell).best_size() == 64
    cell = Timed(lambda many: 1.0)
    cell.memory = Memory(each=1 * MB, available=2 * 3 * 62 * MB)
    assert measurement(cell).best_size() == 32


def test_a_network_that_takes_one_size_alone_gets_it():
    fails = set(range(1, 300)) - {16}
    assert measurement(Timed(lambda many: 1.0, fails=fails)).best_size() == 16
    assert measurement(Timed(lambda many: 1.0, fails=set(range(300)))).best_size() == 16  # which says so itself later


def test_the_wait_can_be_ended():
    class EndedError(Exception):
        pass

    cell = Timed(lambda many: 1.0)

    def check():
        if len(cell.asked) > 4:
            raise EndedError

    with pytest.raises(EndedError):
        measurement(cell, check=check).best_size()
    assert len(cell.asked) == 5


def test_passes_run_as_a_run_would_have_them(two_channels, monkeypatch):
    monkeypatch.setattr(measured_size, "_LARGEST_TRIED", 16)
    cell = two_channels()
    given = {"images": two_channels.IMAGE, "opened": opened(cell), "memory": Memory(), "clock": count().__next__}
    measured = Measurement(compiles=True, **given)
    measured.best_size()
    # The first pass, and for each of 16 and 8 one as it is, one that tries the graph, and four of the graph; three of
    # 16 take turns with those of 8.
    assert measured.passes.made == {SIZE_TRIAL: 1 + 2 * 6 + 3}
    assert measured.passes.compiled == {SIZE_TRIAL: 2 * 5 + 3}


@pytest.fixture
def counted(monkeypatch):
    """Has measurements find 2; gives the shapes of the images that they were made with."""
    shapes = []

    def best_size(self):
        shapes.append(self.images.shape)
        return 2

    monkeypatch.setattr(Measurement, "best_size", best_size)
    return shapes


def test_a_direct_call_measures_once_for_a_network_and_a_shape(two_channels, counted, monkeypatch):
    cell, images = two_channels(), np.repeat(two_channels.IMAGE, 3, axis=0)
    found = Gradient(cell)(Tensor(images), 0, pass_size=AUTO).asnumpy()
    np.testing.assert_array_equal(found, Gradient(cell)(Tensor(images), 0, pass_size=2).asnumpy())
    GradCAM(cell, "relu")(Tensor(images[:1]), 0, pass_size=AUTO)
    InsertionAUC(2, nn.Sigmoid(), steps=2).evaluate(Gradient(cell), Tensor(images), 0, pass_size=AUTO)
    ClassSensitivity().evaluate(Gradient(cell), Tensor(images), pass_size=AUTO)
    assert counted == [(3, 1, 2, 4)]
    Gradient(cell)(Tensor(images), 0, pass_size=AUTO, jit="off")
    Gradient(two_channels())(Tensor(images), 0, pass_size=AUTO)
    assert counted == [(3, 1, 2, 4)] * 3
    assert CallOptions(pass_size=AUTO).network(cell, images).pass_size == 2
    known = len(measured_size._sizes._kept)
    del cell
    gc.collect()
    assert len(measured_size._sizes._kept) < known


def test_images_of_another_shape_are_measured_apart(counted):
    cell = Timed(lambda many: 1.0)
    for shape in ((2, 1, 2, 3), (2, 1, 4, 3), (1, 1, 2, 3)):
        assert CallOptions(pass_size=AUTO).network(cell, np.zeros(shape, np.float32)).pass_size == 2
    assert counted == [(2, 1, 2, 3), (2, 1, 4, 3)]


@pytest.mark.parametrize("given", ["Auto", "16", ""])
def test_other_words_are_refused(two_channels, given, raising):
    with raising(ValueError, "pass-size-unknown", given=given):
        Gradient(two_channels())(Tensor(two_channels.IMAGE), 0, pass_size=given)


def test_random_numbers_are_left_as_they_were():
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    cell = Timed(lambda many: np.random.random())
    measurement(cell).best_size()
    assert np.random.random() == expected
