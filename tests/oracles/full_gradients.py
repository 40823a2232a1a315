"""FullGrad's maps and what they leave of the logits: ours, and by PyTorch's gradients of what every layer adds."""

import numpy as np
import torch
from benchmarking.sides.torch_networks import RectifiedLinear6

from explainrun.explainers import FullGrad, Network, View


def ours(network, images, labels):
    explainer = FullGrad(network)
    view = View(Network(network), images, np.arange(len(images)), labels, needs=explainer.needs)
    return explainer.estimate(view)


def by_torch(network, images, labels):
    """FullGrad's maps (N, H, W) by PyTorch's gradients, the sums of all products, and the logits.

    By the outputs of all layers with biases and of all rectifiers, whose gradients PyTorch keeps.
    """
    added, handles = [], []

    def note(module, _inputs, output):
        output.retain_grad()
        if isinstance(module, torch.nn.BatchNorm2d):
            bias = module.bias - module.weight * module.running_mean / torch.sqrt(module.running_var + module.eps)
        elif isinstance(module, torch.nn.ReLU):  # our ReLU6 derives from it
            bias = torch.where(output >= 6, 6.0, 0.0) if isinstance(module, RectifiedLinear6) else torch.zeros(1)
        else:
            bias = torch.zeros(1) if module.bias is None else module.bias
        added.append((bias.detach(), output))

    kinds = (torch.nn.BatchNorm2d, torch.nn.Conv2d, torch.nn.Linear, torch.nn.ReLU)
    for module in network.modules():
        if isinstance(module, kinds):
            handles.append(module.register_forward_hook(note))
    inputs = torch.tensor(images, requires_grad=True)
    logits = network(inputs).gather(1, torch.tensor(labels)[:, None])[:, 0]
    logits.sum().backward()
    for handle in handles:
        handle.remove()
    terms = [(inputs * inputs.grad).detach()]
    for bias, output in added:
        first = output.ndim == 4 and bias.ndim == 1  # tokens have their channels last
        terms.append((bias.reshape(-1, 1, 1) if first else bias) * output.grad)
    maps = sum(stretched_channels(term, images.shape[2:]) for term in terms if term.ndim == 4)
    return maps.numpy(), sum(term.flatten(1).sum(1) for term in terms).numpy(), logits.detach().numpy()


def stretched_channels(term, size):
    """Sizes of each channel brought to 0..1 and to the image's size, and summed."""
    sizes = term.abs()
    least, most = sizes.amin((2, 3), keepdim=True), sizes.amax((2, 3), keepdim=True)
    each = torch.where(most > least, (sizes - least) / (most - least), 0.0)
    return torch.nn.functional.interpolate(each, size, mode="bilinear", align_corners=False).sum(1)
