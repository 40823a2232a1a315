"""The networks in MindSpore."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn, ops

from explainrun.configs.photo_network import PhotoNetwork
from explainrun.runner.config.factories import load_network

from ..subjects import CONFIGS, DATA, Subject

STAGES = ((16, 1), (32, 2), (64, 2))
_PARTS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


class Block(nn.Cell):
    """Two convolutions and a shortcut without parameters (option A)."""

    def __init__(self, inside: int, outside: int, stride: int, rectifier: Callable[[], Any]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, pad_mode="pad", padding=1)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, pad_mode="pad", padding=1)
        self.bn2 = nn.BatchNorm2d(outside)
        self.relu1, self.relu2 = rectifier(), rectifier()
        self.stride, self.added = stride, outside - inside

    def construct(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        if self.added:
            # On CPU strided slices have no gradient, that of ``ops.pad`` is wrong when compiled, and that of
            # ``ops.max_pool2d`` compares each pixel with each place of a window.
            x = ops.avg_pool2d(x, 1, self.stride)
            nothing = ops.zeros_like(x)[:, : self.added // 2]
            x = ops.concat((nothing, x, nothing), 1)
        return self.relu2(out + x)


class ResNet20(nn.Cell):
    """He et al. 2016, for CIFAR; ``rectifier`` makes its ReLUs."""

    def __init__(self, rectifier: Callable[[], Any] = nn.ReLU) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, pad_mode="pad", padding=1)
        self.bn1, self.relu = nn.BatchNorm2d(16), rectifier()
        inside, stages = 16, []
        for outside, stride in STAGES:
            first, others = Block(inside, outside, stride, rectifier), (outside, outside, 1, rectifier)
            stages.append(nn.SequentialCell([first, *(Block(*others) for _ in range(2))]))
            inside = outside
        self.layer1, self.layer2, self.layer3 = stages
        self.linear = nn.Dense(64, 10)

    def construct(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


def network_of(subject: Subject) -> nn.Cell:
    """The network, with its weights."""
    made: nn.Cell = _MAKERS[subject.name]()
    made.set_train(False)
    return made


def activation_of(subject: Subject) -> Any:
    """From logits to probabilities."""
    return nn.Sigmoid() if subject.activation == "sigmoid" else nn.Softmax()


def _digits() -> nn.Cell:
    return load_network("explainrun.configs.digit_network:DigitNetwork", CONFIGS / "digit_network.ckpt")


def resnet20(weights: Mapping[str, npt.NDArray[Any]], rectifier: Callable[[], Any] = nn.ReLU) -> nn.Cell:
    """The network with weights that are named as in PyTorch."""
    made = ResNet20(rectifier)
    return _given(made, {one.name: weights[_in_pytorch(one.name)] for one in made.get_parameters()})


def _resnet20() -> nn.Cell:
    with np.load(DATA / "cifar10_resnet20.npz") as weights:
        return resnet20(weights)


def _lite0() -> nn.Cell:
    made = PhotoNetwork()
    with np.load(DATA / "lite0" / "lite0.npz") as weights:
        return _given(made, {name: weights[theirs] for name, theirs in made.checkpoint_names().items()})


def _resnet50() -> nn.Cell:
    import mindcv  # noqa: PLC0415 - an extra that other networks do without

    ms.set_seed(0)
    np.random.seed(0)
    return mindcv.create_model("resnet50")


def _in_pytorch(name: str) -> str:
    owner, _, part = name.rpartition(".")
    return f"{owner}.{_PARTS.get(part, part)}"


def _given(network: nn.Cell, weights: Mapping[str, npt.NDArray[Any]]) -> nn.Cell:
    for parameter in network.get_parameters():
        parameter.set_data(Tensor(weights[parameter.name].reshape(parameter.shape), ms.float32))
    return network


_MAKERS = {"digits": _digits, "resnet20": _resnet20, "lite0": _lite0, "resnet50": _resnet50}
