"""Numbers on their way into the page, by hand."""

import base64

import numpy as np
import pytest

from explainrun.runner.report.encoded_arrays import map_codes, packed, reduced, reduced_size


def test_an_array_travels_as_little_endian_bytes():
    found = packed(np.array([[1, 256]], ">i4"))
    assert (found["type"], found["shape"]) == ("i4", [1, 2])
    assert base64.b64decode(found["data"]) == bytes([1, 0, 0, 0, 0, 1, 0, 0])


def test_codes_are_roots_of_shares():
    """Of the largest, 4: 1 is a quarter, whose root is a half; -4 has the same size; zero stays zero."""
    codes, scales = map_codes(np.array([[[4.0, 1.0, 0.0], [-4.0, -0.04, 0.0]]], np.float32))
    assert codes.tolist() == [[[127, 64, 0], [-127, -13, 0]]]
    assert scales == [4.0]


def test_maps_that_are_unknown_or_zero():
    maps = np.zeros((3, 1, 2), np.float32)
    maps[0, 0, 1] = np.nan
    maps[2, 0, 0] = np.inf
    codes, scales = map_codes(maps)
    assert scales == [None, 0.0, None]
    assert not codes.any()


@pytest.mark.parametrize(("size", "smaller"), [((224, 112), (112, 56)), ((96, 112), (96, 112)), ((3, 400), (1, 112))])
def test_sizes(size, smaller):
    assert reduced_size(size, 112) == smaller


def test_area_means():
    """Three columns become two, and two rows one: each part has one whole column and half of the middle one."""
    maps = np.array([[[0.0, 3.0, 6.0], [0.0, 3.0, 6.0]]], np.float32)
    assert reduced(maps, 2)[0] == pytest.approx(np.array([[1.0, 5.0]]))


def test_area_means_like_their_twin():
    maps = np.random.default_rng(3).normal(size=(2, 13, 7)).astype(np.float32)
    smaller = reduced(maps, 5)
    assert smaller.shape == (2, 5, 3)
    for map_, found in zip(maps, smaller, strict=True):
        assert np.allclose(found, twin_of_area_means(map_, (5, 3)), atol=1e-5)


def twin_of_area_means(map_, size, fine=60):
    """The same by brute force: every pixel cut into many."""
    (height, width), (rows, columns) = map_.shape, size
    cut = np.repeat(np.repeat(map_.astype(float), rows * fine, axis=0), columns * fine, axis=1)
    return cut.reshape(rows, height * fine, columns, width * fine).mean(axis=(1, 3))


def test_a_map_of_no_pixels():
    assert reduced(np.zeros((0, 0, 0), np.float32), 112).shape == (0, 0, 0)
