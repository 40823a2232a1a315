"""Networks whose weights are float16 or bfloat16."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, mint, nn

from explainrun.explainers import (
    CAM,
    LIME,
    RISE,
    AblationCAM,
    DeepFeatureFactorization,
    FeatureVisualization,
    GradCAM,
    Gradient,
    GuidedBackprop,
    IntegratedGradients,
    Network,
    Occlusion,
    OoDNet,
)
from explainrun.explainers.network import probe

IMAGES = np.random.default_rng(3).normal(size=(2, 1, 6, 8)).astype(np.float32)


class Small(nn.Cell):
    """A convolution, the mean over places and a dense layer; features where they are asked for."""

    num_features, output_features = 3, False

    def __init__(self, dense=nn.Dense):
        super().__init__()
        weights = np.random.default_rng(0).normal(size=(3, 1, 3, 3)).astype(np.float32)
        self.conv, self.relu = nn.Conv2d(1, 3, 3, weight_init=Tensor(weights)), nn.ReLU()
        self.head = dense(3, 2)
        self.head.weight.set_data(Tensor(np.float32([[1, 0.5, -1], [0, -2, 0.25]])))
        self.head.bias.set_data(Tensor(np.float32([0.5, -0.25])))

    def construct(self, x):
        features = self.relu(self.conv(x)).mean((2, 3))
        return (features, {"kind": "features"}) if self.output_features else self.head(features)


def of_type(cell, kind):
    for parameter in cell.get_parameters():
        parameter.set_dtype(kind)
    return cell


METHODS = {
    "Gradient": Gradient,
    "GuidedBackprop": GuidedBackprop,
    "CAM": lambda cell: CAM(cell, "relu"),
    "GradCAM": lambda cell: GradCAM(cell, "relu"),
    "AblationCAM": lambda cell: AblationCAM(cell, "relu"),
    "DeepFeatureFactorization": lambda cell: DeepFeatureFactorization(cell, "relu", 2),
    "IntegratedGradients": lambda cell: IntegratedGradients(cell, steps=4),
    "Occlusion": lambda cell: Occlusion(cell, nn.Softmax(), window=2, stride=2),
    "RISE": lambda cell: RISE(cell, nn.Softmax(), num_masks=20, grid=(3, 4)),
    "LIME": lambda cell: LIME(cell, nn.Softmax(), num_samples=20),
}


@pytest.mark.parametrize("dense", [nn.Dense, mint.nn.Linear])
@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_float16_networks_are_explained_as_float32_ones(make, dense):
    whole = make(Small(dense))(Tensor(IMAGES), [0, 1]).asnumpy()
    cell = of_type(Small(dense), ms.float16)
    half = make(cell)(Tensor(IMAGES), [0, 1])
    assert half.dtype == ms.float32
    np.testing.assert_allclose(half.asnumpy(), whole, atol=0.02 * np.abs(whole).max())
    assert {parameter.dtype for parameter in cell.get_parameters()} == {ms.float16}


def test_every_pass_of_a_float16_network_gives_float32():
    network = Network(of_type(Small(), ms.float16), 4, fill=True)
    logits = network.logits(IMAGES)
    assert logits.dtype == np.float32
    network.prepare_dropout(IMAGES, 3)
    assert probe(network, IMAGES, nn.Softmax()).answers is not None
    network.compile(IMAGES)
    np.testing.assert_allclose(network.logits(IMAGES), logits, rtol=4e-3, atol=4e-3)
    assert network.layers(IMAGES)[0][2] == (2, 3, 6, 8)


def test_channels_of_a_float16_network_are_visualised():
    whole, half = (
        FeatureVisualization(of_type(Small(), kind), "conv", [0, 2], steps=3)((1, 6, 8)).images
        for kind in (ms.float32, ms.float16)
    )
    np.testing.assert_allclose(half, whole, atol=0.02 * np.abs(whole).max())


@pytest.mark.parametrize("kind", [ms.float32, ms.float16])
def test_an_ood_net_on_features_among_other_things(kind):
    detector = OoDNet(of_type(Small(), kind), 2)
    scores = Network(detector).logits(IMAGES)
    assert scores.shape == (2, 2)
    assert np.abs(scores).max() <= 1 + 1e-6
    detector.set_train(True)
    assert detector(Tensor(IMAGES)).dtype == ms.float32


class Rectified(nn.Cell):
    def __init__(self):
        super().__init__()
        self.relu, self.head = nn.ReLU(), nn.Dense(48, 2)

    def construct(self, x):
        return self.head(self.relu(x).reshape(len(x), -1))


class Dropping(nn.Cell):
    def __init__(self):
        super().__init__()
        self.head = nn.Dense(48, 2)

    def construct(self, x):
        return mint.nn.functional.dropout(self.head(x.reshape(len(x), -1)), 0.5, True)


@pytest.mark.parametrize(
    ("cell", "kind", "layer", "operator"),
    [
        (Small, ms.bfloat16, "conv", "Conv2D"),
        (Rectified, ms.bfloat16, "relu", "ReLU"),
        (Dropping, ms.float32, "", "DropoutExt"),
    ],
)
def test_an_operator_that_the_device_lacks_is_named(cell, kind, layer, operator, raising):
    values = {"layer": layer, "operator": operator, "kinds": [str(kind).lower()], "device": "CPU"}
    with raising(ValueError, "no-kernel", **values):
        Gradient(of_type(cell(), kind))(Tensor(IMAGES), 0)
    with raising(ValueError, "no-kernel", **values):
        Network(of_type(cell(), kind)).logits(IMAGES)


def test_a_head_of_mint_may_be_named(raising):
    assert CAM(Small(mint.nn.Linear), "relu", head="head").head == "head"
    with raising(ValueError, "head-not-dense"):
        CAM(Small(), "relu", head="conv")
