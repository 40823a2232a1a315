"""Randomization beside Quantus 0.6.0, the same random weights and labels handed in."""

import copy
import warnings

import numpy as np
import pytest
import torch
from benchmarking.sides.networks import resnet20
from mindspore import Tensor
from scipy.stats import entropy

from explainrun.benchmarks import EfficientMPRT, ModelParameterRandomization, RandomLogit
from explainrun.explainers import Gradient, Network, View
from explainrun.explainers.network.variants.random_weights import random_weights, weight_layers

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import quantus
    from quantus.functions.similarity_func import correlation_spearman

PHOTOS = 4
PARTS = {"gamma": "weight", "beta": "bias"}
OPTIONS = {"disable_warnings": True, "display_progressbar": False, "normalise": False, "abs": False}
KINDS = (torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.Linear)


def maps(model, inputs, targets, **_):
    """Our gradients, of the weights that a network of PyTorch has now."""
    network = resnet20({name: values.numpy() for name, values in model.state_dict().items()}).set_train(False)
    return Gradient(network)(Tensor(np.asarray(inputs, np.float32)), np.asarray(targets, np.int32)).asnumpy()


@pytest.fixture
def given(network, torch_network, monkeypatch):
    """A copy of PyTorch's network, whose layers are reset to the weights that ours draws."""
    images = np.zeros((1, 3, 32, 26), np.float32)
    asked, drawn = Network(network), {}
    view = View(asked, images, np.array([0]), np.array([0]))
    layers = weight_layers(asked, images[0])
    with random_weights(asked, lambda layer: view.common_generator(f"random weights {layer}")) as weights:
        weights.of(layers)
        for name, parameter in network.parameters_and_names():  # names of their own change where others hold them
            owner, _, part = name.rpartition(".")
            drawn[owner, PARTS.get(part, part)] = parameter.asnumpy().copy()

    def reset(module):
        for part, own in module.named_parameters(recurse=False):
            own.data.copy_(torch.tensor(drawn[module.its_name, part].reshape(own.shape)))

    model = copy.deepcopy(torch_network)
    for name, module in model.named_modules():
        module.its_name = name
    for kind in KINDS:
        monkeypatch.setattr(kind, "reset_parameters", reset)
    monkeypatch.delattr(torch.nn.modules.batchnorm._NormBase, "reset_parameters", raising=False)
    return model


@pytest.mark.parametrize("order", ["top_down", "independent"])
def test_similarity_by_layer(network, given, photos, order):
    images, labels = photos[0][:PHOTOS], photos[1][:PHOTOS]
    ours = ModelParameterRandomization(order).by_layer(Gradient(network), Tensor(images), labels.astype(np.int32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = quantus.MPRT(layer_order=order, similarity_func=correlation_spearman, **OPTIONS)
        theirs = metric(given, images, labels, explain_func=maps, channel_first=True)
    assert len(ours) == 20
    compared = 0
    for name, found in ours.items():
        if order == "independent" and name not in ("linear", "fc"):
            continue  # theirs takes the norm behind each convolution for a layer of its own
        np.testing.assert_allclose(found, theirs[name], atol=1e-4, err_msg=name)
        compared += 1
    assert compared == (20 if order == "top_down" else 1)


def test_entropy(network, given, photos):
    """Theirs as a difference of the entropies that it gives for each layer, by our bins."""
    images, labels = photos[0][:PHOTOS], photos[1][:PHOTOS]
    ours = EfficientMPRT(40).evaluate(Gradient(network), Tensor(images), labels.astype(np.int32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = quantus.EfficientMPRT(
            layer_order="top_down", complexity_func_kwargs={"n_bins": 40}, skip_layers=True, **OPTIONS
        )
        theirs = metric(given, images, labels, explain_func=maps, channel_first=True)
    np.testing.assert_allclose(ours, theirs, atol=5e-3)  # a value at the edge of a bin may fall to either side
    before = [entropy(np.histogram(map_, 40)[0]) for map_ in maps(given, images, labels)]
    assert np.abs(ours * before).max() > 0.01


def test_random_logit(network, torch_network, photos, monkeypatch):
    images, labels = photos[0][:PHOTOS], photos[1][:PHOTOS]
    np.random.seed(42)
    steps = np.random.randint(0, 9, PHOTOS)
    others = [[c for c in range(10) if c != label][step] for label, step in zip(labels, steps, strict=True)]
    monkeypatch.setattr(RandomLogit, "_others", lambda _self, _view: list(enumerate(others)))
    ours = RandomLogit(10, "spearman").evaluate(Gradient(network), Tensor(images), labels.astype(np.int32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = quantus.RandomLogit(num_classes=10, seed=42, similarity_func=correlation_spearman, **OPTIONS)
        theirs = metric(torch_network, images, labels, explain_func=maps, channel_first=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert np.ptp(ours) > 0.01
