"""A trained ResNet-20 in both frameworks, and real photos; see README for where they come from."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from mindspore import nn, ops
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import small_transformer
from benchmarking.sides.networks import resnet20
from benchmarking.sides.torch_networks import RectifiedLinear6, torch_resnet20
from cam_libraries import Subject
from draws import tunnel_draws

HEIGHT, WIDTH = 32, 26
_USUAL = 1e-4  # of a map's largest value
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


AGREEMENTS, UNDEFINED = pytest.StashKey(), pytest.StashKey()
NETWORKS = {"test_photos": "EfficientNet-Lite0", "test_transformer": "transformer", "test_attention": "transformer"}
COLUMNS = ("ResNet-20", "EfficientNet-Lite0", "transformer")
INTRODUCTION = """# How our maps agree with those of other libraries

Written by `scripts/test_oracles --agreements docs/agreements.md`, on CPU, with captum 0.9.0, grad-cam 1.5.7, torchcam
0.5.0, torchray 1.0.0.2, saliency 0.2.1 and shap 0.49.1 on PyTorch. Maps of real photos (32 x 24, some 32 x 26) by a
ResNet-20 trained on CIFAR-10, or by a small vision transformer, or of photographs (224 x 224) by EfficientNet-Lite0
trained on ImageNet, the same weights in both frameworks. The photos (and the ways to them, for integrated gradients)
are those whose ReLU inputs keep off zero, where right implementations differ by rounding. For methods that take
derivatives, those photographs are compared whose inputs of ReLU6 are on the same side of 0 and 6 in both frameworks;
the table says how many are. Masks that are optimised are compared after as many steps. A difference is the largest of
any value, as a share of the largest value of its map. Maps are compared as they are before they are brought to the
image's size, where "resized" does not say otherwise.

What stands under *compared* is what had to be made alike first, since the libraries differ from the papers or among
themselves; the docstring of each explainer says which way it goes, and a test in `tests/oracles` shows the difference.
"""


MATRIX = """## By network

The largest difference of each method from any other implementation, by network; where it draws or optimises and more
than 0.0001 is allowed, also what is allowed. *Not defined*: it is refused, with the reason.
"""


def pytest_configure(config):
    config.stash[AGREEMENTS], config.stash[UNDEFINED] = [], []


@pytest.fixture
def agree(request):
    """Compares maps (Q, H, W) of ours with those of a library, and notes how far apart they are for the table."""

    def compare(explainer, library, ours, theirs, tolerance=_USUAL, how="as they come"):
        apart = largest_difference(ours, theirs)
        line = (explainer, library, how, len(ours), apart, tolerance, network_of(request))
        request.config.stash[AGREEMENTS].append(line)
        assert apart <= tolerance

    return compare


@pytest.fixture
def undefined(request):
    """Within, an explainer of this name must be refused on the network at hand; noted for the table."""

    @contextmanager
    def refused(explainer, code):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - its code is looked at
            yield
        assert caught.value.args[0].code == code
        request.config.stash[UNDEFINED].append((explainer, network_of(request)))

    return refused


def network_of(request):
    """The network that a test's file is about."""
    name = request.path.stem
    return next((network for file, network in NETWORKS.items() if name.startswith(file)), COLUMNS[0])


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
    for explainer, library, how, maps, apart, tolerance, _ in config.stash[AGREEMENTS]:
        key = (explainer, library, how)
        worst[key] = max(worst.get(key, (0.0, 0, 0.0)), (apart, maps, tolerance))
    rows = [(*key, maps, f"{apart:.1e}", f"{tolerance:g}") for key, (apart, maps, tolerance) in sorted(worst.items())]
    titles = ["explainer", "library", "compared", "maps", "largest difference", "allowed"]
    table = tabulate(rows, titles, tablefmt="github", disable_numparse=True)
    text = f"{table}\n\n{MATRIX}\n{matrix(config)}\n"
    terminalreporter.write_line(f"\n{text}")
    if config.getoption("--agreements"):
        Path(config.getoption("--agreements")).write_text(f"{INTRODUCTION}\n{text}", "utf-8")


def matrix(config):
    """Methods by networks; what stands in parentheses or behind a comma belongs to the method before it."""
    cells = dict.fromkeys(config.stash[UNDEFINED], (0.0, "not defined"))
    for explainer, _, _, _, apart, tolerance, network in config.stash[AGREEMENTS]:
        key = (re.split(r"[(,]", explainer)[0], network)
        words = f"{apart:.1e}" + (f" of {tolerance:g}" if tolerance > _USUAL else "")
        cells[key] = max(cells.get(key, (0.0, "")), (apart, words))
    names = sorted({name for name, _ in cells})
    rows = [(name, *(cells.get((name, network), ("", ""))[1] for network in COLUMNS)) for name in names]
    return tabulate(rows, ["explainer", *COLUMNS], tablefmt="github", disable_numparse=True)


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


@pytest.fixture(scope="session")
def transformers():
    return small_transformer.transformers()


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


@pytest.fixture
def subject(network, torch_network, sixteen):
    """The third layer, on those photos."""
    images, labels = sixteen
    return Subject(network=network, torch_network=torch_network, images=images, labels=labels, layer="layer3")


@pytest.fixture(scope="session")
def noisy(data, torch_network):
    """8 photos of 32 x 24, their labels, NoiseTunnel's ``stdevs`` and two draws of its noise each, (8, 2, 3, 32, 24).

    Of 50 photos in each place, the one whose noisy copies keep off kinks the most.
    """
    images, labels = narrow_photos(data)
    draws, best, stdevs = tunnel_draws(images[:8], 2), [], 0.1
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
