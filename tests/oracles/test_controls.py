"""Sobel's edges against PyTorch's convolution, and against grad-cam's edges of a grey picture."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from mindspore import Tensor
from pytorch_grad_cam.sobel_cam import sobel_cam

from explainrun.explainers import SobelEdges

ALONG_X = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def test_sobel_edges(network, photos, agree):
    images, labels = photos
    padded = F.pad(torch.tensor(images), (1, 1, 1, 1), mode="replicate")
    filters = torch.stack([ALONG_X, ALONG_X.T]).repeat(3, 1, 1)[:, None]  # both for each channel
    gradients = F.conv2d(padded, filters, groups=3).numpy()
    ours = SobelEdges(network)(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]
    agree("SobelEdges", "PyTorch's conv2d", ours, np.sqrt((gradients**2).sum(1) / 3) / 8)


def test_grad_cam_takes_the_mean_of_both_derivatives(network, photos):
    """Which lies between a half and 0.71 of their length; at the border it mirrors, and sees nothing across it."""
    images, _ = photos
    low, high = images.min(), images.max()
    for image in images[:16, 0]:
        grey = ((image - low) / (high - low) * 60).astype(np.uint8)  # so that nothing is cut at 255
        theirs = sobel_cam(np.stack([grey] * 3, axis=2))[1:-1, 1:-1].astype(float)
        of_three = Tensor(np.stack([grey] * 3)[None].astype(np.float32))
        length = 8 * SobelEdges(network)(of_three, 0).asnumpy()[0, 0, 1:-1, 1:-1]
        assert length.max() > 20
        assert (length / 2 - 1 <= theirs).all()  # theirs are rounded
        assert (theirs <= length / 2**0.5 + 1).all()
