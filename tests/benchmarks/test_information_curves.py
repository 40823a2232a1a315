"""SIC and AIC by hand where sizes are known, and the sizes of files."""

from io import BytesIO

import numpy as np
import pytest
from mindspore import nn
from PIL import Image

from explainrun.benchmarks import AIC, SIC, PixelFlipping
from explainrun.benchmarks.faithfulness import information_curves

ONES = np.ones((1, 1, 1, 4), np.float32)
QUARTERS = {"shares": [0.25, 0.5, 0.75], "removal": "value"}


@pytest.fixture
def counted(monkeypatch):
    """Takes the pixels that an image shows, each as many bytes as is said, for the size of its file."""

    def count(*bytes_of):
        monkeypatch.setattr(
            information_curves, "_compressed_size", lambda image, untouched: int((image != 0).reshape(-1) @ bytes_of)
        )

    return count


def test_sic_by_hand(linear, explained, same, counted):
    # Revealed best first 0 .4 .7 .9 1, worst first 0 .1 .3 .6 1.
    counted(1, 1, 1, 1)
    parts = np.array([[[0.4, 0.3, 0.2, 0.1]]], np.float32)
    found = explained(linear(parts[None]), np.repeat(ONES, 2, axis=0), np.concatenate([parts, -parts]))
    np.testing.assert_allclose(SIC(1, same, **QUARTERS).score(found), [0.625, 0.375], atol=1e-6)
    # The best pixel holds 7 of 10 bytes: .7 * .2 + .1 * (.55 + .8 + .95); last 0 .1 .2 .3 and 1.
    counted(7, 1, 1, 1)
    expected = [0.14 + 0.23, 0.1 * (0.05 + 0.2 + 0.45) + 0.7 * 0.8]
    found.memory.clear()  # which keeps sizes
    np.testing.assert_allclose(SIC(1, same, **QUARTERS).score(found), expected, atol=1e-6)


def test_sic_keeps_to_the_highest_answer_so_far_and_to_the_range_of_the_ends(linear, explained, same, counted):
    # Parts .6 .7 -.8 .5 of 1 as they are revealed: .6, 1.3 (above the whole image's: 1), .5 (below: stays 1), 1.
    counted(1, 1, 1, 1)
    weights = np.array([[[[0.6, 0.7, -0.8, 0.5]]]], np.float32)
    found = explained(linear(weights), ONES, [[[4, 3, 2, 1]]])
    assert SIC(1, same, **QUARTERS).score(found) == pytest.approx([(0.3 + 0.8 + 1 + 1) / 4], abs=1e-6)
    # Where an image in between has the largest file, it stands at the end.
    counted(3, 2, -2, 1)
    found.memory.clear()
    assert SIC(1, same, **QUARTERS).score(found) == pytest.approx([0.75 * 0.3 + 0.25 * 1], abs=1e-6)


def test_aic_by_hand(linear, explained, counted):
    # Class 1 has .45 whatever is shown, so class 0 wins with the two best pixels, or with the three worst.
    counted(1, 1, 1, 1)
    weights = np.array([[[[0.4, 0.3, 0.2, 0.1]]], [[[0, 0, 0, 0]]]], np.float32)
    cell = linear(weights)
    cell.bias[1] = 0.45
    parts = weights[0]
    found = explained(cell, np.repeat(ONES, 3, axis=0), [parts[0], -parts[0], parts[0]], labels=[0, 0, 1])
    scores = AIC(2, nn.Softmax(), **QUARTERS).score(found)
    np.testing.assert_allclose(scores, [(0.5 + 1 + 1) / 4, (0 + 0 + 0.5 + 1) / 4, np.nan], atol=1e-6)


def test_where_there_is_no_score(linear, explained, same, counted):
    counted(1, 1, 1, 1)
    falling = explained(linear(-np.ones((1, 1, 1, 4))), ONES, [[[4, 3, 2, 1]]])
    assert np.isnan(SIC(1, same, **QUARTERS).score(falling)).all()
    counted(0, 0, 0, 0)
    rising = explained(linear(np.ones((1, 1, 1, 4))), ONES, [[[4, 3, 2, 1]]])
    assert np.isnan(SIC(1, same, **QUARTERS).score(rising)).all()
    assert np.isnan(SIC(1, same).score(explained(linear(ONES), ONES, [[[1, 1, 1, 1]]]))).all()


def test_they_read_the_curve_of_the_least_relevant_first(linear, explained):
    # Three shares and the blurred image, which other metrics that blur in as many steps ask about too.
    rng, cell, softmax = (
        np.random.default_rng(0),
        linear(np.random.default_rng(1).normal(size=(2, 3, 4, 7))),
        nn.Softmax(),
    )
    images, maps = rng.normal(size=(1, 3, 4, 7)), rng.normal(size=(1, 4, 7))
    found = explained(cell, images, maps, logits=np.array([[1, 0]], np.float32))
    metrics = [SIC(2, softmax, shares=[0.25, 0.5, 0.75]), AIC(2, softmax, shares=[0.25, 0.5, 0.75]),
               PixelFlipping(2, softmax, steps=4, removal="blur", order="lerf")]  # fmt: skip
    found._coverings.extend(metric.covering((4, 7)) for metric in metrics)
    assert found.images_needed() == (4, set())
    for metric in metrics:
        metric.score(found)
    assert sum(cell.calls) == 4


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_size_is_that_of_a_lossless_webp_file_over_the_range_of_the_whole_image(channels):
    rng = np.random.default_rng(0)
    untouched = rng.normal(size=(channels, 9, 14)).astype(np.float32)
    image = np.where(rng.random((9, 14)) < 0.5, untouched, 0)
    bytes_ = np.rint((image - untouched.min()) / np.ptp(untouched) * 255).clip(0, 255).astype(np.uint8)
    rows = bytes_.transpose(1, 2, 0) if channels == 3 else np.concatenate([*bytes_])
    file = BytesIO()
    Image.fromarray(rows).convert("RGB").save(file, "webp", lossless=True, quality=100)
    assert information_curves._compressed_size(image.astype(np.float32), untouched) == len(file.getvalue())
    with Image.open(file) as back:
        np.testing.assert_array_equal(np.asarray(back)[..., 0], rows.reshape(*rows.shape[:2], -1)[..., 0])


def test_files_of_many_images_are_counted_in_order(linear, explained, same):
    rng = np.random.default_rng(1)
    image = rng.normal(size=(1, 1, 5, 8)).astype(np.float32)
    found = explained(linear(np.ones((1, 1, 5, 8), np.float32)), image, rng.random((1, 5, 8)))
    metric = SIC(1, same, shares=[k / 40 for k in range(1, 40)], removal="value")
    block = found.covered_images(0, metric._curve)
    expected = [information_curves._compressed_size(one, image[0]) for part in block.parts(1) for one in part]
    assert len(expected) == 41
    np.testing.assert_array_equal(information_curves._file_sizes(found, 0, metric._curve), expected)
