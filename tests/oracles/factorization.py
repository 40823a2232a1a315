"""grad-cam's concepts of a layer, brought to our scale and order, beside ours."""

import warnings

import numpy as np
import pytest
from mindspore import Tensor
from pytorch_grad_cam.feature_factorization import deep_feature_factorization as library
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from explainrun.explainers import DeepFeatureFactorization


def concepts_of(subject, components):
    """Ours, of each image."""
    explainer = DeepFeatureFactorization(subject.network, subject.layer, components, reshape=subject.grid)
    return explainer.factorize(Tensor(subject.images))


def outputs(subject):
    """(N, channels, h, w), in double precision."""
    return subject.output().astype(np.float64)


def factorized(activations, components):
    """Theirs of one image (1, channels, h, w): maps with the largest value 1, the most explained first."""
    offset = activations[0].min(axis=(1, 2))
    concepts, maps = library.dff(activations.copy(), components)
    largest = maps[0].max(axis=(1, 2))
    vectors, maps = (concepts - offset[:, None]).T * largest[:, None], maps[0] / largest[:, None, None]
    order = np.argsort(-vectors.sum(axis=1) * maps.sum(axis=(1, 2)))
    return vectors[order] + offset, maps[order]


def from_the_same_start(subject, components, agree):
    """NMF has many solutions, and grad-cam starts from random ones: it is given our start."""
    mine = concepts_of(subject, components)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # theirs stop after as many steps as ours
        patch.setattr(library, "NMF", lambda n_components, **_: NMF(n_components, init="nndsvda", max_iter=1000,
                                                                     random_state=0))  # fmt: skip
        theirs = [factorized(one[None], components) for one in outputs(subject)]
    name, how = "grad-cam DeepFeatureFactorization", subject.how()
    maps = np.concatenate([concepts.maps for concepts in mine]), np.concatenate([maps for _, maps in theirs])
    agree("DeepFeatureFactorization", name, *maps, how=how)
    vectors = np.stack([concepts.vectors for concepts in mine]), np.stack([vectors for vectors, _ in theirs])
    agree("DeepFeatureFactorization, vectors", name, *vectors, how=how)
