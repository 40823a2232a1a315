"""Sobel's edges against PyTorch's convolution, and against grad-cam's edges of a grey picture."""

import numpy as np
from edges import sobel_edges
from mindspore import Tensor
from pytorch_grad_cam.sobel_cam import sobel_cam

from explainrun.explainers import SobelEdges


def test_sobel_edges(network, photos, agree):
    sobel_edges(network, *photos, agree)


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
