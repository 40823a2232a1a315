"""A trained ResNet-20 in both frameworks, and real photos; see README for where they come from."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from mindspore import nn, ops
from tabulate import tabulate

from explainrun.explainers.core.view import keyed_generator

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from benchmarking.sides.networks import resnet20
from benchmarking.sides.torch_networks import RectifiedLinear6, torch_resnet20

HEIGHT, WIDTH = 32, 26
MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)


SHARED = nn.ReLU()
RECTIFIERS = {  # how a variant of the network makes its ReLUs
    "cells": nn.ReLU,
    "functional": lambda: ops.relu,
    "shared": lambda: SHARED,
    "relu6": nn.ReLU6,
}


@pytest.fixture(scope="session")
def torch_relu6():
    return RectifiedLinear6


AGREEMENTS = pytest.StashKey()
INTRODUCTION = """# How our maps agree with those of other libraries

Written by `scripts/test_oracles --agreements docs/agreements.md`, on CPU, with captum 0.9.0, grad-cam 1.5.7, torchcam
0.5.0, saliency 0.2.1 and shap 0.49.1 on PyTorch. Maps of real photos (32 x 24, some 32 x 26) by a ResNet-20 trained on
CIFAR-10, or by a small vision transformer, or of photographs (224 x 224) by EfficientNet-Lite0 trained on ImageNet, the
same weights in both frameworks. The photos (and the ways to them, for integrated gradients) are those whose ReLU inputs
keep off zero, where right implementations differ by rounding. Of the photographs those are compared whose inputs of
ReLU6 are on the same side of 0 and 6 in both frameworks; the table says how many are. A difference is the largest of
any value, as a share of the largest value of its map. Maps are compared as they are before they are brought to the
image's size, where "resized" does not say otherwise.

What stands under *compared* is what had to be made alike first, since the libraries differ from the papers or among
themselves; the docstring of each explainer says which way it goes, and a test in `tests/oracles` shows the difference.
"""


def pytest_configure(config):
    config.stash[AGREEMENTS] = []


@pytest.fixture
def agree(request):
    """Compares maps (Q, H, W) of ours with those of a library, and notes how far apart they are for the table."""

    def compare(explainer, library, ours, theirs, tolerance=1e-4, how="as they come"):
        apart = largest_difference(ours, theirs)
        request.config.stash[AGREEMENTS].append((explainer, library, how, len(ours), apart, tolerance))
        assert apart <= tolerance

    return compare


def largest_difference(ours, theirs):
    """Largest difference, as a share of each map's largest value."""
    scale = np.abs(theirs).max(axis=tuple(range(1, theirs.ndim)), keepdims=True)
    assert ours.shape == theirs.shape
    assert (scale > 0).all()
    return float((np.abs(ours - theirs) / scale).max())


def pytest_addoption(parser):
    parser.addoption("--agreements", metavar="FILE", help="Write the table of agreements there, too, as Markdown.")


def pytest_terminal_summary(terminalreporter, config):
    """The table of agreements: one line a comparison, the worst of its cases."""
    worst = {}
    for explainer, library, how, maps, apart, tolerance in config.stash[AGREEMENTS]:
        key = (explainer, library, how)
        worst[key] = max(worst.get(key, (0.0, 0, 0.0)), (apart, maps, tolerance))
    rows = [(*key, maps, f"{apart:.1e}", f"{tolerance:g}") for key, (apart, maps, tolerance) in sorted(worst.items())]
    titles = ["explainer", "library", "compared", "maps", "largest difference", "allowed"]
    table = tabulate(rows, titles, tablefmt="github", disable_numparse=True)
    terminalreporter.write_line(f"\n{table}")
    if config.getoption("--agreements"):
        Path(config.getoption("--agreements")).write_text(f"{INTRODUCTION}\n{table}\n", "utf-8")


@pytest.fixture(scope="session")
def data(request):
    folder = request.config.rootpath.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"NOT COMPARED: the trained ResNet-20 and the photos are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def weights(data):
    with np.load(data / "cifar10_resnet20.npz") as file:
        return {name: file[name] for name in file.files}


def torch_with(weights, rectifier):
    return torch_resnet20(weights, rectifier).eval()


def mindspore_with(weights, rectifier):
    return resnet20(weights, rectifier).set_train(False)


@pytest.fixture(scope="session")
def torch_network(weights):
    return torch_with(weights, torch.nn.ReLU)


@pytest.fixture(scope="session")
def network(weights):
    return mindspore_with(weights, nn.ReLU)


@pytest.fixture(scope="session", params=RECTIFIERS)
def variant(request, weights, data):
    """The network with its ReLUs made in one of four ways, its like in PyTorch, and photos away from their kinks."""
    theirs = torch_with(weights, RectifiedLinear6 if request.param == "relu6" else torch.nn.ReLU)
    kinks = (0.0, 6.0) if request.param == "relu6" else (0.0,)
    return mindspore_with(weights, RECTIFIERS[request.param]), theirs, *photos_off_kinks(data, theirs, kinks)


