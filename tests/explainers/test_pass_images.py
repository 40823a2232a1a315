"""The images of passes, made many at once: those that a loop over them makes, bit for bit, in memory used again."""

from functools import partial

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.explainers import (
    ISCAM,
    LIME,
    RISE,
    SSCAM,
    AblationCAM,
    Derivatives,
    Gradient,
    IntegratedGradients,
    KernelSHAP,
    Network,
    NoiseTunnel,
    Occlusion,
    ScoreCAM,
    ShapleyValueSampling,
    View,
    resized,
    stretched,
)
from explainrun.explainers.core.windows import choose, copy_windows
from explainrun.explainers.hierarchical_occlusion.counterfactual import Box, composite
from explainrun.explainers.hierarchical_occlusion.greedy_search import SharedFirstLayer
from explainrun.explainers.network import Block, asked_columns, by_image, in_passes, logits_from
from explainrun.explainers.network.mc_dropout import Draws, Dropout
from explainrun.explainers.perturbation.baselines import baseline_image

SHAPE = (3, 7, 5)
IMAGES = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
BASELINE = np.linspace(-1, 1, 105, dtype=np.float32).reshape(SHAPE)
SEGMENTS = np.arange(35).reshape(7, 5) // 6
PASS = 4  # into which no number of images below divides
same = nn.Softmax()


class Sees(nn.Cell):
    """Notes the images that it gets; logits are the channels' sums, and what is a row, the image itself."""

    def __init__(self, flat=False):
        super().__init__()
        self.flat, self.seen = flat, []

    def construct(self, x):
        self.seen.append(x.asnumpy().copy())
        return x.reshape(x.shape[0], -1) if self.flat else x.sum((2, 3))


def numbered(numbers, log=None):
    """A block of rows (1, 2) that hold these numbers."""

    def write(which, out):
        if log is not None:
            log.append((which.start, which.stop))
        out[:] = np.array(numbers[which], np.float32)[:, None, None]

    return Block((len(numbers), 1, 2), write)


def test_blocks_and_single_rows_share_passes():
    log = []
    single = np.full((1, 2), 9.0, np.float32)
    passes = in_passes([numbered([0, 1, 2, 3, 4, 5], log), single, numbered([6]), numbered([])], 4)
    assert [one[:, 0, 0].tolist() for one in passes] == [[0, 1, 2, 3], [4, 5, 9, 6]]
    assert log == [(0, 4), (4, 6)]


def test_a_pass_is_used_before_the_next_is_made():
    log = []
    passes = in_passes([numbered([0, 1, 2], log), numbered([3, 4], log)], 2)
    first = next(passes)
    assert log == [(0, 2)]
    second = next(passes)
    assert np.shares_memory(first, second)
    assert second[:, 0, 0].tolist() == [2, 3]
    assert next(passes)[:, 0, 0].tolist() == [4]


def test_a_large_pass_takes_no_more_memory_than_its_rows():
    (one,) = in_passes([numbered(range(70))], 10**9)
    assert one[:, 0, 1].tolist() == list(range(70))
    (array,) = in_passes(np.ones((3, 1, 2)), 10**9)
    assert array.shape == (3, 1, 2)


def test_rows_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"one shape, got \(1, 2\) and \(1, 1\)"):
        list(in_passes([numbered([1]), np.zeros((1, 1), np.float32)], 4))


