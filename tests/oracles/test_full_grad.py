"""FullGrad against grad-cam's, and against PyTorch's gradients of what every layer adds.

grad-cam stretches the map at the end, and leaves out what ReLU6 adds: there it is not the paper's, whose implicit
biases that is. So networks of ReLU are compared with it, those of ReLU6 with PyTorch's gradients.
"""

import contextlib
import io

import numpy as np
import torch
from full_gradients import by_torch, ours
from mindspore import Tensor
from pytorch_grad_cam import FullGrad as TheirFullGrad
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from explainrun.explainers import FullGrad
from explainrun.explainers.core.resize import stretched


def test_grad_cam(network, torch_network, sixteen, agree):
    """It divides by the largest value plus 1e-7, so logits are made large."""
    images, labels = sixteen

    class Loud(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch_network

        def forward(self, x):
            return 300 * self.inner(x)

    with contextlib.redirect_stdout(io.StringIO()):  # it prints that it takes no layers
        method = TheirFullGrad(Loud(), [])
    theirs = method(torch.tensor(images), targets=[ClassifierOutputTarget(label) for label in labels.tolist()])
    mine = stretched(ours(network, images, labels).maps)
    agree("FullGrad", "grad-cam FullGrad", mine, theirs, how="0..1, logits times 300")


def test_pytorchs_gradients(variant, agree):
    """ReLU and ReLU6, as cells and functions, one of them shared."""
    network, torch_network, images, labels = variant
    images, labels = images[:16], labels[:16]
    maps, sums, logits = by_torch(torch_network, images, labels)
    found = ours(network, images, labels)
    agree("FullGrad", "PyTorch's gradients", found.maps, maps)
    np.testing.assert_allclose(sums, logits, atol=1e-4)
    np.testing.assert_allclose(found.errors, 0, atol=1e-4)
    called = FullGrad(network)(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]
    np.testing.assert_allclose(called, found.maps, atol=1e-5)
