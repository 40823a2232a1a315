"""Colours of originals and greys of maps."""

import io

import numpy as np
import pytest
from PIL import Image

from explainrun.summary_format import heatmap_picture, jpeg, original_picture, png
from explainrun.summary_format.map_scale import outlier_scale

TRUE = np.array([[[0, 51, 102, 153]], [[255, 204, 10, 20]], [[1, 2, 3, 4]]], np.uint8)  # (3, 1, 4)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def shown(*arguments):
    picture = original_picture(*arguments)
    assert picture.mode == "RGB"
    return np.asarray(picture).transpose(2, 0, 1)


def test_true_colours_come_back_from_both_conventions():
    mean, std = np.array(MEAN).reshape(3, 1, 1), np.array(STD).reshape(3, 1, 1)
    unit = ((TRUE / 255 - mean) / std).astype(np.float32)
    assert shown(unit, MEAN, STD).tolist() == TRUE.tolist()
    bytes_ = ((TRUE - mean * 255) / (std * 255)).astype(np.float32)
    assert shown(bytes_, np.array(MEAN) * 255, np.array(STD) * 255).tolist() == TRUE.tolist()
    assert shown((TRUE / 255).astype(np.float32), 0.0, 1.0).tolist() == TRUE.tolist()
    assert shown(TRUE).tolist() == TRUE.tolist()
    assert shown(TRUE, 0.0, 1.0).tolist() == TRUE.tolist()  # 8-bit pixels are shown as they are
    assert shown(TRUE.astype(np.float32), 0.0, 1.0).tolist() == TRUE.tolist()
    dark = (TRUE > 200).astype(np.uint8)
    assert (
        shown(((dark - mean * 255) / (std * 255)).astype(np.float32), np.array(MEAN) * 255, np.array(STD) * 255).max()
        == 1
    )


def test_without_statistics_colours_are_stretched():
    values = np.array([[[-1, 0, 1, 3]]] * 3, np.float32)
    assert shown(values)[0].tolist() == [[0, 64, 128, 255]]
    assert shown(np.full((3, 2, 5), 7.0, np.float32)).max() == 0


def test_grey_and_four_channels():
    assert shown(TRUE[:1]).tolist() == TRUE[[0, 0, 0]].tolist()
    assert shown(np.concatenate([TRUE, TRUE[:1]])).tolist() == TRUE.tolist()
    with pytest.raises(ValueError, match=r"1, 3 or 4 channels, got shape \(2, 1, 4\)"):
        original_picture(TRUE[:2])
    with pytest.raises(ValueError, match="mean must hold one number or one for each of 1 channels"):
        original_picture(TRUE[:1], MEAN, 1.0)


def levels(map_, signed=None):
    picture = heatmap_picture(np.array(map_, np.float32), signed)
    assert picture.mode == "L"
    return np.asarray(picture).tolist()


def test_the_smallest_value_of_a_map_of_one_sign_is_black():
    assert levels([[1, 3, 5], [4, 1, 1]]) == [[0, 128, 255], [191, 0, 0]]
    assert levels([[-2, 0, 2], [1, -2, -2]], signed=False) == [[0, 128, 255], [191, 0, 0]]
    assert levels([[0, 0, 4, -4e-6]]) == [[0, 0, 255, 0]]  # less than rounding below zero
    assert levels([[5, 5], [5, 5]]) == [[0, 0], [0, 0]]


def test_zero_of_a_signed_map_is_the_same_grey_in_every_picture():
    assert levels([[-2, 0, 4], [1, 0, 0]]) == [[64, 128, 255], [159, 128, 128]]
    assert levels([[-8, 0, 2], [0, 0, 0]]) == [[0, 128, 159], [128, 128, 128]]
    assert levels([[0, 2, 4]], signed=True) == [[128, 191, 255]]  # nothing is negative here, but might have been
    assert levels([[0, 0]], signed=True) == levels([[5, 5]], signed=True) == [[128, 128]]


def test_outliers_do_not_leave_the_rest_black():
    map_ = np.ones((10, 10), np.float32)
    map_[0, 0], map_[0, 1:4] = 10, 0  # 96 ones of a sum of 106 are more than nine tenths: they are the scale
    assert levels(map_)[0][:5] == [255, 0, 0, 0, 255]
    map_[1, :], map_[0, 0] = -1, -10
    assert levels(map_)[:2] == [[0, 128, 128, 128] + [255] * 6, [0] * 10]
    map_[1, :], map_[0, 0] = 1, 11  # of 107 they are less
    assert levels(map_)[0][:5] == [255, 0, 0, 0, 23]


def sorted_scale(values, outliers):
    """The plain twin: all values sorted."""
    ascending = np.sort(np.abs(values), axis=None)
    sums = np.cumsum(ascending)
    reached = int(np.searchsorted(sums, sums[-1] * (100.0 - outliers) / 100.0))
    return ascending[min(reached, len(ascending) - 1)]


@pytest.mark.parametrize("outliers", [0.0, 2.0, 10.0, 99.0])
def test_the_scale_is_that_of_all_values_sorted(outliers):
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (3, 2), (7, 5), (40, 31)):
        for values in (
            rng.standard_normal(shape),
            rng.standard_cauchy(shape),
            np.exp(9.0 * rng.standard_normal(shape)),
            rng.integers(0, 3, shape) * 1.0,
            rng.standard_normal(shape) * 1e-310,
            np.zeros(shape),
            np.full(shape, -0.7),
        ):
            assert outlier_scale(values, outliers) == sorted_scale(values, outliers)


def test_encodings():
    map_ = np.random.default_rng(0).random((9, 5)).astype(np.float32)
    picture = heatmap_picture(map_)
    back = Image.open(io.BytesIO(png(picture)))
    assert (back.format, back.mode, back.size) == ("PNG", "L", (5, 9))
    assert np.array_equal(np.asarray(back), np.asarray(picture))
    smooth = Image.fromarray(np.full((9, 5, 3), (200, 10, 60), np.uint8))
    back = Image.open(io.BytesIO(jpeg(smooth)))
    assert (back.format, back.mode) == ("JPEG", "RGB")
    assert np.abs(np.asarray(back, int) - np.asarray(smooth, int)).max() <= 2
