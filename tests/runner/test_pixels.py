"""What pixels of each type become: integers are normalised, floating point is taken as it is, the rest is refused."""

import h5py
import numpy as np
import pytest

from explainrun.runner.data.file_datasets import hdf5_dataset
from explainrun.runner.data.pixels import normalized
from explainrun.runner.data.samples import SampleError, read_samples

LEVELS = [0, 51, 255]  # of 8 bits
UNIT = [0, 0.2, 1]
TYPES = {
    "uint8": (LEVELS, UNIT),
    "uint16": ([0, 13107, 65535], UNIT),
    ">u2": ([0, 13107, 65535], UNIT),
    "int8": ([0, 51, 102], [0, 0.2, 0.4]),
    "int16": (LEVELS, UNIT),
    "uint32": (LEVELS, UNIT),
    "int32": (LEVELS, UNIT),
    ">i4": (LEVELS, UNIT),
    "int64": (LEVELS, UNIT),
    "uint64": (LEVELS, UNIT),
    "bool": ([0, 1, 1], [0, 1, 1]),
}


def image_of(tmp_path, values, kind, mean=None, std=None):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = np.array(values, kind).reshape(1, 1, 1, 3)
    [sample] = read_samples(hdf5_dataset(tmp_path / "a.h5", mean, std), 1)
    return sample.image


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("mean", "std"), [(0.4, 0.2), (102, 51)])  # of 0..1, and the same of 0..255
def test_integers_are_normalised(tmp_path, kind, mean, std):
    values, unit = TYPES[kind]
    assert image_of(tmp_path, values, kind).ravel().tolist() == pytest.approx(unit)
    shown = image_of(tmp_path, values, kind, mean, std)
    assert shown.dtype == np.float32
    assert shown.ravel().tolist() == pytest.approx([(value - 0.4) / 0.2 for value in unit], abs=1e-5)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f8"])
def test_floating_point_is_taken_as_it_is(tmp_path, kind):
    assert image_of(tmp_path, [-2, 0.5, 300], kind, 0.4, 0.2).ravel().tolist() == [-2, 0.5, 300]


@pytest.mark.parametrize(
    ("kind", "values", "extremes"),
    [
        ("int16", [0, 256, 3], (0, 256)),
        ("int8", [-1, 0, 1], (-1, 1)),
        ("int64", [-5, 0, 2**40], (-5, 2**40)),
        ("uint32", [0, 65535, 7], (0, 65535)),
    ],
)
def test_integers_of_an_unknown_range_are_refused(tmp_path, raising, kind, values, extremes):
    words = f"pixels of {kind} run from {extremes[0]} to {extremes[1]}, not within 0..255"
    with raising(SampleError, "sample-broken", where=f"{tmp_path / 'a.h5'} row 0") as caught:
        image_of(tmp_path, values, kind)
    assert words in str(caught.value)


def test_a_double_that_float32_cannot_hold_is_refused(tmp_path, raising):
    with raising(SampleError, "sample-not-finite", sample=0):
        image_of(tmp_path, [0, 1, 1e300], "float64")


def test_what_is_no_number_is_refused(raising):
    with raising(ValueError, "pixels-not-numbers", kind="complex64"):
        normalized(np.zeros((1, 1, 3), np.complex64), None, None)


@pytest.mark.parametrize("kind", ["int8", "int16", "uint16", "int32", "uint32", "int64", "float16", "float64", "bool"])
def test_a_dataset_of_the_users_gives_what_the_network_takes(dataset, kind):
    """Whatever the type, the numbers are the network's: the runner's mean and std only say how to show them."""
    image = np.array([[[0, 1, 1], [0, 0, 1]]], kind)
    [sample] = read_samples(dataset([(image, np.int32([0]), np.int32([[0, 0, 1, 1]]))]), 1)
    assert sample.pixels.dtype == np.float32
    assert sample.pixels.tolist() == [[[0, 1, 1], [0, 0, 1]]]


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (np.full((1, 2, 3), 1e300), "sample-not-finite"),  # which float32 cannot hold
        (np.full((1, 2, 3), "a"), "sample-not-numbers"),
    ],
)
def test_pixels_that_a_network_cannot_take_are_refused(dataset, raising, image, code):
    with raising(SampleError, code, sample=0):
        list(read_samples(dataset([(image, np.int32([0]), np.int32([[0, 0, 1, 1]]))]), 1))


def test_grey_images_with_numbers_for_each_of_three_channels():
    made = normalized(np.full((1, 1, 2), 255, np.uint8), [0.5, 0.0, 1.0], 0.5)
    assert made.tolist() == [[[1.0, 1.0]], [[2.0, 2.0]], [[0.0, 0.0]]]
