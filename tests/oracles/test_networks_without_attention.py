"""Methods that read attention are refused where there is none."""

import numpy as np
import pytest
from mindspore import Tensor

from explainrun.explainers import AttentionRelevance, AttentionRollout, LeGrad


@pytest.mark.parametrize("method", [AttentionRollout, LeGrad, AttentionRelevance])
def test_methods_that_read_attention(network, sixteen, method, undefined):
    images, labels = (of[:2] for of in sixteen)
    with undefined(method.__name__, "attention-missing"):
        method(network)(Tensor(images), Tensor(labels.astype(np.int32)))
