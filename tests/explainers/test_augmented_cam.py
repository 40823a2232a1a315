"""Test-time augmentation and eigen smoothing of CAMs, against what each copy gives when it is asked alone."""

import numpy as np
import pytest
from mindspore import Tensor

from explainrun.explainers import (
    AblationCAM,
    AugmentedCAM,
    EigenCAM,
    EigenGradCAM,
    FinerCAM,
    GradCAM,
    GradCAMpp,
    Gradient,
    GuidedGradCAM,
    HiResCAM,
    LayerCAM,
    NoiseTunnel,
    ScoreCAM,
    ShapleyCAM,
    SmoothGradCAMpp,
    XGradCAM,
)
from explainrun.testing import EXPLAINER_RULES, OfNetwork

FACTORS = (0.5, 1.0)


def in_0_to_1(map_, signed):
    """As maps are brought to one scale."""
    if signed:
        return map_ / max(np.abs(map_).max(), 1e-30)
    return (map_ - map_.min()) / max(np.ptp(map_), 1e-30)


def one_by_one(explainer, image, label):
    """The mean over copies, each explained by itself."""
    maps = []
    for mirrored in (False, True):
        for factor in FACTORS:
            copy = np.float32(factor) * (image[..., ::-1] if mirrored else image)
            map_ = explainer(Tensor(np.ascontiguousarray(copy)), label).asnumpy()[0, 0]
            maps.append(in_0_to_1(map_[:, ::-1] if mirrored else map_, explainer.signed))
    return np.mean(maps, axis=0)


@pytest.mark.parametrize(
    "kind", [GradCAM, LayerCAM, HiResCAM, XGradCAM, EigenCAM, EigenGradCAM, ScoreCAM, AblationCAM, FinerCAM, ShapleyCAM,
             GuidedGradCAM]
)  # fmt: skip
def test_mean_of_the_copies(two_channels, kind):
    network = two_channels()
    images = np.concatenate([two_channels.IMAGE / 2, two_channels.IMAGE[..., ::-1] - 0.25])
    explainer = kind(network, "relu")
    found = AugmentedCAM(explainer, factors=FACTORS)(Tensor(images), [[0, 1], [1, 0]]).asnumpy()
    for row, labels in enumerate([[0, 1], [1, 0]]):
        for place, label in enumerate(labels):
            expected = one_by_one(explainer, images[row : row + 1], label)
            np.testing.assert_allclose(found[row, place], expected, atol=1e-5)
    assert np.isfinite(found).all()
    assert np.ptp(found) > 0.1


def test_by_hand(linear):
    """Of a linear network whose gradient is 1, 2 the CAM of the image is the image times 1.5, whatever the factor."""
    network, image = linear(np.array([[[[1, 2, 0]]]], np.float32)), np.array([[[[4, 1, 2]]]], np.float32)
    found = AugmentedCAM(GradCAM(network, ""), factors=[0.9, 1.0, 1.1])(Tensor(image), 0).asnumpy()[0, 0]
    np.testing.assert_allclose(found, [[1, 0, 1 / 3]], atol=1e-6)  # mirrored too, since the weight is the mean gradient
    signed = AugmentedCAM(HiResCAM(network, ""), factors=[2])(Tensor(image), 0).asnumpy()[0, 0]
    # 4, 2, 0 over 4; mirrored 2, 1, 4 times 1, 2, 0: 2, 2, 0 over 2, brought back 0, 1, 1
    np.testing.assert_allclose(signed, [[0.5, 0.75, 0.5]], atol=1e-6)


def principal_component(channels):
    """By the eigenvectors of the channels' covariance."""
    vectors = channels.reshape(len(channels), -1).astype(float)
    around = vectors - vectors.mean(axis=1, keepdims=True)
    map_ = np.linalg.eigh(around @ around.T)[1][:, -1] @ around
    return (map_ * np.sign(map_ @ vectors.sum(axis=0))).reshape(channels.shape[1:])


