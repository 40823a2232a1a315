"""Our concepts against grad-cam's on the same trained network and real photos."""

import numpy as np
import pytest
import torch
from mindspore import Tensor
from pytorch_grad_cam.feature_factorization import deep_feature_factorization as library
from sklearn.decomposition import NMF

from explainrun.explainers import DeepFeatureFactorization

COMPONENTS = 4


def output_of(torch_network, layer, images):
    """(N, channels, h, w)."""
    found = []
    hook = torch_network.get_submodule(layer).register_forward_hook(lambda *given: found.append(given[-1]))
    with torch.no_grad():
        torch_network(torch.tensor(images))
    hook.remove()
    return found[0].numpy().astype(np.float64)


def factorized(activations):
    """Theirs of one image, brought to our scale and order: maps with the largest value 1, the most explained first."""
    offset = activations[0].min(axis=(1, 2))
    concepts, maps = library.dff(activations.copy(), COMPONENTS)
    largest = maps[0].max(axis=(1, 2))
    vectors, maps = (concepts - offset[:, None]).T * largest[:, None], maps[0] / largest[:, None, None]
    order = np.argsort(-vectors.sum(axis=1) * maps.sum(axis=(1, 2)))
    return vectors[order] + offset, maps[order]


def left(activation, vectors, maps):
    """What concepts leave of an output above its channels' minima, as a share of it."""
    offset = activation.min(axis=(1, 2))
    above = activation - offset[:, None, None]
    return np.linalg.norm(above - np.einsum("kc,khw->chw", vectors - offset, maps)) / np.linalg.norm(above)


# NMF has many solutions, and grad-cam starts from random ones: it is given our start.
@pytest.mark.parametrize("layer", ["layer2", "layer3", "bn1"])
def test_concepts_from_the_same_start(network, torch_network, photos, layer, agree, monkeypatch):
    images = photos[0][:16]
    ours = DeepFeatureFactorization(network, layer, COMPONENTS).factorize(Tensor(images))
    monkeypatch.setattr(library, "NMF", lambda n_components, **_: NMF(n_components, init="nndsvda", max_iter=1000,
                                                                       random_state=0))  # fmt: skip
    theirs = [factorized(one[None]) for one in output_of(torch_network, layer, images)]
    name = "grad-cam DeepFeatureFactorization"
    maps = np.concatenate([concepts.maps for concepts in ours]), np.concatenate([maps for _, maps in theirs])
    agree("DeepFeatureFactorization", name, *maps)
    vectors = np.stack([concepts.vectors for concepts in ours]), np.stack([vectors for vectors, _ in theirs])
    agree("DeepFeatureFactorization, vectors", name, *vectors)


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")  # theirs are 200
@pytest.mark.parametrize("layer", ["layer2", "layer3", "bn1"])
def test_our_start_leaves_no_more_than_a_random_one(network, torch_network, photos, layer):
    images = photos[0][:32]
    ours = DeepFeatureFactorization(network, layer, COMPONENTS).factorize(Tensor(images))
    outputs = output_of(torch_network, layer, images)
    theirs = [left(one, *factorized(one[None])) for one in outputs]
    found = [left(one, concepts.vectors, concepts.maps) for one, concepts in zip(outputs, ours, strict=True)]
    np.testing.assert_allclose(found, [concepts.residual for concepts in ours], atol=1e-4)
    assert np.mean(found) < 1.01 * np.mean(theirs)


def test_what_the_network_says_of_a_concept(network, torch_network, photos):
    """Before mean pooling it is what the classifier says of its vector, as grad-cam has it."""
    ours = DeepFeatureFactorization(network, "layer3", COMPONENTS).factorize(Tensor(photos[0][:8]))
    for concepts in ours:
        with torch.no_grad():
            theirs = torch_network.linear(torch.tensor(concepts.vectors)).numpy()
        np.testing.assert_allclose(concepts.logits, theirs, atol=1e-4 * np.abs(theirs).max())
