"""Masks that torchray optimises, and a twin of the 2017 paper in PyTorch."""

import warnings
from functools import partial

import numpy as np
import torch
from mindspore import Tensor
from torch.nn import functional as F  # noqa: N812 - as everyone calls it

from explainrun.explainers import ExtremalPerturbation, MeaningfulPerturbation
from explainrun.explainers.core.view import keyed_generator
from explainrun.explainers.optimized_masks import extremal_perturbation
from explainrun.explainers.optimized_masks.meaningful_perturbation import _discs
from explainrun.explainers.perturbation.baselines import blur_sigma

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it reads its version in an old way
    import torchray.attribution.extremal_perturbation as torchray

AREAS = [0.05, 0.15]


def make_alike(monkeypatch):
    """Has torchray's blur repeat the image's edges, not add zeros, and both sort a mask's values alike.

    Values that are equal, or so but for rounding, are sorted by their places then, not by chance.
    """
    monkeypatch.setattr(torchray, "imsmooth", partial(torchray.imsmooth, padding_mode="replicate"))
    generate = torchray.MaskGenerator.generate

    def apart(masks):
        rows, columns = masks.shape[-2:]
        return 1e-3 * np.linspace(0, 1, rows * columns, dtype=np.float32).reshape(rows, columns)

    def generated(self, values):
        inner, whole = generate(self, values)
        return inner, whole + torch.tensor(apart(whole))

    slopes = extremal_perturbation.area_slopes
    monkeypatch.setattr(torchray.MaskGenerator, "generate", generated)
    monkeypatch.setattr(extremal_perturbation, "area_slopes", lambda masks, shown: slopes(masks + apart(masks), shown))


def extremal_masks(network, torch_network, images, labels, variant, steps, monkeypatch, *, step=2, sigma=6, blur=4.0):
    """Ours and torchray's (N * areas, H, W), and words on what was made alike."""
    make_alike(monkeypatch)
    how, both = {"step": step, "sigma": sigma}, []
    for image, label in zip(images, labels, strict=True):
        found, shown = torchrays(torch_network, image, label, steps, blur, monkeypatch, variant=variant, **how)
        both.append(found)
    areas = [many / images[0, 0].size for many in shown]
    explainer = ExtremalPerturbation(network, areas, steps, variant, blur=blur, **how)
    mine = explainer.masks(Tensor(images), Tensor(labels.astype(np.int32))).asnumpy()[:, 0]
    words = f"{variant}, {steps} steps, edges repeated, ties sorted alike, areas of the mask with its border"
    return np.concatenate(mine), np.concatenate(both), words


def meaningful_masks(network, torch_network, images, labels, steps, cell):
    """Ours and the twin's (N, H, W), each image by itself."""
    pairs = list(zip(images, labels, strict=True))
    explainer = MeaningfulPerturbation(network, steps, jitter=1, cell=cell)
    mine = [explainer(Tensor(image[None]), int(label)).asnumpy()[0, 0] for image, label in pairs]
    theirs = [meaningful_twin(torch_network, image, label, steps, cell) for image, label in pairs]
    return np.stack(mine), np.stack(theirs)


def correlations(ours, theirs):
    """Pearson's, of each mask."""
    return [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(ours, theirs, strict=True)]


def torchrays(network, image, label, steps, blur, monkeypatch, **how):
    """Its masks (areas, H, W) after so many steps, and how many pixels each shall show."""
    monkeypatch.setattr(torchray, "Perturbation", partial(torchray.Perturbation, max_blur=blur))
    found, _ = torchray.extremal_perturbation(  # which gives the masks from before its last step
        network, torch.tensor(image[None]), int(label), areas=AREAS, max_iter=steps + 1, **how
    )
    whole = np.prod(torchray.MaskGenerator(image.shape[1:], how["step"], how["sigma"]).shape_out)
    return found.numpy()[:, 0], [int(whole) - int(whole * (1 - area)) for area in AREAS]


def smooth(images, sigma):
    """(N, C, H, W) blurred as SciPy does, edges repeated."""
    radius = int(4 * sigma + 0.5)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float64) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(images.dtype)
    channels = images.shape[1]
    for shape, pad in (((-1, 1), (0, 0, radius, radius)), ((1, -1), (radius, radius, 0, 0))):
        weights = kernel.reshape(1, 1, *shape).expand(channels, 1, -1, -1)
        images = F.conv2d(F.pad(images, pad, mode="replicate"), weights, groups=channels)
    return images


def meaningful_twin(network, image, label, steps, cell):
    """Fong and Vedaldi's objective by PyTorch's gradients and its Adam; one image at a time."""
    image = torch.tensor(image[None])
    cover = smooth(image, blur_sigma(image.shape[2:]))

    def enlarged(mask):
        mask = F.interpolate(mask, scale_factor=cell, mode="nearest")
        return smooth(mask[..., : image.shape[2], : image.shape[3]], 5 / 8 * cell)

    def score(mask, shift=(0, 0)):
        behind = torch.roll(image * mask + cover * (1 - mask), shift, (2, 3))
        return network(behind).softmax(1)[0, label]

    discs = torch.tensor(_discs(image.shape[2:]))[:, None]
    with torch.no_grad():
        hidden, whole = score(1 - discs[-1:]), score(1)
        first = next(disc for disc in discs if score(1 - disc[None]) <= hidden + 0.01 * (whole - hidden))
    grid = [-(-length // cell) for length in image.shape[2:]]
    mask = F.interpolate(1 - first[None], grid, mode="bilinear").requires_grad_()
    optimizer = torch.optim.Adam([mask], lr=0.1)
    for shift in keyed_generator(0, 0, "MeaningfulPerturbation").integers(0, 2, (steps, 2)).tolist():
        optimizer.zero_grad()
        down, right = F.pad(mask.diff(dim=2), (0, 0, 0, 1)), F.pad(mask.diff(dim=3), (0, 1))
        length = (down**2 + right**2 + 1e-24).sqrt()
        loss = score(enlarged(mask), shift) + 1e-4 * (1 - mask).abs().sum() + 1e-2 * (length**3).sum()
        loss.backward()
        optimizer.step()
        mask.data.clamp_(0, 1)
    return (1 - enlarged(mask.detach())).numpy()[0, 0]
