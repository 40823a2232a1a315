"""What our CAMs, torchcam's and grad-cam's give for the same images, at the layer's own size."""

import numpy as np
import torch
from mindspore import Tensor
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget


def ours(explainer, sixteen):
    """Maps (16, h, w) before they are brought to the image's size."""
    images, labels = sixteen
    (maps,) = explainer.layer_maps(Tensor(images), Tensor(labels.astype(np.int32))).values()
    return maps.asnumpy()[:, 0]


def torchcams(method, sixteen, network, one_by_one=False, **options):
    """The raw maps of a method of torchcam."""
    images, labels = torch.tensor(sixteen[0]), sixteen[1].tolist()
    groups = [slice(i, i + 1) for i in range(len(labels))] if one_by_one else [slice(None)]
    maps = []
    for group in groups:
        with method(network, input_shape=images.shape[1:], **options) as extract:
            scores = network(images[group])
            (found,) = extract(labels[group], scores, normalized=False)
        maps.append(found.detach().numpy())
    return np.concatenate(maps)


def grad_cams(method, sixteen, network, layer, target=ClassifierOutputTarget, **options):
    """The maps of a method of grad-cam as they are before it scales and resizes them, negative values cut to zero."""
    return np.maximum(signed_grad_cams(method, sixteen, network, layer, target, **options), 0)


def signed_grad_cams(method, sixteen, network, layer, target=ClassifierOutputTarget, **options):
    """The same with their negative values."""
    images, labels = torch.tensor(sixteen[0]), sixteen[1]
    targets = [target(label) for label in labels.tolist()]
    with method(network, [network.get_submodule(layer)], **options) as cam:
        inner, found = getattr(cam, "base_cam", cam), []
        weigh = inner.get_cam_image
        inner.get_cam_image = lambda *arguments: found.append(weigh(*arguments)) or found[-1]
        cam(images, targets=targets)
    return found[0]


def seen(explainer, mine, theirs, agree, library, **how):
    """Where a map of theirs is not zero everywhere: there ours must agree, elsewhere be zero."""
    there = np.abs(theirs).max(axis=(1, 2)) > 1e-6
    assert there.mean() > 0.4
    assert np.abs(mine[~there]).max(initial=0) < 1e-5
    agree(explainer, library, mine[there], theirs[there], **how)
