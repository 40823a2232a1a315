"""What ours draw: noise, baselines and places on the way from them; and expected gradients of these by captum."""

import warnings

import numpy as np
import torch
from captum.attr import GradientShap

from explainrun.explainers.core.view import keyed_generator


def tunnel_draws(images, samples):
    """The noise (N, samples, C, H, W) that our NoiseTunnel draws, in units of its deviation."""
    draws = [keyed_generator(0, place, "NoiseTunnel").standard_normal((samples, *images.shape[1:]), np.float32)
             for place in range(len(images))]  # fmt: skip
    return np.stack(draws)


def drawn(place, references, samples):
    """Which of so many baselines, and where on the way from it, each sample of an image takes."""
    generator = keyed_generator(0, place, "ExpectedGradients")
    return generator.integers(references, size=samples), generator.random(samples, np.float32)


def all_drawn(images, references, samples):
    """The same of so many images, one after the other."""
    return [
        np.concatenate(of) for of in zip(*(drawn(place, references, samples) for place in range(images)), strict=True)
    ]


def gradient_shap(torch_network, images, labels, others, samples, monkeypatch):
    """Captum's maps (N, H, W) with our draws, without noise."""
    which, places = all_drawn(len(images), len(others), samples)
    monkeypatch.setattr(np.random, "choice", lambda *_: which)
    monkeypatch.setattr(np.random, "uniform", lambda *_: places)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum warns that it sets hooks
        found = GradientShap(torch_network).attribute(
            torch.tensor(images), torch.tensor(others), n_samples=samples, stdevs=0.0, target=torch.tensor(labels)
        )
    return found.detach().sum(1).numpy()
