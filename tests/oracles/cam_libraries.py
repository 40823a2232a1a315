"""What our CAMs, torchcam's and grad-cam's give for the same images, at the layer's own size."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from mindspore import Tensor, nn
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget


def ours(explainer, sixteen):
    """Maps (16, h, w) before they are brought to the image's size."""
    images, labels = sixteen
    (maps,) = explainer.layer_maps(Tensor(images), Tensor(labels.astype(np.int32))).values()
    return maps.asnumpy()[:, 0]


def torchcams(method, sixteen, network, **options):
    """The raw maps of a method of torchcam."""
    images, labels = torch.tensor(sixteen[0]), sixteen[1].tolist()
    with method(network, input_shape=images.shape[1:], **options) as extract:
        scores = network(images)
        (found,) = extract(labels, scores, normalized=False)
    return found.detach().numpy()


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


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A layer of a network in both frameworks, and the images that it is asked about, with their labels.

    Attributes:
        network: ours.
        torch_network: theirs, whose layers have the same names.
        images: (N, C, H, W).
        labels: (N,).
        layer: its name.
        grid: (h, w) of the tokens that it gives, behind one for the class; None where it gives feature maps.
        words: what the table says of the images.
    """

    network: nn.Cell
    torch_network: torch.nn.Module
    images: Any
    labels: Any
    layer: str
    grid: tuple[int, int] | None = None
    words: str = ""

    @property
    def pair(self):
        return self.images, self.labels

    def at(self, layer):
        return replace(self, layer=layer)

    def of(self, rows):
        """The same of some of the images."""
        return replace(self, images=self.images[rows], labels=self.labels[rows])

    def louder(self, factor):
        """The same with logits multiplied, so that constants that a library adds to divisors are lost."""
        both = {"network": LouderCell(self.network, factor), "torch_network": Louder(self.torch_network, factor)}
        return replace(self, layer=f"network.{self.layer}", **both)

    def on_grid(self, output):
        """What the layer gives in PyTorch, as (N, channels, h, w)."""
        if self.grid is None:
            return output
        return output[:, 1:].reshape(len(output), *self.grid, output.shape[2]).permute(0, 3, 1, 2)

    def ours(self, method, **options):
        return ours(method(self.network, self.layer, reshape=self.grid, **options), self.pair)

    def torchcams(self, method, **options):
        given = {"target_layer": self.layer, "reshape_transform": self.on_grid, **options}
        return torchcams(method, self.pair, self.torch_network, **given)

    def grad_cams(self, method, target=ClassifierOutputTarget, **options):
        return np.maximum(self.signed_grad_cams(method, target, **options), 0)

    def signed_grad_cams(self, method, target=ClassifierOutputTarget, **options):
        given = {**options} if self.grid is None else {"reshape_transform": self.on_grid, **options}
        return signed_grad_cams(method, self.pair, self.torch_network, self.layer, target, **given)

    def output(self):
        """What the layer gives in PyTorch, (N, channels, h, w)."""
        with torch.no_grad():
            return self.on_grid(self._run(self.images)[1]).numpy()

    def slopes(self, images):
        """The gradient of each label's logit with respect to that of other images, of the same shape."""
        logits, output = self._run(images)
        (gradient,) = torch.autograd.grad(logits.gather(1, torch.tensor(self.labels)[:, None]).sum(), output)
        return self.on_grid(gradient).numpy()

    def how(self, *words):
        """What the table says of a comparison."""
        return ", ".join(filter(None, (*words, self.words))) or "as they come"

    def _run(self, images):
        """Logits, and what the layer gives, as PyTorch keeps it."""
        found = []
        hook = self.torch_network.get_submodule(self.layer).register_forward_hook(lambda *of: found.append(of[-1]))
        logits = self.torch_network(torch.tensor(images))
        hook.remove()
        return logits, found[0]


class Louder(torch.nn.Module):
    """A network with its logits multiplied."""

    def __init__(self, network, factor):
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, x):
        return self.network(x) * self.factor


class LouderCell(nn.Cell):
    """The same of ours."""

    def __init__(self, network, factor):
        super().__init__()
        self.network, self.factor = network, factor

    def construct(self, x):
        return self.network(x) * self.factor
