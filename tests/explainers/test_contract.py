"""What every registered explainer keeps to. A new one is tested here by its row in the registry alone."""

import re
from inspect import signature

import numpy as np
import pytest
from mindspore import Tensor

import explainrun.explainers
from explainrun.explainers import EXPLAINERS, GuidedIG, OoDNet
from explainrun.testing import EXPLAINER_RULES, OfNetwork

OWN = [name for name in EXPLAINERS if EXPLAINERS[name].__module__.startswith("explainrun.")]


def ood_net(network):
    """One whose score is largest for untouched images, so that RISEPlus has maps."""
    rng = np.random.default_rng(2)
    detector = OoDNet(network, 4)
    for parameter in detector.ood_head.trainable_params():
        parameter.set_data(Tensor(rng.normal(0, 0.3, parameter.shape).astype(np.float32)))
    detector.ood_head.norm.moving_mean.set_data(Tensor(np.ones(1, np.float32)))  # that of a new head has seen nothing
    assert detector.trained
    return detector


# What constructors without a default, or with an expensive one, are given, by the argument's name.
ARGUMENTS = {
    "num_masks": 6,
    "grid": 3,
    "num_samples": 14,
    "segmentation": lambda image: np.add.outer(2 * (np.arange(len(image)) > 4), np.arange(image.shape[1]) > 9),
    "steps": 3,
    "max_sigma": 2.0,
    "nt_samples": 2,
    "window": (5, 4),
    "ood_net": OfNetwork(ood_net),
}
OTHERS = np.random.default_rng(8).normal(size=(2, 3, 12, 16)).astype(np.float32)  # what images are compared with
FEW = {
    "ExpectedGradients": {"baselines": OTHERS},
    "DeepLiftShap": {"baselines": OTHERS},
    "IDGI": {"explainer": OfNetwork(lambda network: GuidedIG(network, steps=3))},
    "SSCAM": {"num_samples": 2},
    "ISCAM": {"num_samples": 2},
    "SmoothGradCAMpp": {"num_samples": 2},
}


def arguments(name):
    """The arguments of an explainer, matched by their names."""
    taken = signature(EXPLAINERS[name]).parameters
    return {key: value for key, value in ARGUMENTS.items() if key in taken} | FEW.get(name, {})


def names_a_year(text):
    """Whether a year of the 20th or 21st century stands in a text, by itself."""
    return re.search(r"\b(19|20)\d\d\b(?!\.\d)", text) is not None


@pytest.mark.parametrize("name", OWN)
class TestContract:
    @pytest.mark.parametrize("rule", EXPLAINER_RULES, ids=str)
    def test_keeps_to_the_rule(self, rule, name):
        rule(EXPLAINERS[name], **arguments(name))

    def test_documented(self, name, repository):
        assert f"`{name}(" in (repository / "docs" / "reference" / "explainers.md").read_text("utf-8")
        text = EXPLAINERS[name].__doc__
        assert text.split("\n")[0].endswith((".", ":", ";"))
        assert names_a_year(text)  # the paper's


@pytest.mark.parametrize("text", ["Roberts (1963).", "A paper of 1951, on chance.", "Somebody et al. 2027"])
def test_a_year_is_a_year_whichever_century(text):
    assert names_a_year(text)


@pytest.mark.parametrize("text", ["", "20180 masks", "size (1, 1024)", "arXiv 2007.14000", "layer2018"])
def test_other_numbers_are_no_years(text):
    assert not names_a_year(text)


def test_every_registered_explainer_is_exported():
    assert set(OWN) <= set(explainrun.explainers.__all__)