@pytest.mark.parametrize("kind", [GradCAM, HiResCAM])
def test_eigen_smoothing_takes_the_principal_component_for_the_sum(two_channels, kind):
    first = np.array([[1, 2, 0, 3], [0, 1, 4, 1]], float)
    second = np.array([[1, 0, 2, 0], [2, 1, 0, 1]], float)
    slopes = np.array([[[1, 0, 0, 0], [0, 0, 0, 3]], [[0, 0, 0, 0], [-2, 0, 0, 0]]], float)
    channels = np.stack([first, second]) * (slopes.mean(axis=(1, 2), keepdims=True) if kind is GradCAM else slopes)
    explainer = AugmentedCAM(kind(two_channels(), "relu"), flip=False, factors=[1.0], eigen_smooth=True)
    found = explainer(Tensor(two_channels.IMAGE), 0).asnumpy()[0, 0]
    expected = principal_component(channels)
    expected = expected.clip(min=0) if kind is GradCAM else expected
    np.testing.assert_allclose(found, in_0_to_1(expected, explainer.signed), atol=1e-5)


SMOOTHED = [
    GradCAM,
    GradCAMpp,
    XGradCAM,
    LayerCAM,
    HiResCAM,
    ScoreCAM,
    AblationCAM,
    FinerCAM,
    ShapleyCAM,
    SmoothGradCAMpp,
]


@pytest.mark.parametrize("kind", SMOOTHED)
def test_every_cam_that_sums_feature_maps_can_be_smoothed(two_channels, kind):
    """All go through one sum; the inner explainer stays as it is."""
    network, image = two_channels(), Tensor(two_channels.IMAGE / 2)
    inner = kind(network, "relu")
    before = inner(image, 1).asnumpy()
    alone = {"flip": False, "factors": [1.0]}
    smooth, plain = (AugmentedCAM(inner, **alone, eigen_smooth=one)(image, 1).asnumpy() for one in (True, False))
    assert np.abs(smooth - plain).max() > 0.01
    assert np.array_equal(inner(image, 1).asnumpy(), before)


@pytest.mark.parametrize("kind", [EigenCAM, EigenGradCAM])
def test_what_sums_no_feature_maps_is_refused(two_channels, kind, raising):
    with raising(ValueError, "no-sum-of-channels", explainer=kind.__name__):
        AugmentedCAM(kind(two_channels(), "relu"), eigen_smooth=True)


@pytest.mark.parametrize("make", [Gradient, lambda network: NoiseTunnel(GradCAM(network, "relu"))])
def test_only_cams_are_taken(two_channels, make, raising):
    explainer = make(two_channels())
    with raising(TypeError, "explainer-no-cam", kind=type(explainer).__name__):
        AugmentedCAM(explainer)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"factors": []}, "factors-malformed"),
        ({"factors": 2.0}, "factors-malformed"),
        ({"factors": [1.0, 0.0]}, "not-above-zero"),
        ({"factors": ["1"]}, "not-a-number"),
        ({"flip": 1}, "not-yes-or-no"),
        ({"eigen_smooth": None}, "not-yes-or-no"),
    ],
)
def test_what_options_cannot_be(two_channels, options, code, raising):
    with raising(ValueError, code):
        AugmentedCAM(GradCAM(two_channels(), "relu"), **options)


def of(kind, **options):
    return OfNetwork(lambda network: kind(network, "features", **options))


INNER = {
    "ScoreCAM": of(ScoreCAM), "AblationCAM": of(AblationCAM), "FinerCAM": of(FinerCAM), "ShapleyCAM": of(ShapleyCAM),
    "EigenCAM": of(EigenCAM), "GuidedGradCAM": of(GuidedGradCAM),
}  # fmt: skip
RULES = [one for one in EXPLAINER_RULES if one.name in ("passes", "neighbours", "failures")]


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_around_every_kind_of_cam_it_keeps_to_the_contract(rule, inner):
    rule(AugmentedCAM, explainer=INNER[inner], factors=[0.5, 1.0])
