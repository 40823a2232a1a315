"""Tensors as arrays of float32."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from explainrun.explainers.network.tensors import as_array


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Tensor([[1.5, -0.25], [65504, 2**-24]], ms.float16), [[1.5, -0.25], [65504, 2**-24]]),
        (Tensor([1.5, 2.0**100], ms.bfloat16), [1.5, 2.0**100]),  # which NumPy does not have
        (Tensor(np.array([0.1, -1e300, 1e300])), [np.float32(0.1), -np.inf, np.inf]),
        (Tensor([-7, 2**24], ms.int64), [-7, 2**24]),
        (Tensor([True, False]), [1, 0]),
        ([[1, 2]], [[1, 2]]),
    ],
    ids=["float16", "bfloat16", "float64", "int64", "bool", "list"],
)
def test_values_of_every_type_become_float32(given, expected):
    with np.errstate(all="raise"):  # also where a user has overflow raise
        found = as_array(given)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.asarray(expected, np.float32))
