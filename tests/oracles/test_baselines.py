"""Methods that compare an image with others, against captum's and shap's on the same networks and real photos.

Expected gradients take the other library's draws, which are ours. DeepLIFT has no kinks to keep off: the slope of a
line moves little where an input of a ReLU crosses zero.
"""

import warnings

import numpy as np
import pytest
import torch
from captum.attr import DeepLift as CaptumDeepLift
from captum.attr import DeepLiftShap as CaptumDeepLiftShap
from captum_comparisons import contrast, ours
from draws import all_drawn, drawn, gradient_shap
from mindspore import Tensor, nn

from explainrun.explainers import Contrast, DeepLift, DeepLiftShap, ExpectedGradients, GradCAM

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # shap calls what matplotlib is going to drop
    import shap

SAMPLES = 6


@pytest.fixture
def compared(all_narrow):
    """8 photos of 32 x 24, their labels, and 5 others to compare them with."""
    images, labels = all_narrow
    return images[:8], labels[:8], images[-5:]


def quietly(attribute, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum and shap warn that they set hooks
        return attribute(*args, **options)


@pytest.fixture
def off_kinks(all_narrow, torch_network, nearest):
    """8 photos, their labels and 5 others, the ways to which keep off kinks: in each place the best of 40 photos."""
    (images, labels), chosen = all_narrow, []
    others = images[-5:]
    for place in range(8):
        candidates, (which, places) = np.arange(place, 320, 8), drawn(place, len(others), SAMPLES)
        samples = zip(which, places, strict=True)
        versions = [others[one] + at * (images[candidates] - others[one]) for one, at in samples]
        chosen.append(candidates[nearest(torch_network, versions).argmax()])
    return images[chosen], labels[chosen], others


def test_expected_gradients_beside_captum(network, torch_network, off_kinks, agree, monkeypatch):
    images, labels, others = off_kinks
    theirs = gradient_shap(torch_network, images, labels, others, SAMPLES, monkeypatch)
    found = ours(ExpectedGradients(network, others, SAMPLES), images, labels)
    agree("ExpectedGradients", "captum GradientShap", found, theirs, how="same draws, no noise")


def test_expected_gradients_beside_shap(network, torch_network, off_kinks, agree, monkeypatch):
    images, _, others = off_kinks
    with torch.no_grad():
        labels = torch_network(torch.tensor(images)).argmax(1).numpy()
    which, places = map(iter, all_drawn(8, 5, SAMPLES))
    explainer = shap.GradientExplainer(torch_network, torch.tensor(others), local_smoothing=0)
    monkeypatch.setattr(np.random, "choice", lambda *_: next(which))
    monkeypatch.setattr(np.random, "uniform", lambda *_: next(places))
    theirs, ranks = explainer.shap_values(torch.tensor(images), nsamples=SAMPLES, ranked_outputs=1, rseed=0)
    assert (ranks.numpy()[:, 0] == labels).all()
    found = ours(ExpectedGradients(network, others, SAMPLES), images, labels)
    agree("ExpectedGradients", "shap GradientExplainer", found, theirs[..., 0].sum(1), how="same draws, no noise")


@pytest.mark.parametrize("baseline", [0.0, -0.5])
def test_deep_lift(network, torch_network, compared, baseline, agree):
    images, labels, _ = compared
    method, target = CaptumDeepLift(torch_network), torch.tensor(labels)
    theirs = quietly(method.attribute, torch.tensor(images), torch.full(images[:1].shape, baseline), target)
    found = ours(DeepLift(network, baseline), images, labels)
    agree("DeepLift", "captum DeepLift", found, theirs.detach().sum(1).numpy())


def test_deep_lift_shap_beside_captum(network, torch_network, compared, agree):
    images, labels, others = compared
    method, target = CaptumDeepLiftShap(torch_network), torch.tensor(labels)
    theirs = quietly(method.attribute, torch.tensor(images), torch.tensor(others), target)
    found = ours(DeepLiftShap(network, others), images, labels)
    agree("DeepLiftShap", "captum DeepLiftShap", found, theirs.detach().sum(1).numpy())


@pytest.mark.long
def test_deep_lift_shap_beside_shap(network, torch_network, compared, agree):
    images, labels, others = compared
    explainer = quietly(shap.DeepExplainer, torch_network, torch.tensor(others))
    theirs = quietly(explainer.shap_values, torch.tensor(images))
    theirs = theirs[np.arange(8), ..., labels].sum(1)
    agree("DeepLiftShap", "shap DeepExplainer", ours(DeepLiftShap(network, others), images, labels), theirs)


class Pooled(torch.nn.Module):
    """Convolutions, maxima of windows side by side, and sigmoids, which captum knows."""

    def __init__(self, curve):
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 12, 3)
        self.curve, self.pool, self.last = curve(), torch.nn.MaxPool2d(2), torch.nn.Linear(12 * 14 * 10, 10)
        self.relu = torch.nn.ReLU()

    def forward(self, x):
        return self.last(self.pool(self.curve(self.second(self.relu(self.first(x))))).flatten(1))


class OurPooled(nn.Cell):
    def __init__(self, theirs, curve):
        super().__init__()
        self.first, self.second = (nn.Conv2d(*of, 3, pad_mode="valid", has_bias=True) for of in ((3, 8), (8, 12)))
        self.curve, self.pool, self.last = curve, nn.MaxPool2d(2, 2), nn.Dense(12 * 14 * 10, 10)
        self.relu = nn.ReLU()
        for name in ("first", "second", "last"):
            layer, given = getattr(self, name), getattr(theirs, name)
            layer.weight.set_data(Tensor(given.weight.detach().numpy()))
            layer.bias.set_data(Tensor(given.bias.detach().numpy()))

    def construct(self, x):
        x = self.pool(self.curve(self.second(self.relu(self.first(x)))))
        return self.last(x.reshape(x.shape[0], -1))


CURVES = {
    "ReLU": (torch.nn.ReLU, nn.ReLU()),
    "Sigmoid": (torch.nn.Sigmoid, nn.Sigmoid()),
    "LeakyReLU": (lambda: torch.nn.LeakyReLU(0.2), nn.LeakyReLU(0.2)),
    "ELU": (torch.nn.ELU, nn.ELU()),
}


@pytest.mark.parametrize("name", CURVES)
def test_deep_lift_with_maxima(compared, name):
    """Ours sum up to the fall of the logit; captum 0.9's, whose rule of maxima is another one, do not."""
    images, labels, others = compared
    torch.manual_seed(3)
    theirs = Pooled(CURVES[name][0]).eval()
    with torch.no_grad():
        logits, before = theirs(torch.tensor(images)).numpy(), theirs(torch.tensor(others)).numpy()
    falls = logits[np.arange(len(labels)), labels] - before[:, labels].mean(axis=0)
    method = CaptumDeepLiftShap(theirs)
    expected = quietly(method.attribute, torch.tensor(images), torch.tensor(others), torch.tensor(labels))
    found = ours(DeepLiftShap(OurPooled(theirs, CURVES[name][1]), others), images, labels)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), falls, atol=1e-4)
    assert np.abs(expected.detach().numpy().sum(axis=(1, 2, 3)) - falls).max() > 0.01


def test_contrasts(network, torch_network, compared, agree):
    images, labels, _ = compared
    contrast(network, torch_network, images, labels, agree)
    assert ours(Contrast(GradCAM(network, "layer3"), 2), images, labels).max() > 0