def test_memory_used_again_changes_nothing_that_was_found():
    rows = [numbered(range(first, first + 5)) for first in (0, 5)]
    parts = list(Network(Sees(flat=True), pass_size=3).streamed_logits(rows))  # logits are the images themselves
    assert [part[:, 0].tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    network = Network(Sees(flat=True), pass_size=3)
    found = list(logits_from(network, "", ((row, row) for row in rows), "probe"))
    assert np.concatenate(found)[:, 1].tolist() == list(range(10))


def test_logits_are_cut_as_they_are_asked_for():
    parts = [np.arange(12).reshape(4, 3), np.arange(12, 21).reshape(3, 3)]
    found = list(asked_columns(parts, [5, 2], [np.array([2]), np.array([0, 2])]))
    assert [one.tolist() for one in found] == [[[2], [5], [8], [11], [14]], [[15, 17], [18, 20]]]
    assert [len(one) for one in by_image(iter(parts), [1, 4, 2])] == [1, 4, 2]
    assert list(by_image(iter(()), [])) == []
    with pytest.raises(ValueError, match=r"0\.\.2, got 3"):
        list(asked_columns(parts, [7], [np.array([3])]))


def test_windows_and_masks_put_over_images():
    rng = np.random.default_rng(1)
    source, under = (rng.normal(size=SHAPE).astype(np.float32) for _ in range(2))
    starts, stops = np.array([[0, 0, 0], [1, 2, 3], [0, 5, 1], [2, 0, 0]]), np.array([3, 7, 5])
    extents = np.minimum([2, 3, 2], stops - starts)
    out = np.repeat(under[None], 4, axis=0)
    copy_windows(source, starts, extents, out)
    for one, start, extent in zip(out, starts, extents, strict=True):
        where = tuple(slice(first, first + many) for first, many in zip(start, extent, strict=True))
        expected = under.copy()
        expected[where] = source[where]
        assert np.array_equal(one, expected)
    shown = rng.random((4, 7, 5)) < 0.5
    source[0, 0, 0], under[1, 2, 3] = np.nan, -0.0
    choose(shown, source, under, out)
    expected = np.where(shown[:, None], source, under)
    assert out.tobytes() == expected.tobytes()


def view(explainer, network, **options):
    rows, labels = np.array([0, 0, 1]), np.array([0, 2, 1])
    return View(network, IMAGES, rows, labels, needs=explainer.needs, seed=3, **options)


def seen(make, **options):
    """The images that an explainer asks about, and the view and the explainer."""
    cell = Sees()
    explainer = make(cell)
    asked = view(explainer, Network(cell, pass_size=PASS), logits=np.zeros((2, 3), np.float32), **options)
    explainer.attribute(asked)
    return np.concatenate(cell.seen), asked, explainer


def windows(shape, window, stride):
    """Slices of each window, the last ones cut by the border."""
    axes = [
        [slice(start, min(start + size, side)) for start in range(0, side - size + step, step)]
        for side, size, step in zip(shape, window, stride, strict=True)
    ]
    return [(c, h, w) for c in axes[0] for h in axes[1] for w in axes[2]]


@pytest.mark.parametrize("baseline", [0.25, BASELINE, BASELINE[0], "mean", "blur", [1.0, 2.0, 3.0]], ids=str)
def test_covered_windows(baseline):
    window, stride = (2, 3, 2), (2, 3, 2)  # 3, 7 and 5 are no multiples: the last windows are cut
    made, _, explainer = seen(partial(Occlusion, activation_fn=same, window=window, stride=stride, baseline=baseline))
    expected = []
    for image in IMAGES:
        cover = baseline_image(explainer.baseline, image)
        for where in windows(SHAPE, window, stride):
            covered = image.copy()
            covered[where] = cover[where]
            expected.append(covered)
    assert np.array_equal(made, expected)


def test_images_behind_masks():
    made, asked, explainer = seen(partial(RISE, activation_fn=same, num_masks=67, grid=(3, 2)))
    expected = [
        IMAGES[row] * mask
        for row in (0, 1)
        for masks in [explainer._masks(asked, row)]
        for block in masks.blocks()
        for mask in masks.pictures(block)
    ]
    assert np.array_equal(made, expected)


@pytest.mark.parametrize("hide_color", [None, "blur", BASELINE], ids=["mean", "blur", "array"])
@pytest.mark.parametrize("kind", [LIME, KernelSHAP, ShapleyValueSampling])
def test_hidden_segments(kind, hide_color):
    options = {"num_samples": 13, "segmentation": lambda _: SEGMENTS, "hide_color": hide_color}
    made, asked, explainer = seen(partial(kind, activation_fn=same, **options))
    expected = []
    for row, image in enumerate(IMAGES):
        of_segments = np.stack(
            [[image[c][segment == SEGMENTS].mean(dtype=np.float64) for segment in range(6)] for c in range(3)]
        )
        cover = of_segments.astype(np.float32)[:, SEGMENTS]
        cover = cover if hide_color is None else baseline_image(hide_color, image)
        for shown in explainer.drawn(asked, row).shown:
            expected.append(np.where(shown[SEGMENTS], image, cover))
    assert np.allclose(made, expected, atol=1e-7, rtol=0) if hide_color is None else np.array_equal(made, expected)


def channels():
    """Four feature maps (3, 2) of each image."""
    return np.random.default_rng(5).normal(size=(2, 4, 3, 2)).astype(np.float32)


@pytest.mark.parametrize("kind", [ScoreCAM, SSCAM, ISCAM])
def test_images_behind_feature_maps(kind, monkeypatch):
    monkeypatch.setattr("explainrun.explainers.cam.score_cam._ENLARGED_PIXELS", 3 * 35)  # not all four at once
    options = {} if kind is ScoreCAM else {"num_samples": 3}
    made, asked, _ = seen(partial(kind, layer="", **options), outputs={"": channels()})
    expected = []
    for row, image in enumerate(IMAGES):
        generator = asked.generator(row, "SSCAM")
        for channel in stretched(resized(channels()[row], (7, 5))):
            noise = generator.standard_normal((3, 7, 5), np.float32)
            expected += {
                ScoreCAM: [image * channel],
                SSCAM: [image * noisy for noisy in channel + np.float32(2.0) * noise],
                ISCAM: [np.float32(share) * (image * channel) for share in np.cumsum(np.array([1, 2, 3]) / 3)],
            }[kind]
    assert np.array_equal(made, expected)


def test_outputs_without_each_channel():
    made, _, _ = seen(partial(AblationCAM, layer=""))
    expected = np.repeat(IMAGES, 3, axis=0)
    for i in range(6):
        expected[i, i % 3] = 0
    assert np.array_equal(made, expected)


class Differentiates(Network):
    """Notes the images that it differentiates; the gradient is the image times 0.1."""

    def __init__(self):
        super().__init__(Sees(), pass_size=PASS)
        self.images, self.labels = [], []

    def differentiate(self, images, labels, taps=(), rule="plain", kind=None, *, image=True, biases=False):
        self.images.append(images.copy())
        self.labels += labels.tolist()
        logits, gradient = np.zeros((len(images), 3), np.float32), images * np.float32(0.1)
        return Derivatives(logits=logits, image_gradient=gradient, activations={}, gradients={})


def test_images_on_the_way_from_baselines():
    network, explainer = Differentiates(), IntegratedGradients(Sees(), steps=5, baselines=[BASELINE, "blur"])
    found = explainer.attribute(view(explainer, network))
    expected, maps = [], []
    for image in (IMAGES[0], IMAGES[0], IMAGES[1]):
        parts = []
        for baseline in (BASELINE, "blur"):
            cover = baseline_image(baseline, image)
            way = [cover + place * (image - cover) for place in explainer._places]
            parts.append((image - cover) * np.tensordot(explainer._weights, np.stack(way) * np.float32(0.1), 1))
            expected += way
        maps.append((sum(parts) / 2).astype(np.float32).sum(axis=0))
    assert np.array_equal(np.concatenate(network.images), expected)
    assert network.labels == [label for label in (0, 2, 1) for _ in range(10)]
    assert np.array_equal(found, maps)


def test_many_steps_are_summed_part_by_part(monkeypatch):
    monkeypatch.setattr("explainrun.explainers.gradients.integrated_gradients._SUMMED_TOGETHER", 4)
    explainer = IntegratedGradients(Sees(), steps=9)
    found = explainer.attribute(view(explainer, Differentiates()))
    np.testing.assert_allclose(found, (0.05 * IMAGES[[0, 0, 1]] ** 2).sum(axis=1), atol=1e-6)  # of 0.1 p x^2


def test_noisy_copies():
    network, explainer = Differentiates(), NoiseTunnel(Gradient(Sees()), nt_samples=7, stdevs=0.3)
    asked = view(explainer, network)
    copies = []
    for row in (0, 0, 1):
        noise = asked.generator(row, "NoiseTunnel").standard_normal((7, *SHAPE), np.float32)
        copies.append(IMAGES[row] + np.float32(0.3) * noise)
    values = explainer.by_channel(asked)
    assert np.array_equal(np.concatenate(network.images), np.concatenate(copies))
    of_copies = np.float32(0.1) * np.stack(copies)
    np.testing.assert_allclose(values, of_copies.mean(axis=1, dtype=np.float64), rtol=1e-6)


def test_composites_of_a_search():
    image, blurred = IMAGES
    shown = [Box(1, 0, 2, 3), Box(0, 4, 2, 2)]
    hidden = [Box(0, 0, 2, 2), Box(2, 3, 2, 2), Box(3, 5, 2, 2)]
    first_layer = SharedFirstLayer(image, blurred, 0.5, (2, 2))
    request = first_layer.composites(shown, hidden)
    (made,) = in_passes(request[1:3], 4)
    assert len(request) == 3
    assert np.array_equal(made, [composite(image, blurred, [*shown, window]) for window in hidden[1:]])
    (made,) = in_passes(first_layer.composites(shown)[0:1], 4)
    assert np.array_equal(made, [composite(image, blurred, shown)])


def test_dropout_masks():
    generators = [np.random.default_rng(seed) for seed in (1, 2, 3)]
    place = Dropout(name="drop", cell=nn.Dropout(p=0.3), rate=0.3)
    found = Draws(generators, 4).masked(Tensor(np.ones((8, 3, 5), np.float32)), place).asnumpy()
    expected = np.ones((4, 2, 3, 5), np.float32)
    for mask, seed in zip(expected, (1, 2, 3), strict=False):
        mask[:] = (np.random.default_rng(seed).random((2, 3, 5), np.float32) >= 0.3) / 0.7
    assert np.array_equal(found.reshape(4, 2, 3, 5), expected)


def test_the_last_pass_is_filled_up_and_counted_without_copies():
    cell = Sees(flat=True)
    network = Network(cell, pass_size=4, fill=True)
    logits = network.pooled_logits([numbered([1, 2, 3, 4, 5, 6])], "probe")
    assert [one[:, 0, 0].tolist() for one in cell.seen] == [[1, 2, 3, 4], [5, 6, 6, 6]]
    assert len(logits) == 6
    assert network.passes.images["probe"] == 6
