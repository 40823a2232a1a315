"""Weights of EfficientNet-Lite0 from files of PyTorch, its logits, and what is refused on it."""

import numpy as np
import pytest
import torch
from mindspore import Tensor

from explainrun.explainers import AttentionRelevance, AttentionRollout, LeGrad
from explainrun.runner.checkpoints.pytorch_file import pytorch_tensors


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_pytorch_are_read(weights, tmp_path, zipped):
    """Both of its forms, of all weights; and tensors that are views, or of other kinds of numbers."""
    others = {
        "columns": torch.arange(12.0).reshape(3, 4).T, "part": torch.arange(12.0)[3:9:2],
        "half": torch.tensor([1.5, -2.5], dtype=torch.bfloat16), "one": torch.tensor(7),
        "yes": torch.tensor([True, False]), "none": torch.zeros(0, 3),
    }  # fmt: skip
    path = tmp_path / "weights.pt"
    torch.save(weights | others, path, _use_new_zipfile_serialization=zipped)
    found = pytorch_tensors(path.read_bytes())
    for name, tensor in (weights | others).items():
        np.testing.assert_array_equal(found[name].values(), tensor.float().numpy(), err_msg=name)
    assert len(found) == len(weights) + 6


def test_logits(of_all, all_photos):
    ours, theirs, _ = of_all
    assert np.abs(ours - theirs).max() <= 1e-4
    assert (ours.argmax(1) == all_photos[1]).sum() >= 40


@pytest.mark.parametrize("method", [AttentionRollout, LeGrad, AttentionRelevance])
def test_methods_that_read_attention(network, all_photos, method, undefined):
    with undefined(method.__name__, "attention-missing"):
        method(network)(Tensor(all_photos[0][:1]), all_photos[1][:1].tolist())
