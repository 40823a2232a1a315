"""The networks in PyTorch, with the same weights where they are trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import numpy as np
import numpy.typing as npt
import torch  # type: ignore[import-not-found]
import torch.nn.functional as F  # type: ignore[import-not-found]  # noqa: N812

from ..subjects import DATA, Subject

# torchvision's compiled operations do not load into CPU PyTorch. It imports where these are defined; none is called.
OPERATIONS = torch.library.Library("torchvision", "DEF")
OPERATIONS.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
OPERATIONS.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

STAGES = ((16, 1), (32, 2), (64, 2))


class Block(torch.nn.Module):
    """As that of ``networks``."""

    def __init__(self, inside: int, outside: int, stride: int, rectifier: Callable[[], Any]) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(outside)
        self.conv2 = torch.nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(outside)
        self.relu1, self.relu2 = rectifier(), rectifier()
        self.stride, self.added = stride, outside - inside

    def forward(self, x: Any) -> Any:
        out = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        if self.added:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.added // 2, self.added // 2))
        return self.relu2(out + x)


class ResNet20(torch.nn.Module):
    """As that of ``networks``."""

    def __init__(self, rectifier: Callable[[], Any] = torch.nn.ReLU) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1, self.relu = torch.nn.BatchNorm2d(16), rectifier()
        inside = 16
        for index, (outside, stride) in enumerate(STAGES, start=1):
            first, others = Block(inside, outside, stride, rectifier), (outside, outside, 1, rectifier)
            setattr(self, f"layer{index}", torch.nn.Sequential(first, *(Block(*others) for _ in range(2))))
            inside = outside
        self.linear = torch.nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        x = self.layer3(self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


class RectifiedLinear6(torch.nn.ReLU):
    """ReLU6 that captum takes for a ReLU, whose rule it overrides."""

    def forward(self, x: Any) -> Any:
        return F.relu6(x)


def torch_network_of(subject: Subject) -> Any:
    """The network, in evaluation mode."""
    return _MAKERS[subject.name]().eval()


def torch_resnet20(weights: Mapping[str, npt.NDArray[Any]], rectifier: Callable[[], Any] = torch.nn.ReLU) -> Any:
    """The network with these weights."""
    made = ResNet20(rectifier)
    made.load_state_dict({name: torch.tensor(values) for name, values in weights.items()}, strict=False)
    return made


def _resnet20() -> Any:
    with np.load(DATA / "cifar10_resnet20.npz") as weights:
        return torch_resnet20(weights)


def _lite0() -> Any:
    place = spec_from_file_location("lite0", DATA / "lite0" / "lite0.py")
    if place is None or place.loader is None:
        raise ImportError(f"cannot import {DATA / 'lite0' / 'lite0.py'}")
    module: Any = module_from_spec(place)
    place.loader.exec_module(module)
    made = module.torch_net(DATA / "lite0" / "lite0.npz")
    for parent in list(made.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.ReLU6):
                setattr(parent, name, RectifiedLinear6())
    return made


def _resnet50() -> Any:
    from torchvision.models import resnet50  # type: ignore[import-not-found]  # noqa: PLC0415 - needs the operations

    torch.manual_seed(0)
    return resnet50(weights=None)


_MAKERS = {"resnet20": _resnet20, "lite0": _lite0, "resnet50": _resnet50}
