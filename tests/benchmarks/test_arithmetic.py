"""What metrics compute of numbers, by hand."""

import numpy as np
import pytest

from explainrun.benchmarks.core.arithmetic import lengths, pearson, quotient


def test_quotients_are_of_what_lies_above_0():
    values, by = np.array([6.0, 6.0, 6.0, 6.0, np.inf, np.nan]), np.array([4.0, 0.0, -4.0, np.nan, np.inf, 2.0])
    assert quotient(values, by)[0] == 1.5
    assert np.isnan(quotient(values, by)[1:]).all()
    counts = np.array([[1, 3], [2, 6]])
    np.testing.assert_array_equal(quotient(counts, np.array([[4], [0]])), [[0.25, 0.75], [np.nan, np.nan]])


def test_lengths_are_of_all_values_in_double_precision():
    maps = np.array([[[3, 0], [0, 4]], [[0, 0], [0, 0]]], np.float32)
    assert lengths(maps).tolist() == [5, 0]
    assert lengths(np.full((1, 2, 2), 1e30, np.float32))[0] == pytest.approx(2e30)


def test_a_constant_row_correlates_with_none():
    assert pearson(np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 9.0])) == pytest.approx(1)
    assert np.isnan(pearson(np.ones(3), np.array([3.0, 5.0, 9.0])))