@pytest.fixture(scope="session")
def photos(data, torch_network):
    return photos_off_kinks(data, torch_network, (0.0,))


@pytest.fixture(scope="session")
def narrow(data):
    """400 photos of 32 x 24, and their labels."""
    return narrow_photos(data)


@pytest.fixture(scope="session")
def all_narrow(data):
    return narrow_photos(data)


@pytest.fixture(scope="session")
def nearest():
    return nearest_kinks


@pytest.fixture(scope="session")
def sixteen(data, torch_network):
    """16 photos of 32 x 24 and their labels: those whose ReLU inputs keep off kinks the most."""
    images, labels = narrow_photos(data)
    best = np.sort(np.argsort(nearest_kinks(torch_network, [images]))[-16:])
    return images[best], labels[best]


@pytest.fixture(scope="session")
def noisy(data, torch_network):
    """8 photos of 32 x 24, their labels, NoiseTunnel's ``stdevs`` and two draws of its noise each, (8, 2, 3, 32, 24).

    Of 50 photos in each place, the one whose noisy copies keep off kinks the most.
    """
    images, labels = narrow_photos(data)
    draws = np.stack([
        keyed_generator(0, place, "NoiseTunnel").standard_normal((2, *images.shape[1:]), np.float32)
        for place in range(8)
    ])  # fmt: skip
    best, stdevs = [], 0.1
    for place, draw in enumerate(draws):
        candidates = np.arange(place, len(images), len(draws))
        copies = [images[candidates] + np.float32(stdevs) * noise for noise in draw]
        best.append(candidates[nearest_kinks(torch_network, copies).argmax()])
    return images[best], labels[best], stdevs, draws


def photos_off_kinks(data, torch_network, kinks):
    """64 photos (32 x 26) and their labels, none of whose ReLU inputs is nearer to a kink than 1e-5."""
    images, labels = all_photos(data)
    chosen = np.flatnonzero(nearest_kinks(torch_network, [images], kinks) > 1e-5)[:64]
    assert len(chosen) == 64
    return images[chosen], labels[chosen]


def narrow_photos(data):
    """400 photos (32 x 24), normalised, and their labels."""
    images, labels = all_photos(data)
    return images[..., :24].copy(), labels


def all_photos(data):
    """400 photos (32 x 26), normalised, and their labels."""
    with h5py.File(data / "cifar10_400.h5") as file:
        images, labels = file["images"][:, :, :, 3 : 3 + WIDTH], file["labels"][:]
    return ((images / np.float32(255) - MEAN) / STD).astype(np.float32), labels.astype(np.int64)


def nearest_kinks(torch_network, versions, kinks=(0.0,)):
    """How near any ReLU's input comes to a kink, (N,), over versions of N images."""
    nearest = torch.full((len(versions[0]),), torch.inf)

    def note(module, inputs, output):
        for kink in kinks:
            torch.minimum(nearest, (inputs[0] - kink).abs().flatten(1).amin(1), out=nearest)

    rectifiers = [module for module in torch_network.modules() if isinstance(module, torch.nn.ReLU)]
    hooks = [module.register_forward_hook(note) for module in rectifiers]
    with torch.no_grad():
        for images in versions:
            torch_network(torch.tensor(images))
    for hook in hooks:
        hook.remove()
    return nearest.numpy()


@pytest.fixture(scope="session")
def full_gradient():
    """Gives FullGrad's maps (N, H, W) by PyTorch's gradients, the sums of all products, and the logits."""
    return torch_full_gradient


def torch_full_gradient(network, images, labels):
    """By the outputs of all layers with biases and of all rectifiers, whose gradients PyTorch keeps."""
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
        shaped = bias if bias.ndim == 4 else bias.reshape(1, -1, *[1] * (output.ndim - 2))
        terms.append(shaped * output.grad)
    maps = sum(stretched_channels(term, images.shape[2:]) for term in terms if term.ndim == 4)
    return maps.numpy(), sum(term.flatten(1).sum(1) for term in terms).numpy(), logits.detach().numpy()


def stretched_channels(term, size):
    """Sizes of each channel brought to 0..1 and to the image's size, and summed."""
    sizes = term.abs()
    least, most = sizes.amin((2, 3), keepdim=True), sizes.amax((2, 3), keepdim=True)
    each = torch.where(most > least, (sizes - least) / (most - least), 0.0)
    return torch.nn.functional.interpolate(each, size, mode="bilinear", align_corners=False).sum(1)


@pytest.fixture(scope="session")
def on_the_way(data, torch_network):
    """16 photos of 32 x 24 and their labels whose ways from baselines, in so many steps, keep off kinks the most."""

    def chosen(baselines, steps):
        images, labels = narrow_photos(data)
        covers = [np.float32(baseline(images)) for baseline in baselines]
        places = (np.polynomial.legendre.leggauss(steps)[0].astype(np.float32) + 1) / 2
        ways = [cover + place * (images - cover) for cover in covers for place in places]
        best = np.argsort(nearest_kinks(torch_network, ways))[-16:]
        return images[best], labels[best]

    return chosen
