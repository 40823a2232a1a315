"""PAIR's saliency package, asked as its methods want it: images (H, W, C), and a function that gives gradients."""

import warnings

import numpy as np
import saliency.core as saliency
import torch


def asking(gradients, places=None):
    """What PAIR's methods call: gradients (N, C, H, W) of images, of which it knows (N, H, W, C)."""

    def call(images, call_model_args=None, expected_keys=None):
        given = np.float32(np.asarray(images)).transpose(0, 3, 1, 2)
        if places is not None:
            places.extend(given)
        return {saliency.INPUT_OUTPUT_GRADIENTS: gradients(given).transpose(0, 2, 3, 1).astype(np.float64)}

    return call


def by_torch(torch_network, label):
    """Gradients of a label's logit by PyTorch."""

    def gradients(images):
        inputs = torch.tensor(images, requires_grad=True)
        torch_network(inputs)[:, int(label)].sum().backward()
        return inputs.grad.numpy()

    return gradients


def map_of(method, image, gradients, places=None, **options):
    """A map (C, H, W) of theirs; the places (C, H, W) that it asks about go into a list, where one is given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of np.quantile's old keyword
        found = method.GetMask(image.transpose(1, 2, 0).astype(np.float64), asking(gradients, places), **options)
    return found.transpose(2, 0, 1)


def shared_out(torch_network, way, label):
    """IDGI's algorithm along places of which the last is the image, (C, H, W)."""
    inputs = torch.tensor(np.float32(way), requires_grad=True)
    logits = torch_network(inputs)[:, int(label)]
    logits.sum().backward()
    squares, falls = inputs.grad[:-1].double() ** 2, logits.detach().double().diff()
    return (squares * (falls / squares.sum((1, 2, 3)))[:, None, None, None]).sum(0).numpy()
