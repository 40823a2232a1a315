"""Our concepts against grad-cam's on the same trained network and real photos."""

import numpy as np
import pytest
import torch
from cam_libraries import Subject
from factorization import concepts_of, factorized, from_the_same_start, outputs

COMPONENTS = 4


@pytest.fixture
def subject(network, torch_network, photos):
    images, labels = (of[:32] for of in photos)
    return Subject(network=network, torch_network=torch_network, images=images, labels=labels, layer="layer3")


def left(activation, vectors, maps):
    """What concepts leave of an output above its channels' minima, as a share of it."""
    offset = activation.min(axis=(1, 2))
    above = activation - offset[:, None, None]
    return np.linalg.norm(above - np.einsum("kc,khw->chw", vectors - offset, maps)) / np.linalg.norm(above)


@pytest.mark.parametrize("layer", ["layer2", "layer3", "bn1"])
def test_concepts_from_the_same_start(subject, layer, agree):
    from_the_same_start(subject.at(layer).of(slice(16)), COMPONENTS, agree)


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")  # theirs are 200
@pytest.mark.parametrize("layer", ["layer2", "layer3", "bn1"])
def test_our_start_leaves_no_more_than_a_random_one(subject, layer):
    subject = subject.at(layer)
    ours, given = concepts_of(subject, COMPONENTS), outputs(subject)
    theirs = [left(one, *factorized(one[None], COMPONENTS)) for one in given]
    found = [left(one, concepts.vectors, concepts.maps) for one, concepts in zip(given, ours, strict=True)]
    np.testing.assert_allclose(found, [concepts.residual for concepts in ours], atol=1e-4)
    assert np.mean(found) < 1.01 * np.mean(theirs)


def test_what_the_network_says_of_a_concept(subject, torch_network):
    """Before mean pooling it is what the classifier says of its vector, as grad-cam has it."""
    for concepts in concepts_of(subject.of(slice(8)), COMPONENTS):
        with torch.no_grad():
            theirs = torch_network.linear(torch.tensor(concepts.vectors)).numpy()
        np.testing.assert_allclose(concepts.logits, theirs, atol=1e-4 * np.abs(theirs).max())
